/* Header lines.
 *
 * libmicrohttpd (0.9.75) allocates three times for each header of a response, frees
 * them one by one and looks through each of them several times: for the five of an
 * answer to GET a quarter of all that it and we did in user space. So what is
 * answered often has one header for it, whose value goes on behind a line break with
 * the other headers, as they stand on the wire.
 *
 * It refuses line breaks in a value, rightly: they are how a client smuggles headers
 * into an answer. So a control character, which no value of ours has (that is checked
 * here, for each of them), stands in for them, and becomes a line break in the
 * response's own copy of the value, which it owns, hands out and only reads again to
 * write it into the connection's buffer. */
#include "httpd/header_lines.h"

#include <string.h>

/* Two bytes that become CR LF. */
#define BREAK "\1\1"
#define BREAK_LEN 2

void header_lines_init(struct header_lines *lines)
{
	lines->first = NULL;
	lines->len = 0;
	lines->text[0] = '\0';
}

bool header_value_is_valid(const char *value)
{
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 ? *c != '\t' : *c == 0x7F)
			return false;
	return true;
}

char *header_number(uint64_t value, char buf[HEADER_NUMBER_SIZE])
{
	char *at = &buf[HEADER_NUMBER_SIZE - 1];
	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return at;
}

char *header_etag(uint64_t version, char buf[HEADER_ETAG_SIZE])
{
	char *at = header_number(version, buf + 1);
	*--at = '"';
	memcpy(buf + HEADER_NUMBER_SIZE, "\"", 2);
	return at;
}

static char *put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

bool header_lines_add(struct header_lines *lines, const char *name, const char *value)
{
	size_t name_len = strlen(name);
	size_t value_len = strlen(value);
	/* an empty value is none to libmicrohttpd */
	if (!value_len || !header_value_is_valid(value) ||
	    BREAK_LEN + name_len + 2 + value_len >= sizeof(lines->text) - lines->len)
		return false;
	char *at = lines->text + lines->len;
	if (lines->first) {
		at = put(at, BREAK, BREAK_LEN);
		at = put(at, name, name_len);
		at = put(at, ": ", 2);
	} else {
		lines->first = name;
	}
	at = put(at, value, value_len);
	*at = '\0';
	lines->len = (size_t)(at - lines->text);
	return true;
}

bool header_lines_u64(struct header_lines *lines, const char *name, uint64_t value)
{
	char buf[HEADER_NUMBER_SIZE];
	return header_lines_add(lines, name, header_number(value, buf));
}

bool header_lines_etag(struct header_lines *lines, uint64_t version)
{
	char buf[HEADER_ETAG_SIZE];
	return header_lines_add(lines, "ETag", header_etag(version, buf));
}

bool header_lines_give(const struct header_lines *lines, struct MHD_Response *response)
{
	if (!response || !lines->first ||
	    MHD_add_response_header(response, lines->first, lines->text) != MHD_YES)
		return false;
	/* the casts drop a const that its memory, which is malloc'd, does not have */
	char *own = (char *)(uintptr_t)MHD_get_response_header(response, lines->first);
	if (!own || strcmp(own, lines->text) != 0) {
		/* of another header of that name: never with half a header */
		MHD_del_response_header(response, lines->first, lines->text);
		return false;
	}
	while ((own = strstr(own, BREAK)))
		own = put(own, "\r\n", BREAK_LEN);
	return true;
}
