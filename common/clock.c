/* The two clocks.
 *
 * Both are answered by the vDSO without a system call. Wall time decides what a
 * reader sees (expiry) and stamps events of the embedded log; it can be set
 * back by an administrator, so that nothing may wait on it. Deadlines and
 * latencies use monotonic time. clock_gettime() cannot fail for these two
 * clocks on Linux, so neither can these functions. Thread-safe. */
#include "clock.h"

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

int clock_cond_init(pthread_cond_t *ret)
{
	pthread_condattr_t attr;
	int r = -pthread_condattr_init(&attr);

	if (r < 0)
		return r;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = -pthread_cond_init(ret, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

struct timespec clock_mono_in(int64_t ms)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}
