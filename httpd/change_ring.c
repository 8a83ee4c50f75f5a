/* Change ring: the newest changes as text, formatted once for all watchers.
 *
 * A thousand watchers of the same changes are sent the same bytes. So the hub formats an event
 * once, if it changed something that a watcher reads, and each woken watcher copies the text from
 * here. An event that was left out concerned no watcher of that time; watchers that were added
 * later do not read the ring before that (watch_hub.c checks it).
 *
 * The ring is bounded; the oldest events are dropped first. A watcher that is slower, starts at an
 * older offset, or needs a text too long for the ring reads the feed instead (handlers/watch.c).
 * That is slower, but loses nothing.
 *
 * Lock: ring->lock, a leaf: held for reading while text is copied, for writing while the hub's
 * thread adds formatted events. */
#include "httpd/change_ring.h"

#include "httpd/change_text.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_EVENTS 2048
#define RING_BYTES ((size_t)4 << 20)
#define EVENT_BYTES ((size_t)32 << 10) /* longest text of one event; readers' buffers are smaller */

/* A piece of an event's text. */
struct piece {
	size_t at;
	size_t len;
};

struct line {
	struct piece key;
	bool whole;                      /* change_is_whole() */
	struct piece data[CHANGE_KINDS]; /* empty: not in the ring */
};

/* One event. Its text begins with "id: OFFSET-TAG"; the keys follow, then the rest of each
 * message after its id. Lines name pieces of it. */
struct change_lines {
	uint64_t offset;
	size_t id_len;
	struct json_text text;
	bool none; /* too long, so there are no lines */
	size_t n;
	struct line lines[];
};

struct change_ring {
	pthread_rwlock_t lock; /* protects all fields below */
	uint64_t first;        /* the ring has all watched events from this offset on ... */
	uint64_t end;          /* ... and before this one */
	size_t bytes;
	size_t oldest; /* index of the oldest event */
	size_t n;
	struct change_lines *events[RING_EVENTS];
};

int change_ring_new(struct change_ring **ret)
{
	pthread_rwlockattr_t attr;
	struct change_ring *ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	pthread_rwlockattr_init(&attr);
	/* Otherwise a steady flow of readers could block the hub forever. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&ring->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	*ret = ring;
	return 0;
}

static void lines_free(struct change_lines *lines)
{
	json_text_clear(&lines->text);
	free(lines);
}

static size_t lines_bytes(const struct change_lines *lines)
{
	return sizeof(*lines) + lines->n * sizeof(lines->lines[0]) + lines->text.cap;
}

/* --- format ---------------------------------------------------------------- */

/* Format the lines of one kind, or none of them if they are too long. */
static void format_kind(struct change_lines *lines, const struct feed_event *ev,
                        enum change_kind kind, const struct view *view)
{
	size_t begin = lines->text.len;
	bool fits = true;
	for (size_t i = 0; i < lines->n && fits; i++) {
		struct piece *data = &lines->lines[i].data[kind];
		data->at = lines->text.len;
		fits = (kind != CHANGE_VALUES || ev->effects[i].size <= EVENT_BYTES) &&
		       !change_message(ev, i, kind == CHANGE_VALUES ? view : NULL, &lines->text);
		data->len = lines->text.len - data->at;
		fits = fits && lines->text.len - begin <= EVENT_BYTES;
	}
	for (size_t i = 0; i < lines->n && !fits; i++)
		lines->lines[i].data[kind] = (struct piece){ 0 };
	if (!fits)
		lines->text.len = begin;
}

/* Copy the keys of EV. Returns false if they are too long together. */
static bool take_keys(struct change_lines *lines, const struct feed_event *ev)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct bytes key = ev->effects[i].key;
		lines->lines[i].key = (struct piece){ lines->text.len, key.len };
		lines->lines[i].whole = change_is_whole(ev, i);
		json_text_append(&lines->text, key.data, key.len);
		if (lines->text.len > EVENT_BYTES)
			return false;
	}
	return true;
}

struct change_lines *change_lines_new(const struct feed_event *ev, unsigned kinds,
                                      const struct view *view)
{
	/* A message is longer than its struct line, so this many can never fit. */
	bool fits = ev->neffects <= EVENT_BYTES / sizeof(struct line);
	size_t n = fits ? ev->neffects : 0;
	struct change_lines *lines = calloc(1, sizeof(*lines) + n * sizeof(lines->lines[0]));
	if (!lines)
		return NULL;
	lines->offset = ev->offset;
	lines->n = n;
	json_text_raw(&lines->text, "id: ");
	json_text_u64(&lines->text, ev->offset);
	if (view) {
		struct volume_tag tag;
		view_tag(view, &tag);
		json_text_raw(&lines->text, tag.text);
	}
	lines->id_len = lines->text.len;
	lines->none = !fits || !take_keys(lines, ev);
	for (enum change_kind kind = 0; kind < CHANGE_KINDS && !lines->none; kind++)
		if (kinds & 1U << kind)
			format_kind(lines, ev, kind, view);
	json_text_shrink(&lines->text);
	if (lines->text.failed) {
		lines_free(lines);
		return NULL;
	}
	return lines;
}

/* --- the ring -------------------------------------------------------------- */

static struct change_lines *event_at(const struct change_ring *ring, size_t i)
{
	return ring->events[(ring->oldest + i) % RING_EVENTS];
}

static void drop_oldest(struct change_ring *ring)
{
	struct change_lines *lines = event_at(ring, 0);
	ring->first = lines->offset + 1;
	ring->bytes -= lines_bytes(lines);
	ring->oldest = (ring->oldest + 1) % RING_EVENTS;
	ring->n--;
	lines_free(lines);
}

void change_ring_free(struct change_ring *ring)
{
	if (!ring)
		return;
	while (ring->n)
		drop_oldest(ring);
	pthread_rwlock_destroy(&ring->lock);
	free(ring);
}

void change_ring_put(struct change_ring *ring, uint64_t from, uint64_t end,
                     struct change_lines **lines, size_t n)
{
	pthread_rwlock_wrlock(&ring->lock);
	if (from != ring->end) {
		while (ring->n)
			drop_oldest(ring);
		ring->first = from;
	}
	for (size_t i = 0; i < n; i++) {
		while (ring->n == RING_EVENTS || (ring->n && ring->bytes > RING_BYTES))
			drop_oldest(ring);
		ring->events[(ring->oldest + ring->n) % RING_EVENTS] = lines[i];
		ring->bytes += lines_bytes(lines[i]);
		ring->n++;
	}
	ring->end = end;
	pthread_rwlock_unlock(&ring->lock);
}

/* --- read ------------------------------------------------------------------ */

/* A buffer that is being filled. */
struct fill {
	char *buf;
	size_t size;
	size_t len;
};

static bool append_bytes(struct fill *fill, const char *text, size_t len)
{
	if (fill->size - fill->len < len)
		return false;
	memcpy(fill->buf + fill->len, text, len);
	fill->len += len;
	return true;
}

static bool put_message(struct fill *fill, const struct change_lines *lines, size_t i,
                        enum change_kind kind, bool is_last)
{
	const char *text = lines->text.data;
	const struct piece *data = &lines->lines[i].data[kind];
	char index[24];
	if (!data->len || !append_bytes(fill, text, lines->id_len))
		return false;
	if (!is_last &&
	    !append_bytes(fill, index, (size_t)snprintf(index, sizeof(index), ".%zu", i)))
		return false;
	return append_bytes(fill, text + data->at, data->len);
}

/* Return whether change I of an event concerns PREFIX. */
static bool line_concerns(const struct change_lines *lines, size_t i, const char *prefix,
                          size_t len)
{
	const struct line *line = &lines->lines[i];
	return change_reaches(lines->text.data + line->key.at, line->key.len, line->whole, prefix,
	                      len);
}

/* Copy the messages of an event from change FIRST on. Returns false, and copies nothing, if
 * they do not fit or are not in the ring. */
static bool put_event(struct fill *fill, const struct change_lines *lines, enum change_kind kind,
                      size_t first, const char *prefix, size_t prefix_len)
{
	size_t before = fill->len;
	size_t last = lines->n;
	if (lines->none)
		return false;
	while (last > first && !line_concerns(lines, last - 1, prefix, prefix_len))
		last--;
	for (size_t i = first; i < last; i++) {
		bool is_last = i + 1 == last;
		if (!is_last && !line_concerns(lines, i, prefix, prefix_len))
			continue;
		if (!put_message(fill, lines, i, kind, is_last)) {
			fill->len = before;
			return false;
		}
	}
	return true;
}

/* Return the index of the first event at OFFSET or later; ring->n if there are none. */
static size_t find_event(const struct change_ring *ring, uint64_t offset)
{
	size_t low = 0;
	size_t high = ring->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (event_at(ring, middle)->offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum change_read change_ring_read(struct change_ring *ring, enum change_kind kind,
                                  const char *prefix, size_t prefix_len, struct change_place *place,
                                  char *buf, size_t size, size_t *ret_len)
{
	struct fill fill = { buf, size, 0 };
	bool stopped = false;
	enum change_read result = CHANGE_READ_END;
	pthread_rwlock_rdlock(&ring->lock);
	if (place->offset < ring->first) {
		result = CHANGE_READ_FEED;
	} else if (place->offset < ring->end) {
		for (size_t i = find_event(ring, place->offset); i < ring->n && !stopped; i++) {
			const struct change_lines *lines = event_at(ring, i);
			size_t first = lines->offset == place->offset ? place->index : 0;
			stopped = !put_event(&fill, lines, kind, first, prefix, prefix_len);
			if (!stopped)
				*place = (struct change_place){ .offset = lines->offset + 1 };
		}
		if (!stopped)
			*place = (struct change_place){ .offset = ring->end };
		result = fill.len ? CHANGE_READ_SOME : stopped ? CHANGE_READ_FEED : CHANGE_READ_END;
	}
	pthread_rwlock_unlock(&ring->lock);
	*ret_len = fill.len;
	return result;
}
