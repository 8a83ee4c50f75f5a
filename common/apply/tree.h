/* The tree while applying: finding, making and removing entries. Internal to
 * apply*.c. */
#ifndef KEYDIR_APPLY_TREE_H
#define KEYDIR_APPLY_TREE_H

#include "common/event/feed.h"
#include "common/store/store.h"

/* An entry with its own copy of what would move when the transaction writes. */
struct entry_copy {
	struct entry e;
	char name[256];
	uint8_t value[STORE_INLINE_MAX];
};

/* What is known while one event is applied. */
struct apply {
	struct txn *txn;
	struct store_meta *meta; /* of txn */
	uint64_t offset;
	int64_t now_ms;         /* log time */
	int64_t written_ns;     /* when the value that is saved next was written; 0: log time */
	struct feed_event feed; /* grows as things happen */
	size_t effects_room;
	bool skip_feed; /* the event gets no row in the feed, so nobody needs its effects */
};

/* Where an operation aims. */
struct target {
	bool found;
	struct entry_copy self; /* if found */
	uint64_t parent;        /* directory of the name */
	const char *name;       /* last name */
	size_t name_len;
	const char *missing; /* directories to be made between parent and name */
	size_t missing_len;
};

/* All return 0, a negative errno for trouble with the store, or, where said,
 * a positive enum event_outcome for an event that cannot be done. */

/* Finds what AT, DIR + last name of KEY, or KEY mean. An expired entry in the
 * way is purged and counts as absent. Positive: NOT_FOUND for a missing AT or
 * DIR, or a missing parent unless MAKE; NOT_DIR, REJECTED (the root). */
int tree_find(struct apply *ap, uint64_t at, uint64_t dir, struct bytes key, bool make,
              struct target *ret);

/* Makes what MISSING names, so that T->parent is the last directory. */
int tree_make_missing(struct apply *ap, struct target *t);

/* Makes an entry at T (missing directories too): fills T->self with a key or
 * directory of MODE without a value; INO is the proposed inode or 0. The row is
 * not written yet (tree_save); names, parent and totals are. */
int tree_create(struct apply *ap, struct target *t, uint32_t mode, uint64_t ino);

/* Copies an entry. -ENOENT if there is none. */
int tree_copy(struct apply *ap, uint64_t ino, struct entry_copy *ret);

/* Writes H's row with the event's offset as version and, with DATA, the time
 * of modification; OLD_SIZE corrects the totals. */
int tree_save(struct apply *ap, struct entry_copy *copy, uint64_t old_size, bool data);

/* Removes an entry, for a directory with all below it. KIND is the effect. */
int tree_remove(struct apply *ap, const struct entry *e, enum feed_effect_kind kind);

/* Removes a directory's expired children. Positive: NOT_EMPTY if one is left. */
int tree_empty(struct apply *ap, const struct entry *dir);

/* True for an entry whose time is over. */
bool tree_expired(const struct apply *ap, const struct entry *e);

/* Changes the expiry of H (0: none) and its row in the expiry table; the
 * inode's row is left to tree_save. */
int tree_set_expiry(struct apply *ap, struct entry_copy *copy, int64_t expiry_ms);

/* The TTL that keys made in PARENT get, 0 for none. */
int tree_default_ttl(struct apply *ap, uint64_t parent, int64_t *ret_ms);

/* A directory's times change when its names do; NSUBDIRS is added. */
int tree_touch_dir(struct apply *ap, uint64_t ino, int nsubdirs);

/* Notes an effect on E (its key is computed from its names). */
int tree_effect(struct apply *ap, enum feed_effect_kind kind, const struct entry *e);

/* True if INO is DIR or lies below it. */
int tree_is_below(struct apply *ap, uint64_t ino, uint64_t dir, bool *ret);

#endif
