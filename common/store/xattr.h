/* Xattr: the extended attributes of entries. All names include their "user.". */
#ifndef KEYDIR_STORE_XATTR_H
#define KEYDIR_STORE_XATTR_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <stddef.h>

#define STORE_XATTR_VALUE_MAX 65536 /* bytes of the longest value of an attribute */

/* Find the value of an attribute, valid until the transaction writes or ends. Returns 0,
 * -ENOENT or -EIO. */
int store_xattr_get(struct txn *txn, uint64_t ino, const char *name, size_t len, struct bytes *ret);
/* Call FN for each attribute of INO, in the order of their names. Stop at a result other
 * than 0 and return it. FN must not write. Returns 0 or -EIO otherwise. */
int store_xattr_each(struct txn *txn, uint64_t ino,
                     int (*fn)(void *arg, struct bytes name, struct bytes value), void *arg);

/* The following are for write transactions and return 0, -ENOSPC or -EIO. After an error
 * the transaction can only be aborted. */
int store_xattr_put(struct txn *txn, uint64_t ino, struct bytes name, struct bytes value);
/* Remove an attribute; -ENOENT if it does not exist. */
int store_xattr_del(struct txn *txn, uint64_t ino, struct bytes name);
/* Remove all attributes. *RET_BYTES is what they counted against the quota. */
int store_xattr_clear(struct txn *txn, uint64_t ino, uint64_t *ret_bytes);

#endif
