/* The change ring: the newest changes as text, formatted once for all who watch. */
#ifndef KEYDIR_HTTPD_CHANGE_RING_H
#define KEYDIR_HTTPD_CHANGE_RING_H

#include "common/event/feed.h"
#include "common/store/view.h"

/* A place in the feed: the next change to look at. */
struct change_place {
	uint64_t offset;
	size_t index; /* change of that event */
};

enum change_kind {
	CHANGE_PLAIN,
	CHANGE_VALUES, /* with the values */
	CHANGE_KINDS,
};

struct change_ring;
struct change_lines; /* the text of one event, of all its changes */

int change_ring_new(struct change_ring **ret);   /* 0 or -ENOMEM */
void change_ring_free(struct change_ring *ring); /* NULL is fine */

/* Formats EV, in those kinds of which KINDS has the bit. What is too long to be
 * kept is left out, and readers whom it concerns are sent away. NULL without
 * memory. The caller owns it until it is put. VIEW, for values and the volume's tag, may
 * be NULL: without both. */
struct change_lines *change_lines_new(const struct feed_event *ev, unsigned kinds,
                                      const struct view *view);

/* Adds N events; the ring then has all from FROM up to END that concern anyone
 * who reads it. If it ended elsewhere than at FROM, it begins anew. One thread. */
void change_ring_put(struct change_ring *ring, uint64_t from, uint64_t end,
                     struct change_lines **lines, size_t n);

enum change_look {
	CHANGE_LOOK_SOME, /* text was copied; there may be more */
	CHANGE_LOOK_END,  /* there is nothing more */
	CHANGE_LOOK_AWAY, /* what is next at PLACE can only be found in the feed */
};

/* Copies messages that concern PREFIX from PLACE on into BUF, as many as fit, and
 * moves PLACE behind what it looked at. *RET_LEN: bytes copied. Any thread. */
enum change_look change_ring_read(struct change_ring *ring, enum change_kind kind,
                                  const char *prefix, size_t prefix_len, struct change_place *place,
                                  char *buf, size_t size, size_t *ret_len);

#endif
