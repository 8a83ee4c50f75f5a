/* Clocks: wall time and monotonic time.
 *
 * The vDSO answers both without a system call. Wall time decides which entries a reader
 * sees (expiry) and provides the timestamps of the embedded log. An administrator can set
 * it back, so nothing may wait on it. Deadlines and latencies use monotonic time.
 * clock_gettime() cannot fail for these clocks on Linux, so these functions cannot fail
 * either. Thread-safe.
 *
 * Log time never goes back, so a wall clock that is wrong for a moment would end every TTL
 * permanently. Therefore a forward jump of the wall clock, compared with CLOCK_BOOTTIME
 * (which includes suspend), takes effect only after it has lasted CLOCK_BELIEVE_MS. Until
 * then clock_wall_ms() advances at the rate of CLOCK_BOOTTIME. A backward step takes effect
 * at once. */
#include "common/base/clock.h"

#include <stdatomic.h>

#define SLEW_MS 100   /* smaller drift is not stored: it saves cache traffic */
#define CHECK_MS 1000 /* interval between comparisons with CLOCK_BOOTTIME */

/* State of the jump detection, in ms. Relaxed atomics suffice: each field is valid
 * alone, and threads that detect the same jump store the same values. */
static struct {
	_Alignas(64) _Atomic int64_t ahead; /* accepted wall time minus CLOCK_BOOTTIME */
	_Atomic int64_t jumped_at;          /* CLOCK_BOOTTIME when the jump was detected, or 0 */
	_Atomic int64_t checked_at;         /* wall time of the last comparison */
} wall = { INT64_MIN, 0, 0 };

static struct timespec clock_read(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return ts;
}

static int64_t ms_of(struct timespec ts)
{
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t load_ms(_Atomic int64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static void store_ms(_Atomic int64_t *to, int64_t n)
{
	atomic_store_explicit(to, n, memory_order_relaxed);
}

/* Compare REAL, the wall clock, with CLOCK_BOOTTIME and return the time to use. */
static int64_t check_for_jump(int64_t real)
{
	int64_t boot = ms_of(clock_read(CLOCK_BOOTTIME)), ahead = real - boot;
	int64_t known = load_ms(&wall.ahead), since = load_ms(&wall.jumped_at);

	if (known != INT64_MIN && ahead > known + CLOCK_JUMP_MS) {
		if (!since)
			store_ms(&wall.jumped_at, since = boot);
		if (boot - since < CLOCK_BELIEVE_MS)
			return boot + known;
	}
	if (known == INT64_MIN || ahead > known + SLEW_MS || ahead < known - SLEW_MS)
		store_ms(&wall.ahead, ahead);
	if (since)
		store_ms(&wall.jumped_at, 0);
	store_ms(&wall.checked_at, real);
	return real;
}

int64_t clock_wall_ms(void)
{
	int64_t real = ms_of(clock_read(CLOCK_REALTIME)), checked_at = load_ms(&wall.checked_at);

	if (real >= checked_at && real - checked_at < CHECK_MS && !load_ms(&wall.jumped_at))
		return real;
	return check_for_jump(real);
}

int64_t clock_jump_ms(void)
{
	int64_t known = load_ms(&wall.ahead);

	if (!load_ms(&wall.jumped_at))
		return 0;
	return ms_of(clock_read(CLOCK_REALTIME)) - ms_of(clock_read(CLOCK_BOOTTIME)) - known;
}

int64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

int64_t clock_mono_ns(void)
{
	struct timespec ts = clock_read(CLOCK_MONOTONIC);

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
	struct timespec ts = clock_read(CLOCK_MONOTONIC);

	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}
