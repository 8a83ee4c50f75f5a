/* The two clocks: wall time for expiry, monotonic time for waiting. */
#ifndef KEYDIR_CLOCK_H
#define KEYDIR_CLOCK_H

#include <stdint.h>

/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* Milliseconds that never go back, of an arbitrary start. */
int64_t clock_mono_ms(void);
/* Nanoseconds of the same clock, for latencies. */
int64_t clock_mono_ns(void);

#endif
