/* Buffers: a private copy of one value, and the changes made in it.
 *
 * A file that is being written through the mount has a buffer until its flush. The first
 * write copies the whole value, so that reads on the same mount see the new contents. The
 * buffer records separately which changes to log. If the value was emptied (created, O_TRUNC),
 * that is the whole value. Otherwise it is the ranges that were written, the smallest size to
 * which the value was shortened, and the size to which it was extended without data. Because
 * only these are logged, writers of different ranges on different nodes do not overwrite each
 * other's data.
 *
 * Invariants: ranges are sorted, do not touch, are not empty and end at or before `size`; with
 * `whole` there are none; `changed` is false only if an event would change nothing. No lock: the
 * owner has one.
 *
 * A failed write leaves a value that the program did not intend. The buffer then has an `error`
 * and must not be logged until the program has written the missing bytes. */
#include "fs/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAP 4096

/* Grow the allocation to at least SIZE bytes. Returns 0 or -ENOMEM. */
static int reserve(struct buffer *buf, uint64_t size)
{
	uint64_t cap = buf->cap ? buf->cap : MIN_CAP;

	if (size <= buf->cap)
		return 0;
	while (cap < size)
		cap *= 2;
	unsigned char *bytes = realloc(buf->bytes, cap);
	if (!bytes)
		return -ENOMEM;
	buf->bytes = bytes;
	buf->cap = cap;
	return 0;
}

int buffer_init(struct buffer *buf, const void *bytes, uint64_t size)
{
	*buf = (struct buffer){ 0 };
	if (size == 0)
		return 0;
	buf->bytes = malloc(size);
	if (!buf->bytes)
		return -ENOMEM;
	memcpy(buf->bytes, bytes, size);
	buf->cap = size;
	buf->size = size;
	return 0;
}

void buffer_close(struct buffer *buf)
{
	free(buf->bytes);
	free(buf->ranges);
	*buf = (struct buffer){ 0 };
}

/* Find the first range that ends at or after OFF, so that it touches OFF or follows it. */
static size_t first_touching(const struct buffer *buf, uint64_t off)
{
	size_t low = 0, high = buf->nranges;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (buf->ranges[mid].off + buf->ranges[mid].len < off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Return whether one event can also hold [off, off + len): see EVENT_SPREAD_MIN. Up to
 * half of EVENT_SPREAD_MIN ranges always fit, since each adds at most two partly
 * written blocks. */
static bool is_dense_with(const struct buffer *buf, uint64_t off, uint64_t len)
{
	struct event_range more = { off, len };
	uint64_t bytes = 0;

	if (buf->nranges < EVENT_SPREAD_MIN / 2)
		return true;
	for (size_t i = 0; i < buf->nranges; i++)
		bytes += buf->ranges[i].len;
	/* Assume the worst case: the new range shares no block with others, and all of its bytes
	 * are in ranges already. */
	return event_spread(buf->ranges, buf->nranges) + event_spread(&more, 1) <=
	       EVENT_SPREAD_MIN + bytes / EVENT_SPREAD_BYTES;
}

/* Merge [OFF, OFF + LEN) into the ranges. Returns 0, -ENOMEM, or -ENOBUFS if one event cannot
 * hold another range. */
static int note_range(struct buffer *buf, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	if (!is_dense_with(buf, off, len))
		return -ENOBUFS;
	size_t first = first_touching(buf, off);
	size_t past = first;

	while (past < buf->nranges && buf->ranges[past].off <= end)
		past++;
	if (past > first) {
		struct event_range *into = &buf->ranges[first];
		const struct event_range *last = &buf->ranges[past - 1];

		if (last->off + last->len > end)
			end = last->off + last->len;
		if (into->off < off)
			off = into->off;
		*into = (struct event_range){ off, end - off };
		memmove(into + 1, buf->ranges + past, (buf->nranges - past) * sizeof(*buf->ranges));
		buf->nranges -= past - first - 1;
		return 0;
	}
	if (buf->nranges == EVENT_RANGES_MAX)
		return -ENOBUFS;
	if (buf->nranges == buf->ranges_cap) {
		size_t cap = buf->ranges_cap ? buf->ranges_cap * 2 : 8;
		struct event_range *ranges = realloc(buf->ranges, cap * sizeof(*ranges));

		if (!ranges)
			return -ENOMEM;
		buf->ranges = ranges;
		buf->ranges_cap = cap;
	}
	memmove(buf->ranges + first + 1, buf->ranges + first,
	        (buf->nranges - first) * sizeof(*buf->ranges));
	buf->ranges[first] = (struct event_range){ off, len };
	buf->nranges++;
	return 0;
}

int buffer_write(struct buffer *buf, uint64_t off, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	int r = reserve(buf, off + len);
	if (r < 0)
		return r;
	if (!buf->whole) {
		r = note_range(buf, off, len);
		if (r < 0)
			return r;
	}
	if (off > buf->size)
		memset(buf->bytes + buf->size, 0, off - buf->size);
	memcpy(buf->bytes + off, data, len);
	if (off + len > buf->size)
		buf->size = off + len;
	buf->changed = true;
	if (buf->error && off <= buf->lack_from && off + len > buf->lack_from)
		buf->lack_from = off + len;
	if (buf->lack_from >= buf->lack_to)
		buf->error = 0;
	return 0;
}

void buffer_fail(struct buffer *buf, uint64_t off, uint64_t len, int error)
{
	if (!buf->error || off < buf->lack_from)
		buf->lack_from = off;
	if (!buf->error || off + len > buf->lack_to)
		buf->lack_to = off + len;
	buf->error = error;
}

int buffer_truncate(struct buffer *buf, uint64_t size)
{
	if (buf->error && size <= buf->lack_from)
		buf->error = 0;
	if (size == buf->size)
		return 0;
	if (size > buf->size) {
		int r = reserve(buf, size);

		if (r < 0)
			return r;
		memset(buf->bytes + buf->size, 0, size - buf->size);
	} else if (size == 0) {
		buf->whole = true;
		buf->nranges = 0;
		buf->has_cut = false;
	} else if (!buf->whole) {
		while (buf->nranges && buf->ranges[buf->nranges - 1].off >= size)
			buf->nranges--;
		if (buf->nranges) {
			struct event_range *last = &buf->ranges[buf->nranges - 1];

			if (last->off + last->len > size)
				last->len = size - last->off;
		}
		if (!buf->has_cut || size < buf->cut)
			buf->cut = size;
		buf->has_cut = true;
	}
	/* Needed after shortening, too: when the event is applied, the value may be even shorter. */
	buf->grow = size;
	buf->size = size;
	buf->changed = true;
	return 0;
}

size_t buffer_read(const struct buffer *buf, uint64_t off, void *to, size_t len)
{
	if (off >= buf->size)
		return 0;
	if (len > buf->size - off)
		len = buf->size - off;
	memcpy(to, buf->bytes + off, len);
	return len;
}

static int take_whole(struct buffer *buf, struct event *ev, void **ret_owned)
{
	unsigned char *copy = malloc(buf->size ? buf->size : 1);

	if (!copy)
		return -ENOMEM;
	if (buf->size)
		memcpy(copy, buf->bytes, buf->size);
	ev->op = EVENT_SET;
	ev->ttl = TTL_KEEP;
	ev->value = (struct bytes){ copy, buf->size };
	*ret_owned = copy;
	return 0;
}

static int take_ranges(struct buffer *buf, struct event *ev, void **ret_owned)
{
	size_t head = buf->nranges * sizeof(struct event_range);
	uint64_t total = 0;

	for (size_t i = 0; i < buf->nranges; i++)
		total += buf->ranges[i].len;
	struct event_range *block = malloc(head + total ? head + total : 1);
	if (!block)
		return -ENOMEM;
	unsigned char *to = (unsigned char *)block + head;
	for (size_t i = 0; i < buf->nranges; i++) {
		assert(buf->ranges[i].off + buf->ranges[i].len <= buf->size);
		block[i] = buf->ranges[i];
		memcpy(to, buf->bytes + block[i].off, block[i].len);
		to += block[i].len;
	}
	ev->op = EVENT_WRITE;
	ev->value = (struct bytes){ (unsigned char *)block + head, total };
	ev->ranges = buf->nranges ? block : NULL;
	ev->nranges = buf->nranges;
	ev->size = buf->grow;
	if (buf->has_cut) {
		ev->flags |= EVENT_HAS_CUT;
		ev->cut = buf->cut;
	}
	*ret_owned = block;
	return 0;
}

int buffer_take(struct buffer *buf, struct event *ev, void **ret_owned)
{
	assert(!buf->error);
	int r = buf->whole ? take_whole(buf, ev, ret_owned) : take_ranges(buf, ev, ret_owned);

	if (r < 0)
		return r;
	buf->whole = false;
	buf->changed = false;
	buf->has_cut = false;
	buf->grow = 0;
	buf->nranges = 0;
	return 0;
}
