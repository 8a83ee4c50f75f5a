/* Random: random numbers from the kernel. */
#ifndef KEYDIR_RANDOM_H
#define KEYDIR_RANDOM_H

#include <stdint.h>

/* Draw 64 random bits. Returns 0 or -errno. Blocks only until the kernel has seeded its
 * generator, early in a boot (getrandom(2)). Thread-safe. */
int random_u64(uint64_t *ret);

#endif
