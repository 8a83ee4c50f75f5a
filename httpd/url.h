/* URLs: keys and query parameters as requests write them, and back. */
#ifndef KEYDIR_HTTPD_URL_H
#define KEYDIR_HTTPD_URL_H

#include <stdbool.h>
#include <stddef.h>

/* A request target taken apart; the parts borrow from the target. */
struct url {
	const char *path; /* raw, begins with '/' */
	size_t path_len;
	const char *query; /* raw, behind the '?'; "" if there is none */
	size_t query_len;
};

/* Takes a raw request target apart: origin form ("/a?b") or absolute form
 * ("http://host/a?b"), a fragment cut off. False if it has no path. */
bool url_split(const char *target, size_t len, struct url *ret);

/* Decodes the raw path of a key, once, into BUF of at least LEN bytes (decoding
 * never makes it longer) and checks the rules of keys. "%2F" is a slash. A slash at the end means
 * a directory: it is cut off and *RET_DIR set; the empty path is the root.
 * Returns NULL, or a sentence without its full stop that says what is wrong
 * (static). */
const char *url_decode_key(const char *raw, size_t len, char *buf, size_t *ret_len, bool *ret_dir);
/* The same without the check of the rules. LENIENT: a '%' that begins no escape is a
 * percent sign, not a fault. */
const char *url_decode_path(const char *raw, size_t len, bool lenient, char *buf, size_t *ret_len,
                            bool *ret_dir);

/* Make one slash of several in a row, in place. Returns the length of PATH now. */
size_t url_merge_slashes(char *path, size_t len);

/* Bytes that url_encode() can need for LEN bytes. */
#define URL_ENCODED_MAX(len) (3 * (len))

/* Percent-encodes a key, its slashes kept, into BUF of URL_ENCODED_MAX(LEN)
 * bytes; returns the length. Only unreserved characters of RFC 3986 stay as
 * they are, so the result can stand in a path, a query, a header or JSON. */
size_t url_encode(const char *key, size_t len, char *buf);

/* Finds the first NAME in a raw query. Returns false without it. The value is still encoded. */
bool url_param(const struct url *url, const char *name, const char **ret, size_t *ret_len);
/* Flags are true when they are there, but for "=0" and "=false". */
bool url_flag(const struct url *url, const char *name);
/* False if NAME is there with a value that no flag has: none, 1, true, 0, false. */
bool url_flag_is_valid(const struct url *url, const char *name);

/* Decodes a query value as HTML forms write it ('+' is a space) into BUF of at
 * least LEN bytes. Returns the length, or -1 for a bad escape or a NUL byte. */
long url_decode_value(const char *raw, size_t len, char *buf);

/* Returns the first of NAMES (ends with NULL) that a query has more than once, or NULL. */
const char *url_repeated_param(const struct url *url, const char *const *names);

/* Goes through the parameters of a query and returns the first whose name is
 * not in KNOWN (names that end with NULL), or NULL. *RET_LEN: of its name. */
const char *url_unknown_param(const struct url *url, const char *const *known, size_t *ret_len);

#endif
