/* Spin: poll for the next request for a short time before sleeping.
 *
 * Most of the time of a round trip goes into waking two processors, one after the other. So
 * while requests follow each other closely, a thread polls for the next one instead of
 * sleeping. It does so only if the previous request arrived less than the polling time ago, so
 * that it is successful more often than not; only one thread at a time; and not while other
 * processes want the processor: it yields between polls, and if a yield takes long, another
 * process has run, and no thread spins for a while. So an idle mount costs nothing, and a mount
 * on a busy machine next to nothing. Relaxed atomics, and `taken` as a lock that is only tried. */
#include "fs/spin.h"

#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

/* A yield that took longer than this let another process run ... */
#define YIELD_NS 20000
/* ... and no thread spins for this long after it. */
#define QUIET_NS 20000000

static int64_t now_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool has_request(int fd)
{
	struct pollfd request = { .fd = fd, .events = POLLIN };

	return poll(&request, 1, 0) != 0;
}

void spin_init(struct spin *spin, uint64_t for_us)
{
	*spin = (struct spin){ .for_ns = (int64_t)for_us * 1000 };
}

/* Poll FD until it has a request, the time is over, or another process needs the processor. */
static void spin_until_request(struct spin *spin, int fd)
{
	int64_t now = now_mono_ns();
	int64_t end = now + spin->for_ns;

	while (!has_request(fd) && now < end) {
		int64_t before = now;

		sched_yield();
		now = now_mono_ns();
		if (now - before > YIELD_NS) {
			atomic_store_explicit(&spin->quiet_ns, now + QUIET_NS,
			                      memory_order_relaxed);
			return;
		}
	}
}

ssize_t spin_read(struct spin *spin, int fd, void *buf, size_t size)
{
	if (!spin->for_ns)
		return read(fd, buf, size);

	int64_t last = atomic_load_explicit(&spin->last_ns, memory_order_relaxed);
	int64_t now = now_mono_ns();
	if (now - last < spin->for_ns &&
	    now > atomic_load_explicit(&spin->quiet_ns, memory_order_relaxed) &&
	    !atomic_exchange_explicit(&spin->taken, true, memory_order_acquire)) {
		spin_until_request(spin, fd);
		atomic_store_explicit(&spin->taken, false, memory_order_release);
	}
	ssize_t n = read(fd, buf, size);
	atomic_store_explicit(&spin->last_ns, now_mono_ns(), memory_order_relaxed);
	return n;
}
