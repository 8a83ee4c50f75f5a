/* The attributes of an entry that is being changed. Internal to apply*.c. */
#ifndef KEYDIR_APPLY_ATTR_H
#define KEYDIR_APPLY_ATTR_H

#include "common/apply/tree.h"

/* These change the rows of H's attributes, H's own has_xattrs and the totals; H's row
 * is left to tree_save(). 0 or a negative errno. */

/* Sets an attribute. */
int attr_put(struct apply *ap, struct held *h, struct bytes name, struct bytes value);
/* Removes one; OUTCOME_NO_XATTR if there is none. */
int attr_del(struct apply *ap, struct held *h, struct bytes name);
/* Removes all of them. */
int attr_clear(struct apply *ap, struct held *h);

#endif
