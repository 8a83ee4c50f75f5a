/* Tree: finds, creates and removes entries while applying.
 *
 * Entries are copied, because LMDB may move a row as soon as the transaction writes
 * anything. Nothing here reads a clock: `now` is log time. The function that changes what a
 * total in meta counts also updates the total. */
#include "common/apply/tree.h"

#include "common/base/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t entry_cost(const struct entry *e)
{
	return STORE_ENTRY_COST + e->name_len + e->size;
}

/* Return whether a path of DEPTH directories is impossible, so that a cycle of directories
 * in a damaged store is an error and not an endless loop. */
static bool is_too_deep(const struct apply *ap, uint64_t depth)
{
	return depth > ap->meta->ndirs + 1;
}

bool tree_expired(const struct apply *ap, const struct entry *e)
{
	return entry_is_expired(e, ap->now_ms);
}

int tree_copy(struct apply *ap, uint64_t ino, struct entry_copy *ret)
{
	int r = store_get(ap->txn, ino, &ret->e);
	if (r < 0)
		return r;
	memcpy(ret->name, ret->e.name, ret->e.name_len);
	ret->e.name = ret->name;
	if (ret->e.is_inline) {
		memcpy(ret->value, ret->e.inline_value, ret->e.size);
		ret->e.inline_value = ret->value;
	}
	return 0;
}

/* Build the key of an entry from the names on its path. If renames of directories made it
 * longer than a key can be, use only the last name. */
static int build_key(struct apply *ap, const struct entry *e, struct bytes *ret)
{
	char buf[KEY_MAX];
	size_t at = sizeof(buf) - e->name_len;
	memcpy(buf + at, e->name, e->name_len);
	uint64_t parent = e->parent;
	while (parent != STORE_ROOT_INO && parent != 0) {
		struct entry dir;
		int r = store_get(ap->txn, parent, &dir);
		if (r < 0)
			return r == -ENOENT ? -EIO : r;
		if (dir.name_len + 1 > at) {
			at = sizeof(buf) - e->name_len;
			break;
		}
		buf[--at] = '/';
		at -= dir.name_len;
		memcpy(buf + at, dir.name, dir.name_len);
		parent = dir.parent;
	}
	size_t len = sizeof(buf) - at;
	char *key = malloc(len ? len : 1);
	if (!key)
		return -ENOMEM;
	memcpy(key, buf + at, len);
	*ret = (struct bytes){ key, len };
	return 0;
}

int tree_effect(struct apply *ap, enum feed_effect_kind kind, const struct entry *e)
{
	if (ap->skip_feed)
		return 0;
	if (ap->feed.neffects == ap->effects_room) {
		size_t room = ap->effects_room ? 2 * ap->effects_room : 4;
		struct feed_effect *grown = realloc(ap->feed.effects,
		                                    room * sizeof(*ap->feed.effects));
		if (!grown)
			return -ENOMEM;
		ap->feed.effects = grown;
		ap->effects_room = room;
	}
	struct bytes key;
	int r = build_key(ap, e, &key);
	if (r < 0)
		return r;
	ap->feed.effects[ap->feed.neffects++] = (struct feed_effect){
		.kind = kind,
		.ino = e->ino,
		.parent = e->parent,
		.key = key,
		.size = e->size,
		.expiry_ms = e->expiry_ms,
		.dir = entry_is_dir(e),
	};
	return 0;
}

int tree_touch_dir(struct apply *ap, uint64_t ino, int nsubdirs)
{
	struct entry_copy dir;
	int64_t now_ns = ap->now_ms * 1000000;
	if (nsubdirs == 0 && store_is_touched(ap->txn, ino, now_ns))
		return 0;
	int r = tree_copy(ap, ino, &dir);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	if (nsubdirs == 0 && dir.e.mtime_ns == now_ns && dir.e.ctime_ns == now_ns) {
		store_note_touched(ap->txn, ino, now_ns);
		return 0;
	}
	/* Keep an access time that was set explicitly; otherwise it follows the
	 * modification time. */
	if (dir.e.atime_ns == dir.e.mtime_ns)
		dir.e.atime_ns = now_ns;
	dir.e.mtime_ns = dir.e.ctime_ns = now_ns;
	dir.e.nsubdirs += (uint32_t)nsubdirs;
	r = store_put(ap->txn, &dir.e);
	if (r == 0)
		store_note_touched(ap->txn, ino, now_ns);
	return r;
}

int tree_set_expiry(struct apply *ap, struct entry_copy *copy, int64_t expiry_ms)
{
	int r = 0;
	if (copy->e.expiry_ms == expiry_ms)
		return 0;
	if (copy->e.expiry_ms)
		r = store_expiry_del(ap->txn, copy->e.expiry_ms, copy->e.ino);
	if (r == 0 && expiry_ms)
		r = store_expiry_put(ap->txn, expiry_ms, copy->e.ino);
	copy->e.expiry_ms = expiry_ms;
	return r == -ENOENT ? -EIO : r;
}

int tree_default_ttl(struct apply *ap, uint64_t parent, int64_t *ret_ms)
{
	*ret_ms = 0;
	for (uint64_t depth = 0; ap->meta->ndefault_ttl && parent; depth++) {
		struct entry dir;
		int r = is_too_deep(ap, depth) ? -EIO : store_get(ap->txn, parent, &dir);
		if (r < 0)
			return r == -ENOENT ? -EIO : r;
		if (dir.default_ttl_ms) {
			*ret_ms = dir.default_ttl_ms;
			break;
		}
		parent = dir.parent;
	}
	return 0;
}

/* --- removing --- */

/* Remove the rows of one entry and subtract it from the totals. */
static int remove_one(struct apply *ap, const struct entry *e)
{
	struct store_meta *meta = ap->meta;
	uint64_t ino = e->ino, parent = e->parent, cost = entry_cost(e), xattr_bytes = 0;
	int64_t expiry_ms = e->expiry_ms;
	bool chunks = !e->is_inline && e->size, xattrs = e->has_xattrs, dir = entry_is_dir(e);
	bool default_ttl = e->default_ttl_ms;

	int r = store_unlink(ap->txn, parent, e->name, e->name_len);
	if (r == 0)
		r = store_remove(ap->txn, ino);
	if (r == 0 && chunks)
		r = store_chunks_cut(ap->txn, ino, 0);
	if (r == 0 && xattrs)
		r = store_xattr_clear(ap->txn, ino, &xattr_bytes);
	if (r == 0 && expiry_ms)
		r = store_expiry_del(ap->txn, expiry_ms, ino);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	meta->used_bytes -= cost + xattr_bytes;
	if (dir)
		meta->ndirs--;
	else
		meta->nkeys--;
	if (default_ttl)
		meta->ndefault_ttl--;
	return 0;
}

/* Copy the first child of a directory; -ENOENT if it is empty. */
static int first_child(struct apply *ap, uint64_t dir, struct entry_copy *ret)
{
	struct scan *scan;
	int r = scan_open(ap->txn, dir, NULL, 0, &scan);
	if (r < 0)
		return r;
	const char *name;
	size_t len;
	uint64_t ino;
	r = scan_next(scan, &name, &len, &ino, NULL);
	scan_close(scan);
	if (r < 0)
		return r;
	r = tree_copy(ap, ino, ret);
	if (r == 0 && ret->e.parent != dir)
		r = -EIO;
	return r == -ENOENT ? -EIO : r;
}

/* Remove everything below TOP, depth first and without recursion, since a tree can be 2,048
 * deep. */
static int remove_below(struct apply *ap, uint64_t top)
{
	struct entry_copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	uint64_t dir = top, depth = 0;
	int r;
	for (;;) {
		r = is_too_deep(ap, depth) ? -EIO : first_child(ap, dir, copy);
		if (r == 0 && entry_is_dir(&copy->e)) {
			dir = copy->e.ino;
			depth++;
			continue;
		}
		if (r == -ENOENT) { /* this directory is empty now */
			if (dir == top) {
				r = 0;
				break;
			}
			r = tree_copy(ap, dir, copy);
			if (r < 0)
				break;
			dir = copy->e.parent;
			depth--;
		}
		if (r == 0)
			r = remove_one(ap, &copy->e);
		if (r < 0)
			break;
	}
	free(copy);
	return r;
}

int tree_remove(struct apply *ap, const struct entry *e, enum feed_effect_kind kind)
{
	/* E may lie in the map: copy it before the first write. */
	struct entry_copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	int r = tree_copy(ap, e->ino, copy);
	if (r == 0)
		r = tree_effect(ap, kind, &copy->e);
	if (r == 0 && entry_is_dir(&copy->e))
		r = remove_below(ap, copy->e.ino);
	if (r == 0)
		r = remove_one(ap, &copy->e);
	if (r == 0)
		r = tree_touch_dir(ap, copy->e.parent, entry_is_dir(&copy->e) ? -1 : 0);
	free(copy);
	return r;
}

int tree_empty(struct apply *ap, const struct entry *dir)
{
	struct entry_copy *copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	int r;
	for (;;) {
		r = first_child(ap, dir->ino, copy);
		if (r < 0)
			break;
		if (!tree_expired(ap, &copy->e)) {
			r = OUTCOME_NOT_EMPTY;
			break;
		}
		r = tree_remove(ap, &copy->e, FEED_EXPIRED);
		if (r < 0)
			break;
		ap->meta->nexpired++;
	}
	free(copy);
	return r == -ENOENT ? 0 : r;
}

/* --- finding --- */

/* Look up a name and purge it if it has expired. Positive: NOT_FOUND. */
static int find_name(struct apply *ap, uint64_t parent, const char *name, size_t len,
                     struct entry_copy *ret)
{
	uint64_t ino;
	int r = store_lookup(ap->txn, parent, name, len, &ino, NULL);
	if (r == -ENOENT)
		return OUTCOME_NOT_FOUND;
	if (r == 0)
		r = tree_copy(ap, ino, ret);
	if (r < 0)
		return r == -ENOENT ? -EIO : r;
	if (!tree_expired(ap, &ret->e))
		return 0;
	r = tree_remove(ap, &ret->e, FEED_EXPIRED);
	ap->meta->nexpired++;
	return r < 0 ? r : OUTCOME_NOT_FOUND;
}

int tree_find(struct apply *ap, uint64_t at, uint64_t dir, struct bytes key, bool make,
              struct target *ret)
{
	int r;
	ret->found = false;
	ret->missing = NULL;
	ret->missing_len = 0;
	if (at) {
		r = tree_copy(ap, at, &ret->self);
		if (r < 0)
			return r == -ENOENT ? OUTCOME_NOT_FOUND : r;
		ret->found = true;
		ret->parent = ret->self.e.parent;
		ret->name = ret->self.name;
		ret->name_len = ret->self.e.name_len;
		if (tree_expired(ap, &ret->self.e)) {
			r = tree_remove(ap, &ret->self.e, FEED_EXPIRED);
			ap->meta->nexpired++;
			return r < 0 ? r : OUTCOME_NOT_FOUND;
		}
		return 0;
	}

	const char *path = key.data;
	size_t parent_len = key_parent_len(path, key.len);
	size_t skip = key_name_start(path, key.len);
	ret->name = path + skip;
	ret->name_len = key.len - skip;
	if (dir) {
		struct entry e;
		r = store_get(ap->txn, dir, &e);
		if (r < 0)
			return r == -ENOENT ? OUTCOME_NOT_FOUND : r;
		if (!entry_is_dir(&e))
			return OUTCOME_NOT_DIR;
		ret->parent = dir;
	} else {
		const char *rest = path, *name;
		size_t left = parent_len, name_len;
		ret->parent = STORE_ROOT_INO;
		for (;;) {
			const char *here = rest;
			size_t here_len = left;
			if (!key_next(&rest, &left, &name, &name_len))
				break;
			r = find_name(ap, ret->parent, name, name_len, &ret->self);
			if (r == OUTCOME_NOT_FOUND && make) {
				ret->missing = here;
				ret->missing_len = here_len;
				return 0;
			}
			if (r)
				return r;
			if (!entry_is_dir(&ret->self.e))
				return OUTCOME_NOT_DIR;
			ret->parent = ret->self.e.ino;
		}
	}
	r = find_name(ap, ret->parent, ret->name, ret->name_len, &ret->self);
	ret->found = r == 0;
	return r == OUTCOME_NOT_FOUND ? 0 : r;
}

/* --- making --- */

/* Choose an inode: the proposed one if it is valid and free, else the next one of the
 * store. */
static int choose_ino(struct apply *ap, uint64_t proposed, uint64_t *ret)
{
	struct entry e;
	if (proposed >= STORE_PROPOSED_MIN && proposed < STORE_PROPOSED_MAX) {
		int r = store_get(ap->txn, proposed, &e);
		if (r != -ENOENT && r < 0)
			return r;
		if (r == -ENOENT) {
			*ret = proposed;
			return 0;
		}
	}
	*ret = ap->meta->next_ino++;
	return 0;
}

static int create_one(struct apply *ap, uint64_t parent, const char *name, size_t name_len,
                      uint32_t mode, uint64_t proposed, struct entry_copy *ret)
{
	uint64_t ino;
	int r = choose_ino(ap, proposed, &ino);
	if (r < 0)
		return r;
	bool dir = S_ISDIR(mode);
	int64_t now_ns = ap->now_ms * 1000000;
	memmove(ret->name, name, name_len); /* NAME may be this entry's previous name */
	ret->e = (struct entry){
		.ino = ino,
		.version = ap->offset,
		.parent = parent,
		.mtime_ns = now_ns,
		.ctime_ns = now_ns,
		.atime_ns = now_ns,
		.mode = mode,
		.is_inline = !dir,
		.inline_value = ret->value,
		.name = ret->name,
		.name_len = name_len,
	};
	r = store_link_type(ap->txn, parent, name, name_len, ino, mode);
	if (r == 0)
		r = tree_touch_dir(ap, parent, dir);
	if (r < 0)
		return r;
	ap->meta->used_bytes += entry_cost(&ret->e);
	if (dir)
		ap->meta->ndirs++;
	else
		ap->meta->nkeys++;
	return 0;
}

int tree_make_missing(struct apply *ap, struct target *t)
{
	const char *name;
	size_t len;
	while (key_next(&t->missing, &t->missing_len, &name, &len)) {
		int r = create_one(ap, t->parent, name, len, S_IFDIR | 0755, 0, &t->self);
		if (r == 0)
			r = store_put(ap->txn, &t->self.e);
		if (r == 0)
			r = tree_effect(ap, FEED_ADDED, &t->self.e);
		if (r < 0)
			return r;
		t->parent = t->self.e.ino;
	}
	return 0;
}

int tree_create(struct apply *ap, struct target *t, uint32_t mode, uint64_t ino)
{
	int r = tree_make_missing(ap, t);
	if (r < 0)
		return r;
	return create_one(ap, t->parent, t->name, t->name_len, mode, ino, &t->self);
}

int tree_save(struct apply *ap, struct entry_copy *copy, uint64_t old_size, bool data)
{
	int64_t now_ns = data && ap->written_ns ? ap->written_ns : ap->now_ms * 1000000;
	ap->written_ns = 0;
	copy->e.version = ap->offset;
	copy->e.ctime_ns = now_ns;
	if (data) {
		if (copy->e.atime_ns == copy->e.mtime_ns)
			copy->e.atime_ns = now_ns;
		copy->e.mtime_ns = now_ns;
	}
	ap->meta->used_bytes += copy->e.size - old_size;
	return store_put(ap->txn, &copy->e);
}

int tree_is_below(struct apply *ap, uint64_t ino, uint64_t dir, bool *ret)
{
	for (uint64_t depth = 0; ino != dir && ino != STORE_ROOT_INO; depth++) {
		struct entry e;
		int r = is_too_deep(ap, depth) ? -EIO : store_get(ap->txn, ino, &e);
		if (r < 0)
			return r == -ENOENT ? -EIO : r;
		ino = e.parent;
	}
	*ret = ino == dir;
	return 0;
}
