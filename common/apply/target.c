/* Target: finds the entry that an operation changes, and saves it.
 *
 * Preconditions, and therefore O_EXCL, If-Match and the like, are decided only here,
 * right after the entry is found and before any other check of it. */
#include "common/apply/target.h"

enum event_outcome target_check(const struct event *ev, const struct target *t)
{
	switch (ev->cond) {
	case IF_ABSENT:
		return t->found ? OUTCOME_EXISTS : OUTCOME_OK;
	case IF_PRESENT:
		return t->found ? OUTCOME_OK : OUTCOME_NOT_FOUND;
	case IF_VERSION:
		return t->found && t->self.e.version == ev->if_version ? OUTCOME_OK :
		                                                         OUTCOME_VERSION;
	default:
		return OUTCOME_OK;
	}
}

int target_find_any(struct apply *ap, const struct event *ev, struct target *ret)
{
	bool root = !ev->at && !ev->dir && !ev->key.len;
	int r = tree_find(ap, root ? STORE_ROOT_INO : ev->at, ev->dir, ev->key, false, ret);
	if (r == 0)
		r = (int)target_check(ev, ret);
	return r ? r : ret->found ? 0 : OUTCOME_NOT_FOUND;
}

int target_find_existing(struct apply *ap, const struct event *ev, struct target *ret)
{
	int r = target_find(ap, ev, false, ret);
	return r ? r : ret->found ? 0 : OUTCOME_NOT_FOUND;
}

int target_find_key(struct apply *ap, const struct event *ev, struct target *ret)
{
	int r = target_find_existing(ap, ev, ret);
	return r ? r : entry_is_dir(&ret->self.e) ? OUTCOME_IS_DIR : 0;
}

int target_find_bytes(struct apply *ap, const struct event *ev, struct target *ret)
{
	int r = target_find_existing(ap, ev, ret);
	return r ? r : (int)target_check_bytes(&ret->self.e);
}

enum event_outcome target_check_bytes(const struct entry *e)
{
	return entry_is_dir(e) ? OUTCOME_IS_DIR : S_ISLNK(e->mode) ? OUTCOME_IS_LINK : OUTCOME_OK;
}
