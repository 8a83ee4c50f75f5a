/* The two clocks: wall time for expiry, monotonic time for waiting. */
#ifndef KEYDIR_CLOCK_H
#define KEYDIR_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* A jump ahead by more than CLOCK_JUMP_MS takes effect after CLOCK_BELIEVE_MS. */
#define CLOCK_JUMP_MS 10000
#define CLOCK_BELIEVE_MS 60000

/* Return the milliseconds since the epoch, without recent jumps ahead. Thread-safe. */
int64_t clock_wall_ms(void);
/* Return the jump in ms that has not taken effect yet, or 0. Thread-safe. */
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
