/* Change ring: the newest changes as text, formatted once for all watchers. */
#ifndef KEYDIR_HTTPD_CHANGE_RING_H
#define KEYDIR_HTTPD_CHANGE_RING_H

#include "common/event/feed.h"
#include "common/store/view.h"

/* A position in the feed: the next change to read. */
struct change_place {
	uint64_t offset;
	size_t index; /* change within that event */
};

enum change_kind {
	CHANGE_PLAIN,
	CHANGE_VALUES, /* including the values */
	CHANGE_KINDS,
};

struct change_ring;
struct change_lines; /* the text of all changes of one event */

int change_ring_new(struct change_ring **ret);   /* 0 or -ENOMEM */
void change_ring_free(struct change_ring *ring); /* Free RING; NULL is fine. */

/* Format EV in the kinds of KINDS (bits). Text that is too long is left out, and its readers get
 * CHANGE_READ_FEED. VIEW provides values and the volume's tag; NULL: without both. Returns NULL if
 * memory runs out. The caller owns the result until it is put. */
struct change_lines *change_lines_new(const struct feed_event *ev, unsigned kinds,
                                      const struct view *view);

/* Add N events and take ownership of them. The ring then has all events from FROM up to END that
 * concern a watcher. If it did not end at FROM before, it is emptied first. Called by one thread
 * only. */
void change_ring_put(struct change_ring *ring, uint64_t from, uint64_t end,
                     struct change_lines **lines, size_t n);

enum change_read {
	CHANGE_READ_SOME, /* copied some; there may be more */
	CHANGE_READ_END,  /* there are no more */
	CHANGE_READ_FEED, /* only the feed has the change at PLACE */
};

/* Copy messages that concern PREFIX, from PLACE on, into BUF, as many as fit. Moves PLACE past
 * the changes that were read, and sets *RET_LEN to the bytes copied. Thread-safe. */
enum change_read change_ring_read(struct change_ring *ring, enum change_kind kind,
                                  const char *prefix, size_t prefix_len, struct change_place *place,
                                  char *buf, size_t size, size_t *ret_len);

#endif
