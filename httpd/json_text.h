/* JSON text: an escaping writer for responses with many members. */
#ifndef KEYDIR_HTTPD_JSON_TEXT_H
#define KEYDIR_HTTPD_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A growing text. Start with {0}, or with `counted` and `most` set. After a failure all functions
 * do nothing; check `failed` once, at the end. */
struct json_text {
	char *data; /* not NUL-ended */
	size_t len;
	size_t cap;
	size_t most;  /* limit in bytes; 0: no limit */
	bool counted; /* memory from answer_memory.h; else from malloc() */
	int failed;   /* 0, -ENOMEM, -EBUSY (answer_memory.h) or -E2BIG (beyond `most`) */
};

/* Free the text and start again. */
void json_text_clear(struct json_text *t);
/* Release the memory that is not used. */
void json_text_shrink(struct json_text *t);
/* Append LEN bytes for the caller to fill; NULL if that fails. */
char *json_text_extend(struct json_text *t, size_t len);
void json_text_append(struct json_text *t, const char *text, size_t len);
/* Append text that is JSON already: punctuation, and names that need no escape. Inline, so that the
 * length of a constant is one too. */
static inline void json_text_raw(struct json_text *t, const char *text)
{
	json_text_append(t, text, strlen(text));
}
/* Append a string of any bytes, quoted and escaped; each byte that is not part of valid UTF-8
 * becomes U+FFFD. */
void json_text_string(struct json_text *t, const char *bytes, size_t len);
/* Return the number of bytes that json_text_string() appends. */
size_t json_text_string_len(const char *bytes, size_t len);
/* Append a string with the bytes in base64 (RFC 4648, padded). */
void json_text_base64(struct json_text *t, const void *bytes, size_t len);
void json_text_u64(struct json_text *t, uint64_t n);
void json_text_i64(struct json_text *t, int64_t n);

/* Return the length of the valid multi-byte UTF-8 sequence at P, where LEFT bytes remain, or 0. */
size_t json_text_utf8_len(const unsigned char *p, size_t left);
/* Return whether BYTES are valid UTF-8 (no surrogates, no overlong forms). */
bool json_text_is_utf8(const char *bytes, size_t len);

#endif
