/* Fuzzer of httpd/json_check.c: it accepts a text if and only if jansson does, except
 * for the two kinds of text that its comment names, and for NUL, which jansson 2.14
 * ignores after a number. */
#include "tests/fuzz/fuzz.h"

#include "httpd/json_check.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_check check;
	json_error_t error;
	char *text = malloc(size ? size : 1);
	MUST(text);
	if (size)
		memcpy(text, data, size);
	bool is = json_check(text, size, &check);
	MUST(!is || !size || !memchr(text, 0, size));
	json_t *value = json_loadb(
	        text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	bool only_jansson_refuses = !value &&
	                            (json_error_code(&error) == json_error_numeric_overflow ||
	                             json_error_code(&error) == json_error_null_byte_in_key);
	if (!only_jansson_refuses && size && !memchr(text, 0, size))
		MUST(is == (value != NULL));
	if (is && value)
		MUST((check.kind == JSON_KIND_ARRAY) == json_is_array(value) &&
		     (check.kind == JSON_KIND_OBJECT) == json_is_object(value) &&
		     (check.kind == JSON_KIND_STRING) == json_is_string(value));
	json_decref(value);
	free(text);
	return 0;
}
