/* Buffers: a private copy of one value, and what was changed in it. */
#ifndef KEYDIR_FS_BUFFER_H
#define KEYDIR_FS_BUFFER_H

#include "common/event/event.h"

/* Allocated by the caller (buffer_init() to buffer_close()); fields are read
 * by others, but changed by the functions below only. Not thread-safe. */
struct buffer {
	unsigned char *bytes;
	uint64_t cap;
	uint64_t size; /* of the value as it now reads */
	bool whole;    /* the value was emptied: log all of it */
	bool changed;  /* there is something to log */
	bool has_cut;  /* it was shortened: to cut bytes at the least */
	uint64_t cut;
	uint64_t grow;              /* it must reach this size, with or without data */
	struct event_range *ranges; /* written, in order, neither touching another */
	size_t nranges;
	size_t ranges_cap;
	/* A write that failed should have put bytes from lack_from to lack_to here, and
	 * nothing has since: so this is no value to log. error is its errno, else 0. */
	int error;
	uint64_t lack_from, lack_to;
};

/* Makes BUF a clean copy of SIZE bytes. 0 or -ENOMEM. */
int buffer_init(struct buffer *buf, const void *bytes, uint64_t size);
void buffer_close(struct buffer *buf);

/* Writes LEN bytes at OFF; a gap reads as zeros. 0; -ENOMEM; -ENOBUFS when one
 * event cannot hold one range more: take what there is, then write again.
 * On failure nothing is changed. */
int buffer_write(struct buffer *buf, uint64_t off, const void *data, size_t len);

/* Note that LEN bytes at OFF could not be written, for the reason ERROR (an errno):
 * buf->error is set until they are written after all, or the value is cut to where
 * the first of them would be, or before. */
void buffer_fail(struct buffer *buf, uint64_t off, uint64_t len, int error);

/* Shortens or lengthens (with zeros). 0 or -ENOMEM, then nothing is changed. */
int buffer_truncate(struct buffer *buf, uint64_t size);

/* Copies up to LEN bytes from OFF; returns how many. */
size_t buffer_read(const struct buffer *buf, uint64_t off, void *to, size_t len);

/* Bytes that the value grows by over BASE bytes, 0 if it does not. */
static inline uint64_t buffer_growth(const struct buffer *buf, uint64_t base)
{
	return buf->size > base ? buf->size - base : 0;
}

/* Fills in what EV needs to log the changes: operation (set with TTL_KEEP, or
 * write), flags, value, ranges, cut and size; the rest of EV is left alone.
 * *RET_OWNED is the malloc'd block that value and ranges lie in (for
 * node_submit), never NULL. The buffer counts as unchanged then; its bytes
 * stay. Not to be called while buf->error is set. 0 or -ENOMEM (all stays as it
 * was). */
int buffer_take(struct buffer *buf, struct event *ev, void **ret_owned);

#endif
