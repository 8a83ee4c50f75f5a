/* Header lines: all of them arrive, and none that a value smuggles in. */
#include "httpd/header_lines.h"

#include "tests/unit/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct MHD_Response *empty(void)
{
	static char nothing[] = "";
	struct MHD_Response *response = MHD_create_response_from_buffer(0, nothing,
	                                                                MHD_RESPMEM_PERSISTENT);
	assert_non_null(response);
	return response;
}

static enum MHD_Result print(void *to, enum MHD_ValueKind kind, const char *name, const char *value)
{
	char *text = to;
	assert_int_equal(kind, MHD_HEADER_KIND);
	size_t len = strlen(text);
	snprintf(text + len, 4096 - len, "%s: %s\r\n", name, value);
	return MHD_YES;
}

/* All that RESPONSE has, as it stands on the wire. */
static void assert_headers(struct MHD_Response *response, const char *wanted)
{
	char text[4096] = "";
	MHD_get_response_headers(response, print, text);
	assert_string_equal(text, wanted);
}

static void test_several_are_one(void **state)
{
	(void)state;
	struct header_lines lines;
	struct MHD_Response *response = empty();
	header_lines_init(&lines);
	assert_true(header_lines_etag(&lines, 42));
	assert_true(header_lines_add(&lines, "Content-Type", "text/plain"));
	assert_true(header_lines_u64(&lines, "Zero", 0));
	assert_true(header_lines_u64(&lines, "Most", UINT64_MAX));
	assert_true(header_lines_etag(&lines, UINT64_MAX));
	assert_true(header_lines_give(&lines, response));
	MHD_add_response_header(response, "Other", "o");
	assert_headers(response, "ETag: \"42\"\r\nContent-Type: text/plain\r\nZero: 0\r\n"
	                         "Most: 18446744073709551615\r\n"
	                         "ETag: \"18446744073709551615\"\r\nOther: o\r\n");
	MHD_destroy_response(response);
}

static void test_one_is_one(void **state)
{
	(void)state;
	struct header_lines lines;
	struct MHD_Response *response = empty();
	header_lines_init(&lines);
	assert_false(header_lines_give(&lines, response)); /* none */
	assert_true(header_lines_add(&lines, "A", "a"));
	assert_true(header_lines_give(&lines, response));
	assert_false(header_lines_give(&lines, NULL));
	assert_headers(response, "A: a\r\n");
	MHD_destroy_response(response);
}

/* No control character but a tab, wherever it is, and nothing of such a header. */
static void test_bad_values_are_left_out(void **state)
{
	(void)state;
	struct header_lines lines;
	struct MHD_Response *response = empty();
	header_lines_init(&lines);
	assert_false(header_lines_add(&lines, "A", ""));
	for (int first = 0; first < 2; first++) {
		for (int c = 1; c < 0x100; c++) {
			char value[] = { 'v', (char)c, (char)c, 'w', '\0' };
			bool bad = (c < 0x20 && c != '\t') || c == 0x7f;
			struct header_lines copy = lines;
			assert_int_equal(header_lines_add(&copy, "B", value), !bad);
			assert_int_equal(header_value_is_valid(value), !bad);
			if (bad) {
				assert_int_equal(copy.len, lines.len);
				assert_string_equal(copy.text, lines.text);
			}
		}
		if (!first)
			assert_true(header_lines_add(&lines, "A", "a\tb"));
	}
	assert_true(header_lines_give(&lines, response));
	assert_headers(response, "A: a\tb\r\n");
	MHD_destroy_response(response);
}

static void test_what_has_no_room_is_left_out(void **state)
{
	(void)state;
	struct header_lines lines;
	char value[sizeof(lines.text) + 1], wanted[2 * sizeof(lines.text)];
	for (size_t len = sizeof(lines.text) - 20; len < sizeof(value); len++) {
		struct MHD_Response *response = empty();
		header_lines_init(&lines);
		assert_true(header_lines_add(&lines, "A", "a"));
		memset(value, 'v', len);
		value[len] = '\0';
		/* "a", a line break, "B: ", the value, NUL */
		bool fits = 1 + 2 + 3 + len + 1 <= sizeof(lines.text);
		assert_int_equal(header_lines_add(&lines, "B", value), fits);
		snprintf(wanted, sizeof(wanted), fits ? "A: a\r\nB: %s\r\n" : "A: a\r\n", value);
		assert_true(header_lines_give(&lines, response));
		assert_headers(response, wanted);
		MHD_destroy_response(response);
	}
}

/* Of two of a name the library would show the other one: none is better than half. */
static void test_a_second_of_the_name_is_refused(void **state)
{
	(void)state;
	struct header_lines lines;
	struct MHD_Response *response = empty();
	MHD_add_response_header(response, "A", "before");
	header_lines_init(&lines);
	assert_true(header_lines_add(&lines, "A", "a"));
	assert_true(header_lines_add(&lines, "B", "b"));
	assert_false(header_lines_give(&lines, response));
	assert_headers(response, "A: before\r\n");
	MHD_destroy_response(response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_are_one),
		cmocka_unit_test(test_one_is_one),
		cmocka_unit_test(test_bad_values_are_left_out),
		cmocka_unit_test(test_what_has_no_room_is_left_out),
		cmocka_unit_test(test_a_second_of_the_name_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
