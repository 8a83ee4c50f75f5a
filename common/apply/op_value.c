/* Operations on values: set, append, write, truncate, incr.
 *
 * Each operation checks first and changes afterwards: once it has started to write, it
 * fails only if the store fails. They create keys, and a set can also create a symbolic
 * link. */
#include "common/apply/ops.h"

#include "common/apply/target.h"
#include "common/apply/xattr.h"
#include "common/store/value.h"

#include <string.h>

#define TYPE_ATTR "user.content_type"
#define KEY_MODE 0644 /* mode of a key that is created without one */

/* Set the expiry that a write gives: EV's TTL or, for NONE and for KEEP on a new key, the
 * default of the directory. */
static int set_expiry_by_ttl(struct apply *ap, const struct event *ev, struct entry_copy *copy,
                             bool created)
{
	int64_t expiry_ms = 0, ttl_ms;
	if (ev->ttl == TTL_KEEP && !created)
		return 0;
	if (ev->ttl == TTL_SET) {
		expiry_ms = ap->now_ms + ev->ttl_ms;
	} else if (ev->ttl == TTL_UNTIL) {
		expiry_ms = ev->ttl_ms;
	} else {
		int r = tree_default_ttl(ap, copy->e.parent, &ttl_ms);
		if (r < 0)
			return r;
		if (ttl_ms)
			expiry_ms = ap->now_ms + ttl_ms;
	}
	return tree_set_expiry(ap, copy, expiry_ms);
}

/* Remember when EV's value was written, if it says so: its writer has already seen that
 * modification time. */
static void note_write_time(struct apply *ap, const struct event *ev)
{
	ap->written_ns = ev->flags & EVENT_HAS_MTIME ? ev->mtime_ns : 0;
}

int apply_set(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find(ap, ev, true, &t);
	if (r)
		return r;
	if (t.found && entry_is_dir(&t.self.e))
		return OUTCOME_IS_DIR;
	if (ev->value.len > EVENT_VALUE_MAX)
		return OUTCOME_TOO_LARGE;

	bool link = ev->flags & EVENT_SYMLINK;
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : KEY_MODE;
	mode = link ? S_IFLNK | 0777 : S_IFREG | mode;
	if (t.found && S_ISLNK(t.self.e.mode) != link) {
		/* An inode never changes its type, so a new entry takes the name. */
		r = tree_remove(ap, &t.self.e, FEED_REMOVED);
		t.found = false;
	}
	bool created = !t.found;
	if (r == 0 && created)
		r = tree_create(ap, &t, mode, ev->ino);
	else if (ev->flags & EVENT_HAS_MODE)
		t.self.e.mode = mode;
	if (r == 0 && !created && ev->ttl != TTL_KEEP)
		r = xattr_clear(ap, &t.self);
	if (r == 0 && ev->type.len)
		r = xattr_put(ap, &t.self, (struct bytes){ TYPE_ATTR, strlen(TYPE_ATTR) },
		              ev->type);
	if (r == 0)
		r = set_expiry_by_ttl(ap, ev, &t.self, created);
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_set(ap->txn, &t.self.e, ev->value.data, ev->value.len);
	note_write_time(ap, ev);
	return r ? r : target_save(ap, &t, old_size, created ? FEED_ADDED : FEED_DATA);
}

/* Find the entry to change, or the place for a new one. Refuse an entry without bytes. */
static int find_or_place(struct apply *ap, const struct event *ev, struct target *ret)
{
	int r = target_find(ap, ev, true, ret);
	return r || !ret->found ? r : (int)target_check_bytes(&ret->self.e);
}

int apply_append(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = find_or_place(ap, ev, &t);
	if (r)
		return r;
	if ((t.found ? t.self.e.size : 0) + ev->value.len > EVENT_VALUE_MAX)
		return OUTCOME_TOO_LARGE;

	bool created = !t.found;
	uint32_t mode = ev->flags & EVENT_HAS_MODE ? ev->mode & 07777 : KEY_MODE;
	if (created) {
		r = tree_create(ap, &t, S_IFREG | mode, ev->ino);
		if (r == 0)
			r = set_expiry_by_ttl(ap, ev, &t.self, true);
	} else if (ev->ttl == TTL_SET || ev->ttl == TTL_UNTIL) {
		r = set_expiry_by_ttl(ap, ev, &t.self, false);
	}
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_write(ap->txn, &t.self.e, old_size, ev->value.data, ev->value.len,
		                t.self.value);
	return r ? r : target_save(ap, &t, old_size, created ? FEED_ADDED : FEED_DATA);
}

int apply_write(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_bytes(ap, ev, &t);
	if (r)
		return r;
	uint64_t end = ev->size;
	for (size_t i = 0; i < ev->nranges; i++) {
		uint64_t to = ev->ranges[i].off + ev->ranges[i].len;
		if (to > end)
			end = to;
	}
	if (end > EVENT_VALUE_MAX)
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
	note_write_time(ap, ev);
	return r ? r : target_save(ap, &t, old_size, FEED_DATA);
}

int apply_truncate(struct apply *ap, const struct event *ev)
{
	struct target t;
	int r = target_find_bytes(ap, ev, &t);
	if (r)
		return r;
	if (ev->size > EVENT_VALUE_MAX)
		return OUTCOME_TOO_LARGE;
	uint64_t old_size = t.self.e.size;
	r = value_resize(ap->txn, &t.self.e, ev->size, t.self.value);
	return r ? r : target_save(ap, &t, old_size, FEED_DATA);
}

/* Parse a decimal number; a trailing newline is allowed, as `echo` adds one. */
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

int apply_incr(struct apply *ap, const struct event *ev)
{
	struct target t;
	int64_t number = 0;
	bool newline = false;
	int r = find_or_place(ap, ev, &t);
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
		r = set_expiry_by_ttl(ap, ev, &t.self, created);
	char text[32];
	uint64_t old_size = t.self.e.size;
	if (r == 0)
		r = value_set(ap->txn, &t.self.e, text,
		              format_number(number, newline, text, sizeof(text)));
	ap->feed.number = number;
	return r ? r : target_save(ap, &t, old_size, created ? FEED_ADDED : FEED_DATA);
}
