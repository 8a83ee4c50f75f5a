/* Apply: running an event against the store. Deterministic (DESIGN.md 4). */
#ifndef KEYDIR_APPLY_H
#define KEYDIR_APPLY_H

#include "common/event/event.h"
#include "common/store/store.h"

/* Applies EV at OFFSET in the write transaction TXN: decides preconditions,
 * changes the entries, moves log time and the applied offset, purges what has
 * expired, writes the feed. EV->time_ms is the record's timestamp. EV may be
 * NULL for a record that was malformed: it is rejected.
 * Depends on the store, the event, its offset and timestamp only.
 *
 * Returns 0 whatever the outcome (which is in the feed and in *RET, may be
 * NULL), -EALREADY if OFFSET was applied before (nothing is done), or -ENOSPC,
 * -EIO, -ENOMEM: the transaction must be aborted and can be tried again. */
int apply_event(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                enum event_outcome *ret);

/* The same for an event that lies so far behind the log's end that its row will
 * have left the feed's ring when the end is reached: it gets none (unless it has
 * an idempotency key, which a later event may ask for), and who follows the feed
 * finds that it lost some. The store is the same from then on. */
int apply_event_no_feed(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                        enum event_outcome *ret);

#endif
