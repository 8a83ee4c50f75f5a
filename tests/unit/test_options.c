/* Tests of common/base/options.c.
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/unit/cmocka_all.h"

#include "common/base/options.h"
#include "tests/unit/capture.h"
#include "tests/unit/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct settings {
	bool help;
	bool force;
	const char *store;
	const char *plain;
	uint64_t size;
	int64_t timeout_ms;
	uint64_t count;
	struct option_list list;
};

#define ROW(name, letter, env, type, arg, fallback, help, field)                                   \
	{                                                                                          \
		name, letter, env, type, arg, fallback, help, offsetof(struct settings, field)     \
	}

static const struct option_row rows[] = {
	ROW("help", 'h', NULL, OPTION_FLAG, NULL, NULL, "Show this", help),
	ROW("force", 'f', "KDTEST_FORCE", OPTION_FLAG, NULL, NULL, "Do it", force),
	ROW("store", 's', "KDTEST_STORE", OPTION_TEXT, "DIR", "/dev/shm/x", "Where it is", store),
	ROW("plain", 0, NULL, OPTION_TEXT, NULL, NULL, ".Starts with a dot", plain),
	ROW("size", 0, "KDTEST_SIZE", OPTION_BYTES, "BYTES", "256M", "How much", size),
	ROW("timeout", 0, "KDTEST_TIMEOUT", OPTION_DURATION, "TIME", "10s", "How long", timeout_ms),
	ROW("count", 'c', "KDTEST_COUNT", OPTION_COUNT, "N", NULL, "How many", count),
	ROW("setting", 'X', "KDTEST_SETTINGS", OPTION_LIST, "NAME=VALUE", NULL, "Say more", list),
	{ .name = NULL },
};

static int clear_environment(void **state)
{
	(void)state;
	for (const struct option_row *row = rows; row->name; row++) {
		if (row->env)
			unsetenv(row->env);
	}
	return 0;
}

#define ARGS_MAX 100

/* A call with ARGS (ended by NULL) after the program's name. */
struct call {
	char *argv[ARGS_MAX + 2];
	int argc;
	struct settings settings;
	int operands;
	char why[200];
};

static int parse_args(struct call *call, const char *const *args)
{
	memset(call, 0, sizeof(*call));
	memset(&call->settings, 0xa5, sizeof(call->settings)); /* No byte may stay. */
	call->operands = -7;
	call->argv[call->argc++] = (char *)"program";
	for (; *args; args++)
		call->argv[call->argc++] = (char *)*args;
	return options_parse(rows, call->argc, call->argv, &call->settings, &call->operands,
	                     call->why, sizeof(call->why));
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_ARGS ((const char *const[]){ NULL })

static void test_missing_options_have_their_defaults(void **state)
{
	struct call call;

	(void)state;
	assert_int_equal(parse_args(&call, NO_ARGS), 0);
	assert_false(call.settings.help);
	assert_false(call.settings.force);
	assert_string_equal(call.settings.store, "/dev/shm/x");
	assert_null(call.settings.plain);
	assert_int_equal(call.settings.size, 256 << 20);
	assert_int_equal(call.settings.timeout_ms, 10000);
	assert_int_equal(call.settings.count, 0);
	assert_int_equal(call.settings.list.n, 0);
	assert_int_equal(call.operands, 1);
}

static void test_options_have_several_spellings(void **state)
{
	struct call call;

	(void)state;
	assert_int_equal(parse_args(&call, ARGS("--store", "/a", "--size=1K", "-f", "-c7")), 0);
	assert_string_equal(call.settings.store, "/a");
	assert_int_equal(call.settings.size, 1024);
	assert_int_equal(call.settings.count, 7);
	assert_true(call.settings.force);
	/* Letters in one word, the last of them with its value. */
	assert_int_equal(parse_args(&call, ARGS("-fhs", "/b")), 0);
	assert_true(call.settings.force);
	assert_true(call.settings.help);
	assert_string_equal(call.settings.store, "/b");
	/* A unique prefix of a name. */
	assert_int_equal(parse_args(&call, ARGS("--time=2m", "--st", "/c")), 0);
	assert_int_equal(call.settings.timeout_ms, 120000);
	assert_string_equal(call.settings.store, "/c");
	/* The last one wins; empty text is a value. */
	assert_int_equal(parse_args(&call, ARGS("--store=/a", "--store=")), 0);
	assert_string_equal(call.settings.store, "");
	/* A value may look like an option. */
	assert_int_equal(parse_args(&call, ARGS("--store", "--force")), 0);
	assert_string_equal(call.settings.store, "--force");
	assert_false(call.settings.force);
}

static void test_operands_are_collected_in_order(void **state)
{
	struct call call;

	(void)state;
	assert_int_equal(parse_args(&call, ARGS("/mnt", "-f", "more", "--count", "3", "last")), 0);
	assert_true(call.settings.force);
	assert_int_equal(call.settings.count, 3);
	assert_int_equal(call.argc - call.operands, 3);
	assert_string_equal(call.argv[call.operands], "/mnt");
	assert_string_equal(call.argv[call.operands + 1], "more");
	assert_string_equal(call.argv[call.operands + 2], "last");
	assert_int_equal(parse_args(&call, ARGS("-f", "--", "-c", "--bogus")), 0);
	assert_int_equal(call.argc - call.operands, 2);
	assert_string_equal(call.argv[call.operands], "-c");
	assert_int_equal(parse_args(&call, ARGS("-")), 0);
	assert_int_equal(call.argc - call.operands, 1);
}

static void test_sizes_counts_and_times_are_parsed(void **state)
{
	static const struct {
		const char *arg;
		uint64_t want;
	} good[] = {
		{ "--size=0", 0 },
		{ "--size=4096", 4096 },
		{ "--size=1k", 1024 },
		{ "--size=16M", 16 << 20 },
		{ "--size=2g", UINT64_C(2) << 30 },
		{ "--size=1T", UINT64_C(1) << 40 },
		{ "--size=16777215T", UINT64_C(16777215) << 40 },
		{ "--size=18446744073709551615", UINT64_MAX },
	};
	struct call call;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_row_equal(good[i].arg, parse_args(&call, ARGS(good[i].arg)), 0);
		assert_row_equal(good[i].arg, call.settings.size, good[i].want);
	}
	assert_int_equal(parse_args(&call, ARGS("--count=18446744073709551615")), 0);
	assert_true(call.settings.count == UINT64_MAX);
	assert_int_equal(parse_args(&call, ARGS("--timeout=1500ms")), 0);
	assert_int_equal(call.settings.timeout_ms, 1500);
}

static void test_bad_options_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *args[4];
		const char *why;
	} bad[] = {
		{ { "--bogus" }, "--bogus: no such option; see --help" },
		{ { "operand", "--bogus=5" }, "--bogus: no such option; see --help" },
		{ { "--s=5" }, "--s: is ambiguous; see --help" },
		{ { "-q" }, "-q: no such option; see --help" },
		{ { "operand", "-fq" }, "-q: no such option; see --help" },
		{ { "--size" }, "--size: needs a value" },
		{ { "-f", "-c" }, "-c: needs a value" },
		{ { "--force=yes" }, "--force: takes no value (\"--force=yes\")" },
		{ { "--size=" },
		  "--size: \"\" is not a number of bytes such as 4096, 64K, 16M or 2G" },
		{ { "--size", "big" },
		  "--size: \"big\" is not a number of bytes such as 4096, 64K, 16M or 2G" },
		{ { "--size=-1" }, "--size: \"-1\" is not a number" },
		{ { "--size=+1" }, "--size: \"+1\" is not a number" },
		{ { "--size= 1" }, "--size: \" 1\" is not a number" },
		{ { "--size=1.5G" }, "--size: \"1.5G\" is not a number" },
		{ { "--size=1KB" }, "--size: \"1KB\" is not a number" },
		{ { "--size=K" }, "--size: \"K\" is not a number" },
		{ { "--size=0x10" }, "--size: \"0x10\" is not a number" },
		{ { "--size=18446744073709551616" }, "is too large" },
		{ { "--size=16777216T" }, "--size: \"16777216T\" is too large" },
		{ { "-c", "5k" }, "-c: \"5k\" is not a whole number" },
		{ { "--count=99999999999999999999" }, "is too large" },
		{ { "--timeout=0" }, "--timeout: \"0\" is not a duration such as 500ms" },
		{ { "--timeout=soon" }, "--timeout: \"soon\" is not a duration" },
		{ { "--timeout=40000d" }, "--timeout: \"40000d\" is longer than 100 years" },
	};
	struct call call;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int r = parse_args(&call, bad[i].args);

		if (r != -EINVAL || !strstr(call.why, bad[i].why))
			fail_msg("%s %s: %d, \"%s\" instead of \"%s\"", bad[i].args[0],
			         bad[i].args[1] ? bad[i].args[1] : "", r, call.why, bad[i].why);
		assert_row_equal(bad[i].args[0], call.operands, -7);
	}
	/* A short buffer does not overflow, and NULL is accepted. */
	call.argv[1] = (char *)"--bogus";
	memset(call.why, 'x', sizeof(call.why));
	assert_int_equal(
	        options_parse(rows, 2, call.argv, &call.settings, &call.operands, call.why, 8),
	        -EINVAL);
	assert_string_equal(call.why, "--bogus");
	assert_int_equal(call.why[8], 'x');
	assert_int_equal(options_parse(rows, 2, call.argv, &call.settings, &call.operands, NULL, 0),
	                 -EINVAL);
}

static void test_the_environment_sets_options(void **state)
{
	static const char *const yes[] = { "1", "yes", "true", "on", "YES", "True" };
	static const char *const no[] = { "0", "no", "false", "off", "Off" };
	struct call call;

	(void)state;
	setenv("KDTEST_STORE", "/env", 1);
	setenv("KDTEST_SIZE", "1M", 1);
	setenv("KDTEST_TIMEOUT", "5s", 1);
	setenv("KDTEST_COUNT", "", 1); /* Same as unset. */
	assert_int_equal(parse_args(&call, ARGS("--size=2M")), 0);
	assert_string_equal(call.settings.store, "/env");
	assert_int_equal(call.settings.size, 2 << 20);
	assert_int_equal(call.settings.timeout_ms, 5000);
	assert_int_equal(call.settings.count, 0);

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		setenv("KDTEST_FORCE", yes[i], 1);
		assert_row_equal(yes[i], parse_args(&call, NO_ARGS), 0);
		assert_row(yes[i], call.settings.force);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		setenv("KDTEST_FORCE", no[i], 1);
		assert_row_equal(no[i], parse_args(&call, NO_ARGS), 0);
		assert_row(no[i], !call.settings.force);
		assert_int_equal(parse_args(&call, ARGS("-f")), 0);
		assert_true(call.settings.force);
	}
	setenv("KDTEST_FORCE", "perhaps", 1);
	assert_int_equal(parse_args(&call, NO_ARGS), -EINVAL);
	assert_string_equal(call.why, "KDTEST_FORCE: \"perhaps\" is neither yes nor no");
	unsetenv("KDTEST_FORCE");
	setenv("KDTEST_SIZE", "much", 1);
	assert_int_equal(parse_args(&call, NO_ARGS), -EINVAL);
	assert_non_null(strstr(call.why, "KDTEST_SIZE: \"much\" is not"));
	assert_int_equal(parse_args(&call, ARGS("--size=1")), 0);
	assert_int_equal(call.settings.size, 1);
}

static void test_list_options_accumulate(void **state)
{
	const char *args[OPTION_LIST_MAX + 2] = { NULL };
	char many[2 * (OPTION_LIST_MAX + 1)] = "";
	struct call call;

	(void)state;
	assert_int_equal(parse_args(&call, ARGS("-X", "a=1", "--setting=b=2,3", "-Xc=")), 0);
	assert_int_equal(call.settings.list.n, 3);
	assert_string_equal(call.settings.list.items[0], "a=1");
	assert_string_equal(call.settings.list.items[1], "b=2,3");
	assert_string_equal(call.settings.list.items[2], "c=");

	setenv("KDTEST_SETTINGS", "x=1,2;y=a b;;z=", 1);
	assert_int_equal(parse_args(&call, NO_ARGS), 0);
	assert_int_equal(call.settings.list.n, 3);
	assert_string_equal(call.settings.list.items[0], "x=1,2");
	assert_string_equal(call.settings.list.items[1], "y=a b");
	assert_string_equal(call.settings.list.items[2], "z=");
	free(call.settings.list.text);
	/* The command line replaces the environment. */
	assert_int_equal(parse_args(&call, ARGS("-X", "a", "-X", "b")), 0);
	assert_int_equal(call.settings.list.n, 2);
	assert_string_equal(call.settings.list.items[0], "a");
	for (size_t i = 0; i < sizeof(many) - 1; i++)
		many[i] = i % 2 ? ';' : 'n';
	setenv("KDTEST_SETTINGS", many, 1);
	assert_int_equal(parse_args(&call, NO_ARGS), -EINVAL);
	assert_string_equal(call.why, "KDTEST_SETTINGS: given more than 64 times");
	free(call.settings.list.text);
	unsetenv("KDTEST_SETTINGS");

	for (int i = 0; i < OPTION_LIST_MAX; i++)
		args[i] = "-Xn=v";
	assert_int_equal(parse_args(&call, args), 0);
	assert_int_equal(call.settings.list.n, OPTION_LIST_MAX);
	args[OPTION_LIST_MAX] = "-Xn=v";
	assert_int_equal(parse_args(&call, args), -EINVAL);
	assert_string_equal(call.why, "-X: given more than 64 times");
}

static void test_one_option_is_set_by_its_row(void **state)
{
	struct settings settings = { 0 };
	char why[100];

	(void)state;
	assert_int_equal(options_set(&rows[1], "on", &settings, why, sizeof(why)), 0);
	assert_true(settings.force);
	assert_int_equal(options_set(&rows[1], "off", &settings, why, sizeof(why)), 0);
	assert_false(settings.force);
	assert_int_equal(options_set(&rows[4], "3K", &settings, why, sizeof(why)), 0);
	assert_int_equal(settings.size, 3072);
	assert_int_equal(options_set(&rows[4], "3Q", &settings, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "size: \"3Q\""));
	assert_int_equal(settings.size, 3072);
	assert_int_equal(options_set(&rows[7], "a", &settings, why, sizeof(why)), 0);
	assert_int_equal(options_set(&rows[7], "b", &settings, why, sizeof(why)), 0);
	assert_int_equal(settings.list.n, 2);
	assert_int_equal(options_set(&rows[4], "x", &settings, NULL, 0), -EINVAL);
}

static void test_failed_allocations_are_reported(void **state)
{
	struct call call;

	(void)state;
	for (unsigned long n = 1; n <= 3; n++) {
		int r;

		fault_alloc(n);
		r = parse_args(&call, ARGS("-f"));
		fault_end();
		assert_int_equal(r, -ENOMEM);
		assert_string_equal(call.why, "out of memory");
	}
}

static void test_help_lists_all_options(void **state)
{
	static const struct option_row long_rows[] = {
		ROW("a-name-that-is-longer-than-the-column", 'a', NULL, OPTION_TEXT, "ARGUMENT",
		    NULL, "Short", store),
		ROW("b", 0, "KDTEST_B", OPTION_TEXT, "X", "y",
		    "A help text that is long enough to need a second line, because it goes on "
		    "and on",
		    store),
		{ .name = NULL },
	};
	struct capture capture;

	(void)state;
	capture_begin(&capture);
	options_help(rows, capture.file);
	capture_end(&capture);
	assert_string_equal(capture.text,
	                    "  -h, --help                  Show this\n"
	                    "  -f, --force                 Do it [KDTEST_FORCE]\n"
	                    "  -s, --store DIR             Where it is [/dev/shm/x, KDTEST_STORE]\n"
	                    "      --plain VALUE           .Starts with a dot\n"
	                    "      --size BYTES            How much [256M, KDTEST_SIZE]\n"
	                    "      --timeout TIME          How long [10s, KDTEST_TIMEOUT]\n"
	                    "  -c, --count N               How many [KDTEST_COUNT]\n"
	                    "  -X, --setting NAME=VALUE    Say more [KDTEST_SETTINGS]\n");
	free(capture.text);

	capture_begin(&capture);
	options_help(long_rows, capture.file);
	capture_end(&capture);
	assert_string_equal(
	        capture.text,
	        "  -a, --a-name-that-is-longer-than-the-column ARGUMENT\n"
	        "                              Short\n"
	        "      --b X                   A help text that is long enough to need a second\n"
	        "                              line, because it goes on and on [y, KDTEST_B]\n");
	free(capture.text);
}

static void test_the_manual_lists_all_options(void **state)
{
	struct capture capture;

	(void)state;
	capture_begin(&capture);
	options_man(rows, capture.file);
	capture_end(&capture);
	assert_non_null(strstr(capture.text, ".It Fl h , Fl \\-help\nShow this.\n"));
	assert_non_null(strstr(capture.text, ".It Fl s , Fl \\-store Ar \"DIR\"\nWhere it is.\n"
	                                     "The default is\n.Ql \"/dev/shm/x\" .\n"
	                                     "Environment:\n.Ev \"KDTEST_STORE\" .\n"));
	/* A help text must not become a roff request. */
	assert_non_null(strstr(capture.text, "\n\\&.Starts with a dot.\n"));
	assert_non_null(strstr(capture.text, "May be given several times.\n"));
	assert_memory_equal(capture.text, ".Bl -tag", 8);
	assert_string_equal(capture.text + capture.len - 4, ".El\n");
	free(capture.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_missing_options_have_their_defaults, clear_environment),
		cmocka_unit_test_setup(test_options_have_several_spellings, clear_environment),
		cmocka_unit_test_setup(test_operands_are_collected_in_order, clear_environment),
		cmocka_unit_test_setup(test_sizes_counts_and_times_are_parsed, clear_environment),
		cmocka_unit_test_setup(test_bad_options_are_refused_with_a_reason,
		                       clear_environment),
		cmocka_unit_test_setup(test_the_environment_sets_options, clear_environment),
		cmocka_unit_test_setup(test_list_options_accumulate, clear_environment),
		cmocka_unit_test_setup(test_one_option_is_set_by_its_row, clear_environment),
		cmocka_unit_test_setup(test_failed_allocations_are_reported, clear_environment),
		cmocka_unit_test_setup(test_help_lists_all_options, clear_environment),
		cmocka_unit_test_setup(test_the_manual_lists_all_options, clear_environment),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
