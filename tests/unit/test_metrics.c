/* Tests of common/base/metrics.c. */
#include "tests/unit/cmocka_all.h"

#include "common/base/metrics.h"
#include "tests/unit/capture.h"

#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

static void test_counters_add_up(void **state)
{
	uint64_t applied = metrics_get(METRIC_EVENTS_APPLIED);
	uint64_t rejected = metrics_get(METRIC_EVENTS_REJECTED);

	(void)state;
	metrics_add(METRIC_EVENTS_APPLIED, 3);
	metrics_add(METRIC_EVENTS_APPLIED, 0);
	metrics_add(METRIC_EVENTS_APPLIED, UINT64_C(1) << 40);
	assert_true(metrics_get(METRIC_EVENTS_APPLIED) == applied + (UINT64_C(1) << 40) + 3);
	assert_true(metrics_get(METRIC_EVENTS_REJECTED) == rejected);
}

static void *add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100000; i++)
		metrics_add(METRIC_LOG_ERRORS, 1);
	return NULL;
}

static void test_concurrent_additions_are_not_lost(void **state)
{
	uint64_t before = metrics_get(METRIC_LOG_ERRORS);
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metrics_get(METRIC_LOG_ERRORS) - before, 400000);
}

/* Each counter has three lines in the format of Prometheus. */
static void test_counters_have_the_format_of_prometheus(void **state)
{
	static const char form[] = "^# HELP (keydir_[a-z_]*_total) [^\n]+\n"
	                           "# TYPE (keydir_[a-z_]*_total) counter\n"
	                           "(keydir_[a-z_]*_total) ([0-9]+)\n";
	struct capture capture;
	regex_t regex;
	const char *at;
	int n = 0;

	(void)state;
	metrics_add(METRIC_APPLY_STALLS, UINT64_MAX - metrics_get(METRIC_APPLY_STALLS));
	capture_begin(&capture);
	metrics_write(capture.file, NULL, 0);
	capture_end(&capture);
	assert_int_equal(regcomp(&regex, form, REG_EXTENDED), 0);
	for (at = capture.text; *at; n++) {
		regmatch_t match[5];

		assert_int_equal(regexec(&regex, at, ARRAY_SIZE(match), match, 0), 0);
		for (int i = 2; i <= 3; i++) {
			assert_int_equal(match[i].rm_eo - match[i].rm_so,
			                 match[1].rm_eo - match[1].rm_so);
			assert_memory_equal(at + match[i].rm_so, at + match[1].rm_so,
			                    (size_t)(match[1].rm_eo - match[1].rm_so));
		}
		at += match[0].rm_eo;
	}
	assert_int_equal(n, METRIC_COUNTERS);
	assert_non_null(strstr(capture.text, "keydir_apply_stalls_total 18446744073709551615\n"));
	regfree(&regex);
	free(capture.text);
}

static void test_gauges_are_written_exactly(void **state)
{
	static const struct {
		double value;
		const char *want;
	} rows[] = {
		{ 0, "0" },
		{ -0.5, "-0.5" },
		{ 1, "1" },
		{ 0.1, "0.1" },
		{ 268435456, "268435456" },
		{ 9007199254740992.0, "9007199254740992" },
		{ 1.0 / 3, "0.33333333333333331" },
		{ 1e300, "1e+300" },
		{ NAN, "NaN" },
		{ INFINITY, "+Inf" },
		{ -INFINITY, "-Inf" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct capture capture;
		char want[100];

		capture_begin(&capture);
		metrics_gauge(capture.file, "keydir_x", "What it is", rows[i].value);
		capture_end(&capture);
		snprintf(want, sizeof(want),
		         "# HELP keydir_x What it is\n# TYPE keydir_x gauge\nkeydir_x %s\n",
		         rows[i].want);
		assert_string_equal(capture.text, want);
		free(capture.text);
	}
}

static void test_help_is_escaped(void **state)
{
	struct capture capture;

	(void)state;
	capture_begin(&capture);
	metrics_gauge(capture.file, "x", "a\nb\\c \"d\"", 1);
	capture_end(&capture);
	assert_string_equal(capture.text, "# HELP x a\\nb\\\\c \"d\"\n# TYPE x gauge\nx 1\n");
	free(capture.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_add_up),
		cmocka_unit_test(test_concurrent_additions_are_not_lost),
		cmocka_unit_test(test_counters_have_the_format_of_prometheus),
		cmocka_unit_test(test_gauges_are_written_exactly),
		cmocka_unit_test(test_help_is_escaped),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
