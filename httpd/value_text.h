/* Value text: a stored value as JSON members. */
#ifndef KEYDIR_HTTPD_VALUE_TEXT_H
#define KEYDIR_HTTPD_VALUE_TEXT_H

#include "common/store/view.h"
#include "httpd/json_text.h"

#include <jansson.h>

/* Appends the bytes of E's value to TEXT. Returns 0, -EIO, or what TEXT failed with. */
int value_read(const struct view *view, const struct entry *e, struct json_text *text);

/* Writes `,"value":"..."` if E's value is valid UTF-8 and its escapes do not make it
 * more than twice as long, else `,"encoding":"base64","value":"..."`. Returns 0, -EIO,
 * or what TEXT failed with. A copy of the value is counted as TEXT's memory is. */
int value_text(const struct view *view, const struct entry *e, struct json_text *text);

/* Writes `"name":"...","path":"..."` with NAME as the first member's name: the
 * key as text for people (U+FFFD for what is no UTF-8), and percent-encoded as a
 * URL has it, a directory's with a slash at its end. LEN at most KEY_MAX. */
void value_text_key(const char *name, const char *key, size_t len, bool dir,
                    struct json_text *text);

/* The same with SHOWN as the text for people. */
void value_text_names(const char *name, const char *shown, size_t shown_len, const char *key,
                      size_t len, bool dir, struct json_text *text);

/* Writes the member "etag": what ETag says of VERSION, for If-Match and "if". */
void value_text_etag(uint64_t version, const struct volume_tag *tag, struct json_text *text);

/* The same as JSON; NULL without memory. The caller owns it. */
json_t *value_json_etag(uint64_t version, const struct volume_tag *tag);

#endif
