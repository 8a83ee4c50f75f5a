/* Bytes: a borrowed run of bytes, and how to compare it.
 *
 * Header only: comparing with a constant text compiles to a few instructions. */
#ifndef KEYDIR_BYTES_H
#define KEYDIR_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* LEN bytes at DATA, which the struct does not own; not NUL-terminated. DATA may be NULL if
 * LEN is 0. */
struct bytes {
	const void *data;
	size_t len;
};

/* Return whether A and B have the same content. */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Return whether B is TEXT, without its NUL. */
static inline bool bytes_are(struct bytes b, const char *text)
{
	return bytes_equal(b, (struct bytes){ text, strlen(text) });
}

/* Return whether B starts with TEXT. */
static inline bool bytes_start(struct bytes b, const char *text)
{
	size_t len = strlen(text);
	return b.len >= len && (len == 0 || memcmp(b.data, text, len) == 0);
}

#endif
