/* Eviction: which entries have to go when the cache is full. */
#ifndef KEYDIR_EVICT_H
#define KEYDIR_EVICT_H

#include "common/node/recency.h"
#include "common/store/store.h"

/* name, text of --evict */
#define EVICT_POLICIES(X)                                                                          \
	X(NONE, "none")                                                                            \
	X(TTL, "ttl")                                                                              \
	X(LRU, "lru")

enum evict_policy {
#define X(name, text) EVICT_##name,
	EVICT_POLICIES(X)
#undef X
};

/* With this attribute and this value an entry is never evicted, nor anything below it. */
#define EVICT_ATTR "user.evict"
#define EVICT_NEVER "never"

const char *evict_policy_text(enum evict_policy policy);
/* 0 and *RET, or -ENOENT for a text that no policy has. */
int evict_policy_parse(const char *text, enum evict_policy *ret);

/* False if nothing can be evicted, as far as that can be told at once. */
bool evict_possible(enum evict_policy policy, struct txn *txn);

#define EVICT_MAX 128 /* victims that are chosen at once */

struct evict_victim {
	uint64_t ino;
	uint64_t version; /* if it changes, it is no victim */
	uint64_t bytes;   /* of the quota that it gives back, its attributes not counted */
	int64_t last_ms;  /* last used, about; ttl: when it expires */
	bool dir;         /* an empty directory */
};

/* What chooses. One thread at a time. */
struct evict;

/* RECENCY (borrowed) may be NULL: then an entry was last used when it was last
 * changed. The same SEED makes the same choices. 0 and *RET, or -ENOMEM. */
int evict_new(enum evict_policy policy, const struct recency *recency, uint64_t seed,
              struct evict **ret);
/* NULL is fine. */
void evict_free(struct evict *evict);

/* Looks at about N entries of the snapshot to learn how they lie. False when it
 * has seen all of them once: before that, evict_choose() looks at all that is
 * left. For who has time to do so before the cache is full. */
bool evict_survey(struct evict *evict, struct txn *txn, uint64_t n);

/* Chooses up to EVICT_MAX victims that give back WANT_BYTES together, or as much
 * as so many can, in the order in which they should go. What has expired by NOW_MS
 * is left to the purge, and SPARE (an inode, or 0) alone. Returns how many were
 * put into RET; 0: none was found. -ENOMEM, -EIO. */
int evict_choose(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes,
                 uint64_t spare, struct evict_victim ret[EVICT_MAX]);

#endif
