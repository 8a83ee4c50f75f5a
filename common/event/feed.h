/* The feed: what each applied event did, for everything that follows it. */
#ifndef KEYDIR_FEED_H
#define KEYDIR_FEED_H

#include "common/event/event.h"

/* What happened to one entry. Texts are the names that watchers see. */
#define FEED_EFFECTS(X)                                                                            \
	X(ADDED, "added")     /* name (parent, name) now leads to ino */                           \
	X(REMOVED, "removed") /* the name is gone; with it ino unless another effect adds it */    \
	X(DATA, "data")       /* value and attributes of ino changed */                            \
	X(ATTR, "attr")       /* attributes (also TTL, xattrs) of ino changed, not the value */    \
	X(EXPIRED, "expired") /* like removed: the entry's time was over */                        \
	X(EVICTED, "evicted") /* like removed: to make room */

enum feed_effect_kind {
#define X(name, text) FEED_##name,
	FEED_EFFECTS(X)
#undef X
};

struct feed_effect {
	enum feed_effect_kind kind;
	uint64_t ino;
	uint64_t parent;   /* for all kinds: the directory of the name */
	struct bytes key;  /* whole key of the entry; its last name is the name */
	uint64_t size;     /* of the value, after */
	int64_t expiry_ms; /* after; 0: none */
	bool dir;          /* a directory; removed with all below it */
};

/* One event of the feed. */
struct feed_event {
	uint64_t offset;
	uint64_t proc;
	uint64_t seq;
	int64_t time_ms; /* log time when it was applied */
	enum event_op op;
	enum event_outcome outcome;
	uint64_t ino;     /* of the entry meant, if any */
	uint64_t version; /* of that entry, after; 0: gone */
	int64_t number;   /* incr: the new value; txn: index of what failed */
	bool created;     /* the event made the entry */
	/* Offset of the event of the same idempotency key whose outcome this repeats
	 * (nothing was done); 0: none. */
	uint64_t repeats;
	struct bytes idem; /* idempotency key */
	struct feed_effect *effects;
	size_t neffects;
	/* txn: outcome of each operation. */
	struct feed_op {
		enum event_outcome outcome;
		bool created;
		uint64_t version;
		int64_t number;
	} * ops;
	size_t nops;
};

/* Encodes EV (all but the offset, the row's key) into *RET, which the caller
 * frees. 0 or -ENOMEM. */
int feed_encode(const struct feed_event *ev, struct bytes *ret);
/* Decodes ROW into a new event in one allocation (free()); its strings point
 * into that. 0, -EBADMSG, -ENOMEM. */
int feed_decode(uint64_t offset, struct bytes row, struct feed_event **ret);
/* The idempotency key in ROW (empty if none), pointing into it. 0, -EBADMSG. */
int feed_decode_idem(struct bytes row, struct bytes *ret);

#endif
