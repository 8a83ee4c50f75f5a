/* Tree: finds, creates and removes entries while applying. Internal to common/apply/. */
#ifndef KEYDIR_APPLY_TREE_H
#define KEYDIR_APPLY_TREE_H

#include "common/event/feed.h"
#include "common/store/store.h"

/* A copy of an entry and of the bytes that would move when the transaction writes. */
struct entry_copy {
	struct entry e;
	char name[256];
	uint8_t value[STORE_INLINE_MAX];
};

/* The state while one event is applied. */
struct apply {
	struct txn *txn;
	struct store_meta *meta; /* of txn */
	uint64_t offset;
	int64_t now_ms;         /* log time */
	int64_t written_ns;     /* when the value that is saved next was written; 0: at log time */
	struct feed_event feed; /* filled while the event is applied */
	size_t effects_room;
	bool skip_feed; /* the event gets no row in the feed, so effects are not collected */
};

/* The target of an operation. */
struct target {
	bool found;
	struct entry_copy self; /* valid if found */
	uint64_t parent;        /* directory that has or gets the name */
	const char *name;       /* last name */
	size_t name_len;
	const char *missing; /* missing directories between parent and name */
	size_t missing_len;
};

/* All return 0, a negative errno if the store fails, or, where stated, a positive enum
 * event_outcome if the event cannot be applied. */

/* Find the entry given by AT, by DIR and the last name of KEY, or by KEY. An expired entry
 * on the way is purged and counts as absent. Positive results: NOT_FOUND for a missing AT
 * or DIR, or for a missing parent unless MAKE is set; NOT_DIR. The root has no name: an empty
 * KEY without AT is not found. */
int tree_find(struct apply *ap, uint64_t at, uint64_t dir, struct bytes key, bool make,
              struct target *ret);

/* Create the directories in T->missing and set T->parent to the last of them. */
int tree_make_missing(struct apply *ap, struct target *t);

/* Create an entry at T, and missing directories. Fills T->self with a key or directory of
 * MODE that has no value. INO is the proposed inode or 0. Writes names, parent and totals;
 * the entry's own row is left to tree_save(). */
int tree_create(struct apply *ap, struct target *t, uint32_t mode, uint64_t ino);

/* Copy an entry. -ENOENT if it does not exist. */
int tree_copy(struct apply *ap, uint64_t ino, struct entry_copy *ret);

/* Write COPY's row with the event's offset as its version and, if DATA is set, a new
 * modification time. OLD_SIZE corrects the totals. */
int tree_save(struct apply *ap, struct entry_copy *copy, uint64_t old_size, bool data);

/* Remove an entry; if it is a directory, with everything below it. KIND is the effect. */
int tree_remove(struct apply *ap, const struct entry *e, enum feed_effect_kind kind);

/* Remove the expired children of a directory. Positive: NOT_EMPTY if a child remains. */
int tree_empty(struct apply *ap, const struct entry *dir);

/* Return whether E has expired. */
bool tree_expired(const struct apply *ap, const struct entry *e);

/* Change the expiry of COPY (0: none) and its row in the expiry table; the inode's row is
 * left to tree_save(). */
int tree_set_expiry(struct apply *ap, struct entry_copy *copy, int64_t expiry_ms);

/* Return the TTL that new keys in PARENT receive, 0 for none. */
int tree_default_ttl(struct apply *ap, uint64_t parent, int64_t *ret_ms);

/* Update the times of a directory whose names changed, and add NSUBDIRS to its count. */
int tree_touch_dir(struct apply *ap, uint64_t ino, int nsubdirs);

/* Record an effect on E. Its key is built from its names. */
int tree_effect(struct apply *ap, enum feed_effect_kind kind, const struct entry *e);

/* Return in *RET whether INO is DIR or lies below it. */
int tree_is_below(struct apply *ap, uint64_t ino, uint64_t dir, bool *ret);

#endif
