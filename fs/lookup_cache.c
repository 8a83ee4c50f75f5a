/* Recall: by which name the kernel has just looked a key up.
 *
 * The kernel looks a name up, and opens the inode that it leads to. If others
 * replace the key in between, that inode is gone, and the open fails with
 * ESTALE, though the name existed all the time. The kernel then tries once
 * more, and if it happens again, the program gets the error. So the names of
 * the last look-ups are remembered, that an open can go on to what has the
 * name now (fs_open.c).
 *
 * It must be the name that the program meant: one by which the kernel came to
 * the inode within the last second, and no other. After a rename by another the
 * kernel may have both names for a moment, so a key with two names in a second
 * counts as having none; a rename by this mount the kernel does by itself, so
 * the old name is forgotten then.
 *
 * Lock: recall->lock, a leaf. */
#include "fs/lookup_cache.h"

#include <assert.h>
#include <string.h>

void lookup_cache_init(struct recall *recall)
{
	*recall = (struct recall){ 0 };
	pthread_mutex_init(&recall->lock, NULL);
}

static struct lookup_slot *slot_of(struct recall *recall, uint64_t ino)
{
	return &recall->slots[ino % LOOKUP_CACHE_SLOTS];
}

static bool is_name(const struct recalled *r, uint64_t parent, const char *name, size_t len)
{
	return r->parent == parent && r->len == len && memcmp(r->name, name, len) == 0;
}

void lookup_cache_add(struct recall *recall, uint64_t ino, uint64_t parent, const char *name,
                      int64_t now_ms)
{
	struct lookup_slot *slot = slot_of(recall, ino);
	size_t len = strlen(name);

	assert(len <= KEY_NAME_MAX);
	pthread_mutex_lock(&recall->lock);
	if (slot->ino != ino || now_ms - slot->since_ms > LOOKUP_CACHE_MS)
		slot->renamed_ms = 0;
	else if (!is_name(&slot->was, parent, name, len))
		slot->renamed_ms = now_ms;
	slot->ino = ino;
	slot->since_ms = now_ms;
	slot->was.parent = parent;
	slot->was.len = len;
	memcpy(slot->was.name, name, len + 1);
	pthread_mutex_unlock(&recall->lock);
}

void lookup_cache_renamed(struct recall *recall, uint64_t parent, const char *name, size_t len)
{
	pthread_mutex_lock(&recall->lock);
	for (size_t i = 0; i < LOOKUP_CACHE_SLOTS; i++) {
		struct lookup_slot *slot = &recall->slots[i];

		if (slot->ino && is_name(&slot->was, parent, name, len))
			slot->ino = 0;
	}
	pthread_mutex_unlock(&recall->lock);
}

bool lookup_cache_find(struct recall *recall, uint64_t ino, int64_t now_ms, struct recalled *ret)
{
	const struct lookup_slot *slot = slot_of(recall, ino);

	pthread_mutex_lock(&recall->lock);
	bool known = slot->ino == ino && now_ms - slot->since_ms <= LOOKUP_CACHE_MS &&
	             (!slot->renamed_ms || now_ms - slot->renamed_ms > LOOKUP_CACHE_MS);
	if (known)
		*ret = slot->was;
	pthread_mutex_unlock(&recall->lock);
	return known;
}
