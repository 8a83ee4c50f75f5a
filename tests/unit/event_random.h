/* Random events: generated from a small set of names, so that they affect each other. */
#ifndef KEYDIR_TEST_EVENT_RANDOM_H
#define KEYDIR_TEST_EVENT_RANDOM_H

#include "common/event/event.h"
#include "tests/unit/prng.h"

#define EVENT_RANDOM_OPS 5    /* most operations in a transaction */
#define EVENT_RANDOM_RANGES 6 /* most ranges in a write */

/* Memory that one random event borrows from. */
struct event_space {
	char keys[EVENT_RANDOM_OPS + 1][2][1100];
	struct event_range ranges[EVENT_RANDOM_OPS + 1][EVENT_RANDOM_RANGES];
	struct event ops[EVENT_RANDOM_OPS];
	char idem[2];
};

/* Fill EV with a random operation, any but format. EV->time_ms is the event's time on
 * entry. Names come from a small set, up to four levels deep, and inodes from a small
 * range. The event passes event_check(), but need not succeed. It is valid until
 * SPACE is used again. */
void event_random(struct prng *prng, struct event_space *space, struct event *ev);

/* Return the timestamp of the next record: usually a little later than LAST_MS, so
 * that the TTLs of random events end while more events follow. */
int64_t event_random_time(struct prng *prng, int64_t last_ms);

#endif
