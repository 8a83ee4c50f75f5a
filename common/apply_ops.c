/* The operations of events, one function each.
 *
 * Each looks first and changes afterwards: once an operation has begun to
 * write, only trouble with the store can stop it. Conditions, and therefore
 * O_EXCL, If-Match, incr and the like, are decided here and nowhere else. */
#include "apply_ops.h"

#include "key.h"
#include "ttl.h"
#include "value.h"

#include <errno.h>
#include <string.h>

#define TYPE_ATTR "user.content_type"
#define DEFAULT_TTL_ATTR "user.default_ttl"
#define KEY_MODE 0644 /* of a key that comes without a mode */

static bool bytes_are(struct bytes b, const char *text)
{
	return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

/* Decides the event's condition. */
static enum event_outcome check(const struct event *ev, const struct target *t)
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

static void report(struct apply *ap, const struct held *h, bool created)
{
	ap->feed.ino = h->e.ino;
	ap->feed.version = h->e.version;
	ap->feed.created = created;
}

/* Whether E's bytes can be changed in place. */
static enum event_outcome check_key(const struct entry *e)
{
	return entry_is_dir(e) ? OUTCOME_IS_DIR : S_ISLNK(e->mode) ? OUTCOME_IS_LINK : OUTCOME_OK;
}

/* Finds an existing key (not a directory) and checks the condition. */
static int find_key(struct apply *ap, const struct event *ev, struct target *t)
{
	int r = tree_find(ap, ev->at, ev->dir, ev->key, false, t);
	if (r)
		return r;
	r = check(ev, t);
	if (r)
		return r;
	if (!t->found)
		return OUTCOME_NOT_FOUND;
	return entry_is_dir(&t->self.e) ? OUTCOME_IS_DIR : 0;
}

/* --- attributes --- */

static int attr_put(struct apply *ap, struct held *h, struct bytes name, struct bytes value)
{
	struct bytes old;
	uint64_t old_bytes = 0;
	int r = store_xattr_get(ap->txn, h->e.ino, name.data, name.len, &old);
	if (r == 0)
		old_bytes = name.len + old.len;
	else if (r != -ENOENT)
		return r;
	r = store_xattr_put(ap->txn, h->e.ino, name, value);
	if (r < 0)
		return r;
	ap->meta->used_bytes += name.len + value.len - old_bytes;
	h->e.has_xattrs = true;
	return 0;
}

static int one_is_enough(void *arg, struct bytes name, struct bytes value)
{
	(void)arg, (void)name, (void)value;
	return 1;
}

static int attr_del(struct apply *ap, struct held *h, struct bytes name)
{
	struct bytes old;
	int r = store_xattr_get(ap->txn, h->e.ino, name.data, name.len, &old);
	if (r == -ENOENT)
		return OUTCOME_NO_XATTR;
	if (r < 0)
		return r;
	ap->meta->used_bytes -= name.len + old.len;
	r = store_xattr_del(ap->txn, h->e.ino, name);
	if (r < 0)
		return r;
	r = store_xattr_each(ap->txn, h->e.ino, one_is_enough, NULL);
	if (r < 0)
		return r;
	h->e.has_xattrs = r;
	return 0;
}

static int attr_clear(struct apply *ap, struct held *h)
{
	uint64_t bytes;
	if (!h->e.has_xattrs)
		return 0;
	int r = store_xattr_clear(ap->txn, h->e.ino, &bytes);
	if (r == 0)
		ap->meta->used_bytes -= bytes;
	h->e.has_xattrs = false;
	return r;
}

/* --- expiry --- */

/* The expiry that a write gives: EV's TTL, else (NONE, or KEEP on a new key)
 * the directory's default. */
static int give_expiry(struct apply *ap, const struct event *ev, struct held *h, bool created)
{
	int64_t expiry_ms = 0, ttl_ms;
	if (ev->ttl == TTL_KEEP && !created)
		return 0;
	if (ev->ttl == TTL_SET) {
		expiry_ms = ap->now_ms + ev->ttl_ms;
	} else if (ev->ttl == TTL_UNTIL) {
		expiry_ms = ev->ttl_ms;
	} else {
		int r = tree_default_ttl(ap, h->e.parent, &ttl_ms);
		if (r < 0)
			return r;
		if (ttl_ms)
			expiry_ms = ap->now_ms + ttl_ms;
	}
	return tree_set_expiry(ap, h, expiry_ms);
}

/* --- values --- */

static int op_set(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, true, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	if (t.found && entry_is_dir(&t.self.e))
		return OUTCOME_IS_DIR;
	if (ev->value.len > UINT32_MAX)
		return OUTCOME_TOO_LARGE;

	bool link = ev->flags & EVENT_SYMLINK;
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : KEY_MODE;
	mode = link ? S_IFLNK | 0777 : S_IFREG | mode;
	if (t.found && S_ISLNK(t.self.e.mode) != link) {
		/* An inode never changes its type: a new entry takes the name. */
		r = tree_remove(ap, &t.self.e, FEED_REMOVED);
		t.found = false;
	}
	bool created = !t.found;
	if (r == 0 && created)
		r = tree_create(ap, &t, mode, ev->ino);
	else if (ev->flags & EVENT_HAS_MODE)
		t.self.e.mode = mode;
	if (r == 0 && !created && ev->ttl != TTL_KEEP)
		r = attr_clear(ap, &t.self);
	if (r == 0 && ev->type.len)
		r = attr_put(ap, &t.self, (struct bytes){ TYPE_ATTR, strlen(TYPE_ATTR) }, ev->type);
	if (r == 0)
		r = give_expiry(ap, ev, &t.self, created);
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_set(ap->txn, &t.self.e, ev->value.data, ev->value.len);
	if (r == 0)
		r = tree_save(ap, &t.self, old_size, true);
	if (r == 0)
		r = tree_effect(ap, created ? FEED_ADDED : FEED_DATA, &t.self.e);
	report(ap, &t.self, created);
	return r;
}

static int op_append(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, true, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	r = t.found ? check_key(&t.self.e) : 0;
	if (r)
		return r;
	if ((t.found ? t.self.e.size : 0) + ev->value.len > UINT32_MAX)
		return OUTCOME_TOO_LARGE;

	bool created = !t.found;
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : KEY_MODE;
	if (created) {
		r = tree_create(ap, &t, S_IFREG | mode, ev->ino);
		if (r == 0)
			r = give_expiry(ap, ev, &t.self, true);
	} else if (ev->ttl == TTL_SET || ev->ttl == TTL_UNTIL) {
		r = give_expiry(ap, ev, &t.self, false);
	}
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_write(ap->txn, &t.self.e, old_size, ev->value.data, ev->value.len,
		                t.self.value);
	if (r == 0)
		r = tree_save(ap, &t.self, old_size, true);
	if (r == 0)
		r = tree_effect(ap, created ? FEED_ADDED : FEED_DATA, &t.self.e);
	report(ap, &t.self, created);
	return r;
}

static int op_write(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_key(ap, ev, &t);
	if (r == 0)
		r = check_key(&t.self.e);
	if (r)
		return r;
	uint64_t end = ev->size;
	for (size_t i = 0; i < ev->nranges; i++) {
		uint64_t to = ev->ranges[i].off + ev->ranges[i].len;
		if (to > end)
			end = to;
	}
	if (end > UINT32_MAX)
		return OUTCOME_TOO_LARGE;

	struct entry *e = &t.self.e;
	uint64_t old_size = e->size;
	if (ev->flags & EVENT_HAS_CUT && ev->cut < e->size)
		r = value_resize(ap->txn, e, ev->cut, t.self.value);
	const uint8_t *from = ev->value.data;
	for (size_t i = 0; i < ev->nranges && r == 0; i++) {
		r = value_write(ap->txn, e, ev->ranges[i].off, from, ev->ranges[i].len,
		                t.self.value);
		from += ev->ranges[i].len;
	}
	if (r == 0 && e->size < ev->size)
		r = value_resize(ap->txn, e, ev->size, t.self.value);
	if (r == 0)
		r = tree_save(ap, &t.self, old_size, true);
	if (r == 0)
		r = tree_effect(ap, FEED_DATA, e);
	report(ap, &t.self, false);
	return r;
}

static int op_truncate(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_key(ap, ev, &t);
	if (r == 0)
		r = check_key(&t.self.e);
	if (r)
		return r;
	if (ev->size > UINT32_MAX)
		return OUTCOME_TOO_LARGE;
	uint64_t old_size = t.self.e.size;
	r = value_resize(ap->txn, &t.self.e, ev->size, t.self.value);
	if (r == 0)
		r = tree_save(ap, &t.self, old_size, true);
	if (r == 0)
		r = tree_effect(ap, FEED_DATA, &t.self.e);
	report(ap, &t.self, false);
	return r;
}

/* Reads a decimal number, with a newline at the end as `echo` leaves it. */
static int parse_number(const uint8_t *text, size_t len, int64_t *ret, bool *ret_newline)
{
	bool negative = false;
	uint64_t n = 0, limit = INT64_MAX;
	*ret_newline = len && text[len - 1] == '\n';
	if (*ret_newline)
		len--;
	if (len && *text == '-') {
		negative = true;
		limit++;
		text++;
		len--;
	}
	if (len == 0 || len > 19)
		return OUTCOME_NOT_NUMBER;
	for (; len; len--, text++) {
		if (*text < '0' || *text > '9')
			return OUTCOME_NOT_NUMBER;
		n = n * 10 + (*text - '0');
	}
	if (n > limit)
		return OUTCOME_NOT_NUMBER;
	*ret = negative ? (int64_t)(0 - n) : (int64_t)n;
	return 0;
}

static size_t format_number(int64_t number, bool newline, char *buf, size_t size)
{
	char *p = buf + size, *end = p;
	uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	if (newline)
		*--p = '\n';
	do {
		*--p = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	if (number < 0)
		*--p = '-';
	memmove(buf, p, (size_t)(end - p));
	return (size_t)(end - p);
}

static int op_incr(struct apply *ap, const struct event *ev)
{
	struct target t;
	int64_t number = 0;
	bool newline = false;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, true, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	r = t.found ? check_key(&t.self.e) : 0;
	if (r)
		return r;
	if (t.found && t.self.e.size) {
		if (!t.self.e.is_inline)
			return OUTCOME_NOT_NUMBER;
		r = parse_number(t.self.value, t.self.e.size, &number, &newline);
		if (r)
			return r;
	}
	if (__builtin_add_overflow(number, ev->by, &number))
		return OUTCOME_RANGE;

	bool created = !t.found;
	if (created)
		r = tree_create(ap, &t, S_IFREG | KEY_MODE, ev->ino);
	if (r == 0 && (created || ev->ttl == TTL_SET || ev->ttl == TTL_UNTIL))
		r = give_expiry(ap, ev, &t.self, created);
	char text[32];
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_set(ap->txn, &t.self.e, text,
		              format_number(number, newline, text, sizeof text));
	if (r == 0)
		r = tree_save(ap, &t.self, old_size, true);
	if (r == 0)
		r = tree_effect(ap, created ? FEED_ADDED : FEED_DATA, &t.self.e);
	report(ap, &t.self, created);
	ap->feed.number = number;
	return r;
}

/* --- names --- */

/* Removes E, and says if that is an eviction. */
static int remove_entry(struct apply *ap, const struct event *ev, const struct entry *e)
{
	bool evict = ev->flags & EVENT_EVICT;
	if (evict)
		ap->meta->nevicted++;
	return tree_remove(ap, e, evict ? FEED_EVICTED : FEED_REMOVED);
}

static int op_del(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, false, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	if (!t.found)
		return OUTCOME_NOT_FOUND;
	if (entry_is_dir(&t.self.e) && !(ev->flags & EVENT_RECURSE))
		return OUTCOME_IS_DIR;
	if (t.self.e.ino == STORE_ROOT_INO)
		return OUTCOME_REJECTED;
	r = remove_entry(ap, ev, &t.self.e);
	ap->feed.ino = t.self.e.ino;
	return r;
}

static int op_mkdir(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, true, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	if (t.found) { /* without a condition, a directory that is there is fine */
		report(ap, &t.self, false);
		return entry_is_dir(&t.self.e) ? 0 : OUTCOME_EXISTS;
	}
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : 0755;
	r = tree_create(ap, &t, S_IFDIR | mode, ev->ino);
	if (r == 0)
		r = tree_save(ap, &t.self, 0, true);
	if (r == 0)
		r = tree_effect(ap, FEED_ADDED, &t.self.e);
	report(ap, &t.self, true);
	return r;
}

static int op_rmdir(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, false, &t);
	if (r)
		return r;
	r = check(ev, &t);
	if (r)
		return r;
	if (!t.found)
		return OUTCOME_NOT_FOUND;
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

/* Gives H the name (PARENT, NAME); the old name's row is gone already. */
static int rename_to(struct apply *ap, struct held *h, uint64_t parent, const char *name,
                     size_t name_len)
{
	ap->meta->used_bytes += name_len - h->e.name_len;
	h->e.parent = parent;
	memcpy(h->name, name, name_len);
	h->e.name = h->name;
	h->e.name_len = name_len;
	int r = store_link_type(ap->txn, parent, name, name_len, h->e.ino, h->e.mode);
	if (r == 0)
		r = tree_save(ap, h, h->e.size, false);
	if (r == 0)
		r = tree_effect(ap, FEED_ADDED, &h->e);
	return r;
}

/* Whether moving from T to (O's) place would put a directory below itself. */
static int check_loop(struct apply *ap, const struct target *t, uint64_t into)
{
	bool below = false;
	if (!entry_is_dir(&t->self.e))
		return 0;
	int r = tree_is_below(ap, into, t->self.e.ino, &below);
	return r < 0 ? r : below ? OUTCOME_INTO_ITSELF : 0;
}

static int op_rename(struct apply *ap, const struct event *ev)
{
	struct target from, to;
	int r = tree_find(ap, ev->at, ev->dir, ev->key, false, &from);
	if (r)
		return r;
	r = check(ev, &from);
	if (r)
		return r;
	if (!from.found)
		return OUTCOME_NOT_FOUND;
	if (from.self.e.ino == STORE_ROOT_INO)
		return OUTCOME_REJECTED;
	bool exchange = ev->flags & EVENT_EXCHANGE;
	r = tree_find(ap, 0, ev->to_dir, ev->to, !exchange, &to);
	if (r)
		return r;
	report(ap, &from.self, false);
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

	/* From here on nothing but the store can fail. The names are copied, as
	 * FROM's own is about to change. */
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
	report(ap, &from.self, false);
	return r == -ENOENT ? -EIO : r;
}

/* --- metadata --- */

static int op_expire(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_key(ap, ev, &t);
	if (r)
		return r;
	int64_t expiry_ms = ev->ttl == TTL_UNTIL ? ev->ttl_ms : ap->now_ms + ev->ttl_ms;
	r = tree_set_expiry(ap, &t.self, expiry_ms);
	if (r == 0)
		r = tree_save(ap, &t.self, t.self.e.size, false);
	if (r == 0)
		r = tree_effect(ap, FEED_ATTR, &t.self.e);
	report(ap, &t.self, false);
	return r;
}

static int op_persist(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_key(ap, ev, &t);
	if (r)
		return r;
	if (!t.self.e.expiry_ms)
		return OUTCOME_NO_XATTR;
	r = tree_set_expiry(ap, &t.self, 0);
	if (r == 0)
		r = tree_save(ap, &t.self, t.self.e.size, false);
	if (r == 0)
		r = tree_effect(ap, FEED_ATTR, &t.self.e);
	report(ap, &t.self, false);
	return r;
}

/* Finds a key or directory; the root by an empty key. */
static int find_any(struct apply *ap, const struct event *ev, struct target *t)
{
	uint64_t at = ev->at;
	if (!at && !ev->dir && !ev->key.len)
		at = STORE_ROOT_INO;
	int r = tree_find(ap, at, ev->dir, ev->key, false, t);
	if (r)
		return r;
	r = check(ev, t);
	if (r)
		return r;
	return t->found ? 0 : OUTCOME_NOT_FOUND;
}

static int save_attr(struct apply *ap, struct target *t)
{
	int r = tree_save(ap, &t->self, t->self.e.size, false);
	if (r == 0)
		r = tree_effect(ap, FEED_ATTR, &t->self.e);
	report(ap, &t->self, false);
	return r;
}

static int set_default_ttl(struct apply *ap, struct target *t, int64_t ttl_ms)
{
	if (!entry_is_dir(&t->self.e))
		return OUTCOME_NOT_DIR;
	ap->meta->ndefault_ttl += (uint64_t)(ttl_ms != 0) - (t->self.e.default_ttl_ms != 0);
	t->self.e.default_ttl_ms = ttl_ms;
	return save_attr(ap, t);
}

static int op_setxattr(struct apply *ap, const struct event *ev)
{
	struct target t;
	struct bytes old;
	int64_t ttl_ms;
	int r = find_any(ap, ev, &t);
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
	r = attr_put(ap, &t.self, ev->name, ev->value);
	return r ? r : save_attr(ap, &t);
}

static int op_removexattr(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_any(ap, ev, &t);
	if (r)
		return r;
	if (bytes_are(ev->name, DEFAULT_TTL_ATTR))
		return t.self.e.default_ttl_ms ? set_default_ttl(ap, &t, 0) : OUTCOME_NO_XATTR;
	r = attr_del(ap, &t.self, ev->name);
	return r ? r : save_attr(ap, &t);
}

static int op_chmod(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_any(ap, ev, &t);
	if (r)
		return r;
	t.self.e.mode = (t.self.e.mode & S_IFMT) | (ev->mode & 07777);
	return save_attr(ap, &t);
}

static int op_touch(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_any(ap, ev, &t);
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
	return save_attr(ap, &t);
}

int apply_op(struct apply *ap, const struct event *ev)
{
	switch (ev->op) {
	case EVENT_SET:
		return op_set(ap, ev);
	case EVENT_APPEND:
		return op_append(ap, ev);
	case EVENT_WRITE:
		return op_write(ap, ev);
	case EVENT_TRUNCATE:
		return op_truncate(ap, ev);
	case EVENT_DEL:
		return op_del(ap, ev);
	case EVENT_MKDIR:
		return op_mkdir(ap, ev);
	case EVENT_RMDIR:
		return op_rmdir(ap, ev);
	case EVENT_RENAME:
		return op_rename(ap, ev);
	case EVENT_EXPIRE:
		return op_expire(ap, ev);
	case EVENT_PERSIST:
		return op_persist(ap, ev);
	case EVENT_SETXATTR:
		return op_setxattr(ap, ev);
	case EVENT_REMOVEXATTR:
		return op_removexattr(ap, ev);
	case EVENT_CHMOD:
		return op_chmod(ap, ev);
	case EVENT_TOUCH:
		return op_touch(ap, ev);
	case EVENT_INCR:
		return op_incr(ap, ev);
	default:
		return OUTCOME_REJECTED;
	}
}
