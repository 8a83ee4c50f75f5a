/* The attributes of an entry that is being changed. Internal to apply*.c. */
#ifndef KEYDIR_APPLY_XATTR_H
#define KEYDIR_APPLY_XATTR_H

#include "common/apply/tree.h"

/* These change the rows of H's attributes, H's own has_xattrs and the totals; H's row
 * is left to tree_save(). 0 or a negative errno. */

/* Sets an attribute. */
int xattr_put(struct apply *ap, struct entry_copy *copy, struct bytes name, struct bytes value);
/* Removes one; OUTCOME_NO_XATTR if there is none. */
int xattr_del(struct apply *ap, struct entry_copy *copy, struct bytes name);
/* Removes all of them. */
int xattr_clear(struct apply *ap, struct entry_copy *copy);

#endif
