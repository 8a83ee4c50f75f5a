/* JSON text: an escaping writer for answers with many members. */
#ifndef KEYDIR_HTTPD_JSON_TEXT_H
#define KEYDIR_HTTPD_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Text that grows. Start with {0}. Without memory `failed` is set, and
 * everything after does nothing; check once, at the end. */
struct json_text {
	char *data; /* malloc'd; not NUL-ended */
	size_t len;
	size_t cap;
	bool failed;
};

/* Frees what was written and starts anew. */
void json_text_clear(struct json_text *t);
/* Gives back the memory that is not used. */
void json_text_shrink(struct json_text *t);
void json_text_append(struct json_text *t, const char *text, size_t len);
/* Text that is JSON already: punctuation and names known to be plain. Inline, so
 * that a constant's length is one too. */
static inline void json_text_raw(struct json_text *t, const char *text)
{
	json_text_append(t, text, strlen(text));
}
/* A string of any bytes, quoted and escaped; each byte that is not part of
 * valid UTF-8 becomes U+FFFD. */
void json_text_string(struct json_text *t, const char *bytes, size_t len);
/* A string with the bytes in base64 (RFC 4648, padded). */
void json_text_base64(struct json_text *t, const void *bytes, size_t len);
void json_text_u64(struct json_text *t, uint64_t n);
void json_text_i64(struct json_text *t, int64_t n);

/* True if BYTES are valid UTF-8 (no surrogates, no overlong forms). */
bool json_text_is_utf8(const char *bytes, size_t len);

#endif
