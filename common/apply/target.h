/* The target of an operation: finding it, and saving what became of it. Internal to
 * apply*.c. What most events need is inline. */
#ifndef KEYDIR_APPLY_TARGET_H
#define KEYDIR_APPLY_TARGET_H

#include "common/apply/tree.h"

/* All return 0, a positive enum event_outcome for an event that cannot be done, or a
 * negative errno for trouble with the store. */

/* Decides EV's condition. */
enum event_outcome target_check(const struct event *ev, const struct target *t);

/* Finds what EV means, as tree_find() does, and decides EV's condition. */
static inline int target_find(struct apply *ap, const struct event *ev, bool make,
                              struct target *ret)
{
	int r = tree_find(ap, ev->at, ev->dir, ev->key, make, ret);
	return r || ev->cond == IF_NONE ? r : (int)target_check(ev, ret);
}

/* The same for what must be there. */
int target_find_there(struct apply *ap, const struct event *ev, struct target *ret);
/* The same, and the root is found too, by an empty key. */
int target_find_any(struct apply *ap, const struct event *ev, struct target *ret);
/* What must be there, and be a key (or a link), no directory ... */
int target_find_key(struct apply *ap, const struct event *ev, struct target *ret);
/* ... whose bytes can be changed in place. */
int target_find_bytes(struct apply *ap, const struct event *ev, struct target *ret);
/* Whether the bytes of E can be changed in place. */
enum event_outcome target_check_bytes(const struct entry *e);

/* Tells the feed of which entry the event is. */
static inline void target_report(struct apply *ap, const struct target *t, bool created)
{
	ap->feed.ino = t->self.e.ino;
	ap->feed.version = t->self.e.version;
	ap->feed.created = created;
}

/* Writes T's row, with KIND as the effect: FEED_ADDED for a new entry, FEED_DATA if
 * its value changed, or else FEED_ATTR; and reports it. OLD_SIZE: of its value. */
static inline int target_save(struct apply *ap, struct target *t, uint64_t old_size,
                              enum feed_effect_kind kind)
{
	int r = tree_save(ap, &t->self, old_size, kind != FEED_ATTR);
	if (r == 0)
		r = tree_effect(ap, kind, &t->self.e);
	target_report(ap, t, kind == FEED_ADDED);
	return r;
}

#endif
