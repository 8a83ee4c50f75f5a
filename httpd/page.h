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

/* Position in a listing: after the entry PATH (relative to the directory listed) or, with INSIDE,
 * at the first entry below the directory PATH. An empty PATH is the beginning. The listing has no
 * snapshot: entries that are added or removed between pages may be missing, all others are listed
 * exactly once. */
struct page_cursor {
	bool inside;
	size_t len;
	char path[KEY_MAX];
};

/* Longest text of a cursor. */
#define PAGE_CURSOR_TEXT ((KEY_MAX + 1 + 2) / 3 * 4 + 1)

/* Parse the text that page_cursor_write() wrote. Returns 0 or -EINVAL. */
int page_cursor_read(const char *text, size_t len, struct page_cursor *ret);
/* Write the cursor as base64url into BUF of PAGE_CURSOR_TEXT bytes, NUL-ended. */
void page_cursor_write(const struct page_cursor *cursor, char *buf);

struct page_query {
	bool recurse;       /* list all keys below, not only the directory's own entries */
	bool directories;   /* with `recurse`: include the directories */
	bool html;          /* as links of list_html.h, without values; else as JSON */
	bool values;        /* include values */
	uint64_t value_max; /* bytes: larger values are left out */
	uint64_t limit;
};

/* Write the entries of directory DIR from CURSOR on into TEXT, as a JSON array or links. Moves
 * CURSOR to the start of the next page; *RET_MORE says whether there may be one. A page ends early,
 * perhaps without an entry, when its values are large or many entries were skipped: a snapshot must
 * be short. Returns 0, -ENOMEM, -EIO, or the error of TEXT. */
int page_write(const struct view *view, const struct entry *dir, const struct page_query *query,
               struct page_cursor *cursor, bool *ret_more, struct json_text *text);

#endif
