/* JSON check: validates a text as JSON without building its values. */
#ifndef KEYDIR_HTTPD_JSON_CHECK_H
#define KEYDIR_HTTPD_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Depth of nested arrays and objects, the innermost value included. */
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
	bool empty;          /* an empty string, array or object */
	size_t values;       /* number of values, the outermost included; names of members do not
	                      * count */
	const char *why;     /* description of the fault, without a full stop; static */
	size_t at;           /* offset of the faulty byte */
};

/* Check that the LEN bytes of TEXT are one JSON value (RFC 8259), in UTF-8, with or without blanks
 * around it. Escapes must form whole Unicode characters (no lone surrogates); numbers may have any
 * size. Returns true and fills *RET except `why` and `at`, or returns false and fills those two.
 * Takes time proportional to LEN and no memory. Thread-safe. */
bool json_check(const char *text, size_t len, struct json_check *ret);

/* Check TEXT by the rules of Python's json.loads(): NaN, Infinity and -Infinity are numbers, and an
 * escape may be half of a surrogate pair. (docs.python.org/3/library/json.html, "Standard
 * Compliance and Interoperability") */
bool json_check_python(const char *text, size_t len, struct json_check *ret);

#endif
