/* Choices for random tests. The generator is splitmix64. */
#include "tests/unit/dice.h"

#include <string.h>

bool dice_left(const struct dice *dice)
{
	return !dice->data || dice->left;
}

/* The next N bytes of the fuzzer's input as a number. */
static uint64_t take(struct dice *dice, size_t n)
{
	uint64_t number = 0;

	if (n > dice->left)
		n = dice->left;
	memcpy(&number, dice->data, n);
	dice->data += n;
	dice->left -= n;
	return number;
}

uint64_t dice_u64(struct dice *dice)
{
	uint64_t z;

	if (dice->data)
		return take(dice, 8);
	z = dice->seed += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t dice_below(struct dice *dice, uint32_t n)
{
	if (dice->data)
		return (uint32_t)take(dice, n > 65536 ? 4 : n > 256 ? 2 : 1) % n;
	return (uint32_t)(dice_u64(dice) >> 32) % n;
}

bool dice_one_in(struct dice *dice, uint32_t n)
{
	return dice_below(dice, n) == 0;
}
