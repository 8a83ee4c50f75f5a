/* Value text.
 *
 * Values are bytes and JSON strings are not, so a value is given as text when it
 * is text, and in base64 otherwise; the member `encoding` tells. Nobody has to
 * decode what they can read. */
#include "httpd/value_text.h"

#include "common/key.h"
#include "httpd/url.h"

#include <errno.h>
#include <stdlib.h>

int value_text(const struct view *view, const struct entry *e, struct json_text *text)
{
	const char *data = e->inline_value;
	char *copy = NULL;
	if (!e->is_inline && e->size) {
		copy = malloc(e->size);
		if (!copy)
			return -ENOMEM;
		int64_t n = store_read(view->txn, e, 0, copy, e->size);
		if (n != (int64_t)e->size) {
			free(copy);
			return n < 0 ? (int)n : -EIO;
		}
		data = copy;
	}
	if (json_text_is_utf8(data, e->size)) {
		json_text_raw(text, ",\"value\":");
		json_text_string(text, data, e->size);
	} else {
		json_text_raw(text, ",\"encoding\":\"base64\",\"value\":");
		json_text_base64(text, data, e->size);
	}
	free(copy);
	return text->failed ? -ENOMEM : 0;
}

void value_text_key(const char *name, const char *key, size_t len, bool dir, struct json_text *text)
{
	char path[URL_ENCODED_MAX(KEY_MAX) + 1];
	size_t n = url_encode(key, len, path);
	if (dir && n)
		path[n++] = '/';
	json_text_raw(text, "\"");
	json_text_raw(text, name);
	json_text_raw(text, "\":");
	json_text_string(text, key, len);
	json_text_raw(text, ",\"path\":\"");
	json_text_append(text, path, n);
	json_text_raw(text, "\"");
}
