/* URLs: decodes and encodes keys and query parameters. */
#ifndef KEYDIR_HTTPD_URL_H
#define KEYDIR_HTTPD_URL_H

#include <stdbool.h>
#include <stddef.h>

/* A parsed request target; the parts borrow from it. */
struct url {
	const char *path; /* raw, begins with '/' */
	size_t path_len;
	const char *query; /* raw, after the '?'; "" without one */
	size_t query_len;
};

/* Split a raw request target: origin form ("/a?b") or absolute form ("http://host/a?b"), without
 * the fragment. Returns false if it has no path. */
bool url_split(const char *target, size_t len, struct url *ret);

/* Decode the raw path of a key, once, into BUF of at least LEN bytes (decoding never makes it
 * longer), and check the rules of keys. "%2F" is a slash. A final slash means a directory: it is
 * cut off and *RET_DIR set; the empty path is the root. Returns NULL, or a static sentence, without
 * its full stop, that names the fault. */
const char *url_decode_key(const char *raw, size_t len, char *buf, size_t *ret_len, bool *ret_dir);
/* Decode like url_decode_key(), but without checking the rules of keys. LENIENT: a '%' that begins
 * no escape is a percent sign, not an error. */
const char *url_decode_path(const char *raw, size_t len, bool lenient, char *buf, size_t *ret_len,
                            bool *ret_dir);

/* Replace repeated slashes by one, in place. Returns the new length of PATH. */
size_t url_merge_slashes(char *path, size_t len);

/* Most bytes that url_encode() needs for LEN bytes. */
#define URL_ENCODED_MAX(len) (3 * (len))

/* Percent-encode a key except its slashes into BUF of URL_ENCODED_MAX(LEN) bytes; return the
 * length. Only unreserved characters of RFC 3986 are kept, so the result is valid in a path, a
 * query, a header or JSON. */
size_t url_encode(const char *key, size_t len, char *buf);

/* Find the first parameter NAME in a raw query. Returns false without it. The value is still
 * encoded. */
bool url_param(const struct url *url, const char *name, const char **ret, size_t *ret_len);
/* Return whether the flag NAME is set: present, and not "=0" or "=false". */
bool url_flag(const struct url *url, const char *name);
/* Return false if NAME has a value that a flag cannot have, that is, other than none, 1, true, 0 or
 * false. */
bool url_flag_is_valid(const struct url *url, const char *name);

/* Decode a query value as HTML forms encode it ('+' is a space) into BUF of at least LEN bytes.
 * Returns the length, or -1 for a bad escape or a NUL byte. */
long url_decode_value(const char *raw, size_t len, char *buf);

/* Return the first of NAMES (ends with NULL) that occurs in the query more than once, or NULL. */
const char *url_repeated_param(const struct url *url, const char *const *names);

/* Return the first parameter of the query that is not in KNOWN (ends with NULL), or NULL. *RET_LEN:
 * length of its name. */
const char *url_unknown_param(const struct url *url, const char *const *known, size_t *ret_len);

#endif
