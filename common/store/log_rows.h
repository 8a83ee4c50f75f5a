/* Log row: what this node remembers of an external log. */
#ifndef KEYDIR_STORE_LOG_ROWS_H
#define KEYDIR_STORE_LOG_ROWS_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

/* Find the row. The format of its bytes is in log/identity.h; they are valid until TXN
 * writes or ends. Returns 0, -ENOENT if nothing was remembered yet, or -EIO. */
int store_log_get(struct txn *txn, struct bytes *ret);
/* Replace the row, in a write transaction. Returns 0, -ENOSPC or -EIO. */
int store_log_put(struct txn *txn, struct bytes row);

#endif
