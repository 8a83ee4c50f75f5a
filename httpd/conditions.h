/* Conditions: preconditions and ranges of RFC 9110, read from header texts. */
#ifndef KEYDIR_HTTPD_CONDITIONS_H
#define KEYDIR_HTTPD_CONDITIONS_H

#include "common/store/volume_tag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list of entity tags, as If-Match and If-None-Match carry it. Our tags are
 * "VERSION-TAG", TAG being the volume's, so that no version of another volume matches;
 * "VERSION" alone is taken, too. A foreign tag is valid and matches nothing. */
#define CONDITIONS_TAGS_MAX 64
struct condition_tags {
	bool any; /* "*" */
	size_t n; /* of versions */
	uint64_t versions[CONDITIONS_TAGS_MAX];
	bool weak[CONDITIONS_TAGS_MAX]; /* versions[i] was W/"..." */
};

/* Reads a tag list of the volume with TAG. Returns 0, -EINVAL for a text that is none,
 * or -E2BIG for more than CONDITIONS_TAGS_MAX tags. */
int conditions_tags(const char *text, const struct volume_tag *tag, struct condition_tags *ret);

/* The tag of what is of no volume, but part of the program. */
extern const struct volume_tag conditions_no_volume;

/* A version that nothing has: offsets are below it. */
#define CONDITIONS_NO_VERSION ((uint64_t)INT64_MAX)

/* Does the list name VERSION? With STRONG a weak tag matches nothing (RFC 9110,
 * 8.8.3.2). "*" matches every version. */
bool conditions_match(const struct condition_tags *tags, uint64_t version, bool strong);

/* An HTTP date in any of its three forms, in seconds since the epoch. 0, or
 * -EINVAL. Thread-safe. */
int conditions_date_parse(const char *text, int64_t *ret_s);

/* Writes an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT") into BUF, which has
 * room for CONDITIONS_DATE_SIZE bytes, NUL included. */
#define CONDITIONS_DATE_SIZE 30
void conditions_date_format(int64_t s, char *buf);

enum range_kind {
	RANGE_WHOLE,         /* no range, or one to be ignored: send all */
	RANGE_PART,          /* send [first, first + len) */
	RANGE_UNSATISFIABLE, /* 416 */
};

/* Reads a Range header against a representation of SIZE bytes. Another unit
 * than bytes, a malformed set and several ranges are all RANGE_WHOLE: RFC 9110
 * (14.2) lets a server ignore them, and nobody reads a cached value in
 * multipart. */
enum range_kind conditions_range(const char *text, uint64_t size, uint64_t *ret_first,
                                 uint64_t *ret_len);

#endif
