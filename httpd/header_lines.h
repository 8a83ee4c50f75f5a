/* Header lines: the headers of an answer, gathered to be added to it as one. */
#ifndef KEYDIR_HTTPD_HEADER_LINES_H
#define KEYDIR_HTTPD_HEADER_LINES_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct header_lines {
	const char *first; /* name of the first one; NULL: there are none */
	size_t len;
	char text[1024]; /* value of the first one, then the others; NUL-ended */
};

void header_lines_init(struct header_lines *lines);

/* Add a header; NAME must stay valid. False, and nothing added, if there is no room
 * or no header can carry VALUE. */
bool header_lines_add(struct header_lines *lines, const char *name, const char *value);
bool header_lines_u64(struct header_lines *lines, const char *name, uint64_t value);
/* ETag: "VERSION" */
bool header_lines_etag(struct header_lines *lines, uint64_t version);

/* Adds them all to RESPONSE (may be NULL), which must have no header of the first
 * one's name. False without memory: then it has none of them. */
bool header_lines_give(const struct header_lines *lines, struct MHD_Response *response);

/* Whether a header can carry VALUE: no line break or other control character but a
 * tab (RFC 9110, 5.5). */
bool header_value_is_valid(const char *value);

/* Bytes of the longest, with its NUL. */
#define HEADER_NUMBER_SIZE 21
#define HEADER_ETAG_SIZE (1 + HEADER_NUMBER_SIZE + 1)
/* VALUE as decimal digits at the end of BUF, NUL-ended: where they begin. */
char *header_number(uint64_t value, char buf[HEADER_NUMBER_SIZE]);
/* The same for an ETag: "VERSION", with the quotes. */
char *header_etag(uint64_t version, char buf[HEADER_ETAG_SIZE]);

#endif
