/* Spinning: looking for the next request for a moment before sleeping.
 *
 * Most of a round trip is two processors that are woken up, one after the
 * other. While requests follow each other closely, one thread therefore looks
 * for the next one instead of sleeping: only if the last two came within the
 * time that it may look, so that it is found more often than not; only one at
 * a time; and not while others want the processor: it yields between looks,
 * and if that takes long, somebody else has run, and it lets it be for a while.
 * So an idle mount costs nothing, and one on a busy machine next to nothing. */
#include "fs/spin.h"

#include <poll.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

/* A yield that took so long let somebody else run ... */
#define YIELD_NS 20000
/* ... and nobody spins for this long then. */
#define QUIET_NS 20000000

static int64_t now_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool has_request(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) != 0;
}

void spin_init(struct spin *spin, uint64_t for_us)
{
	*spin = (struct spin){ .for_ns = (int64_t)for_us * 1000 };
}

static void look(struct spin *spin, int fd)
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
		look(spin, fd);
		atomic_store_explicit(&spin->taken, false, memory_order_release);
	}
	ssize_t n = read(fd, buf, size);
	atomic_store_explicit(&spin->last_ns, now_mono_ns(), memory_order_relaxed);
	return n;
}
