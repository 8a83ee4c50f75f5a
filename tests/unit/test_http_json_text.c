/* Tests of httpd/json_text.c: jansson reads what it writes. */
#include "tests/unit/cmocka_all.h"

#include "httpd/json_text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void test_strings_are_escaped(void **state)
{
	static const struct {
		const char *bytes;
		const char *want;
	} rows[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "\n\t\x01\x1f", "\"\\n\\u0009\\u0001\\u001f\"" },
		{ "\x7f", "\"\\u007f\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "a\xff"
		  "b",
		  "\"a\xef\xbf\xbd"
		  "b\"" },
		{ "\xc3", "\"\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                 /* Overlong */
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* Surrogate */
		{ "\xf4\x90\x80\x80",
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* Beyond U+10FFFF. */
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_text t = { 0 };
		json_text_string(&t, rows[i].bytes, strlen(rows[i].bytes));
		assert_row(rows[i].want, !t.failed);
		assert_row_bytes(rows[i].want, t.data, t.len, rows[i].want, strlen(rows[i].want));
		assert_row_equal(rows[i].want,
		                 json_text_string_len(rows[i].bytes, strlen(rows[i].bytes)), t.len);
		json_text_clear(&t);
	}
}

/* Every pair of bytes as a string: the output is always JSON, and the same text if it
 * is valid UTF-8. */
static void test_any_two_bytes_make_a_valid_string(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			char bytes[2] = { (char)a, (char)b };
			struct json_text t = { 0 };
			json_text_string(&t, bytes, 2);
			json_t *value = json_loadb(t.data, t.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
			                           NULL);
			assert_non_null(value);
			assert_int_equal(json_text_string_len(bytes, 2), t.len);
			if (json_text_is_utf8(bytes, 2)) {
				assert_int_equal(json_string_length(value), 2);
				assert_memory_equal(json_string_value(value), bytes, 2);
			}
			json_decref(value);
			json_text_clear(&t);
		}
	}
}

static void test_base64_matches_rfc_4648(void **state)
{
	static const char *const rows[][2] = {
		{ "", "\"\"" },
		{ "f", "\"Zg==\"" },
		{ "fo", "\"Zm8=\"" },
		{ "foo", "\"Zm9v\"" },
		{ "foob", "\"Zm9vYg==\"" },
		{ "fooba", "\"Zm9vYmE=\"" },
		{ "foobar", "\"Zm9vYmFy\"" },
		{ "\xff\xfe\xfd", "\"//79\"" },
		{ "\xfb\xef\xbe", "\"++++\"" },
	}; /* RFC 4648, section 10. */
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_text t = { 0 };
		json_text_base64(&t, rows[i][0], strlen(rows[i][0]));
		assert_row_bytes(rows[i][1], t.data, t.len, rows[i][1], strlen(rows[i][1]));
		json_text_clear(&t);
	}
}

static void test_the_smallest_and_largest_numbers_are_written(void **state)
{
	struct json_text t = { 0 };
	(void)state;
	json_text_raw(&t, "[");
	json_text_u64(&t, 0);
	json_text_raw(&t, ",");
	json_text_u64(&t, UINT64_MAX);
	json_text_raw(&t, ",");
	json_text_i64(&t, INT64_MIN);
	json_text_raw(&t, ",");
	json_text_i64(&t, INT64_MAX);
	json_text_raw(&t, "]");
	static const char want[] = "[0,18446744073709551615,-9223372036854775808,"
	                           "9223372036854775807]";
	assert_int_equal(t.len, sizeof(want) - 1);
	assert_memory_equal(t.data, want, t.len);
	json_text_clear(&t);
	assert_null(t.data);
	assert_int_equal(t.len, 0);
}

static void test_the_text_grows(void **state)
{
	struct json_text t = { 0 };
	(void)state;
	for (int i = 0; i < 100000; i++)
		json_text_raw(&t, "0123456789");
	assert_false(t.failed);
	assert_int_equal(t.len, 1000000);
	assert_true(t.cap >= t.len);
	json_text_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_are_escaped),
		cmocka_unit_test(test_any_two_bytes_make_a_valid_string),
		cmocka_unit_test(test_base64_matches_rfc_4648),
		cmocka_unit_test(test_the_smallest_and_largest_numbers_are_written),
		cmocka_unit_test(test_the_text_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
