/* Fuzzer of httpd/url.c: the parts of a target lie inside it, a decoded key obeys the
 * rules of keys and survives encoding, and parameters lie inside the query. */
#include "tests/fuzz/fuzz.h"

#include "common/base/key.h"
#include "httpd/url.h"

#include <string.h>

static void fuzz_key(const char *raw, size_t len)
{
	char *key = malloc(len + 1);
	size_t key_len = 0;
	bool dir = false;
	const char *why;

	MUST(key);
	why = url_decode_key(raw, len, key, &key_len, &dir);
	if (!why) {
		char *encoded = malloc(URL_ENCODED_MAX(key_len) + 1);
		char *back = malloc(URL_ENCODED_MAX(key_len) + 1);
		size_t encoded_len, back_len = 0;
		bool back_dir = true;

		MUST(encoded && back);
		MUST(key_len <= len);
		MUST(key_len == 0 || key_check(key, key_len) == KEY_OK);
		encoded_len = url_encode(key, key_len, encoded);
		MUST(encoded_len <= URL_ENCODED_MAX(key_len));
		if (key_len) {
			MUST(!url_decode_key(encoded, encoded_len, back, &back_len, &back_dir));
			MUST(back_len == key_len && memcmp(back, key, key_len) == 0 && !back_dir);
		}
		free(encoded);
		free(back);
	}
	free(key);
}

static void fuzz_query(const struct url *url)
{
	static const char *const names[] = { "ttl", "a", "", "limit", NULL };
	const char *unknown, *value;
	size_t len;

	for (int i = 0; names[i]; i++) {
		char *buf;
		long n;

		if (!url_param(url, names[i], &value, &len))
			continue;
		MUST(value >= url->query && value + len <= url->query + url->query_len);
		buf = malloc(len + 1);
		MUST(buf);
		n = url_decode_value(value, len, buf);
		MUST(n >= -1 && n <= (long)len);
		free(buf);
	}
	unknown = url_unknown_param(url, names, &len);
	if (unknown)
		MUST(unknown >= url->query && unknown + len <= url->query + url->query_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *target = (const char *)data;
	struct url url;

	fuzz_key(target, size);
	if (!url_split(target, size, &url))
		return 0;
	MUST(url.path_len >= 1 && url.path[0] == '/');
	MUST(url.path >= target && url.path + url.path_len <= target + size);
	if (url.query_len)
		MUST(url.query >= target && url.query + url.query_len <= target + size);
	fuzz_key(url.path + 1, url.path_len - 1);
	fuzz_query(&url);
	return 0;
}
