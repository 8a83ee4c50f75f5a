/* JSON text: an escaping writer for responses with many members.
 *
 * jansson writes and parses documents that are small or come from clients; this writer is for
 * listings, where building a tree of 10,000 objects first would cost ten times as much as reading
 * the entries. It can only append: values go through functions that escape, so no byte of a client
 * can end a string.
 *
 * A json_text belongs to one thread. */
#include "httpd/json_text.h"

#include "httpd/answer_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The capacity doubles up to this size, then grows by it. */
#define GROW_MAX ((size_t)1 << 20)

/* Resize the text's memory to CAP bytes. Returns 0 or -errno. */
static int resize_text(struct json_text *t, size_t cap)
{
	void *data = t->data;
	int r = 0;
	if (t->counted)
		r = answer_memory_resize(&data, cap);
	else if (!(data = realloc(data, cap)))
		r = -ENOMEM;
	if (r)
		return r;
	t->data = data;
	t->cap = cap;
	return 0;
}

void json_text_clear(struct json_text *t)
{
	if (t->counted)
		answer_memory_free(t->data);
	else
		free(t->data);
	*t = (struct json_text){ .counted = t->counted, .most = t->most };
}

void json_text_shrink(struct json_text *t)
{
	if (t->len)
		resize_text(t, t->len); /* On failure the block stays as it is. */
}

/* Reserve space for MORE bytes; NULL if that fails. */
static char *reserve_text(struct json_text *t, size_t more)
{
	size_t need = t->len + more;
	if (t->failed)
		return NULL;
	if (need < more || (t->most && need > t->most)) {
		t->failed = -E2BIG;
	} else if (need > t->cap) {
		size_t step = t->cap < GROW_MAX ? t->cap : GROW_MAX;
		size_t cap = t->cap ? t->cap + step : 1024;
		t->failed = resize_text(t, cap > need ? cap : need);
	}
	return t->failed ? NULL : t->data + t->len;
}

char *json_text_extend(struct json_text *t, size_t len)
{
	char *at = reserve_text(t, len);
	if (at)
		t->len += len;
	return at;
}

void json_text_append(struct json_text *t, const char *bytes, size_t len)
{
	char *at = reserve_text(t, len);
	if (at && len) {
		memcpy(at, bytes, len);
		t->len += len;
	}
}

/* See table 3-7 of the Unicode standard. */
size_t json_text_utf8_len(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t n;
	if (p[0] >= 0xC2 && p[0] <= 0xDF) {
		n = 2;
	} else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
		n = 3;
		if (p[0] == 0xE0)
			low = 0xA0;
		if (p[0] == 0xED)
			high = 0x9F;
	} else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
		n = 4;
		if (p[0] == 0xF0)
			low = 0x90;
		if (p[0] == 0xF4)
			high = 0x8F;
	} else {
		return 0;
	}
	if (left < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	return n;
}

bool json_text_is_utf8(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	for (size_t i = 0; i < len;) {
		size_t n = p[i] < 0x80 ? 1 : json_text_utf8_len(p + i, len - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

/* Return the bytes that C takes in a string if it is not part of a multi-byte UTF-8 sequence. */
static size_t escaped_len(unsigned char c)
{
	if (c == '"' || c == '\\' || c == '\n')
		return 2;
	if (c >= 0x80) /* U+FFFD */
		return 3;
	return c < 0x20 || c == 0x7F ? 6 : 1;
}

size_t json_text_string_len(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t sum = 2;
	for (size_t i = 0; i < len;) {
		size_t n = p[i] >= 0x80 ? json_text_utf8_len(p + i, len - i) : 0;
		sum += n ? n : escaped_len(p[i]);
		i += n ? n : 1;
	}
	return sum;
}

void json_text_string(struct json_text *t, const char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)bytes;
	json_text_append(t, "\"", 1);
	size_t start = 0; /* first byte not appended yet */
	size_t i = 0;
	while (i < len) {
		unsigned char c = p[i];
		if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
			i++;
			continue;
		}
		size_t n = c >= 0x80 ? json_text_utf8_len(p + i, len - i) : 0;
		if (n) {
			i += n;
			continue;
		}
		json_text_append(t, bytes + start, i - start);
		start = ++i;
		if (c == '"' || c == '\\') {
			json_text_append(t, (char[]){ '\\', (char)c }, 2);
		} else if (c >= 0x80) {
			json_text_append(t, "\xEF\xBF\xBD", 3);
		} else if (c == '\n') {
			json_text_append(t, "\\n", 2);
		} else {
			json_text_append(
			        t, (char[]){ '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] },
			        6);
		}
	}
	json_text_append(t, bytes + start, len - start);
	json_text_append(t, "\"", 1);
}

void json_text_base64(struct json_text *t, const void *bytes, size_t len)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = bytes;
	char *at = reserve_text(t, (len + 2) / 3 * 4 + 2);
	if (!at)
		return;
	char *start = at;
	*at++ = '"';
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)p[i] << 16;
		if (n > 1)
			v |= (unsigned)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*at++ = n > 2 ? digits[v & 63] : '=';
	}
	*at++ = '"';
	t->len += (size_t)(at - start);
}

void json_text_u64(struct json_text *t, uint64_t n)
{
	char buf[20];
	size_t at = sizeof(buf);
	do {
		buf[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	json_text_append(t, buf + at, sizeof(buf) - at);
}

void json_text_i64(struct json_text *t, int64_t n)
{
	if (n < 0)
		json_text_append(t, "-", 1);
	json_text_u64(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}
