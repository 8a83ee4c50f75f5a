/* Busy inodes: those that the kernel may keep locked for a request of ours.
 *
 * The kernel locks a directory while one of its names is made or removed, an
 * inode while its attributes are set, pages while they are read, each until we
 * answer; and invalidating takes the same locks, without a way to interrupt
 * it. While it waits there the process cannot be killed, and the mount of a
 * process that died then hangs instead of failing. So the invalidator asks
 * here first and takes another way round what is busy (notifier.c).
 *
 * It is a hint: a request that the kernel has sent and we have not read yet is
 * not counted. Such a one is read and answered soon, as long as we live.
 * Atomics; no lock. */
#include "fs/busy.h"

#include "common/base/clock.h"

static struct busy_slot *slot_of(struct busy *busy, uint64_t ino)
{
	/* Proposed numbers differ in their low bits and, by node, in high ones. */
	return &busy->slots[(ino ^ ino >> 28 ^ ino >> 40) % BUSY_SLOTS];
}

void busy_begin(struct busy *busy, uint64_t ino)
{
	atomic_fetch_add(&slot_of(busy, ino)->count, 1);
}

void busy_end(struct busy *busy, uint64_t ino)
{
	struct busy_slot *slot = slot_of(busy, ino);

	atomic_store(&slot->last_ms, clock_mono_ms());
	atomic_fetch_sub(&slot->count, 1);
}

bool busy_now(struct busy *busy, uint64_t ino)
{
	return atomic_load(&slot_of(busy, ino)->count) != 0;
}

bool busy_lately(struct busy *busy, uint64_t ino)
{
	const struct busy_slot *slot = slot_of(busy, ino);

	if (atomic_load(&slot->count) != 0)
		return true;
	int64_t last_ms = atomic_load(&slot->last_ms);
	return last_ms && clock_mono_ms() - last_ms <= BUSY_QUIET_MS;
}
