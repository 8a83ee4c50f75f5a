/* Pseudo-random numbers for tests, from a seed or from a fuzzer's bytes. */
#ifndef KEYDIR_TEST_PRNG_H
#define KEYDIR_TEST_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* If DATA is NULL: a generator that starts at SEED (the same seed gives the same
 * numbers everywhere). Otherwise: the bytes of DATA (borrowed), followed by zeros. */
struct prng {
	const uint8_t *data;
	size_t left;
	uint64_t seed;
};

/* Return whether numbers are left: false once a fuzzer's bytes are used up. */
bool prng_left(const struct prng *prng);
/* Return 64 random bits. */
uint64_t prng_u64(struct prng *prng);
/* Return a number from 0 to N - 1; N is at least 1. */
uint32_t prng_below(struct prng *prng, uint32_t n);
/* Return true with probability 1/N. */
bool prng_one_in(struct prng *prng, uint32_t n);

#endif
