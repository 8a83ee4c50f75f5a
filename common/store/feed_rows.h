/* The rows of the feed, and of the idempotency keys, which live as long. */
#ifndef KEYDIR_STORE_FEED_H
#define KEYDIR_STORE_FEED_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#define STORE_FEED_SIZE 65536 /* events that the feed keeps (a ring) */

/* All return 0, -ENOENT, -EIO. The bytes of a row are event/feed.h's, valid until the
 * transaction writes or ends. */

/* The first row at or behind FROM. -ENOENT if there is none yet. Offsets can have
 * gaps; *RET_OFFSET > FROM can also mean that some are missing: compare with
 * store_feed_first(). */
int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret);
/* The offset from which on the feed has a row for each event: who wants more has
 * lost some. -ENOENT if it has none. */
int store_feed_first(struct txn *txn, uint64_t *ret_offset);
/* The row of the event at OFFSET, also one that is before store_feed_first(). */
int store_feed_get(struct txn *txn, uint64_t offset, struct bytes *ret);
/* The oldest row that there is. In write transactions. */
int store_feed_oldest(struct txn *txn, uint64_t *ret_offset, struct bytes *ret);
/* Idempotency: the offset at which this id was applied, while the feed reaches back. */
int store_idem_get(struct txn *txn, struct bytes idem, uint64_t *ret_offset);

/* In write transactions: 0, -ENOSPC, -EIO. After an error the transaction can only be
 * aborted. */
/* The row of the newest event. */
int store_feed_put(struct txn *txn, uint64_t offset, struct bytes row);
/* -ENOENT if there is none. */
int store_feed_del(struct txn *txn, uint64_t offset);
/* The event at OFFSET, the newest, gets no row. Forgotten when the ring would
 * have lost the row anyway. Not in a nested transaction. */
void store_feed_skip(struct txn *txn, uint64_t offset);
/* Idempotency keys. */
int store_idem_put(struct txn *txn, struct bytes idem, uint64_t offset);
int store_idem_del(struct txn *txn, struct bytes idem);

#endif
