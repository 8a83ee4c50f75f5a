/* Random events over a small world, so that they meet each other. */
#ifndef KEYDIR_TEST_EVENT_RANDOM_H
#define KEYDIR_TEST_EVENT_RANDOM_H

#include "tests/unit/prng.h"
#include "common/event/event.h"

#define EVENT_RANDOM_OPS 5    /* most operations of a transaction */
#define EVENT_RANDOM_RANGES 6 /* most ranges of a write */

/* Memory that one random event borrows from. */
struct event_space {
	char keys[EVENT_RANDOM_OPS + 1][2][1100];
	struct event_range ranges[EVENT_RANDOM_OPS + 1][EVENT_RANDOM_RANGES];
	struct event ops[EVENT_RANDOM_OPS];
	char idem[2];
};

/* Fills EV, whose time_ms is given, with any operation but format, on a few
 * names down to a depth of four and a few inodes; it passes event_check(), but
 * need not succeed. It lives as long as SPACE is not used again. */
void event_random(struct prng *prng, struct event_space *space, struct event *ev);

/* The next record's timestamp: mostly a little later than LAST_MS, so that
 * TTLs of random events end while more events come. */
int64_t event_random_time(struct prng *prng, int64_t last_ms);

#endif
