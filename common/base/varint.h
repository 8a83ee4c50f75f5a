/* Numbers in as few bytes as they need: LEB128, for rows that are read in order. */
#ifndef KEYDIR_VARINT_H
#define KEYDIR_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of a 64-bit number */

/* Writes N; returns the byte behind it. */
static inline uint8_t *varint_put(uint8_t *p, uint64_t n)
{
	while (n >= 0x80) {
		*p++ = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	*p++ = (uint8_t)n;
	return p;
}

/* Reads a number from the LEFT bytes at P; returns how many it took, 0 if there is
 * no whole number. */
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

/* Numbers around 0, of either sign, as small ones. */
static inline uint64_t varint_fold(int64_t n)
{
	return (uint64_t)n << 1 ^ (uint64_t)(n >> 63);
}

static inline int64_t varint_unfold(uint64_t n)
{
	return (int64_t)(n >> 1 ^ (0 - (n & 1)));
}

#endif
