/* List: GET of a directory, a page of its entries, as JSON or, for browsers, HTML.
 *
 * A page is written from one snapshot and is consistent in itself; the next one starts from the
 * cursor in a new snapshot. */
#include "httpd/handlers.h"

#include "httpd/list_html.h"
#include "httpd/page.h"
#include "httpd/problem.h"
#include "httpd/respond.h"
#include "httpd/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_limit(struct request *rq, struct page_query *query)
{
	const char *raw;
	size_t len;
	query->limit = PAGE_LIMIT_DEFAULT;
	if (!url_param(&rq->url, "limit", &raw, &len))
		return true;
	uint64_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (raw[i] < '0' || raw[i] > '9' || n > PAGE_LIMIT_MAX)
			return false;
		n = n * 10 + (uint64_t)(raw[i] - '0');
	}
	query->limit = n;
	return n >= 1 && n <= PAGE_LIMIT_MAX;
}

static bool read_cursor(struct request *rq, bool recurse, struct page_cursor *cursor)
{
	const char *raw;
	size_t len;
	cursor->inside = false;
	cursor->len = 0;
	if (!url_param(&rq->url, "cursor", &raw, &len) || !len)
		return true;
	if (page_cursor_read(raw, len, cursor))
		return false;
	/* Only a recursive listing can stop inside a directory. */
	return recurse || (!cursor->inside && !memchr(cursor->path, '/', cursor->len));
}

static enum MHD_Result answer_missing(struct request *rq, int err, uint64_t offset)
{
	if (err == -ENOENT)
		return problem(rq, PROBLEM_NOT_FOUND, offset, "There is no such directory.");
	if (err == -ENOTDIR)
		return problem(
		        rq, PROBLEM_NOT_A_DIRECTORY_READ, offset,
		        "This, or a name in its path, is a key and not a directory. Omit the "
		        "final slash to read a key.");
	return problem_store(rq, err);
}

/* Write the whole page for a browser. */
static int write_html(const struct request *rq, const struct view *view, const struct entry *dir,
                      const struct page_query *query, struct page_cursor *cursor,
                      struct json_text *text)
{
	char next[PAGE_CURSOR_TEXT];
	bool more;
	list_html_begin(text, rq->key, rq->key_len);
	int r = page_write(view, dir, query, cursor, &more, text);
	if (r)
		return r;
	if (more)
		page_cursor_write(cursor, next);
	list_html_end(text, rq, more ? next : NULL);
	return text->failed;
}

/* Send the page in TEXT. */
static enum MHD_Result send_page(struct request *rq, uint64_t offset, bool html,
                                 struct json_text *text)
{
	struct MHD_Response *response = response_counted(text->data, text->len);
	response_header_own(response, "Content-Type",
	                    html ? "text/html; charset=utf-8" : "application/json");
	response_header_own(response, "Cache-Control", "no-cache");
	response_header_own(response, "Vary", "Accept");
	if (html)
		response_header_own(response, "Content-Security-Policy",
		                    "default-src 'none'; base-uri 'none'; form-action 'none'; "
		                    "frame-ancestors 'none'");
	return respond_send(rq, 200, offset, response);
}

/* Write the whole JSON document: the directory, its entries, and the cursor of the next page. */
static int write_listing(const struct request *rq, const struct view *view, const struct entry *dir,
                         const struct page_query *query, struct page_cursor *cursor,
                         struct json_text *text)
{
	char next[PAGE_CURSOR_TEXT];
	bool more;
	json_text_raw(text, "{\"path\":");
	char *path = malloc(URL_ENCODED_MAX(rq->key_len) + 1);
	if (!path)
		return -ENOMEM;
	size_t n = url_encode(rq->key, rq->key_len, path);
	if (n)
		path[n++] = '/';
	json_text_string(text, path, n);
	/* The entries' paths are relative to this. */
	json_text_raw(text, ",\"base\":\"/v1/kv/");
	json_text_append(text, path, n);
	json_text_raw(text, "\"");
	free(path);
	json_text_raw(text, ",\"entries\":");
	int r = page_write(view, dir, query, cursor, &more, text);
	if (r)
		return r;
	json_text_raw(text, ",\"cursor\":");
	if (more) {
		page_cursor_write(cursor, next);
		json_text_string(text, next, strlen(next));
	} else {
		json_text_raw(text, "null");
	}
	json_text_raw(text, "}\n");
	return text->failed;
}

enum MHD_Result handle_list(struct request *rq)
{
	struct page_query query = {
		.recurse = url_flag(&rq->url, "recurse"),
		.directories = url_flag(&rq->url, "directories"),
		.html = list_html_wanted(rq),
		.values = url_flag(&rq->url, "values"),
		.value_max = node_get_config(rq->server->node)->max_value,
	};
	struct page_cursor cursor;
	struct json_text text = { .counted = true };
	struct view view;
	struct entry dir;
	rq->metric = HTTP_ROUTE_LIST;
	if (!read_limit(rq, &query))
		return problem(rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		               "limit must be a number from 1 to %d.", PAGE_LIMIT_MAX);
	if (!read_cursor(rq, query.recurse, &cursor))
		return problem(
		        rq, PROBLEM_BAD_PARAMETER, RESPOND_OFFSET_NOW,
		        "cursor must come from an earlier page of this listing; omit it for the "
		        "first page.");
	int r = view_open(node_store(rq->server->node), &view);
	if (r)
		return problem_store(rq, r);
	uint64_t offset = view_offset(&view);
	r = view_key(&view, rq->key, rq->key_len, &dir);
	if (!r && !entry_is_dir(&dir))
		r = -ENOTDIR;
	if (!r)
		r = (query.html ? write_html : write_listing)(rq, &view, &dir, &query, &cursor,
		                                              &text);
	view_close(&view);
	if (r) {
		json_text_clear(&text);
		return answer_missing(rq, r, offset);
	}
	return send_page(rq, offset, query.html, &text);
}
