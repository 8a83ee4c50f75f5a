/* Tests of common/base/ttl.c. */
#include "tests/unit/cmocka_all.h"

#include "common/base/ttl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNTOUCHED INT64_C(-77)

static void test_ttls_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int want;
		int64_t ms;
	} rows[] = {
		{ "1", 0, 1000 },
		{ "60", 0, 60000 },
		{ "90s", 0, 90000 },
		{ "1500ms", 0, 1500 },
		{ "1ms", 0, 1 },
		{ "5m", 0, 300000 },
		{ "2h", 0, 7200000 },
		{ "1d", 0, 86400000 },
		{ "007s", 0, 7000 },
		{ "60\n", 0, 60000 },
		{ "90s\n", 0, 90000 },
		{ "36600d", 0, TTL_MAX_MS },
		{ "3162240000", 0, TTL_MAX_MS },
		{ "3162240000000ms", 0, TTL_MAX_MS },
		{ "00000000000000000000000000000000000000000001", 0, 1000 },
		{ "36601d", -ERANGE, 0 },
		{ "3162240001", -ERANGE, 0 },
		{ "3162240000001ms", -ERANGE, 0 },
		{ "9223372036854775807", -ERANGE, 0 },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "18446744073709551617ms", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999d", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "\n", -EINVAL, 0 },
		{ "0", -EINVAL, 0 },
		{ "0ms", -EINVAL, 0 },
		{ "000", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1 s", -EINVAL, 0 },
		{ "1\n\n", -EINVAL, 0 },
		{ "\n1", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 },
		{ "1M", -EINVAL, 0 },
		{ "1sec", -EINVAL, 0 },
		{ "1w", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "ms", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 },
		{ "99999999999999999999999999999999999999999w", -EINVAL, 0 },
		{ "keep", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* The copy ends with its last byte: AddressSanitizer detects reading on. */
		size_t len = strlen(rows[i].text);
		char *text = malloc(len ? len : 1);
		int64_t ms = UNTOUCHED;
		int r;

		assert_non_null(text);
		memcpy(text, rows[i].text, len);
		r = ttl_parse(text, len, &ms);
		free(text);
		if (r != rows[i].want || ms != (r ? UNTOUCHED : rows[i].ms))
			fail_msg("\"%s\": %d, %" PRId64, rows[i].text, r, ms);
	}
	/* A NUL is not special. */
	assert_int_equal(ttl_parse("1\0", 2, &(int64_t){ 0 }), -EINVAL);
	assert_int_equal(ttl_parse("1s\0", 3, &(int64_t){ 0 }), -EINVAL);
}

static void test_ttls_are_formatted_as_seconds(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} rows[] = {
		{ 1, "1" },
		{ 999, "1" },
		{ 1000, "1" },
		{ 1001, "2" },
		{ 60000, "60" },
		{ 59001, "60" },
		{ 0, "0" },
		{ -1, "0" },
		{ INT64_MIN, "0" },
		{ INT64_MAX, "9223372036854776" },
		{ TTL_MAX_MS, "3162240000" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = ttl_format(rows[i].ms, buf, sizeof(buf));

		assert_row_bytes(rows[i].want, buf, len, rows[i].want, strlen(rows[i].want));
	}
	/* As for snprintf(): a short buffer cuts the text, and the full length is
	 * returned. */
	assert_int_equal(ttl_format(123000, buf, 3), 3);
	assert_string_equal(buf, "12");
}

static void test_moments_are_parsed(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:00.001Z", 1 },
		{ "1970-01-01t00:00:00z", 0 },
		{ "1970-01-01 00:00:00Z", 0 },
		{ "1970-01-01T00:00:00Z\n", 0 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T23:30:00-00:30", 0 },
		{ "1970-01-01T00:00:00-00:00", 0 },
		{ "1970-01-01T00:00:00.1Z", 100 },
		{ "1970-01-01T00:00:00.12Z", 120 },
		{ "1970-01-01T00:00:00.1239999999999999999999999999Z", 123 },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "1969-12-31T23:59:59.9999Z", -1 },
		{ "1969-12-31T23:59:59Z", -1000 },
		{ "2026-01-31T12:00:00Z", INT64_C(1769860800000) },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000) },
		{ "2000-02-29T00:00:00Z", INT64_C(951782400000) },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000) },
		{ "0000-01-01T00:00:00Z", INT64_C(-62167219200000) },
		{ "0000-01-01T00:00:00+23:59", INT64_C(-62167219200000) - 86340000 },
		{ "9999-12-31T23:59:59.999Z", INT64_C(253402300799999) },
		{ "9999-12-31T23:59:59.999-23:59", INT64_C(253402300799999) + 86340000 },
	};
	static const char *const bad[] = {
		"",
		"\n",
		"2026",
		"2026-01-31",
		"2026-01-31T12:00:00",
		"2026-01-31T12:00Z",
		"2026-01-31T12:00:00.Z",
		"2026-01-31T12:00:00,5Z",
		"2026-01-31T12:00:00ZZ",
		"2026-01-31T12:00:00Z\n\n",
		" 2026-01-31T12:00:00Z",
		"2026-01-31T12:00:00Z ",
		"2026-1-31T12:00:00Z",
		"26-01-31T12:00:00Z",
		"+2026-01-31T12:00:00Z",
		"02026-01-31T12:00:00Z",
		"2026-00-31T12:00:00Z",
		"2026-13-31T12:00:00Z",
		"2026-01-00T12:00:00Z",
		"2026-01-32T12:00:00Z",
		"2026-02-29T12:00:00Z",
		"2100-02-29T12:00:00Z",
		"2024-02-30T12:00:00Z",
		"2026-04-31T12:00:00Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T12:60:00Z",
		"2026-01-31T12:00:61Z",
		"2026-01-31T12:00:00+1:00",
		"2026-01-31T12:00:00+01",
		"2026-01-31T12:00:00+0100",
		"2026-01-31T12:00:00+24:00",
		"2026-01-31T12:00:00+01:60",
		"2026-01-31T12:00:00+01:00Z",
		"2026-01-31X12:00:00Z",
		"1769860800",
		"now",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int64_t ms = UNTOUCHED;
		int r = moment_parse(good[i].text, strlen(good[i].text), &ms);

		if (r || ms != good[i].ms)
			fail_msg("\"%s\": %d, %" PRId64, good[i].text, r, ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t ms = UNTOUCHED;

		if (moment_parse(bad[i], strlen(bad[i]), &ms) != -EINVAL || ms != UNTOUCHED)
			fail_msg("\"%s\" is accepted: %" PRId64, bad[i], ms);
	}
	/* Every prefix of a valid text is invalid, and nothing past it is read. */
	for (size_t len = 0; len < strlen("2026-01-31T12:00:00.5+01:00"); len++) {
		char *text = malloc(len ? len : 1);

		assert_non_null(text);
		memcpy(text, "2026-01-31T12:00:00.5+01:00", len);
		assert_int_equal(moment_parse(text, len, &(int64_t){ 0 }), -EINVAL);
		free(text);
	}
	assert_int_equal(moment_parse("1970-01-01\00000:00:00Z", 20, &(int64_t){ 0 }), -EINVAL);
}

static void test_moments_are_formatted(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1, "1970-01-01T00:00:00.001Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ INT64_C(1769860800000), "2026-01-31T12:00:00.000Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00.000Z" },
		{ INT64_C(253402300799999), "9999-12-31T23:59:59.999Z" },
		{ INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z" },
		{ INT64_MAX, "292278994-08-17T07:12:55.807Z" },
		{ INT64_MIN, "-292275055-05-16T16:47:04.192Z" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = moment_format(rows[i].ms, buf, sizeof(buf));

		assert_row_bytes(rows[i].want, buf, len, rows[i].want, strlen(rows[i].want));
	}
}

/* Each day of 800 years, compared with gmtime(3), and parsed back. */
static void test_moments_of_all_days_agree_with_gmtime(void **state)
{
	char buf[32];
	char want[32];

	(void)state;
	for (int64_t day = -146097; day <= 146097; day++) {
		int64_t ms = day * 86400000 + 43200123;
		time_t seconds = (time_t)(day * 86400 + 43200);
		struct tm tm;
		int64_t back = UNTOUCHED;

		assert_non_null(gmtime_r(&seconds, &tm));
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.123Z", &tm);
		moment_format(ms, buf, sizeof(buf));
		if (strcmp(buf, want) != 0)
			fail_msg("%s, not %s", buf, want);
		assert_int_equal(moment_parse(buf, strlen(buf), &back), 0);
		assert_true(back == ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ttls_are_parsed),
		cmocka_unit_test(test_ttls_are_formatted_as_seconds),
		cmocka_unit_test(test_moments_are_parsed),
		cmocka_unit_test(test_moments_are_formatted),
		cmocka_unit_test(test_moments_of_all_days_agree_with_gmtime),
	};

	return cmocka_run_group_tests_name("ttl", tests, NULL, NULL);
}
