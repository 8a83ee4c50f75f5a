/* URLs: decodes and encodes keys and query parameters.
 *
 * A key is decoded exactly once, from the raw target: MHD's own unescaping is switched off
 * (server.c), because it would turn "%00" into the end of the string before it can be refused, and
 * decode keys a second time. "%2F" is a slash, between names and at the end: clients
 * generated from OpenAPI encode the slashes of a path parameter. The rules of keys are checked
 * after decoding, so an encoded slash cannot bypass them.
 *
 * Nothing here allocates, keeps state or knows about requests; all functions are thread-safe. */
#include "httpd/url.h"

#include "common/base/key.h"
#include "httpd/hex.h"

#include <string.h>

/* Return the byte of the escape at RAW (a '%'), or -1. */
static int unescape_byte(const char *raw, size_t left)
{
	if (left < 3)
		return -1;
	int high = hex_digit(raw[1]);
	int low = hex_digit(raw[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool url_split(const char *target, size_t len, struct url *ret)
{
	const char *fragment = memchr(target, '#', len);
	if (fragment)
		len = (size_t)(fragment - target);
	if (len && target[0] != '/') {
		/* Absolute form: a proxy may send it (RFC 9112, 3.2.2). */
		const char *scheme = memmem(target, len, "://", 3);
		if (!scheme)
			return false;
		const char *host = scheme + 3;
		const char *path = memchr(host, '/', len - (size_t)(host - target));
		if (!path)
			return false;
		len -= (size_t)(path - target);
		target = path;
	}
	if (!len)
		return false;
	const char *mark = memchr(target, '?', len);
	ret->path = target;
	ret->path_len = mark ? (size_t)(mark - target) : len;
	ret->query = mark ? mark + 1 : "";
	ret->query_len = mark ? len - ret->path_len - 1 : 0;
	return true;
}

size_t url_merge_slashes(char *path, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		if (path[i] != '/' || !n || path[n - 1] != '/')
			path[n++] = path[i];
	return n;
}

const char *url_decode_path(const char *raw, size_t len, bool lenient, char *buf, size_t *ret_len,
                            bool *ret_dir)
{
	size_t n = 0;
	if (!len) {
		*ret_len = 0;
		*ret_dir = true;
		return NULL;
	}
	for (size_t i = 0; i < len; i++) {
		char c = raw[i];
		if (c == '%') {
			int byte = unescape_byte(raw + i, len - i);
			if (byte < 0 && !lenient)
				return "the path has a % without two hexadecimal digits after it";
			if (byte == 0)
				return "%00 is refused: a name cannot hold a NUL byte";
			if (byte > 0) {
				c = (char)byte;
				i += 2;
			}
		}
		buf[n++] = c;
	}
	bool dir = buf[n - 1] == '/';
	if (dir)
		n--;
	if (!n)
		return key_fault_text(KEY_NAME_EMPTY);
	*ret_len = n;
	*ret_dir = dir;
	return NULL;
}

const char *url_decode_key(const char *raw, size_t len, char *buf, size_t *ret_len, bool *ret_dir)
{
	size_t n = 0;
	bool dir = false;
	const char *why = url_decode_path(raw, len, false, buf, &n, &dir);
	if (why)
		return why;
	enum key_fault fault = n ? key_check(buf, n) : KEY_OK;
	if (fault)
		return key_fault_text(fault);
	*ret_len = n;
	*ret_dir = dir;
	return NULL;
}

size_t url_encode(const char *key, size_t len, char *buf)
{
	static const char digits[] = "0123456789ABCDEF";
	/* The unreserved characters of RFC 3986 (2.3), and the slash. */
	static const bool plain[256] = {
		['-'] = true, ['.'] = true,         ['_'] = true,         ['~'] = true,
		['/'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	};
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)key[i];
		if (plain[c]) {
			buf[n++] = (char)c;
		} else {
			buf[n++] = '%';
			buf[n++] = digits[c >> 4];
			buf[n++] = digits[c & 15];
		}
	}
	return n;
}

/* Take the next "name=value" off a query. */
static bool next_param(const char **at, const char *end, const char **ret_name,
                       size_t *ret_name_len, const char **ret_value, size_t *ret_value_len)
{
	while (*at < end && **at == '&')
		(*at)++;
	if (*at >= end)
		return false;
	const char *stop = memchr(*at, '&', (size_t)(end - *at));
	if (!stop)
		stop = end;
	const char *equals = memchr(*at, '=', (size_t)(stop - *at));
	*ret_name = *at;
	*ret_name_len = (size_t)((equals ? equals : stop) - *at);
	*ret_value = equals ? equals + 1 : stop;
	*ret_value_len = (size_t)(stop - *ret_value);
	*at = stop;
	return true;
}

/* Find the next parameter NAME of a query; *AT advances past it. */
static bool find_param(const char **at, const char *end, const char *name, const char **ret,
                       size_t *ret_len)
{
	size_t want = strlen(name);
	const char *param, *value;
	size_t param_len, value_len;
	while (next_param(at, end, &param, &param_len, &value, &value_len)) {
		if (param_len == want && memcmp(param, name, want) == 0) {
			*ret = value;
			*ret_len = value_len;
			return true;
		}
	}
	return false;
}

bool url_param(const struct url *url, const char *name, const char **ret, size_t *ret_len)
{
	const char *at = url->query;
	return find_param(&at, at + url->query_len, name, ret, ret_len);
}

const char *url_repeated_param(const struct url *url, const char *const *names)
{
	const char *end = url->query + url->query_len;
	const char *value;
	size_t len;
	for (; *names; names++) {
		const char *at = url->query;
		int found = 0;
		while (find_param(&at, end, *names, &value, &len))
			if (++found > 1)
				return *names;
	}
	return NULL;
}

static bool is_text(const char *raw, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(raw, text, len) == 0;
}

bool url_flag(const struct url *url, const char *name)
{
	const char *raw;
	size_t len;
	return url_param(url, name, &raw, &len) && !is_text(raw, len, "0") &&
	       !is_text(raw, len, "false");
}

bool url_flag_is_valid(const struct url *url, const char *name)
{
	const char *raw;
	size_t len;
	return !url_param(url, name, &raw, &len) || !len || is_text(raw, len, "1") ||
	       is_text(raw, len, "true") || is_text(raw, len, "0") || is_text(raw, len, "false");
}

long url_decode_value(const char *raw, size_t len, char *buf)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = raw[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int byte = unescape_byte(raw + i, len - i);
			if (byte <= 0)
				return -1;
			c = (char)byte;
			i += 2;
		}
		buf[n++] = c;
	}
	return (long)n;
}

const char *url_unknown_param(const struct url *url, const char *const *known, size_t *ret_len)
{
	const char *at = url->query;
	const char *end = at + url->query_len;
	const char *param, *value;
	size_t param_len, value_len;
	while (next_param(&at, end, &param, &param_len, &value, &value_len)) {
		const char *const *k = known;
		while (*k && (strlen(*k) != param_len || memcmp(*k, param, param_len) != 0))
			k++;
		if (!*k) {
			*ret_len = param_len;
			return param;
		}
	}
	return NULL;
}
