/* Operations on metadata: expire, persist, setxattr, removexattr, chmod, touch.
 *
 * Each operation checks first and changes afterwards: once it has started to write, it
 * fails only if the store fails. */
#include "common/apply/ops.h"

#include "common/apply/target.h"
#include "common/apply/xattr.h"
#include "common/base/ttl.h"

#include <errno.h>

#define DEFAULT_TTL_ATTR "user.default_ttl"

int apply_expire(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_key(ap, ev, &t);
	if (r)
		return r;
	int64_t expiry_ms = ev->ttl == TTL_UNTIL ? ev->ttl_ms : ap->now_ms + ev->ttl_ms;
	r = tree_set_expiry(ap, &t.self, expiry_ms);
	return r ? r : target_save(ap, &t, t.self.e.size, FEED_ATTR);
}

int apply_persist(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_key(ap, ev, &t);
	if (r)
		return r;
	if (!t.self.e.expiry_ms)
		return OUTCOME_NO_XATTR;
	r = tree_set_expiry(ap, &t.self, 0);
	return r ? r : target_save(ap, &t, t.self.e.size, FEED_ATTR);
}

static int set_default_ttl(struct apply *ap, struct target *t, int64_t ttl_ms)
{
	if (!entry_is_dir(&t->self.e))
		return OUTCOME_NOT_DIR;
	ap->meta->ndefault_ttl += (uint64_t)(ttl_ms != 0) - (t->self.e.default_ttl_ms != 0);
	t->self.e.default_ttl_ms = ttl_ms;
	return target_save(ap, t, t->self.e.size, FEED_ATTR);
}

int apply_setxattr(struct apply *ap, const struct event *ev)
{
	struct target t;
	struct bytes old;
	int64_t ttl_ms;
	int r = target_find_any(ap, ev, &t);
	if (r)
		return r;
	bool default_ttl = bytes_are(ev->name, DEFAULT_TTL_ATTR);
	bool have = t.self.e.default_ttl_ms;
	if (!default_ttl) {
		r = store_xattr_get(ap->txn, t.self.e.ino, ev->name.data, ev->name.len, &old);
		if (r < 0 && r != -ENOENT)
			return r;
		have = r == 0;
	}
	if (have && ev->flags & EVENT_XATTR_CREATE)
		return OUTCOME_XATTR_EXISTS;
	if (!have && ev->flags & EVENT_XATTR_REPLACE)
		return OUTCOME_NO_XATTR;
	if (default_ttl) {
		if (ttl_parse(ev->value.data, ev->value.len, &ttl_ms) < 0)
			return OUTCOME_REJECTED;
		return set_default_ttl(ap, &t, ttl_ms);
	}
	r = xattr_put(ap, &t.self, ev->name, ev->value);
	return r ? r : target_save(ap, &t, t.self.e.size, FEED_ATTR);
}

int apply_removexattr(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_any(ap, ev, &t);
	if (r)
		return r;
	if (bytes_are(ev->name, DEFAULT_TTL_ATTR))
		return t.self.e.default_ttl_ms ? set_default_ttl(ap, &t, 0) : OUTCOME_NO_XATTR;
	r = xattr_del(ap, &t.self, ev->name);
	return r ? r : target_save(ap, &t, t.self.e.size, FEED_ATTR);
}

int apply_chmod(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_any(ap, ev, &t);
	if (r)
		return r;
	t.self.e.mode = (t.self.e.mode & S_IFMT) | (ev->mode & 07777);
	return target_save(ap, &t, t.self.e.size, FEED_ATTR);
}

int apply_touch(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_any(ap, ev, &t);
	if (r)
		return r;
	const unsigned some = EVENT_HAS_MTIME | EVENT_HAS_ATIME | EVENT_MTIME_NOW | EVENT_ATIME_NOW;
	bool both = !(ev->flags & some);
	int64_t now_ns = ap->now_ms * 1000000;
	if (ev->flags & EVENT_HAS_MTIME)
		t.self.e.mtime_ns = ev->mtime_ns;
	else if (both || ev->flags & EVENT_MTIME_NOW)
		t.self.e.mtime_ns = now_ns;
	if (ev->flags & EVENT_HAS_ATIME)
		t.self.e.atime_ns = ev->atime_ns;
	else if (both || ev->flags & EVENT_ATIME_NOW)
		t.self.e.atime_ns = now_ns;
	return target_save(ap, &t, t.self.e.size, FEED_ATTR);
}
