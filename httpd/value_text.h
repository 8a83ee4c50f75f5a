/* Value text: a stored value as JSON members. */
#ifndef KEYDIR_HTTPD_VALUE_TEXT_H
#define KEYDIR_HTTPD_VALUE_TEXT_H

#include "common/store/view.h"
#include "httpd/json_text.h"

#include <jansson.h>

/* Append the bytes of E's value to TEXT. Returns 0, -EIO, or the error of TEXT. */
int value_read(const struct view *view, const struct entry *e, struct json_text *text);

/* Write `,"value":"..."` if E's value is valid UTF-8 and its escapes do not make it more than twice
 * as long, else `,"encoding":"base64","value":"..."`. Returns 0, -EIO, or the error of TEXT. A copy
 * of the value is counted like TEXT's memory. */
int value_text(const struct view *view, const struct entry *e, struct json_text *text);

/* Write `"name":"...","path":"..."` with NAME as the first member's name: the key as readable text
 * (invalid UTF-8 becomes U+FFFD), and percent-encoded as in a URL, with a final slash for a
 * directory. LEN is at most KEY_MAX. */
void value_text_key(const char *name, const char *key, size_t len, bool dir,
                    struct json_text *text);

/* Write the members of value_text_key() with SHOWN as the readable text. */
void value_text_names(const char *name, const char *shown, size_t shown_len, const char *key,
                      size_t len, bool dir, struct json_text *text);

/* Write the member "etag" for VERSION, as in ETag, for If-Match and "if". */
void value_text_etag(uint64_t version, const struct volume_tag *tag, struct json_text *text);

/* Return the etag as JSON; NULL if memory runs out. The caller owns the reference. */
json_t *value_json_etag(uint64_t version, const struct volume_tag *tag);

#endif
