/* Value text: a stored value as JSON members.
 *
 * Values are bytes and JSON strings are not, so a value is written as text if it is text, and in
 * base64 otherwise, marked by the member `encoding`. So readable values need no decoding. Text of
 * control characters would become six times as long by escapes, so text that would more than double
 * is written in base64 too: a value never takes more than twice its size. */
#include "httpd/value_text.h"

#include "common/base/key.h"
#include "httpd/url.h"

#include <errno.h>

int value_read(const struct view *view, const struct entry *e, struct json_text *text)
{
	char *at = json_text_extend(text, e->size);
	if (!at)
		return text->failed;
	int64_t n = store_read(view->txn, e, 0, at, e->size);
	if (n == (int64_t)e->size)
		return 0;
	text->len -= e->size;
	return n < 0 ? (int)n : -EIO;
}

int value_text(const struct view *view, const struct entry *e, struct json_text *text)
{
	const char *data = e->inline_value;
	struct json_text copy = { .counted = text->counted };
	if (!e->is_inline && e->size) {
		int r = value_read(view, e, &copy);
		if (r) {
			json_text_clear(&copy);
			return r;
		}
		data = copy.data;
	}
	if (json_text_is_utf8(data, e->size) &&
	    json_text_string_len(data, e->size) <= 2 * e->size + 2) {
		json_text_raw(text, ",\"value\":");
		json_text_string(text, data, e->size);
	} else {
		json_text_raw(text, ",\"encoding\":\"base64\",\"value\":");
		json_text_base64(text, data, e->size);
	}
	json_text_clear(&copy);
	return text->failed;
}

void value_text_key(const char *name, const char *key, size_t len, bool dir, struct json_text *text)
{
	value_text_names(name, key, len, key, len, dir, text);
}

void value_text_names(const char *name, const char *shown, size_t shown_len, const char *key,
                      size_t len, bool dir, struct json_text *text)
{
	char path[URL_ENCODED_MAX(KEY_MAX) + 1];
	size_t n = url_encode(key, len, path);
	if (dir && n)
		path[n++] = '/';
	json_text_raw(text, "\"");
	json_text_raw(text, name);
	json_text_raw(text, "\":");
	json_text_string(text, shown, shown_len);
	json_text_raw(text, ",\"path\":\"");
	json_text_append(text, path, n);
	json_text_raw(text, "\"");
}

void value_text_etag(uint64_t version, const struct volume_tag *tag, struct json_text *text)
{
	json_text_raw(text, ",\"etag\":\"\\\"");
	json_text_u64(text, version);
	json_text_raw(text, tag->text);
	json_text_raw(text, "\\\"\"");
}

json_t *value_json_etag(uint64_t version, const struct volume_tag *tag)
{
	return json_sprintf("\"%llu%s\"", (unsigned long long)version, tag->text);
}
