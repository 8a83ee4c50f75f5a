/* HTML listings: a directory's page for browsers and for programs that follow links. */
#ifndef KEYDIR_HTTPD_LIST_HTML_H
#define KEYDIR_HTTPD_LIST_HTML_H

#include "httpd/json_text.h"
#include "httpd/request.h"

#include <stdbool.h>
#include <stddef.h>

/* Return whether RQ, which asks for a directory, prefers HTML: its Accept names
 * text/html, with more weight than application/json (RFC 9110, 12.5.1; a wildcard names
 * neither), and its path ends in a plain slash, which relative links need. */
bool list_html_wanted(const struct request *rq);

/* Each of these appends a part of the page to TEXT; check `failed` at the end. KEY is the
 * directory's; PATH is an entry's, relative to it, at most KEY_MAX bytes. */
void list_html_begin(struct json_text *text, const char *key, size_t len);
void list_html_entry(struct json_text *text, const char *path, size_t len, bool dir);
/* CURSOR: where the next page begins, base64url; NULL on the last page. */
void list_html_end(struct json_text *text, const struct request *rq, const char *cursor);

#endif
