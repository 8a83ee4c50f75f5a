/* Buffers: a private copy of one value, and the changes made in it. */
#ifndef KEYDIR_FS_BUFFER_H
#define KEYDIR_FS_BUFFER_H

#include "common/event/event.h"

/* Allocated by the caller, from buffer_init() to buffer_close(). Other modules may read the fields;
 * only the functions below change them. Not thread-safe. */
struct buffer {
	unsigned char *bytes;
	uint64_t cap;
	uint64_t size; /* of the value with the changes */
	bool whole;    /* the value was truncated to 0: log all of it */
	bool changed;  /* there are changes to log */
	bool has_cut;  /* it was shortened, at its shortest to `cut` bytes */
	uint64_t cut;
	uint64_t grow;              /* smallest size after the event, filled with zeros */
	struct event_range *ranges; /* written ranges, sorted, not adjacent */
	size_t nranges;
	size_t ranges_cap;
	/* A failed write left the bytes from lack_from to lack_to unwritten, so the buffer must
	 * not be logged. error is that write's errno, or 0. */
	int error;
	uint64_t lack_from, lack_to;
};

/* Initialize BUF with a copy of SIZE bytes, without changes. Returns 0 or -ENOMEM. */
int buffer_init(struct buffer *buf, const void *bytes, uint64_t size);
void buffer_close(struct buffer *buf);

/* Write LEN bytes at OFF; a gap is filled with zeros. Returns 0, -ENOMEM, or -ENOBUFS if one event
 * cannot hold another range: call buffer_take(), then write again. On failure nothing changes. */
int buffer_write(struct buffer *buf, uint64_t off, const void *data, size_t len);

/* Note that LEN bytes at OFF could not be written because of ERROR (an errno). buf->error is set until
 * they are written, or the value is cut at or before the first of them. */
void buffer_fail(struct buffer *buf, uint64_t off, uint64_t len, int error);

/* Set the size, filling with zeros. Returns 0, or -ENOMEM and changes nothing. */
int buffer_truncate(struct buffer *buf, uint64_t size);

/* Copy up to LEN bytes from OFF. Returns the number of bytes copied. */
size_t buffer_read(const struct buffer *buf, uint64_t off, void *to, size_t len);

/* Return by how many bytes the value exceeds BASE bytes, 0 if it does not. */
static inline uint64_t buffer_growth(const struct buffer *buf, uint64_t base)
{
	return buf->size > base ? buf->size - base : 0;
}

/* Fill the fields of EV that log the changes: operation (set with TTL_KEEP, or write), flags, value,
 * ranges, cut and size; the other fields stay. *RET_OWNED is the malloc'd block with value and
 * ranges (for node_submit), never NULL. The buffer is unchanged afterwards and keeps its bytes.
 * Must not be called while buf->error is set. Returns 0, or -ENOMEM and changes nothing. */
int buffer_take(struct buffer *buf, struct event *ev, void **ret_owned);

#endif
