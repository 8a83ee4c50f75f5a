/* The row that says what this node remembers of a log outside. */
#ifndef KEYDIR_STORE_LOG_H
#define KEYDIR_STORE_LOG_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

/* Find the row; its bytes are log/identity.h's, valid until TXN writes or ends. 0,
 * -ENOENT (nothing was remembered yet), -EIO. */
int store_log_get(struct txn *txn, struct bytes *ret);
/* Replace the row. In write transactions: 0, -ENOSPC, -EIO. */
int store_log_put(struct txn *txn, struct bytes row);

#endif
