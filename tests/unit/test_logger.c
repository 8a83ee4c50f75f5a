/* Tests of common/base/logger.c. */
#include "tests/unit/cmocka_all.h"

#include <stdatomic.h>

#include "common/base/logger.h"
#include "common/base/ttl.h"
#include "tests/unit/capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Make one call and return the line after "TIME level program: ". */
#define LINE_OF(call) (stderr_begin(), (call), message_of())

static char *message_of(void)
{
	size_t len;
	char *text = stderr_end(&len);
	char *colon = strstr(text, ": ");
	char *message;

	if (!colon) {
		free(text);
		return NULL;
	}
	message = strdup(colon + 2);
	free(text);
	return message;
}

static void assert_line(char *line, const char *want)
{
	assert_non_null(line);
	assert_string_equal(line, want);
	free(line);
}

static void test_a_line_has_time_level_and_program(void **state)
{
	int64_t ms;
	size_t len;
	char *text;

	(void)state;
	logger_init("keydir-test", LOGGER_INFO, false);
	stderr_begin();
	logger(LOGGER_WARN, "store is slow ms=%d", 12);
	text = stderr_end(&len);
	assert_int_equal(strlen(text), len);
	assert_string_equal(text + 24, " warn keydir-test: store is slow ms=12\n");
	assert_int_equal(moment_parse(text, 24, &ms), 0);
	assert_in_range(time(NULL) - ms / 1000, 0, 60);
	free(text);
}

static void test_only_enabled_levels_are_written(void **state)
{
	static const char *const words[] = { " error ", " warn ", " info ", " debug " };
	size_t len;

	(void)state;
	for (int least = LOGGER_ERROR; least <= LOGGER_DEBUG; least++) {
		logger_init("p", (enum logger_level)least, false);
		for (int level = LOGGER_ERROR; level <= LOGGER_DEBUG; level++) {
			char *text;

			stderr_begin();
			logger((enum logger_level)level, "x");
			text = stderr_end(&len);
			if (level <= least)
				assert_non_null(strstr(text, words[level]));
			else
				assert_int_equal(len, 0);
			free(text);
		}
	}
}

static void test_control_characters_are_escaped(void **state)
{
	(void)state;
	logger_init("p", LOGGER_INFO, false);
	assert_line(LINE_OF(logger(LOGGER_INFO, "key=%s", "a\nb\tc\rd")), "key=a\\nb\\tc\\rd\n");
	assert_line(LINE_OF(logger(LOGGER_INFO, "\x1b[31m\x01\x7f")), "\\x1b[31m\\x01\\x7f\n");
	/* UTF-8 is kept; invalid bytes and the control characters of Latin-1 are
	 * escaped. */
	assert_line(
	        LINE_OF(logger(LOGGER_INFO, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80")),
	        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\n");
	assert_line(LINE_OF(logger(LOGGER_INFO, "\xff|\xc3|\xc3(|\xe2\x82|\xf0\x9f\x98")),
	            "\\xff|\\xc3|\\xc3(|\\xe2\\x82|\\xf0\\x9f\\x98\n");
	assert_line(LINE_OF(logger(LOGGER_INFO, "\xc2\x9b|\xc2\x80|\xc2\xa0")),
	            "\\xc2\\x9b|\\xc2\\x80|\xc2\xa0\n");
	/* Overlong, surrogate, beyond Unicode. */
	assert_line(LINE_OF(logger(LOGGER_INFO, "\xc0\xaf|\xe0\x80\xaf|\xed\xa0\x80")),
	            "\\xc0\\xaf|\\xe0\\x80\\xaf|\\xed\\xa0\\x80\n");
	assert_line(LINE_OF(logger(LOGGER_INFO, "\xf4\x90\x80\x80|\xf0\x80\x80\x80|\xf5")),
	            "\\xf4\\x90\\x80\\x80|\\xf0\\x80\\x80\\x80|\\xf5\n");
	assert_line(LINE_OF(logger(LOGGER_INFO, "%s", "")), "\n");
}

/* A line has a maximum size, and ends in "..." if it was cut. */
static void test_long_lines_are_cut(void **state)
{
	static char text[10000];
	char *line;
	size_t len;

	(void)state;
	logger_init("p", LOGGER_INFO, false);
	memset(text, 'a', sizeof(text) - 1);
	line = LINE_OF(logger(LOGGER_INFO, "%s", text));
	assert_non_null(line);
	assert_in_range(strlen(line), 2000, 4096);
	assert_string_equal(line + strlen(line) - 4, "...\n");
	free(line);

	/* Escapes are four times as long; the line is still written at once. */
	memset(text, '\x01', sizeof(text) - 1);
	stderr_begin();
	logger(LOGGER_INFO, "%s", text);
	line = stderr_end(&len);
	assert_in_range(len, 4000, 4096);
	assert_string_equal(line + len - 4, "...\n");
	assert_null(strchr(line, '\x01'));
	free(line);

	/* This line just fits, so nothing is cut. */
	memset(text, 'b', 2000);
	text[2000] = '\0';
	line = LINE_OF(logger(LOGGER_INFO, "%s", text));
	assert_int_equal(strlen(line), 2001);
	free(line);

	memset(text, 'n', sizeof(text) - 1);
	logger_init(text, LOGGER_INFO, false);
	line = LINE_OF(logger(LOGGER_INFO, "%s", "still here"));
	stderr_begin();
	logger(LOGGER_INFO, "still here");
	free(line);
	line = stderr_end(&len);
	assert_in_range(len, 100, 4096);
	assert_non_null(strstr(line, "still here\n"));
	free(line);
}

static void test_errno_is_kept(void **state)
{
	size_t len;

	(void)state;
	logger_init("p", LOGGER_INFO, false);
	stderr_begin();
	errno = ENOSPC;
	logger(LOGGER_INFO, "x");
	assert_int_equal(errno, ENOSPC);
	free(stderr_end(&len));
}

#define THREADS 4
#define LINES 500

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		logger(LOGGER_INFO, "thread=%s thread=%s", (const char *)arg, (const char *)arg);
	return NULL;
}

/* Lines of several threads never mix. */
static void test_lines_of_threads_do_not_mix(void **state)
{
	static char names[THREADS][100];
	pthread_t threads[THREADS];
	int counts[THREADS] = { 0 };
	char *text, *line, *rest = NULL;
	size_t len;

	(void)state;
	logger_init("p", LOGGER_INFO, false);
	stderr_begin();
	for (int i = 0; i < THREADS; i++) {
		memset(names[i], 'a' + i, sizeof(names[i]) - 1);
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = stderr_end(&len);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *message = strstr(line, "thread=");
		int i;

		assert_non_null(message);
		i = message[7] - 'a';
		assert_in_range(i, 0, THREADS - 1);
		assert_int_equal(strlen(message), 7 + 99 + 1 + 7 + 99);
		assert_memory_equal(message + 7, names[i], 99);
		assert_memory_equal(message + 7 + 99 + 8, names[i], 99);
		counts[i]++;
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(counts[i], LINES);
	free(text);
}

/* More calls than one window has lines, in far less time than a window: the window
 * can change once meanwhile. */
static void test_the_rate_of_lines_is_limited(void **state)
{
	struct logger_limit limit = { 0 };
	uint64_t written = 0;
	uint64_t reported = 0;
	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t suppressed;
		if (logger_allow(&limit, &suppressed)) {
			written++;
			reported += suppressed;
		}
	}
	assert_true(written >= LOGGER_BURST && written <= 2 * LOGGER_BURST);
	assert_int_equal(written + reported + atomic_load(&limit.suppressed), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_rate_of_lines_is_limited),
		cmocka_unit_test(test_a_line_has_time_level_and_program),
		cmocka_unit_test(test_only_enabled_levels_are_written),
		cmocka_unit_test(test_control_characters_are_escaped),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_lines_of_threads_do_not_mix),
	};

	return cmocka_run_group_tests_name("logger", tests, NULL, NULL);
}
