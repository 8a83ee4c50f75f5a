/* Varint: unsigned LEB128 numbers, for fields that are read in sequence. */
#ifndef KEYDIR_VARINT_H
#define KEYDIR_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of the longest 64-bit number */

/* Write N at P. Returns the position after it. */
static inline uint8_t *varint_put(uint8_t *p, uint64_t n)
{
	while (n >= 0x80) {
		*p++ = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	*p++ = (uint8_t)n;
	return p;
}

/* Read a number from the LEFT bytes at P into *RET. Returns the bytes read, or 0 if the
 * number is incomplete. */
static inline size_t varint_get(const uint8_t *p, size_t left, uint64_t *ret)
{
	uint64_t n = 0;
	for (size_t i = 0; i < left && i < VARINT_MAX; i++) {
		n |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80)) {
			*ret = n;
			return i + 1;
		}
	}
	return 0;
}

/* Map small numbers of either sign to small unsigned ones (zigzag encoding). */
static inline uint64_t varint_fold(int64_t n)
{
	return (uint64_t)n << 1 ^ (uint64_t)(n >> 63);
}

/* Return the number that varint_fold() mapped to N. */
static inline int64_t varint_unfold(uint64_t n)
{
	return (int64_t)(n >> 1 ^ (0 - (n & 1)));
}

#endif
