/* The two clocks.
 *
 * Both are answered by the vDSO without a system call. Wall time decides what a
 * reader sees (expiry) and stamps events of the embedded log; it can be set
 * back by an administrator, so that nothing may wait on it. Deadlines and
 * latencies use monotonic time. clock_gettime() cannot fail for these two
 * clocks on Linux, so neither can these functions. Thread-safe. */
#include "clock.h"

#include <time.h>

static struct timespec now(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts;
}

int64_t clock_wall_ms(void)
{
	struct timespec ts = now(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

int64_t clock_mono_ns(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
