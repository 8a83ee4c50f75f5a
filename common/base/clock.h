/* Clocks: wall time for expiry, monotonic time for waiting. */
#ifndef KEYDIR_CLOCK_H
#define KEYDIR_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* If the system clock jumps ahead by more than CLOCK_JUMP_MS, clock_wall_ms() follows it
 * only after CLOCK_BELIEVE_MS. */
#define CLOCK_JUMP_MS 10000
#define CLOCK_BELIEVE_MS 60000

/* Return the milliseconds since the epoch; recent jumps ahead are left out. Thread-safe. */
int64_t clock_wall_ms(void);
/* Return the jump in ms that has not taken effect yet, or 0. Thread-safe. */
int64_t clock_jump_ms(void);
/* Return the milliseconds since an arbitrary start; they never go back. Thread-safe. */
int64_t clock_mono_ms(void);
/* Return the nanoseconds of the same monotonic clock, for latencies. Thread-safe. */
int64_t clock_mono_ns(void);

/* Initialise *RET as a condition variable whose timed waits use the monotonic clock.
 * Returns 0 or -errno. */
int clock_cond_init(pthread_cond_t *ret);
/* Return the moment MS milliseconds from now (not negative) on the monotonic clock, for
 * such a wait. */
struct timespec clock_mono_in(int64_t ms);

#endif
