/* Quota: how much an event would grow the cache or a value. */
#ifndef KEYDIR_QUOTA_H
#define KEYDIR_QUOTA_H

#include "common/event/event.h"
#include "common/store/store.h"

/* Return whether EV fits: it does not grow the cache, or its growth stays within QUOTA bytes. The
 * growth is approximately that of meta.used_bytes, and AHEAD bytes are added for events in flight.
 * Existing entries are read only when little space is left, so the usual case costs nothing. */
bool quota_fits(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead);
/* Return how many bytes must be freed before EV fits; 0 if it fits now. */
uint64_t quota_lack(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead);
/* Return false if EV would not fit even if all entries were removed that it does not concern. */
bool quota_can_fit(struct txn *txn, const struct event *ev, uint64_t quota);

/* Return the most that EV can add to meta.used_bytes; 0 if it only frees space. */
uint64_t quota_growth(const struct event *ev);

/* Return whether the value that the append EV makes stays within MAX bytes, where MAX is at least
 * the length of the appended bytes. For a transaction, whose operations may depend on each other,
 * return false; for any other event true. */
bool quota_append_fits(struct txn *txn, const struct event *ev, uint64_t max);

#endif
