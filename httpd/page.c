/* Pages: a bounded part of a directory's listing.
 *
 * The only state of the walk is the path of the last entry visited: the cursor. One scan is open at
 * a time; descending into a directory closes it, and ascending reopens the parent's after the name
 * just left. That costs a lookup per directory, and takes the same memory at any depth. The order
 * is by name within each directory, with a directory's entries directly after it (depth first), so
 * a cursor stays valid when its entry is deleted.
 *
 * Limits: entries by the client's limit, bytes of values by VALUES_MAX, steps by STEPS_MAX (a tree
 * of empty directories or of expired keys has no entries to count). */
#include "httpd/page.h"

#include "common/base/ttl.h"
#include "httpd/list_html.h"
#include "httpd/long_key.h"
#include "httpd/value_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX (UINT64_C(8) << 20)
#define STEPS_MAX 50000

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void page_cursor_write(const struct page_cursor *cursor, char *buf)
{
	unsigned char raw[KEY_MAX + 1];
	raw[0] = cursor->inside ? 'i' : 'b';
	memcpy(raw + 1, cursor->path, cursor->len);
	size_t len = cursor->len + 1;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)raw[i] << 16;
		if (n > 1)
			v |= (unsigned)raw[i + 1] << 8;
		if (n > 2)
			v |= raw[i + 2];
		*buf++ = digits64[v >> 18];
		*buf++ = digits64[v >> 12 & 63];
		if (n > 1)
			*buf++ = digits64[v >> 6 & 63];
		if (n > 2)
			*buf++ = digits64[v & 63];
	}
	*buf = '\0';
}

int page_cursor_read(const char *text, size_t len, struct page_cursor *ret)
{
	unsigned char raw[KEY_MAX + 3];
	size_t n = 0;
	unsigned v = 0;
	if (!len || len >= PAGE_CURSOR_TEXT || len % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		const char *digit = text[i] ? strchr(digits64, text[i]) : NULL;
		if (!digit)
			return -EINVAL;
		v = v << 6 | (unsigned)(digit - digits64);
		if (i % 4) /* Of four digits, all but the first complete a byte. */
			raw[n++] = (unsigned char)(v >> (6 - 2 * (i % 4)));
	}
	if (n < 2 || n - 1 > KEY_MAX || (raw[0] != 'i' && raw[0] != 'b') ||
	    key_check((const char *)raw + 1, n - 1))
		return -EINVAL;
	ret->inside = raw[0] == 'i';
	ret->len = n - 1;
	memcpy(ret->path, raw + 1, n - 1);
	return 0;
}

/* --- entries --------------------------------------------------------------- */

struct page {
	const struct view *view;
	struct volume_tag tag;
	const struct page_query *query;
	struct page_cursor *at;
	struct json_text *text;
	struct walk *inodes; /* entries created one after the other are neighbours here */
	uint64_t entries;
	uint64_t value_bytes;
	uint64_t steps;
};

/* Write the name and the path of E, the entry at the cursor. A key stored under a derived name is
 * listed under its original name, if that is known. */
static int write_name(struct page *w, const struct entry *e)
{
	struct page_cursor *at = w->at;
	size_t start = key_name_start(at->path, at->len);
	struct bytes own;
	if (!long_key_is_derived(at->path + start, at->len - start) ||
	    long_key_own(w->view, e, &own)) {
		value_text_key("name", at->path, at->len, entry_is_dir(e), w->text);
		return 0;
	}
	char *whole = malloc(start + own.len);
	if (!whole)
		return -ENOMEM;
	memcpy(whole, at->path, start);
	memcpy(whole + start, own.data, own.len);
	value_text_names("name", whole, start + own.len, at->path, at->len, false, w->text);
	free(whole);
	return 0;
}

/* Write one entry as a JSON object. Its name is readable text (invalid UTF-8 becomes U+FFFD); its
 * path, appended to the URL of the directory listed, leads to it. */
static int write_object(struct page *w, const struct entry *e)
{
	struct json_text *t = w->text;
	char moment[32];
	bool dir = entry_is_dir(e);
	json_text_raw(t, w->entries ? ",\n{" : "\n{");
	int r = write_name(w, e);
	if (r)
		return r;
	json_text_raw(t, dir ? ",\"type\":\"directory\"" : ",\"type\":\"key\",\"size\":");
	if (!dir)
		json_text_u64(t, e->size);
	json_text_raw(t, ",\"version\":");
	json_text_u64(t, e->version);
	value_text_etag(e->version, &w->tag, t);
	moment_format(e->mtime_ns / 1000000, moment, sizeof(moment));
	json_text_raw(t, ",\"modified\":\"");
	json_text_raw(t, moment);
	json_text_raw(t, "\"");
	int64_t ttl_ms = view_ttl_ms(w->view, e);
	if (ttl_ms >= 0) {
		json_text_raw(t, ",\"ttl\":");
		json_text_i64(t, (ttl_ms + 999) / 1000);
	}
	if (w->query->values && !dir && e->size <= w->query->value_max) {
		r = value_text(w->view, e, t);
		if (r)
			return r;
		w->value_bytes += e->size;
	}
	json_text_raw(t, "}");
	return t->failed;
}

static int write_entry(struct page *w, const struct entry *e)
{
	int r = 0;
	if (w->query->html)
		list_html_entry(w->text, w->at->path, w->at->len, entry_is_dir(e));
	else
		r = write_object(w, e);
	w->entries++;
	return r ? r : w->text->failed;
}

/* --- walk ------------------------------------------------------------------ */

static bool is_full(const struct page *w)
{
	return w->entries >= w->query->limit || w->value_bytes >= VALUES_MAX ||
	       w->steps >= STEPS_MAX;
}

/* Find the directory with the first LEN bytes of the cursor's path, below DIR. */
static int find_dir(const struct page *w, const struct entry *dir, size_t len, uint64_t *ret)
{
	const char *key = w->at->path;
	const char *name;
	size_t name_len;
	uint64_t ino = dir->ino;
	while (key_next(&key, &len, &name, &name_len)) {
		struct entry e;
		int r = view_name(w->view, ino, name, name_len, &e);
		if (r)
			return r;
		if (!entry_is_dir(&e))
			return -ENOTDIR;
		ino = e.ino;
	}
	*ret = ino;
	return 0;
}

/* Append a name to the cursor's path. Returns false if the result is too long for a key (in a deep
 * directory that was moved deeper; such entries have no URL). */
static bool enter_name(struct page_cursor *at, size_t parent_len, const char *name, size_t len)
{
	size_t start = parent_len ? parent_len + 1 : 0;
	if (start + len > KEY_MAX)
		return false;
	if (parent_len)
		at->path[parent_len] = '/';
	memcpy(at->path + start, name, len);
	at->len = start + len;
	at->inside = false;
	return true;
}

/* Find an inode like view_inode(), faster for inodes that are close together. */
static int find_inode(const struct page *w, uint64_t ino, struct entry *ret)
{
	int r = walk_seek(w->inodes, ino, ret);
	if (r)
		return r;
	return ret->ino != ino || entry_is_expired(ret, w->view->now_ms) ? -ENOENT : 0;
}

/* Scan directory INO, whose path is the first PARENT_LEN bytes of the cursor, after the name AFTER.
 * Returns 0 at its end, 1 when the page is full, 2 when the cursor is at a directory to descend
 * into (its inode in *RET_DOWN). */
static int walk_names(struct page *w, uint64_t ino, size_t parent_len, const char *after,
                      size_t after_len, uint64_t *ret_down)
{
	struct scan *scan;
	const char *name;
	size_t len;
	uint64_t child;
	bool dir;
	int r = scan_open(w->view->txn, ino, after, after_len, &scan);
	if (r)
		return r;
	while (!(r = scan_next(scan, &name, &len, &child, &dir))) {
		struct entry e;
		if (is_full(w)) {
			r = 1;
			break;
		}
		if (!enter_name(w->at, parent_len, name, len))
			continue;
		w->steps++;
		r = find_inode(w, child, &e);
		if (r == -ENOENT) /* It has expired. */
			continue;
		if (r)
			break;
		bool down = dir && w->query->recurse;
		r = !down || w->query->directories ? write_entry(w, &e) : 0;
		if (r)
			break;
		if (down) {
			*ret_down = child;
			r = 2;
			break;
		}
	}
	scan_close(scan);
	return r == -ENOENT ? 0 : r;
}

/* Write the entries below DIR, from the cursor on. */
static int write_entries(struct page *w, const struct entry *dir, bool *ret_more)
{
	struct page_cursor *cursor = w->at;
	uint64_t ino = dir->ino;
	size_t parent_len = 0;
	char after[KEY_NAME_MAX];
	size_t after_len = 0;
	int r;
	*ret_more = false;
	/* Find the place of the cursor; skip names of its path that no longer exist, the deepest
	 * first. */
	if (cursor->len && cursor->inside) {
		parent_len = cursor->len;
		r = find_dir(w, dir, parent_len, &ino);
		if (r == -ENOENT || r == -ENOTDIR)
			cursor->inside = false;
		else if (r)
			return r;
	}
	for (;;) {
		if (cursor->len && !cursor->inside) {
			size_t start = key_name_start(cursor->path, cursor->len);
			parent_len = start ? start - 1 : 0;
			after_len = cursor->len - start;
			memcpy(after, cursor->path + start, after_len);
			r = find_dir(w, dir, parent_len, &ino);
			if (r == -ENOENT || r == -ENOTDIR) {
				cursor->len = parent_len;
				w->steps++;
				continue;
			}
			if (r)
				return r;
		} else {
			after_len = 0;
		}
		uint64_t down = 0;
		r = walk_names(w, ino, parent_len, after_len ? after : NULL, after_len, &down);
		if (r < 0)
			return r;
		if (r == 1) {
			*ret_more = true;
			break;
		}
		if (r == 2) {
			ino = down;
			parent_len = cursor->len;
			cursor->inside = true;
			continue;
		}
		if (!parent_len)
			break;
		/* Ascend: go on after this directory in its parent. */
		cursor->len = parent_len;
		cursor->inside = false;
		if (is_full(w)) {
			*ret_more = true;
			break;
		}
	}
	return 0;
}

int page_write(const struct view *view, const struct entry *dir, const struct page_query *query,
               struct page_cursor *cursor, bool *ret_more, struct json_text *text)
{
	struct page w = { .view = view, .query = query, .at = cursor, .text = text };
	view_tag(view, &w.tag);
	int r = walk_open(view->txn, &w.inodes);
	if (r)
		return r;
	if (!query->html)
		json_text_raw(text, "[");
	r = write_entries(&w, dir, ret_more);
	walk_close(w.inodes);
	if (!query->html)
		json_text_raw(text, w.entries ? "\n]" : "]");
	return r ? r : text->failed;
}
