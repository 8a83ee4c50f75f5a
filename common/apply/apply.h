/* Apply: applies an event to the store, deterministically (common/DESIGN.md). */
#ifndef KEYDIR_APPLY_H
#define KEYDIR_APPLY_H

#include "common/event/event.h"
#include "common/store/store.h"

/* Apply EV at OFFSET in the write transaction TXN: decide its preconditions, change the
 * entries, advance log time and the applied offset, purge expired entries, and write the
 * feed. TIME_MS is the record's timestamp. EV may be NULL for a malformed record, which is
 * then rejected. The result depends only on the store, the event, its offset and its
 * timestamp.
 *
 * Returns 0 whatever the outcome, which is in the feed and in *RET (may be NULL); -EALREADY
 * if OFFSET was applied before, in which case nothing is done; or -ENOSPC, -EIO or -ENOMEM,
 * in which case the transaction must be aborted and can be retried. */
int apply_event(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                enum event_outcome *ret);

/* Apply an event that is so far from the end of the log that the feed's ring would have
 * dropped its row by the time the end is reached. The event gets no row, unless it has an
 * idempotency key, which a later event may look up. Readers of the feed find that they lost
 * events. In everything else the store becomes the same. */
int apply_event_no_feed(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                        enum event_outcome *ret);

#endif
