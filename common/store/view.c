/* View: a snapshot for readers, with expired entries hidden.
 *
 * An entry is hidden as soon as the reader's clock reaches its expiry, even if applying
 * purges it much later. The reader's clock is never earlier than log time, so an entry that
 * this node has seen expire does not reappear. */
#include "common/store/view.h"

#include "common/base/clock.h"
#include "common/base/key.h"

#include <errno.h>
#include <string.h>

int view_open(struct store *store, struct view *view)
{
	int r = txn_read(store, &view->txn);
	if (r < 0)
		return r;
	int64_t now = clock_wall_ms(), log_time = txn_meta(view->txn)->log_time_ms;
	view->now_ms = now > log_time ? now : log_time;
	return 0;
}

void view_close(struct view *view)
{
	txn_abort(view->txn);
	view->txn = NULL;
}

uint64_t view_offset(const struct view *view)
{
	return txn_meta(view->txn)->applied;
}

void view_tag(const struct view *view, struct volume_tag *ret)
{
	volume_tag(txn_meta(view->txn), ret);
}

int view_inode(const struct view *view, uint64_t ino, struct entry *ret)
{
	struct entry e;
	int r = store_get(view->txn, ino, &e);
	if (r < 0)
		return r;
	if (entry_is_expired(&e, view->now_ms))
		return -ENOENT;
	*ret = e;
	return 0;
}

int view_name(const struct view *view, uint64_t parent, const char *name, size_t len,
              struct entry *ret)
{
	uint64_t ino;
	int r = store_lookup(view->txn, parent, name, len, &ino, NULL);
	return r < 0 ? r : view_inode(view, ino, ret);
}

int view_key(const struct view *view, const char *key, size_t len, struct entry *ret)
{
	uint64_t ino = STORE_ROOT_INO;
	bool dir = true;
	const char *name;
	size_t name_len;
	while (key_next(&key, &len, &name, &name_len)) {
		if (!dir) { /* an expired key does not exist at all */
			struct entry key_above;
			int r = view_inode(view, ino, &key_above);
			return r < 0 ? r : -ENOTDIR;
		}
		int r = store_lookup(view->txn, ino, name, name_len, &ino, &dir);
		if (r < 0)
			return r;
	}
	return view_inode(view, ino, ret);
}

int64_t view_path(const struct view *view, uint64_t ino, char *buf, size_t size)
{
	/* Build the path from the end of BUF, then move it to the start. */
	size_t at = size;
	while (ino != STORE_ROOT_INO) {
		struct entry e;
		int r = store_get(view->txn, ino, &e);
		if (r < 0)
			return r;
		size_t need = e.name_len + (at < size);
		if (need > at)
			return -ENAMETOOLONG;
		if (at < size)
			buf[--at] = '/';
		at -= e.name_len;
		memcpy(buf + at, e.name, e.name_len);
		ino = e.parent;
	}
	memmove(buf, buf + at, size - at);
	return (int64_t)(size - at);
}

int64_t view_ttl_ms(const struct view *view, const struct entry *e)
{
	return e->expiry_ms ? e->expiry_ms - view->now_ms : -1;
}
