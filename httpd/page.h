/* Pages: a bounded part of a directory's listing, as JSON or HTML. */
#ifndef KEYDIR_HTTPD_PAGE_H
#define KEYDIR_HTTPD_PAGE_H

#include "common/base/key.h"
#include "common/store/view.h"
#include "httpd/json_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_LIMIT_DEFAULT 1000
#define PAGE_LIMIT_MAX 10000

/* Where a listing goes on: behind the entry PATH (relative to the directory
 * listed), or, with INSIDE, at the first entry below the directory PATH. An
 * empty PATH is the beginning. It names no snapshot: entries that come or go
 * meanwhile are shown or not, all others exactly once. */
struct page_cursor {
	bool inside;
	size_t len;
	char path[KEY_MAX];
};

/* Longest text of a cursor. */
#define PAGE_CURSOR_TEXT ((KEY_MAX + 1 + 2) / 3 * 4 + 1)

/* Reads the text that page_cursor_write() made. 0, or -EINVAL. */
int page_cursor_read(const char *text, size_t len, struct page_cursor *ret);
/* Writes base64url into BUF of PAGE_CURSOR_TEXT bytes, NUL-ended. */
void page_cursor_write(const struct page_cursor *cursor, char *buf);

struct page_query {
	bool recurse;       /* all keys below; else the directory's own entries */
	bool directories;   /* with `recurse`: those below, too */
	bool html;          /* as links of list_html.h, without values; else JSON */
	bool values;        /* with their values */
	uint64_t value_max; /* bytes: a larger value is left out */
	uint64_t limit;
};

/* Writes the entries of directory DIR from CURSOR on into TEXT, as a JSON array or links.
 * CURSOR is where the next page begins; *RET_MORE says if there may be one. A
 * page ends early, perhaps without an entry, when its values are many bytes or
 * many entries were passed over: a snapshot must be short. Returns 0, -ENOMEM, -EIO,
 * or what TEXT failed with. */
int page_write(const struct view *view, const struct entry *dir, const struct page_query *query,
               struct page_cursor *cursor, bool *ret_more, struct json_text *text);

#endif
