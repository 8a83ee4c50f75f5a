/* Watch round: the events that the hub checks together. */
#ifndef KEYDIR_HTTPD_WATCH_ROUND_H
#define KEYDIR_HTTPD_WATCH_ROUND_H

#include "common/event/feed.h"
#include "common/store/view.h"
#include "httpd/change_ring.h"

#define WATCH_ROUND_ROWS 128

struct watch_round {
	struct view view; /* the snapshot of the events */
	size_t n;
	struct feed_event *rows[WATCH_ROUND_ROWS];
	unsigned kinds[WATCH_ROUND_ROWS]; /* kinds of text to format, as bits; set by the caller */
};

/* Read events of the feed from FROM on, at most WATCH_ROUND_ROWS. There may be none: rows can be
 * lost or damaged. Returns 0, or -errno if the feed cannot be read now. */
int watch_round_open(struct watch_round *round, struct store *store, uint64_t from);
/* Format the events with a kind, and add the round, which covers the offsets from BEGIN up to
 * END, to RING. */
void watch_round_put(const struct watch_round *round, struct change_ring *ring, uint64_t begin,
                     uint64_t end);
/* End a round that watch_round_open() opened. */
void watch_round_close(struct watch_round *round);

#endif
