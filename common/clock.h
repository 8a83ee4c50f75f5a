/* The two clocks: wall time for expiry, monotonic time for waiting. */
#ifndef KEYDIR_CLOCK_H
#define KEYDIR_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* Milliseconds that never go back, of an arbitrary start. */
int64_t clock_mono_ms(void);
/* Nanoseconds of the same clock, for latencies. */
int64_t clock_mono_ns(void);

/* A condition whose timed waits are on that clock. 0 or -errno. */
int clock_cond_init(pthread_cond_t *ret);
/* The moment in MS (not negative), for such a wait. */
struct timespec clock_mono_in(int64_t ms);

#endif
