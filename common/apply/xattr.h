/* Xattr: changes the attributes of an entry. Internal to common/apply/. */
#ifndef KEYDIR_APPLY_XATTR_H
#define KEYDIR_APPLY_XATTR_H

#include "common/apply/tree.h"

/* These change the rows of COPY's attributes, COPY's has_xattrs and the totals; COPY's own
 * row is left to tree_save(). Return 0 or a negative errno. */

/* Set an attribute. */
int xattr_put(struct apply *ap, struct entry_copy *copy, struct bytes name, struct bytes value);
/* Remove an attribute; OUTCOME_NO_XATTR if it does not exist. */
int xattr_del(struct apply *ap, struct entry_copy *copy, struct bytes name);
/* Remove all attributes. */
int xattr_clear(struct apply *ap, struct entry_copy *copy);

#endif
