/* HTML listings: a directory's page for browsers.
 *
 * Links are relative, so that a page works behind a proxy that serves it under another path. They
 * are percent-encoded by url_encode(), which leaves no byte that HTML would need escaped; names are
 * escaped as text. The page has no script, no style and no form.
 *
 * Nothing here keeps state; all functions are thread-safe. */
#include "httpd/list_html.h"

#include "common/base/key.h"
#include "httpd/url.h"

#include <string.h>
#include <strings.h>

/* --- Accept ---------------------------------------------------------------- */

/* Return the weight, in thousandths, of the media range of LEN bytes at RANGE: that of
 * its parameter q, or 1000 (RFC 9110, 12.4.2). */
static int range_weight(const char *range, size_t len)
{
	const char *end = range + len;
	for (const char *at = memchr(range, ';', len); at;
	     at = memchr(at, ';', (size_t)(end - at))) {
		at++;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if (end - at < 3 || strncasecmp(at, "q=", 2) != 0)
			continue;
		int q = 0;
		int unit = 1000;
		for (at += 2; at < end && unit && ((*at >= '0' && *at <= '9') || *at == '.');
		     at++) {
			if (*at == '.')
				continue;
			q += unit * (*at - '0');
			unit /= 10;
		}
		return q;
	}
	return 1000;
}

/* Return the weight of the media type TYPE in ACCEPT, or 0 if it is not named. */
static int weight_of(const char *accept, const char *type)
{
	size_t want = strlen(type);
	while (*accept) {
		accept += strspn(accept, " \t,");
		size_t len = strcspn(accept, ",");
		if (strcspn(accept, " \t;,") == want && strncasecmp(accept, type, want) == 0)
			return range_weight(accept, len);
		accept += len;
	}
	return 0;
}

bool list_html_wanted(const struct request *rq)
{
	const char *accept = rq->headers.accept;
	if (!accept || rq->url.path[rq->url.path_len - 1] != '/')
		return false;
	int html = weight_of(accept, "text/html");
	return html > weight_of(accept, "application/json");
}

/* --- page ------------------------------------------------------------------ */

/* Append bytes as HTML text; invalid UTF-8 and control characters become U+FFFD. */
static void put_text(struct json_text *text, const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	for (size_t i = 0; i < len;) {
		size_t n = p[i] >= 0x80 ? json_text_utf8_len(p + i, len - i) :
		                          p[i] >= 0x20 && p[i] != 0x7F;
		if (!n)
			json_text_raw(text, "\xEF\xBF\xBD");
		else if (p[i] == '&')
			json_text_raw(text, "&amp;");
		else if (p[i] == '<')
			json_text_raw(text, "&lt;");
		else if (p[i] == '>')
			json_text_raw(text, "&gt;");
		else
			json_text_append(text, bytes + i, n);
		i += n ? n : 1;
	}
}

void list_html_begin(struct json_text *text, const char *key, size_t len)
{
	json_text_raw(text,
	              "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>/");
	put_text(text, key, len);
	json_text_raw(text, "</title>\n<ul>\n");
	if (len)
		json_text_raw(text, "<li><a href=\"../\">../</a></li>\n");
}

void list_html_entry(struct json_text *text, const char *path, size_t len, bool dir)
{
	char link[URL_ENCODED_MAX(KEY_MAX)];
	const char *slash = dir ? "/" : "";
	json_text_raw(text, "<li><a href=\"");
	json_text_append(text, link, url_encode(path, len, link));
	json_text_raw(text, slash);
	json_text_raw(text, "\">");
	put_text(text, path, len);
	json_text_raw(text, slash);
	json_text_raw(text, "</a></li>\n");
}

void list_html_end(struct json_text *text, const struct request *rq, const char *cursor)
{
	static const char *const kept[] = { "recurse", "directories", "limit", "consistent" };
	json_text_raw(text, "</ul>\n");
	if (cursor) {
		json_text_raw(text, "<p><a rel=\"next\" href=\"?cursor=");
		json_text_raw(text, cursor);
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
			const char *value;
			size_t len;
			if (!url_param(&rq->url, kept[i], &value, &len))
				continue;
			/* The values are numbers or flags, already checked. */
			json_text_raw(text, "&amp;");
			json_text_raw(text, kept[i]);
			json_text_raw(text, "=");
			json_text_append(text, value, len);
		}
		json_text_raw(text, "\">next</a></p>\n");
	}
	json_text_raw(text, "</html>\n");
}
