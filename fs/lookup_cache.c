/* Lookup cache: the name by which the kernel has just looked up a key.
 *
 * The kernel looks up a name, then opens the inode that it leads to. If another client replaces
 * the key in between, that inode is gone, and the open fails with ESTALE although the name
 * existed all the time. The kernel retries once; if it happens again, the program gets the
 * error. So this module remembers the names of the latest look-ups, and the open can continue
 * with the key that has the name now (fs_open.c).
 *
 * It must be the name that the program used. So it counts only if the kernel looked up the inode
 * within the last second, by this name and no other. After a rename by another client the kernel
 * may know both names for a moment; so a key with two names within a second counts as having none.
 * A rename by this mount changes the name in the kernel itself, so the old name is forgotten
 * then.
 *
 * Lock: cache->lock, a leaf. */
#include "fs/lookup_cache.h"

#include <assert.h>
#include <string.h>

void lookup_cache_init(struct lookup_cache *cache)
{
	*cache = (struct lookup_cache){ 0 };
	pthread_mutex_init(&cache->lock, NULL);
}

static struct lookup_slot *slot_of(struct lookup_cache *cache, uint64_t ino)
{
	return &cache->slots[ino % LOOKUP_CACHE_SLOTS];
}

static bool is_name(const struct lookup_name *n, uint64_t parent, const char *name, size_t len)
{
	return n->parent == parent && n->len == len && memcmp(n->name, name, len) == 0;
}

void lookup_cache_add(struct lookup_cache *cache, uint64_t ino, uint64_t parent, const char *name,
                      int64_t now_ms)
{
	struct lookup_slot *slot = slot_of(cache, ino);
	size_t len = strlen(name);

	assert(len <= KEY_NAME_MAX);
	pthread_mutex_lock(&cache->lock);
	if (slot->ino != ino || now_ms - slot->since_ms > LOOKUP_CACHE_MS)
		slot->renamed_ms = 0;
	else if (!is_name(&slot->name, parent, name, len))
		slot->renamed_ms = now_ms;
	slot->ino = ino;
	slot->since_ms = now_ms;
	slot->name.parent = parent;
	slot->name.len = len;
	memcpy(slot->name.name, name, len + 1);
	pthread_mutex_unlock(&cache->lock);
}

void lookup_cache_renamed(struct lookup_cache *cache, uint64_t parent, const char *name, size_t len)
{
	pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < LOOKUP_CACHE_SLOTS; i++) {
		struct lookup_slot *slot = &cache->slots[i];

		if (slot->ino && is_name(&slot->name, parent, name, len))
			slot->ino = 0;
	}
	pthread_mutex_unlock(&cache->lock);
}

bool lookup_cache_find(struct lookup_cache *cache, uint64_t ino, int64_t now_ms,
                       struct lookup_name *ret)
{
	const struct lookup_slot *slot = slot_of(cache, ino);

	pthread_mutex_lock(&cache->lock);
	bool known = slot->ino == ino && now_ms - slot->since_ms <= LOOKUP_CACHE_MS &&
	             (!slot->renamed_ms || now_ms - slot->renamed_ms > LOOKUP_CACHE_MS);
	if (known)
		*ret = slot->name;
	pthread_mutex_unlock(&cache->lock);
	return known;
}

bool lookup_cache_at(struct lookup_cache *cache, size_t n, struct lookup_name *ret)
{
	pthread_mutex_lock(&cache->lock);
	bool used = cache->slots[n].ino != 0;
	if (used)
		*ret = cache->slots[n].name;
	pthread_mutex_unlock(&cache->lock);
	return used;
}
