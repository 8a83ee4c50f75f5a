/* Conditions: preconditions and ranges of RFC 9110, parsed from header values. */
#ifndef KEYDIR_HTTPD_CONDITIONS_H
#define KEYDIR_HTTPD_CONDITIONS_H

#include "common/store/volume_tag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A list of entity tags, as in If-Match and If-None-Match. Our tags are "VERSION-TAG", where TAG is
 * the volume's, so that a version of another volume never matches; "VERSION" is accepted, too. A
 * foreign tag is valid and matches nothing. */
#define CONDITIONS_TAGS_MAX 64
struct condition_tags {
	bool any; /* "*" */
	size_t n; /* number of versions */
	uint64_t versions[CONDITIONS_TAGS_MAX];
	bool weak[CONDITIONS_TAGS_MAX]; /* versions[i] was W/"..." */
};

/* Parse a list of tags for the volume with TAG. Returns 0, -EINVAL for malformed text, or -E2BIG
 * for more than CONDITIONS_TAGS_MAX tags. */
int conditions_tags(const char *text, const struct volume_tag *tag, struct condition_tags *ret);

/* The tag for content that is part of the program and belongs to no volume. */
extern const struct volume_tag conditions_no_volume;

/* A version that no entry has: offsets are below it. */
#define CONDITIONS_NO_VERSION ((uint64_t)INT64_MAX)

/* Return whether the list names VERSION. With STRONG a weak tag matches nothing (RFC 9110,
 * 8.8.3.2). "*" matches every version. */
bool conditions_match(const struct condition_tags *tags, uint64_t version, bool strong);

/* Parse an HTTP date in any of its three forms into seconds since the epoch. Returns 0 or -EINVAL.
 * Thread-safe. */
int conditions_date_parse(const char *text, int64_t *ret_s);

/* Write an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT") into BUF, which has room for
 * CONDITIONS_DATE_SIZE bytes, NUL included. */
#define CONDITIONS_DATE_SIZE 30
void conditions_date_format(int64_t s, char *buf);

enum range_kind {
	RANGE_WHOLE,         /* no range, or one to ignore: send all */
	RANGE_PART,          /* send [first, first + len) */
	RANGE_UNSATISFIABLE, /* 416 */
};

/* Parse a Range header for a representation of SIZE bytes. A unit other than bytes, a malformed set
 * and several ranges are all RANGE_WHOLE: RFC 9110 (14.2) lets a server ignore them, and clients do
 * not read cached values in multipart. */
enum range_kind conditions_range(const char *text, uint64_t size, uint64_t *ret_first,
                                 uint64_t *ret_len);

#endif
