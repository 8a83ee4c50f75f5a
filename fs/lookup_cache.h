/* Lookup cache: the name by which the kernel has just looked up a key. */
#ifndef KEYDIR_FS_LOOKUP_CACHE_H
#define KEYDIR_FS_LOOKUP_CACHE_H

#include "common/base/key.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys can share a slot; a newer one replaces the older one. */
#define LOOKUP_CACHE_SLOTS 128
/* An open later than this after the look-up does not belong to it. */
#define LOOKUP_CACHE_MS 1000

/* A name in a directory (the store's inode). */
struct lookup_name {
	uint64_t parent;
	size_t len;
	char name[KEY_NAME_MAX + 1]; /* ends with a NUL */
};

struct lookup_cache {
	pthread_mutex_t lock; /* protects the slots */
	struct lookup_slot {
		uint64_t ino;       /* 0: empty */
		int64_t since_ms;   /* the last look-up */
		int64_t renamed_ms; /* last change of the name; 0: not recently */
		struct lookup_name name;
	} slots[LOOKUP_CACHE_SLOTS];
};

void lookup_cache_init(struct lookup_cache *cache);

/* Note that a look-up of NAME (at most KEY_NAME_MAX bytes) in PARENT returns INO to the kernel.
 * NOW_MS is from clock_mono_ms(). Thread-safe, like all functions here. */
void lookup_cache_add(struct lookup_cache *cache, uint64_t ino, uint64_t parent, const char *name,
                      int64_t now_ms);

/* Note that the kernel itself has renamed the entry NAME in PARENT. */
void lookup_cache_renamed(struct lookup_cache *cache, uint64_t parent, const char *name,
                          size_t len);

/* Find the only name by which the kernel can have reached INO. Returns false if it is unknown: the
 * look-up is too long ago, or there were several names. */
bool lookup_cache_find(struct lookup_cache *cache, uint64_t ino, int64_t now_ms,
                       struct lookup_name *ret);

/* Copy the name in slot N (below LOOKUP_CACHE_SLOTS), however old it is. Returns false if the slot is
 * empty. */
bool lookup_cache_at(struct lookup_cache *cache, size_t n, struct lookup_name *ret);

#endif
