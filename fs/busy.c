/* Busy inodes: those that the kernel may keep locked for a request to this mount.
 *
 * The kernel locks a directory while one of its names is created or removed, an inode while
 * its attributes are set, and pages while they are read, each until this program answers.
 * Invalidating takes the same locks and cannot be interrupted. A process that waits there
 * cannot be killed, and if it dies its mount hangs instead of failing. So the invalidator
 * checks here first, and invalidates busy inodes in another way (notifier.c).
 *
 * The answer is a hint: it does not count a request that the kernel has sent and no thread has
 * read yet. It will be read and answered shortly, as long as this process lives. Sequentially
 * consistent atomics; no lock. */
#include "fs/busy.h"

#include "common/base/clock.h"

static struct busy_slot *slot_of(struct busy *busy, uint64_t ino)
{
	/* Proposed inode numbers differ in their low bits, and in high bits between nodes. */
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
