/* A watch round: the events that the hub looks at together. */
#ifndef KEYDIR_HTTPD_WATCH_ROUND_H
#define KEYDIR_HTTPD_WATCH_ROUND_H

#include "common/event/feed.h"
#include "common/store/view.h"
#include "httpd/change_ring.h"

#define WATCH_ROUND_ROWS 128

struct watch_round {
	struct view view; /* that they were found in */
	size_t n;
	struct feed_event *rows[WATCH_ROUND_ROWS];
	unsigned kinds[WATCH_ROUND_ROWS]; /* of text that somebody wants, as bits; the user's */
};

/* Reads the events of the feed from FROM on, as many as a round takes; perhaps
 * none: what should be there is lost or damaged. 0, or -errno if the feed cannot be
 * read now. */
int watch_round_open(struct watch_round *round, struct store *store, uint64_t from);
/* Formats those that somebody wants, and puts the round, which goes from BEGIN up to
 * END, into RING. */
void watch_round_put(const struct watch_round *round, struct change_ring *ring, uint64_t begin,
                     uint64_t end);
/* After success of watch_round_open() alone. */
void watch_round_close(struct watch_round *round);

#endif
