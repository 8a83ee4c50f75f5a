/* Extended attributes of entries; all names with their "user.". */
#ifndef KEYDIR_STORE_XATTR_H
#define KEYDIR_STORE_XATTR_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <stddef.h>

#define STORE_XATTR_VALUE_MAX 65536 /* bytes of the longest value of an attribute */

/* The value of an attribute, valid until the transaction writes or ends. 0, -ENOENT,
 * -EIO. */
int store_xattr_get(struct txn *txn, uint64_t ino, const char *name, size_t len, struct bytes *ret);
/* Calls FN for each attribute of INO, in the order of their names; stops at a result
 * other than 0 and returns it. FN must not write. 0, -EIO. */
int store_xattr_each(struct txn *txn, uint64_t ino,
                     int (*fn)(void *arg, struct bytes name, struct bytes value), void *arg);

/* In write transactions: 0, -ENOSPC, -EIO. After an error the transaction can only be
 * aborted. */
int store_xattr_put(struct txn *txn, uint64_t ino, struct bytes name, struct bytes value);
/* -ENOENT if there is none. */
int store_xattr_del(struct txn *txn, uint64_t ino, struct bytes name);
/* Removes all attributes; *RET_BYTES: what they counted. */
int store_xattr_clear(struct txn *txn, uint64_t ino, uint64_t *ret_bytes);

#endif
