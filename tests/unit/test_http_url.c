/* Tests of httpd/url.c. */
#include "tests/unit/cmocka_all.h"

#include "httpd/url.h"

#include <stdlib.h>
#include <string.h>

static void test_a_target_is_split_into_path_and_query(void **state)
{
	static const struct {
		const char *target;
		bool want;
		const char *path;
		const char *query;
	} rows[] = {
		{ "/", true, "/", "" },
		{ "/a", true, "/a", "" },
		{ "/a?", true, "/a", "" },
		{ "/a?b=c", true, "/a", "b=c" },
		{ "/a?b=c?d", true, "/a", "b=c?d" },
		{ "/a#frag", true, "/a", "" },
		{ "/a?b#frag?x", true, "/a", "b" },
		{ "/%3F?x", true, "/%3F", "x" },
		{ "//host/a", true, "//host/a", "" },
		{ "http://host/a?b", true, "/a", "b" },
		{ "http://host:80/", true, "/", "" },
		{ "http://host", false, NULL, NULL },
		{ "http://host?a", false, NULL, NULL },
		{ "", false, NULL, NULL },
		{ "#", false, NULL, NULL },
		{ "*", false, NULL, NULL },
		{ "host:443", false, NULL, NULL },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct url url = { 0 };
		bool got = url_split(rows[i].target, strlen(rows[i].target), &url);
		if (got != rows[i].want)
			fail_msg("%s: %d", rows[i].target, got);
		if (!got)
			continue;
		assert_row_bytes(rows[i].target, url.path, url.path_len, rows[i].path,
		                 strlen(rows[i].path));
		assert_row_bytes(rows[i].target, url.query, url.query_len, rows[i].query,
		                 strlen(rows[i].query));
	}
}

static void test_valid_keys_are_decoded(void **state)
{
	static const struct {
		const char *raw;
		const char *key;
		bool dir;
	} rows[] = {
		{ "", "", true },
		{ "a", "a", false },
		{ "a/", "a", true },
		{ "a/b/c", "a/b/c", false },
		{ "a%20b", "a b", false },
		{ "a+b", "a+b", false },
		{ "%61", "a", false },
		{ "%c3%A9", "\xc3\xa9", false },
		{ "%FF%fe", "\xff\xfe", false },
		{ "\xff", "\xff", false },
		{ "a%25", "a%", false },
		{ "a%2Fb", "a/b", false },
		{ "a%2fb%2F%63/d", "a/b/c/d", false },
		{ "a%2F", "a", true },
		{ "%252F", "%2F", false }, /* Decoded exactly once. */
		{ "%2500", "%00", false },
		{ "...", "...", false },
		{ ".a", ".a", false },
		{ "a%3Fb%23c", "a?b#c", false },
		{ "a:b@c", "a:b@c", false },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char buf[64];
		size_t len = 99;
		bool dir = !rows[i].dir;
		const char *why = url_decode_key(rows[i].raw, strlen(rows[i].raw), buf, &len, &dir);
		if (why)
			fail_msg("%s: %s", rows[i].raw, why);
		assert_row_bytes(rows[i].raw, buf, len, rows[i].key, strlen(rows[i].key));
		assert_row_equal(rows[i].raw, dir, rows[i].dir);
	}
}

static void test_invalid_keys_are_refused(void **state)
{
	static const char *const rows[] = {
		"/",          "//",     "a//b",       "a//",     "/a",     "%2Fa", "a%2f/",
		"%2F",        "a%00b",  "%00",        ".",       "..",     "a/..", "./a",
		"a/.",        "%2E",    "%2e%2E",     "../",     "%",      "a%",   "a%4",
		"%zz",        "%4g",    "%g4",        "% 1",     "a%2",    "%2",   "%0",
		"%%30",       "%+1",    "a/%2F",      "%00/a",   "a/%2e/", "%",    "a%2F%2Fb",
		"a%2F..%2Fb", "..%2Fa", "a%2F%2e%2E", "%2e%2Fa",
	};
	char long_name[257];
	char buf[4200];
	size_t len = 99;
	bool dir = false;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!url_decode_key(rows[i], strlen(rows[i]), buf, &len, &dir))
			fail_msg("%s was accepted", rows[i]);
		assert_row_equal(rows[i], len, 99);
	}
	memset(long_name, 'x', sizeof(long_name));
	assert_null(url_decode_key(long_name, 255, buf, &len, &dir));
	assert_non_null(url_decode_key(long_name, 256, buf, &len, &dir));
}

static void test_a_key_of_4096_bytes_is_the_longest(void **state)
{
	/* 4,096 bytes: 15 names of 255 and two shorter ones, all escaped. */
	char key[4097];
	char raw[URL_ENCODED_MAX(4097)];
	char buf[URL_ENCODED_MAX(4097)];
	size_t len;
	bool dir;
	(void)state;
	memset(key, 0xFF, sizeof(key));
	for (size_t i = 255; i < sizeof(key); i += 256)
		key[i] = '/';
	key[4095] = (char)0xFF;
	key[4080] = '/';
	size_t n = url_encode(key, 4096, raw);
	assert_null(url_decode_key(raw, n, buf, &len, &dir));
	assert_int_equal(len, 4096);
	assert_memory_equal(buf, key, 4096);
	n = url_encode(key, 4097, raw);
	assert_non_null(url_decode_key(raw, n, buf, &len, &dir));
}

static void test_slashes_are_merged(void **state)
{
	static const struct {
		const char *path, *merged;
	} rows[] = {
		{ "", "" },         { "/", "/" },     { "//", "/" },
		{ "/a/b", "/a/b" }, { "a", "a" },     { "//a///b//", "/a/b/" },
		{ "a//", "a/" },    { "///a", "/a" },
	};
	char path[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = strlen(rows[i].path);
		memcpy(path, rows[i].path, len);
		len = url_merge_slashes(path, len);
		assert_row_bytes(rows[i].path, path, len, rows[i].merged, strlen(rows[i].merged));
	}
}

/* PyCache's keys: Python keeps a '%' that does not begin an escape. */
static void test_a_lone_percent_is_kept_on_request(void **state)
{
	static const char raw[] = "a%zz%4%41%";
	char buf[sizeof(raw)];
	size_t len;
	bool dir;

	(void)state;
	assert_null(url_decode_path(raw, strlen(raw), true, buf, &len, &dir));
	assert_int_equal(len, 8);
	assert_memory_equal(buf, "a%zz%4A%", 8);
	assert_non_null(url_decode_path("%00", 3, true, buf, &len, &dir));
	assert_non_null(url_decode_path(raw, strlen(raw), false, buf, &len, &dir));
}

static void test_reserved_bytes_are_escaped(void **state)
{
	static const char text[] = "aZ09-._~/ %?#&=+\"\\<>{}|^`\x01\x7f\xff";
	static const char want[] = "aZ09-._~/%20%25%3F%23%26%3D%2B%22%5C%3C%3E%7B%7D%7C%5E%60"
	                           "%01%7F%FF";
	char buf[URL_ENCODED_MAX(sizeof(text))];
	(void)state;
	size_t n = url_encode(text, sizeof(text) - 1, buf);
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(buf, want, n);
}

static struct url with_query(const char *query)
{
	return (struct url){
		.path = "/", .path_len = 1, .query = query, .query_len = strlen(query)
	};
}

static void test_parameters_are_found(void **state)
{
	static const struct {
		const char *query;
		const char *name;
		const char *value; /* NULL: not there. */
	} rows[] = {
		{ "", "a", NULL },       { "a", "a", "" },        { "a=", "a", "" },
		{ "a=1", "a", "1" },     { "b=2&a=1", "a", "1" }, { "a=1&a=2", "a", "1" },
		{ "&&a=1&&", "a", "1" }, { "aa=1", "a", NULL },   { "a=1=2", "a", "1=2" },
		{ "b&a", "a", "" },      { "A=1", "a", NULL },    { "ab=1&a=2&abc=3", "a", "2" },
		{ "=1&a=2", "a", "2" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct url url = with_query(rows[i].query);
		const char *value;
		size_t len;
		bool got = url_param(&url, rows[i].name, &value, &len);
		if (got != (rows[i].value != NULL))
			fail_msg("%s: %d", rows[i].query, got);
		if (!got || !rows[i].value)
			continue;
		assert_row_bytes(rows[i].query, value, len, rows[i].value, strlen(rows[i].value));
	}
}

static void test_a_parameter_ends_with_the_query(void **state)
{
	/* The bytes after the query are not part of it. */
	struct url url = { .path = "/", .path_len = 1, .query = "a=12345", .query_len = 4 };
	const char *value;
	size_t len;
	(void)state;
	assert_true(url_param(&url, "a", &value, &len));
	assert_int_equal(len, 2);
}

static void test_unknown_parameters_are_reported(void **state)
{
	static const char *const known[] = { "ttl", "op", NULL };
	static const char *const none[] = { NULL };
	size_t len;
	(void)state;
	struct url url = with_query("ttl=1&op=x");
	assert_null(url_unknown_param(&url, known, &len));
	assert_non_null(url_unknown_param(&url, none, &len));
	url = with_query("ttl=1&tll=x");
	assert_memory_equal(url_unknown_param(&url, known, &len), "tll", 3);
	assert_int_equal(len, 3);
	url = with_query("tt");
	assert_non_null(url_unknown_param(&url, known, &len));
	url = with_query("");
	assert_null(url_unknown_param(&url, none, &len));
}

static void test_values_are_decoded(void **state)
{
	static const struct {
		const char *raw;
		const char *value; /* NULL: refused. */
	} rows[] = {
		{ "", "" },         { "abc", "abc" },   { "a+b", "a b" },
		{ "a%2Bb", "a+b" }, { "a%2Fb", "a/b" }, { "%e2%82%ac", "\xe2\x82\xac" },
		{ "%", NULL },      { "%1", NULL },     { "%zz", NULL },
		{ "%00", NULL },    { "a%00b", NULL },  { "%2525", "%25" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char buf[32];
		long n = url_decode_value(rows[i].raw, strlen(rows[i].raw), buf);
		assert_row_equal(rows[i].raw, n, rows[i].value ? (long)strlen(rows[i].value) : -1);
		if (n > 0)
			assert_row_bytes(rows[i].raw, buf, n, rows[i].value, (size_t)n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_target_is_split_into_path_and_query),
		cmocka_unit_test(test_valid_keys_are_decoded),
		cmocka_unit_test(test_invalid_keys_are_refused),
		cmocka_unit_test(test_a_key_of_4096_bytes_is_the_longest),
		cmocka_unit_test(test_slashes_are_merged),
		cmocka_unit_test(test_a_lone_percent_is_kept_on_request),
		cmocka_unit_test(test_reserved_bytes_are_escaped),
		cmocka_unit_test(test_parameters_are_found),
		cmocka_unit_test(test_a_parameter_ends_with_the_query),
		cmocka_unit_test(test_unknown_parameters_are_reported),
		cmocka_unit_test(test_values_are_decoded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
