/* Feed rows: the rows of the feed and of the idempotency keys, which are kept for the same
 * time. */
#ifndef KEYDIR_STORE_FEED_ROWS_H
#define KEYDIR_STORE_FEED_ROWS_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#define STORE_FEED_SIZE 65536 /* events that the feed keeps (a ring) */

/* All functions below return 0, -ENOENT or -EIO. The format of a row is in event/feed.h;
 * its bytes are valid until the transaction writes or ends. */

/* Find the first row at FROM or later. -ENOENT if no row exists yet. Offsets can have gaps,
 * but *RET_OFFSET > FROM can also mean that rows are missing: compare with
 * store_feed_first(). */
int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret);
/* Find the offset from which on the feed has a row for each event. A reader that needs
 * earlier ones has lost some. -ENOENT if the feed has no rows. */
int store_feed_first(struct txn *txn, uint64_t *ret_offset);
/* Find the row of the event at OFFSET, even if it precedes store_feed_first(). */
int store_feed_get(struct txn *txn, uint64_t offset, struct bytes *ret);
/* Find the oldest row that exists. Only in write transactions. */
int store_feed_oldest(struct txn *txn, uint64_t *ret_offset, struct bytes *ret);
/* Find the offset at which an event with the idempotency key IDEM was applied, if that
 * event is still in the feed. */
int store_idem_get(struct txn *txn, struct bytes idem, uint64_t *ret_offset);

/* The following are for write transactions and return 0, -ENOSPC or -EIO. After an error
 * the transaction can only be aborted. */
/* Add the row of the newest event. */
int store_feed_put(struct txn *txn, uint64_t offset, struct bytes row);
/* Remove the row of OFFSET; -ENOENT if it does not exist. */
int store_feed_del(struct txn *txn, uint64_t offset);
/* Record that the event at OFFSET, the newest one, gets no row. This is forgotten once the
 * ring would have dropped the row anyway. Not allowed in a nested transaction. */
void store_feed_skip(struct txn *txn, uint64_t offset);
/* Add and remove the row of an idempotency key. */
int store_idem_put(struct txn *txn, struct bytes idem, uint64_t offset);
int store_idem_del(struct txn *txn, struct bytes idem);

#endif
