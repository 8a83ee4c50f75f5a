/* Pseudo-random numbers for tests. The generator is splitmix64. */
#include "tests/unit/prng.h"

#include <string.h>

bool prng_left(const struct prng *prng)
{
	return !prng->data || prng->left;
}

/* Return the next N bytes of the fuzzer's input as a number. */
static uint64_t take_input(struct prng *prng, size_t n)
{
	uint64_t number = 0;

	if (n > prng->left)
		n = prng->left;
	memcpy(&number, prng->data, n);
	prng->data += n;
	prng->left -= n;
	return number;
}

uint64_t prng_u64(struct prng *prng)
{
	uint64_t z;

	if (prng->data)
		return take_input(prng, 8);
	z = prng->seed += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t prng_below(struct prng *prng, uint32_t n)
{
	if (prng->data)
		return (uint32_t)take_input(prng, n > 65536 ? 4 : n > 256 ? 2 : 1) % n;
	return (uint32_t)(prng_u64(prng) >> 32) % n;
}

bool prng_one_in(struct prng *prng, uint32_t n)
{
	return prng_below(prng, n) == 0;
}
