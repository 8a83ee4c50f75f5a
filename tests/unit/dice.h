/* Choices for random tests: from a seed, or from a fuzzer's bytes. */
#ifndef KEYDIR_TEST_DICE_H
#define KEYDIR_TEST_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With DATA NULL: numbers of a generator that starts at SEED (the same seed
 * gives the same numbers everywhere). Else: the bytes of DATA (borrowed), and
 * zeros behind their end. */
struct dice {
	const uint8_t *data;
	size_t left;
	uint64_t seed;
};

/* False when a fuzzer's bytes are used up. */
bool dice_left(const struct dice *dice);
/* 64 bits. */
uint64_t dice_u64(struct dice *dice);
/* A number from 0 to N - 1; N at least 1. */
uint32_t dice_below(struct dice *dice, uint32_t n);
/* True once in N times. */
bool dice_one_in(struct dice *dice, uint32_t n);

#endif
