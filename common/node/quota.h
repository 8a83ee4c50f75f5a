/* Limits: how much an event would let the cache, or a value, grow. */
#ifndef KEYDIR_QUOTA_H
#define KEYDIR_QUOTA_H

#include "common/event/event.h"
#include "common/store/store.h"

/* True if the event fits: it does not grow the cache, or what it adds (about:
 * what meta.used_bytes would grow by, AHEAD bytes of others under way counted
 * too) stays within QUOTA bytes. Looks at existing entries only when there is
 * little room, so it costs nothing in the usual case. */
bool quota_fits(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead);
/* How many bytes have to go before it fits; 0: it does. */
uint64_t quota_lack(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead);
/* False if it would not fit even if all that it does not touch were gone. */
bool quota_can_fit(struct txn *txn, const struct event *ev, uint64_t quota);

/* The most that EV can add to meta.used_bytes; 0 for one that only frees. */
uint64_t quota_growth(const struct event *ev);

/* Whether an append keeps its value within MAX bytes, longer than what it carries.
 * Of a transaction nothing is known before its operations were done: false. */
bool quota_append_fits(struct txn *txn, const struct event *ev, uint64_t max);

#endif
