/* Target: finds the entry that an operation changes, and saves it. Internal to
 * common/apply/. The functions that most events need are inline. */
#ifndef KEYDIR_APPLY_TARGET_H
#define KEYDIR_APPLY_TARGET_H

#include "common/apply/tree.h"

/* All return 0, a positive enum event_outcome if the event cannot be applied, or a negative
 * errno if the store fails. */

/* Decide EV's precondition for the target T. */
enum event_outcome target_check(const struct event *ev, const struct target *t);

/* Find EV's target with tree_find() and decide EV's precondition. */
static inline int target_find(struct apply *ap, const struct event *ev, bool make,
                              struct target *ret)
{
	int r = tree_find(ap, ev->at, ev->dir, ev->key, make, ret);
	return r || ev->cond == IF_NONE ? r : (int)target_check(ev, ret);
}

/* As target_find(), for an entry that must exist. */
int target_find_existing(struct apply *ap, const struct event *ev, struct target *ret);
/* As target_find_existing(), but an empty key is the root. */
int target_find_any(struct apply *ap, const struct event *ev, struct target *ret);
/* Find a target that must exist and be a key or a link, not a directory. */
int target_find_key(struct apply *ap, const struct event *ev, struct target *ret);
/* Find a target that must be a key whose bytes can be changed in place. */
int target_find_bytes(struct apply *ap, const struct event *ev, struct target *ret);
/* Return whether the bytes of E can be changed in place: OUTCOME_OK, or why not. */
enum event_outcome target_check_bytes(const struct entry *e);

/* Record in the feed which entry the event concerns. */
static inline void target_report(struct apply *ap, const struct target *t, bool created)
{
	ap->feed.ino = t->self.e.ino;
	ap->feed.version = t->self.e.version;
	ap->feed.created = created;
}

/* Write T's row and report it, with KIND as the effect: FEED_ADDED for a new entry,
 * FEED_DATA if its value changed, otherwise FEED_ATTR. OLD_SIZE is the previous size of its
 * value. */
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
