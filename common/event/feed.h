/* Feed: the effects of each applied event, for watchers, caches and the mount. */
#ifndef KEYDIR_FEED_H
#define KEYDIR_FEED_H

#include "common/event/event.h"

/* Effects on one entry. Watchers see the texts. */
#define FEED_EFFECTS(X)                                                                            \
	X(ADDED, "added")     /* the name (parent, name) now leads to ino */                       \
	X(REMOVED, "removed") /* the name is gone, and so is ino unless another effect adds it */  \
	X(DATA, "data")       /* value and attributes of ino changed */                            \
	X(ATTR, "attr")       /* attributes (also TTL, xattrs) of ino changed, not the value */    \
	X(EXPIRED, "expired") /* like removed: the entry expired */                                \
	X(EVICTED, "evicted") /* like removed: evicted to free space */

enum feed_effect_kind {
#define X(name, text) FEED_##name,
	FEED_EFFECTS(X)
#undef X
};

struct feed_effect {
	enum feed_effect_kind kind;
	uint64_t ino;
	uint64_t parent;   /* directory of the name, for every kind */
	struct bytes key;  /* full key of the entry; its last component is the name */
	uint64_t size;     /* size of the value afterwards */
	int64_t expiry_ms; /* expiry afterwards; 0: none */
	bool dir;          /* a directory; if removed, everything below it is too */
};

/* An event as the feed records it. */
struct feed_event {
	uint64_t offset;
	uint64_t proc;
	uint64_t seq;
	int64_t time_ms; /* log time at which it was applied */
	enum event_op op;
	enum event_outcome outcome;
	uint64_t ino;     /* inode of the target, if any */
	uint64_t version; /* version of that entry afterwards; 0: removed */
	int64_t number;   /* incr: the new value; txn: index of the operation that failed */
	bool created;     /* the event created the entry */
	/* Offset of the earlier event with the same idempotency key, whose outcome this one
	 * repeats without doing anything; 0: none. */
	uint64_t repeats;
	struct bytes idem;
	struct feed_effect *effects;
	size_t neffects;
	/* txn: the outcome of each operation. */
	struct feed_op {
		enum event_outcome outcome;
		bool created;
		uint64_t version;
		int64_t number;
	} * ops;
	size_t nops;
};

/* Encode EV into *RET, which the caller frees. The offset is left out; it is the key of the
 * row. Returns 0 or -ENOMEM. */
int feed_encode(const struct feed_event *ev, struct bytes *ret);
/* Decode ROW into a new event in a single allocation (free()); its strings point into that
 * allocation. Returns 0, -EBADMSG or -ENOMEM. */
int feed_decode(uint64_t offset, struct bytes row, struct feed_event **ret);
/* Read the idempotency key of ROW (empty if none) into *RET, which points into ROW. Returns
 * 0 or -EBADMSG. */
int feed_decode_idem(struct bytes row, struct bytes *ret);

#endif
