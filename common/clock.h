/* The two clocks: wall time for expiry, monotonic time for waiting. */
#ifndef KEYDIR_CLOCK_H
#define KEYDIR_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Wall time that is ahead by more than this, from one call to the next, counts as
 * wrong until it has stayed so. */
#define CLOCK_JUMP_MS 10000
#define CLOCK_BELIEVE_MS 60000

/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* By how much wall time jumped ahead, while that is not believed; else 0. */
int64_t clock_jump_ms(void);
/* Milliseconds that never go back, of an arbitrary start. */
int64_t clock_mono_ms(void);
/* Nanoseconds of the same clock, for latencies. */
int64_t clock_mono_ns(void);

/* A condition whose timed waits are on that clock. 0 or -errno. */
int clock_cond_init(pthread_cond_t *ret);
/* The moment in MS (not negative), for such a wait. */
struct timespec clock_mono_in(int64_t ms);

#endif
