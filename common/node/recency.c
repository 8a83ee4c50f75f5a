/* Recency: when keys were last read, about, as the processes of a node share it.
 *
 * Beside the store lies a file that every process of the node maps: a table of
 * 32-bit moments, indexed by a hash of the inode number. Reading a key stores
 * the moment there: one relaxed load, and a store if it differs. Nothing is
 * read on that path, nothing is locked, and the store itself is not written.
 * Only eviction (node/evict.h) asks. Writing needs no mark, the entry has its times.
 *
 * It is right about enough. Two keys can share a place, and one that nobody
 * reads then passes for read: with as many places as the quota has room for
 * small keys that is one key in five or fewer. What is not seen: reads that the
 * kernel answers from its cache (a mount sees the open), reads on other nodes,
 * and what was read before the file was lost. Nothing depends on the file for
 * being correct, so a crash may leave anything in it.
 *
 * An open file must not be evicted under its user, and a count of opens would
 * outlive a process that was killed. So its mount says every second that it is
 * held, which is a moment not far in the future; use does not make it earlier.
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
#define BYTES_PER_PLACE 128            /* of the quota: what a key takes at least */
/* What lies this far ahead is held: who asks may have looked at the clock long
 * before, or have one of his own. What lies further came round. */
#define AHEAD_STEPS (20 * RECENCY_HOLD_MS / RECENCY_STEP_MS)

struct recency {
	_Atomic uint32_t *places; /* moments in steps, the low 32 bits; 0: none known */
	size_t bytes;
	unsigned shift; /* of a 64-bit hash, leaves the index */
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
	/* It never shrinks: others have it mapped. */
	while (places < MAX_PLACES && places * sizeof(uint32_t) < (uint64_t)st.st_size)
		places *= 2;
	recency->bytes = places * sizeof(uint32_t);
	recency->shift = 64 - (unsigned)__builtin_ctzll(places);
	/* Backed now, so that a full tmpfs is an error here and no SIGBUS later. */
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
	/* Fibonacci hashing: the golden ratio's bits spread what is counted up. */
	return &recency->places[ino * UINT64_C(0x9e3779b97f4a7c15) >> recency->shift];
}

static uint32_t steps(int64_t ms)
{
	uint32_t n = (uint32_t)(ms / RECENCY_STEP_MS);
	return n ? n : 1;
}

static void put(struct recency *recency, uint64_t ino, uint32_t moment)
{
	_Atomic uint32_t *place = place_of(recency, ino);
	uint32_t old = atomic_load_explicit(place, memory_order_relaxed);
	/* Its cache line stays shared while nothing is new. */
	if (old == moment || (old && old - moment <= AHEAD_STEPS))
		return;
	atomic_store_explicit(place, moment, memory_order_relaxed);
}

void recency_touch(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		put(recency, ino, steps(now_ms));
}

void recency_hold(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		put(recency, ino, steps(now_ms + RECENCY_HOLD_MS));
}

void recency_release(struct recency *recency, uint64_t ino, int64_t now_ms)
{
	if (recency)
		atomic_store_explicit(place_of(recency, ino), steps(now_ms), memory_order_relaxed);
}

int64_t recency_last_ms(const struct recency *recency, uint64_t ino, int64_t now_ms)
{
	uint32_t moment = atomic_load_explicit(place_of(recency, ino), memory_order_relaxed);
	int32_t ahead = (int32_t)(moment - steps(now_ms));
	if (moment == 0)
		return INT64_MIN;
	if (ahead > 0) /* not far, or it is so old that it came round */
		return ahead <= AHEAD_STEPS ? INT64_MAX : INT64_MIN;
	return now_ms + (int64_t)ahead * RECENCY_STEP_MS;
}
