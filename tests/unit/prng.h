/* Choices for random tests: from a seed, or from a fuzzer's bytes. */
#ifndef KEYDIR_TEST_PRNG_H
#define KEYDIR_TEST_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With DATA NULL: numbers of a generator that starts at SEED (the same seed
 * gives the same numbers everywhere). Else: the bytes of DATA (borrowed), and
 * zeros behind their end. */
struct prng {
	const uint8_t *data;
	size_t left;
	uint64_t seed;
};

/* False when a fuzzer's bytes are used up. */
bool prng_left(const struct prng *prng);
/* 64 bits. */
uint64_t prng_u64(struct prng *prng);
/* A number from 0 to N - 1; N at least 1. */
uint32_t prng_below(struct prng *prng, uint32_t n);
/* True once in N times. */
bool prng_one_in(struct prng *prng, uint32_t n);

#endif
