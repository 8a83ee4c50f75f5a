/* JSON check: validates a text as JSON without building its values. */
#ifndef KEYDIR_HTTPD_JSON_CHECK_H
#define KEYDIR_HTTPD_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Arrays and objects within each other, the innermost value included. */
#define JSON_CHECK_DEPTH 2048

enum json_kind {
	JSON_KIND_WORD, /* null, true or false */
	JSON_KIND_NUMBER,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

struct json_check {
	enum json_kind kind; /* of the outermost value */
	bool empty;          /* it is a string, array or object with nothing in it */
	size_t values;       /* values in the text, the outermost included; no member names */
	const char *why;     /* static; the fault, without a full stop */
	size_t at;           /* the byte at which that was found, counted from 0 */
};

/* Checks that the LEN bytes of TEXT are one JSON value (RFC 8259), in UTF-8, with
 * blanks around it or not. Escapes must make up whole Unicode characters (no lone
 * surrogates); numbers may have any size. Returns true and fills *RET without `why` and
 * `at`, or returns false and fills those two. Takes time in proportion to LEN and no
 * memory. Thread-safe. */
bool json_check(const char *text, size_t len, struct json_check *ret);

/* The same for what Python's json.loads() takes: NaN, Infinity and -Infinity are numbers,
 * and an escape may be half of a surrogate pair.
 * (docs.python.org/3/library/json.html, "Standard Compliance and Interoperability") */
bool json_check_python(const char *text, size_t len, struct json_check *ret);

#endif
