/* Tests of common/base/key.c. */
#include "tests/unit/cmocka_all.h"

#include "common/base/key.h"

#include <stdlib.h>
#include <string.h>

/* Fill BUF with N bytes: names of NAME_LEN bytes, joined by '/'. */
static size_t fill_names(char *buf, size_t n, size_t name_len)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = i % (name_len + 1) == name_len ? '/' : 'n';
	return n;
}

static void test_keys_are_checked(void **state)
{
	static const struct {
		const char *key;
		size_t len;
		enum key_fault want;
	} rows[] = {
		{ "a", 1, KEY_OK },
		{ "a/b", 3, KEY_OK },
		{ "a/b/c", 5, KEY_OK },
		{ "...", 3, KEY_OK },
		{ ".a", 2, KEY_OK },
		{ "..a", 3, KEY_OK },
		{ "a.", 2, KEY_OK },
		{ ".../x", 5, KEY_OK },
		{ " ", 1, KEY_OK },
		{ "a\nb", 3, KEY_OK },
		{ "\xff\xfe/\x80", 4, KEY_OK },
		{ "\\", 1, KEY_OK },
		{ "%2F", 3, KEY_OK },
		{ "", 0, KEY_EMPTY },
		{ NULL, 0, KEY_EMPTY },
		{ "/", 1, KEY_NAME_EMPTY },
		{ "/a", 2, KEY_NAME_EMPTY },
		{ "a/", 2, KEY_NAME_EMPTY },
		{ "a//b", 4, KEY_NAME_EMPTY },
		{ "//", 2, KEY_NAME_EMPTY },
		{ ".", 1, KEY_DOT },
		{ "..", 2, KEY_DOT },
		{ "a/.", 3, KEY_DOT },
		{ "../a", 4, KEY_DOT },
		{ "a/../b", 6, KEY_DOT },
		{ "\0", 1, KEY_NUL },
		{ "a\0b", 3, KEY_NUL },
		{ "a/b\0", 4, KEY_NUL },
		{ "a\0/", 3, KEY_NUL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (key_check(rows[i].key, rows[i].len) != rows[i].want)
			fail_msg("row %zu (\"%s\"): %d, not %d", i, rows[i].key ? rows[i].key : "",
			         key_check(rows[i].key, rows[i].len), rows[i].want);
	}
}

/* Bytes past LEN must not be read: the buffer ends there, so that AddressSanitizer
 * detects it. */
static void test_bytes_past_the_length_are_not_read(void **state)
{
	char *key = malloc(3);

	(void)state;
	assert_non_null(key);
	memcpy(key, "a/b", 3);
	assert_int_equal(key_check(key, 3), KEY_OK);
	assert_int_equal(key_check(key, 2), KEY_NAME_EMPTY);
	assert_int_equal(key_check(key, 1), KEY_OK);
	assert_int_equal(key_check_name(key, 1), KEY_OK);
	free(key);
}

static void test_keys_and_names_have_a_greatest_length(void **state)
{
	char buf[KEY_MAX + 2];

	(void)state;
	fill_names(buf, sizeof(buf), KEY_NAME_MAX);
	assert_int_equal(key_check(buf, KEY_NAME_MAX), KEY_OK);
	/* 4096 = 16 * 256: the last byte would be a slash. */
	assert_int_equal(key_check(buf, KEY_MAX), KEY_NAME_EMPTY);
	assert_int_equal(key_check(buf, KEY_MAX - 1), KEY_OK);
	fill_names(buf, sizeof(buf), 100);
	assert_int_equal(key_check(buf, KEY_MAX), KEY_OK);
	assert_int_equal(key_check(buf, KEY_MAX + 1), KEY_TOO_LONG);

	fill_names(buf, sizeof(buf), KEY_NAME_MAX + 1);
	assert_int_equal(key_check(buf, KEY_NAME_MAX), KEY_OK);
	assert_int_equal(key_check(buf, KEY_NAME_MAX + 1), KEY_NAME_LONG);
	memcpy(buf, "short/", 6);
	memset(buf + 6, 'n', KEY_NAME_MAX + 1);
	assert_int_equal(key_check(buf, 6 + KEY_NAME_MAX), KEY_OK);
	assert_int_equal(key_check(buf, 6 + KEY_NAME_MAX + 1), KEY_NAME_LONG);
}

static void test_names_are_checked(void **state)
{
	char buf[KEY_NAME_MAX + 1];

	(void)state;
	memset(buf, 'n', sizeof(buf));
	assert_int_equal(key_check_name("a", 1), KEY_OK);
	assert_int_equal(key_check_name("...", 3), KEY_OK);
	assert_int_equal(key_check_name(buf, KEY_NAME_MAX), KEY_OK);
	assert_int_equal(key_check_name(buf, KEY_NAME_MAX + 1), KEY_NAME_LONG);
	assert_int_equal(key_check_name(NULL, 0), KEY_EMPTY);
	assert_int_equal(key_check_name(".", 1), KEY_DOT);
	assert_int_equal(key_check_name("..", 2), KEY_DOT);
	assert_int_equal(key_check_name("a/b", 3), KEY_NAME_EMPTY);
	assert_int_equal(key_check_name("/", 1), KEY_NAME_EMPTY);
	assert_int_equal(key_check_name("a\0", 2), KEY_NUL);
}

static void test_every_fault_has_its_own_text(void **state)
{
	(void)state;
	for (int fault = KEY_OK; fault <= KEY_NUL; fault++) {
		const char *text = key_fault_text((enum key_fault)fault);

		assert_non_null(text);
		assert_true(strlen(text) > 10);
		assert_int_not_equal(text[strlen(text) - 1], '.');
		for (int other = KEY_OK; other < fault; other++)
			assert_string_not_equal(text, key_fault_text((enum key_fault)other));
	}
	assert_non_null(key_fault_text((enum key_fault)99));
}

static void test_next_walks_the_names_of_a_key(void **state)
{
	const char *key = "ab/c/def";
	size_t len = strlen(key);
	const char *name = NULL;
	size_t name_len = 0;

	(void)state;
	assert_true(key_next(&key, &len, &name, &name_len));
	assert_int_equal(name_len, 2);
	assert_memory_equal(name, "ab", 2);
	assert_int_equal(len, 5);
	assert_true(key_next(&key, &len, &name, &name_len));
	assert_int_equal(name_len, 1);
	assert_memory_equal(name, "c", 1);
	assert_true(key_next(&key, &len, &name, &name_len));
	assert_int_equal(name_len, 3);
	assert_memory_equal(name, "def", 3);
	assert_int_equal(len, 0);
	assert_false(key_next(&key, &len, &name, &name_len));
}

static void test_the_parent_ends_at_the_last_slash(void **state)
{
	static const struct {
		const char *key;
		size_t want;
	} rows[] = {
		{ "", 0 }, { "a", 0 }, { "a/b", 1 }, { "a/b/c", 3 }, { "abc/d", 3 },
	};

	(void)state;
	assert_int_equal(key_parent_len(NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row_equal(rows[i].key, key_parent_len(rows[i].key, strlen(rows[i].key)),
		                 rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_checked),
		cmocka_unit_test(test_bytes_past_the_length_are_not_read),
		cmocka_unit_test(test_keys_and_names_have_a_greatest_length),
		cmocka_unit_test(test_names_are_checked),
		cmocka_unit_test(test_every_fault_has_its_own_text),
		cmocka_unit_test(test_next_walks_the_names_of_a_key),
		cmocka_unit_test(test_the_parent_ends_at_the_last_slash),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
