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
/* Return 0 with *RET, or -ENOENT if no policy has this text. */
int evict_policy_parse(const char *text, enum evict_policy *ret);

/* Return false if the policy certainly has nothing to evict. Cheap. */
bool evict_possible(enum evict_policy policy, struct txn *txn);

#define EVICT_MAX 128 /* victims of one choice */

struct evict_victim {
	uint64_t ino;
	uint64_t version; /* the entry is evicted only while it has this version */
	uint64_t bytes;   /* of the quota that eviction frees, without the entry's attributes */
	int64_t last_ms;  /* lru: about when it was last used; ttl: when it expires */
	bool dir;         /* an empty directory */
};

/* The state of a node's choices. One thread at a time. */
struct evict;

/* Create the state. RECENCY, which is borrowed, may be NULL: then the last use of an entry is its
 * last change. The same SEED makes the same choices. Returns 0 with *RET, or -ENOMEM. */
int evict_new(enum evict_policy policy, const struct recency *recency, uint64_t seed,
              struct evict **ret);
/* Free EVICT. NULL is fine. */
void evict_free(struct evict *evict);

/* Walk over about N entries of the snapshot to learn how the inode numbers are distributed. Returns
 * false once every entry was visited. Until then evict_choose() visits all remaining entries first,
 * so call this while there is time, before the cache is full. */
bool evict_survey(struct evict *evict, struct txn *txn, uint64_t n);

/* Choose up to EVICT_MAX victims that free WANT_BYTES together, or as much as EVICT_MAX victims
 * can, in the order in which to evict them. Entries that have expired by NOW_MS are left to the
 * purge; SPARE (an inode number, or 0) is never chosen. Returns the number of victims in RET (0:
 * none found), -ENOMEM or -EIO. */
int evict_choose(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes,
                 uint64_t spare, struct evict_victim ret[EVICT_MAX]);

#endif
