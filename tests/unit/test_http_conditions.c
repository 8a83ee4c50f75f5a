/* Tests of httpd/conditions.c. */
#include "tests/unit/cmocka_all.h"

#include "httpd/conditions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void test_entity_tags_are_parsed_and_matched(void **state)
{
	static const struct {
		const char *text;
		int want;
		bool any;
		size_t n;
		bool strong_5; /* Matches version 5, compared strongly. */
		bool weak_5;   /* ... compared weakly. */
	} rows[] = {
		{ "*", 0, true, 0, true, true },
		{ " * ", 0, true, 0, true, true },
		{ "\"5\"", 0, false, 1, true, true },
		{ "  \"5\"  ", 0, false, 1, true, true },
		{ "W/\"5\"", 0, false, 1, false, true },
		{ "\"4\", \"5\"", 0, false, 2, true, true },
		{ "\"4\",W/\"5\" , \"6\"", 0, false, 3, false, true },
		{ ", ,\"5\",,", 0, false, 1, true, true },
		{ "\"6\"", 0, false, 1, false, false },
		{ "\"5-2ca311a6\"", 0, false, 1, true, true },
		{ "W/\"5-2ca311a6\"", 0, false, 1, false, true },
		{ "\"6-2ca311a6\"", 0, false, 1, false, false },
		{ "\"5-2ca311a7\"", 0, false, 0, false, false },
		{ "\"5-2CA311A6\"", 0, false, 0, false, false },
		{ "\"5-2ca311a\"", 0, false, 0, false, false },
		{ "\"5-2ca311a60\"", 0, false, 0, false, false },
		{ "\"5-\"", 0, false, 0, false, false },
		{ "\"-2ca311a6\"", 0, false, 0, false, false },
		{ "\"foreign\"", 0, false, 0, false, false },
		{ "\"foreign\", \"5\"", 0, false, 1, true, true },
		{ "\"a,b\", \"5\"", 0, false, 1, true, true },
		{ "\"\"", 0, false, 0, false, false },
		{ "\"05\"", 0, false, 0, false, false },
		{ "\"+5\"", 0, false, 0, false, false },
		{ "\"5 \"", 0, false, 0, false, false },
		{ "\"18446744073709551621\"", 0, false, 0, false, false }, /* 2^64 + 5. */
		{ "", -EINVAL, false, 0, false, false },
		{ " ", -EINVAL, false, 0, false, false },
		{ ",", -EINVAL, false, 0, false, false },
		{ "5", -EINVAL, false, 0, false, false },
		{ "\"5", -EINVAL, false, 0, false, false },
		{ "5\"", -EINVAL, false, 0, false, false },
		{ "w/\"5\"", -EINVAL, false, 0, false, false },
		{ "W/5", -EINVAL, false, 0, false, false },
		{ "\"5\" \"6\"", -EINVAL, false, 0, false, false },
		{ "\"5\"x", -EINVAL, false, 0, false, false },
		{ "*, \"5\"", -EINVAL, false, 0, false, false },
		{ "\"5\", *", -EINVAL, false, 0, false, false },
		{ "**", -EINVAL, false, 0, false, false },
	};
	(void)state;
	struct store_meta meta = { .volume = "local-0123456789abcdef0123456789abcdef" };
	struct volume_tag tag;
	volume_tag(&meta, &tag);
	assert_string_equal(tag.text, "-2ca311a6");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct condition_tags tags;
		int r = conditions_tags(rows[i].text, &tag, &tags);
		assert_row_equal(rows[i].text, r, rows[i].want);
		if (r)
			continue;
		assert_row_equal(rows[i].text, tags.any, rows[i].any);
		assert_row_equal(rows[i].text, tags.n, rows[i].n);
		assert_row_equal(rows[i].text, conditions_match(&tags, 5, true), rows[i].strong_5);
		assert_row_equal(rows[i].text, conditions_match(&tags, 5, false), rows[i].weak_5);
	}
}

static void test_the_smallest_and_largest_version_match(void **state)
{
	struct condition_tags tags;
	(void)state;
	assert_int_equal(
	        conditions_tags("\"0\", \"18446744073709551615\"", &conditions_no_volume, &tags),
	        0);
	assert_true(conditions_match(&tags, 0, true));
	assert_true(conditions_match(&tags, UINT64_MAX, true));
	assert_false(conditions_match(&tags, 1, true));
}

static void test_too_many_tags_are_refused(void **state)
{
	char text[8 * (CONDITIONS_TAGS_MAX + 2)] = "";
	struct condition_tags tags;
	(void)state;
	size_t at = 0;
	for (int i = 0; i < CONDITIONS_TAGS_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "\"%d\",", i + 1);
	assert_int_equal(conditions_tags(text, &conditions_no_volume, &tags), 0);
	assert_int_equal(tags.n, CONDITIONS_TAGS_MAX);
	snprintf(text + at, sizeof(text) - at, "\"999\"");
	assert_int_equal(conditions_tags(text, &conditions_no_volume, &tags), -E2BIG);
}

static void test_dates_of_three_forms_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int want;
		int64_t s;
	} rows[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 0, 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 0, 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 0, 784111777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0 },
		{ "Wed, 31 Dec 1969 23:59:59 GMT", 0, -1 },
		{ "Thu, 29 Feb 2024 12:00:00 GMT", 0, 1709208000 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", 0, INT64_C(253402300799) },
		{ "", -EINVAL, 0 },
		{ "0", -EINVAL, 0 },
		{ "784111777", -EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:49:37", -EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", -EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", -EINVAL, 0 },
		{ "Sun, 06 Nox 1994 08:49:37 GMT", -EINVAL, 0 },
		{ "Sun, 32 Nov 1994 08:49:37 GMT", -EINVAL, 0 },
		{ "Sun, 00 Nov 1994 08:49:37 GMT", -EINVAL, 0 },
		{ "Sun, 06 Nov 1994 24:49:37 GMT", -EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:60:37 GMT", -EINVAL, 0 },
		{ "1994-11-06T08:49:37Z", -EINVAL, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t s = 42;
		int r = conditions_date_parse(rows[i].text, &s);
		assert_row_equal(rows[i].text, r, rows[i].want);
		assert_row_equal(rows[i].text, s, r ? 42 : rows[i].s);
	}
}

/* Dates of all forms agree with the C library. */
static void test_dates_agree_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t s = 0; s < INT64_C(253402300799); s += 9173417) {
		char got[CONDITIONS_DATE_SIZE];
		char want[64];
		time_t when = (time_t)s;
		struct tm tm;
		int64_t back;
		gmtime_r(&when, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		conditions_date_format(s, got);
		assert_string_equal(got, want);
		assert_int_equal(conditions_date_parse(got, &back), 0);
		assert_true(back == s);
		strftime(want, sizeof(want), "%a %b %e %H:%M:%S %Y", &tm);
		assert_int_equal(conditions_date_parse(want, &back), 0);
		assert_true(back == s);
	}
}

static void test_dates_are_clamped(void **state)
{
	char got[CONDITIONS_DATE_SIZE];
	(void)state;
	conditions_date_format(-5, got);
	assert_string_equal(got, "Thu, 01 Jan 1970 00:00:00 GMT");
	conditions_date_format(INT64_MAX, got);
	assert_string_equal(got, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_ranges_are_parsed(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
		enum range_kind want;
		uint64_t first;
		uint64_t len;
	} rows[] = {
		{ "bytes=0-0", 10, RANGE_PART, 0, 1 },
		{ "bytes=0-", 10, RANGE_PART, 0, 10 },
		{ "bytes=2-4", 10, RANGE_PART, 2, 3 },
		{ "BYTES=2-4", 10, RANGE_PART, 2, 3 },
		{ "bytes= 2-4 ", 10, RANGE_PART, 2, 3 },
		{ "bytes=9-", 10, RANGE_PART, 9, 1 },
		{ "bytes=9-99", 10, RANGE_PART, 9, 1 },
		{ "bytes=0-18446744073709551615", 10, RANGE_PART, 0, 10 },
		{ "bytes=-1", 10, RANGE_PART, 9, 1 },
		{ "bytes=-10", 10, RANGE_PART, 0, 10 },
		{ "bytes=-99", 10, RANGE_PART, 0, 10 },
		{ "bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=10-10", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0 },
		{ "bytes=4-2", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=-", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=a-b", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=1", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=1-x", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=--1", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=18446744073709551616-", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=1-18446744073709551616", 10, RANGE_WHOLE, 0, 0 },
		{ "lines=0-1", 10, RANGE_WHOLE, 0, 0 },
		{ "", 10, RANGE_WHOLE, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t first = 77;
		uint64_t len = 77;
		enum range_kind got = conditions_range(rows[i].text, rows[i].size, &first, &len);
		if (got != rows[i].want)
			fail_msg("<%s> of %d: %d", rows[i].text, (int)rows[i].size, (int)got);
		assert_row_equal(rows[i].text, first, got == RANGE_PART ? rows[i].first : 77);
		assert_row_equal(rows[i].text, len, got == RANGE_PART ? rows[i].len : 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entity_tags_are_parsed_and_matched),
		cmocka_unit_test(test_the_smallest_and_largest_version_match),
		cmocka_unit_test(test_too_many_tags_are_refused),
		cmocka_unit_test(test_dates_of_three_forms_are_parsed),
		cmocka_unit_test(test_dates_agree_with_the_c_library),
		cmocka_unit_test(test_dates_are_clamped),
		cmocka_unit_test(test_ranges_are_parsed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
