/* Operations on names: del, mkdir, rmdir, rename.
 *
 * Each operation checks first and changes afterwards: once it has started to write, it
 * fails only if the store fails. */
#include "common/apply/ops.h"

#include "common/apply/target.h"

#include <errno.h>
#include <string.h>

/* Remove E, and record whether it is an eviction. */
static int remove_entry(struct apply *ap, const struct event *ev, const struct entry *e)
{
	bool evict = ev->flags & EVENT_EVICT;
	if (evict)
		ap->meta->nevicted++;
	return tree_remove(ap, e, evict ? FEED_EVICTED : FEED_REMOVED);
}

int apply_del(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_existing(ap, ev, &t);
	if (r)
		return r;
	if (entry_is_dir(&t.self.e) && !(ev->flags & EVENT_RECURSE))
		return OUTCOME_IS_DIR;
	if (t.self.e.ino == STORE_ROOT_INO)
		return OUTCOME_REJECTED;
	r = remove_entry(ap, ev, &t.self.e);
	ap->feed.ino = t.self.e.ino;
	return r;
}

int apply_mkdir(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find(ap, ev, true, &t);
	if (r)
		return r;
	if (t.found) { /* without a precondition an existing directory is fine */
		target_report(ap, &t, false);
		return entry_is_dir(&t.self.e) ? 0 : OUTCOME_EXISTS;
	}
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : 0755;
	r = tree_create(ap, &t, S_IFDIR | mode, ev->ino);
	return r ? r : target_save(ap, &t, 0, FEED_ADDED);
}

int apply_rmdir(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_existing(ap, ev, &t);
	if (r)
		return r;
	if (!entry_is_dir(&t.self.e))
		return OUTCOME_NOT_DIR;
	if (t.self.e.ino == STORE_ROOT_INO)
		return OUTCOME_REJECTED;
	r = tree_empty(ap, &t.self.e);
	if (r == 0)
		r = remove_entry(ap, ev, &t.self.e);
	ap->feed.ino = t.self.e.ino;
	return r;
}

/* Give COPY the name (PARENT, NAME). The row of its old name must have been removed. */
static int rename_to(struct apply *ap, struct entry_copy *copy, uint64_t parent, const char *name,
                     size_t name_len)
{
	ap->meta->used_bytes += name_len - copy->e.name_len;
	copy->e.parent = parent;
	memcpy(copy->name, name, name_len);
	copy->e.name = copy->name;
	copy->e.name_len = name_len;
	int r = store_link_type(ap->txn, parent, name, name_len, copy->e.ino, copy->e.mode);
	if (r == 0)
		r = tree_save(ap, copy, copy->e.size, false);
	if (r == 0)
		r = tree_effect(ap, FEED_ADDED, &copy->e);
	return r;
}

/* Return OUTCOME_INTO_ITSELF if T is a directory and INTO is T or lies below it. */
static int check_loop(struct apply *ap, const struct target *t, uint64_t into)
{
	bool below = false;
	if (!entry_is_dir(&t->self.e))
		return 0;
	int r = tree_is_below(ap, into, t->self.e.ino, &below);
	return r < 0 ? r : below ? OUTCOME_INTO_ITSELF : 0;
}

int apply_rename(struct apply *ap, const struct event *ev)
{
	struct target from, to;
	int r = target_find_existing(ap, ev, &from);
	if (r)
		return r;
	if (from.self.e.ino == STORE_ROOT_INO)
		return OUTCOME_REJECTED;
	bool exchange = ev->flags & EVENT_EXCHANGE;
	r = tree_find(ap, 0, ev->to_dir, ev->to, !exchange, &to);
	if (r)
		return r;
	target_report(ap, &from, false);
	if (to.found && to.self.e.ino == from.self.e.ino)
		return ev->flags & EVENT_NOREPLACE ? OUTCOME_EXISTS : 0;
	if (to.found && ev->flags & EVENT_NOREPLACE)
		return OUTCOME_EXISTS;
	if (!to.found && exchange)
		return OUTCOME_NOT_FOUND;
	r = check_loop(ap, &from, to.parent);
	if (r == 0 && exchange)
		r = check_loop(ap, &to, from.parent);
	if (r)
		return r;
	bool dir = entry_is_dir(&from.self.e);
	if (to.found && !exchange) {
		if (dir && !entry_is_dir(&to.self.e))
			return OUTCOME_NOT_DIR;
		if (!dir && entry_is_dir(&to.self.e))
			return OUTCOME_IS_DIR;
		if (dir) {
			r = tree_empty(ap, &to.self.e);
			if (r)
				return r;
		}
		r = tree_remove(ap, &to.self.e, FEED_REMOVED);
		if (r < 0)
			return r;
	}
	if (!to.found)
		r = tree_make_missing(ap, &to);

	/* From here on only the store can fail. Copy the names, because FROM's own name is
	 * about to change. */
	char old_name[256];
	size_t old_len = from.self.e.name_len;
	uint64_t old_parent = from.self.e.parent;
	memcpy(old_name, from.self.name, old_len);
	if (r == 0)
		r = tree_effect(ap, FEED_REMOVED, &from.self.e);
	if (r == 0 && exchange)
		r = tree_effect(ap, FEED_REMOVED, &to.self.e);
	if (r == 0)
		r = store_unlink(ap->txn, old_parent, old_name, old_len);
	int gain = dir;
	if (r == 0 && exchange) {
		gain -= entry_is_dir(&to.self.e);
		char to_name[256];
		memcpy(to_name, to.name, to.name_len);
		r = store_unlink(ap->txn, to.parent, to_name, to.name_len);
		if (r == 0)
			r = rename_to(ap, &to.self, old_parent, old_name, old_len);
	}
	if (r == 0)
		r = rename_to(ap, &from.self, to.parent, to.name, to.name_len);
	bool same = old_parent == to.parent;
	if (r == 0)
		r = tree_touch_dir(ap, old_parent, same ? 0 : -gain);
	if (r == 0 && !same)
		r = tree_touch_dir(ap, to.parent, gain);
	target_report(ap, &from, false);
	return r == -ENOENT ? -EIO : r;
}
