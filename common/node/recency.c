/* Recency: approximately when keys were last read, shared by the processes of a node.
 *
 * Every process of the node maps a file in the store's directory: a table of 32-bit timestamps,
 * indexed by a hash of the inode number. Reading a key stores the time there, which costs one
 * relaxed load, and a store if the time differs. That path makes no system call and takes no lock,
 * and the store itself is not written. Only eviction (node/evict.h) reads the table. Writes are not
 * recorded here, since an entry stores the time of its last change.
 *
 * The table is approximate by design. Two keys can share a slot, and then a key that is not read
 * looks as if it were; the table has as many slots as the quota has space for small keys, so this
 * concerns one key in five or fewer. The table does not show reads that the kernel answers from its
 * cache (a mount sees only the open), reads on other nodes, and reads from before the file was
 * lost. Correctness does not depend on the file, so a crash may leave anything in it.
 *
 * An open file must not be evicted, but a count of opens would outlive a process that was killed.
 * So the mount that has it open renews a hold every second: a timestamp a little in the future,
 * which a read does not replace by an earlier one.
 *
 * No lock. */
#include "common/node/recency.h"

#include "common/store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_PLACES (UINT64_C(1) << 14)
#define MAX_PLACES (UINT64_C(1) << 24) /* 64 MiB */
#define BYTES_PER_PLACE 128            /* of the quota: the minimum cost of a key */
/* A timestamp at most this far in the future is a hold: the caller may have read its clock long
 * ago, or may use a different clock. A timestamp further in the future has wrapped around. */
#define AHEAD_STEPS (20 * RECENCY_HOLD_MS / RECENCY_STEP_MS)

struct recency {
	_Atomic uint32_t *places; /* timestamps in steps, the low 32 bits; 0: unknown */
	size_t bytes;
	unsigned shift; /* of a 64-bit hash, to get the index */
};

static uint64_t places_for(uint64_t size_bytes)
{
	uint64_t n = MIN_PLACES;
	while (n < MAX_PLACES && n < size_bytes / BYTES_PER_PLACE)
		n *= 2;
	return n;
}

int recency_open(const char *dir, uint64_t size_bytes, struct recency **ret)
{
	struct stat st;
	uint64_t places = places_for(size_bytes);
	struct recency *recency = calloc(1, sizeof(*recency));
	if (!recency)
		return -ENOMEM;
	int fd = store_place_file_in(dir, "recency", O_RDWR | O_CREAT);
	int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
	if (r < 0)
		goto err_close;
	/* Never shrink the file: other processes have it mapped. */
	while (places < MAX_PLACES && places * sizeof(uint32_t) < (uint64_t)st.st_size)
		places *= 2;
	recency->bytes = places * sizeof(uint32_t);
	recency->shift = 64 - (unsigned)__builtin_ctzll(places);
	/* Allocate it now, so that a full tmpfs is an error here and not a SIGBUS later. */
	r = -posix_fallocate(fd, 0, (off_t)recency->bytes);
	if (r < 0)
		goto err_close;
	recency->places = mmap(NULL, recency->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (recency->places == MAP_FAILED) {
		r = -errno;
		goto err_close;
	}
	close(fd);
	*ret = recency;
	return 0;

err_close:
	if (fd >= 0)
		close(fd);
	free(recency);
	return r;
}

void recency_close(struct recency *recency)
{
	if (!recency)
		return;
	munmap((void *)recency->places, recency->bytes);
	free(recency);
}

static _Atomic uint32_t *place_of(const struct recency *recency, uint64_t ino)
{
	/* Fibonacci hashing: multiplying by the golden ratio spreads consecutive numbers. */
	return &recency->places[ino * UINT64_C(0x9e3779b97f4a7c15) >> recency->shift];
}

static uint32_t to_steps(int64_t ms)
{
	uint32_t n = (uint32_t)(ms / RECENCY_STEP_MS);
	return n ? n : 1;
}

static void store_time(struct recency *recency, uint64_t ino, uint32_t stamp)
{
	_Atomic uint32_t *place = place_of(recency, ino);
	uint32_t old = atomic_load_explicit(place, memory_order_relaxed);
	/* Do not write an unchanged value, so that the cache line stays shared. */
	if (old == stamp || (old && old - stamp <= AHEAD_STEPS))
		return;
	atomic_store_explicit(place, stamp, memory_order_relaxed);
}

void recency_touch(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		store_time(recency, ino, to_steps(now_ms));
}

void recency_hold(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		store_time(recency, ino, to_steps(now_ms + RECENCY_HOLD_MS));
}

void recency_release(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		atomic_store_explicit(place_of(recency, ino), to_steps(now_ms),
		                      memory_order_relaxed);
}

int64_t recency_last_ms(const struct recency *recency, uint64_t ino, int64_t now_ms)
{
	uint32_t stamp = atomic_load_explicit(place_of(recency, ino), memory_order_relaxed);
	int32_t ahead = (int32_t)(stamp - to_steps(now_ms));
	if (stamp == 0)
		return INT64_MIN;
	if (ahead > 0) /* a hold, or so old that it has wrapped around */
		return ahead <= AHEAD_STEPS ? INT64_MAX : INT64_MIN;
	return now_ms + (int64_t)ahead * RECENCY_STEP_MS;
}
