/* Tests of httpd/json_check.c: it accepts what jansson accepts, and describes the
 * value. */
#include "tests/unit/cmocka_all.h"

#include "httpd/json_check.h"
#include "tests/unit/prng.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* Return whether jansson accepts the text, or IS after one of the two faults that only
 * jansson finds. */
static bool jansson_accepts(const char *text, size_t len, bool is)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, FLAGS, &error);
	if (value) {
		json_decref(value);
		return true;
	}
	bool alone = json_error_code(&error) == json_error_numeric_overflow ||
	             json_error_code(&error) == json_error_null_byte_in_key;
	return alone && is;
}

/* Check a copy that ends with its block, so that a sanitizer detects a read past the
 * end. */
static bool accepts(const char *text, size_t len, struct json_check *ret)
{
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	bool is = json_check(copy, len, ret);
	assert_true(is != (ret->why != NULL));
	assert_true(is || ret->at <= len);
	free(copy);
	return is;
}

static void test_valid_json_is_accepted(void **state)
{
	static const char *const rows[] = {
		"null",
		"true",
		" false\t\r\n",
		"0",
		"-0",
		"-1",
		"1.5",
		"1e5",
		"1E+05",
		"1e-5",
		"0.0",
		"123456789012345678901234567890",
		"\"\"",
		"\"a\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u0041\\uD83D\\ude00\"",
		"\"\\u0000\"",
		"\"\x7f\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"[]",
		"[ ]",
		"{}",
		"{ }",
		"[1]",
		"[1,2]",
		"[[],[[]],{}]",
		"{\"a\":1}",
		"{\"a\":{\"b\":[null]},\"a\":2}",
		" { \"\" : [ ] } ",
		"[\"\xef\xbf\xbf\"]",
	};
	struct json_check check;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!accepts(rows[i], strlen(rows[i]), &check))
			fail_msg("%s: %s", rows[i], check.why);
		assert_row(rows[i], jansson_accepts(rows[i], strlen(rows[i]), false));
	}
}

static void test_invalid_json_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"nul",
		"nulll",
		"True",
		"truefalse",
		"-",
		"+1",
		"01",
		"-01",
		"1.",
		".5",
		"1e",
		"1e+",
		"1.e5",
		"0x1",
		"1 2",
		"NaN",
		"Infinity",
		"\"",
		"\"a",
		"\"\\",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u12g4\"",
		"\"\\uD800\"",
		"\"\\uD800x\"",
		"\"\\uD800\\n\"",
		"\"\\uD800\\u0041\"",
		"\"\\uDC00\"",
		"\"\n\"",
		"\"\x01\"",
		"\"\xff\"",
		"\"\xc0\xaf\"",
		"\"\xed\xa0\x80\"",
		"\"\xc3\"",
		"\"\xf4\x90\x80\x80\"",
		"'a'",
		"[",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"]",
		"[]]",
		"[}",
		"{]",
		"{",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"{\"a\":1,",
		"{\"a\":1,}",
		"{a:1}",
		"{1:2}",
		"{\"a\" 1}",
		"{\"a\"::1}",
		"{,}",
		"[\"a\":1]",
		"{\"a\":1]",
		"[1}",
		"\xef\xbb\xbf[]",
		"[1]/**/",
		"[1]x",
		"[1],",
		"\xc3\xa9",
		"\v[]",
	};
	struct json_check check;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (accepts(rows[i], strlen(rows[i]), &check))
			fail_msg("accepted: %s", rows[i]);
		assert_row(rows[i], !jansson_accepts(rows[i], strlen(rows[i]), false));
	}
	assert_false(accepts("[\0]", 3, &check));
	assert_false(accepts("[]\0", 3, &check));
	assert_false(accepts("\"\\\0\"", 4, &check));
}

static void test_the_words_of_python_are_accepted_on_request(void **state)
{
	static const char *const rows[] = {
		"NaN", "Infinity", "-Infinity", "[NaN,1]", "{\"a\":-Infinity}", "\"\\ud800\"",
	};
	static const char *const neither[] = { "nan", "-NaN", "+Infinity", "Infinit", "I", "NaNa" };
	struct json_check check;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_row(rows[i], json_check_python(rows[i], strlen(rows[i]), &check));
		assert_row(rows[i], !json_check(rows[i], strlen(rows[i]), &check));
	}
	for (size_t i = 0; i < ARRAY_SIZE(neither); i++)
		assert_row(neither[i], !json_check_python(neither[i], strlen(neither[i]), &check));
	assert_true(json_check_python("NaN", 3, &check));
	assert_int_equal(check.kind, JSON_KIND_NUMBER);
}

static void test_kind_emptiness_and_number_of_values_are_reported(void **state)
{
	static const struct {
		const char *text;
		enum json_kind kind;
		bool empty;
		size_t values;
	} rows[] = {
		{ " null ", JSON_KIND_WORD, false, 1 },
		{ "-1.5e3", JSON_KIND_NUMBER, false, 1 },
		{ " \"\" ", JSON_KIND_STRING, true, 1 },
		{ "\"a\"", JSON_KIND_STRING, false, 1 },
		{ "[ \n]", JSON_KIND_ARRAY, true, 1 },
		{ "{ }", JSON_KIND_OBJECT, true, 1 },
		{ "[{},{}]", JSON_KIND_ARRAY, false, 3 },
		{ "{\"a\":[1,2],\"b\":\"\"}", JSON_KIND_OBJECT, false, 5 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_check check;
		assert_row(rows[i].text, accepts(rows[i].text, strlen(rows[i].text), &check));
		assert_row_equal(rows[i].text, check.kind, rows[i].kind);
		assert_row_equal(rows[i].text, check.empty, rows[i].empty);
		assert_row_equal(rows[i].text, check.values, rows[i].values);
	}
}

static void test_the_place_of_a_fault_is_reported(void **state)
{
	struct json_check check;
	(void)state;
	assert_false(accepts("[1, x]", 6, &check));
	assert_int_equal(check.at, 4);
	assert_string_equal(check.why, "no value begins like this");
}

/* Check N arrays inside each other, with VALUE in the innermost. */
static bool nested_accepts(size_t n, const char *value)
{
	struct json_check check;
	size_t len = strlen(value);
	char *text = malloc(2 * n + len);
	assert_non_null(text);
	memset(text, '[', n);
	memcpy(text + n, value, len);
	memset(text + n + len, ']', n);
	bool is = json_check(text, 2 * n + len, &check);
	assert_int_equal(is, jansson_accepts(text, 2 * n + len, false));
	free(text);
	return is;
}

static void test_depth_is_bounded(void **state)
{
	(void)state;
	assert_true(nested_accepts(JSON_CHECK_DEPTH, ""));
	assert_true(nested_accepts(JSON_CHECK_DEPTH - 1, "1"));
	assert_false(nested_accepts(JSON_CHECK_DEPTH, "1"));
	assert_false(nested_accepts(JSON_CHECK_DEPTH + 1, ""));
	assert_false(nested_accepts(1000000, ""));
}

static void assert_agrees(const char *text, size_t len)
{
	struct json_check check;
	bool is = accepts(text, len, &check);
	assert_int_equal(is, jansson_accepts(text, len, is));
}

/* Random texts over a small alphabet, and a valid text with one byte changed. No byte
 * becomes NUL, because jansson 2.14 ignores a NUL after a number. */
static void test_agrees_with_jansson(void **state)
{
	static const char alphabet[] = "[]{}:,\"\\ue0D8-+.19 tfn\n\xc3\xa9";
	static const char good[] =
	        "{\"a\\u00e9\":[1,-2.5e3,\"\xc3\xa9\",null,true,{}],\"b\":\"\\ud83d\\ude00\"}";
	struct prng prng = { .seed = 7 };
	char text[sizeof(good)];
	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t len = prng_below(&prng, 12);
		for (size_t i = 0; i < len; i++)
			text[i] = alphabet[prng_below(&prng, sizeof(alphabet) - 1)];
		assert_agrees(text, len);
		memcpy(text, good, sizeof(good));
		text[prng_below(&prng, sizeof(good) - 1)] = (char)(1 + prng_below(&prng, 255));
		len = sizeof(good) - 1 - prng_below(&prng, 3);
		assert_agrees(text, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid_json_is_accepted),
		cmocka_unit_test(test_invalid_json_is_refused),
		cmocka_unit_test(test_the_words_of_python_are_accepted_on_request),
		cmocka_unit_test(test_kind_emptiness_and_number_of_values_are_reported),
		cmocka_unit_test(test_the_place_of_a_fault_is_reported),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_agrees_with_jansson),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
