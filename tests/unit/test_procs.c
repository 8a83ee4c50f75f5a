/* Tests of common/node/procs.c: what the processes of a node know about each other. A
 * process that opens it twice stands for two processes, except where one must die. */
#include "tests/unit/cmocka_all.h"

#include "common/base/clock.h"
#include "common/node/procs.h"
#include "tests/unit/child.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 20

static struct procs *open_procs(const char *dir, const char *program, const char *place)
{
	struct procs *procs = NULL;

	assert_int_equal(procs_open(dir, program, place, &procs), 0);
	return procs;
}

static void expect_faults(struct procs *procs, unsigned faults, const char *why)
{
	char text[PROCS_WHY_MAX] = "untouched";

	assert_int_equal(procs_faults(procs, text), faults);
	assert_string_equal(text, why);
	assert_int_equal(procs_faults(procs, NULL), faults);
}

static void test_a_fault_of_one_process_is_reported_by_all(void **state)
{
	struct procs *a = open_procs(*state, "one", NULL), *b = open_procs(*state, "two", NULL);

	expect_faults(a, 0, "");
	assert_true(procs_set_fault(a, FAULT_APPLY, "the disk is full"));
	assert_false(procs_set_fault(a, FAULT_APPLY, "the disk is full"));
	expect_faults(a, 1u << FAULT_APPLY, "the disk is full");
	expect_faults(b, 1u << FAULT_APPLY, "the disk is full");
	/* The most severe fault is shown, whichever process has it. */
	assert_true(procs_set_fault(b, FAULT_LOG, "the topic is unfit"));
	expect_faults(a, 1u << FAULT_APPLY | 1u << FAULT_LOG, "the topic is unfit");
	assert_true(procs_set_fault(a, FAULT_STORE, "the store is gone"));
	expect_faults(b, 1u << FAULT_APPLY | 1u << FAULT_LOG | 1u << FAULT_STORE,
	              "the store is gone");
	assert_true(procs_set_fault(a, FAULT_STORE, ""));
	assert_false(procs_set_fault(a, FAULT_STORE, ""));
	assert_true(procs_set_fault(a, FAULT_APPLY, ""));
	expect_faults(b, 1u << FAULT_LOG, "the topic is unfit");
	/* When a process closes, its faults end. */
	procs_close(b);
	expect_faults(a, 0, "");
	procs_close(a);
	procs_close(NULL);
}

static void test_texts_too_long_are_cut(void **state)
{
	struct procs *procs = open_procs(*state, "program-with-a-long-name", "/a/place");
	char text[2 * PROCS_WHY_MAX], got[PROCS_WHY_MAX];
	struct procs_info info;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	text[3] = '\n';
	assert_true(procs_set_fault(procs, FAULT_LOG, text));
	assert_false(procs_set_fault(procs, FAULT_LOG, text));
	procs_faults(procs, got);
	assert_int_equal(strlen(got), PROCS_WHY_MAX - 1);
	assert_int_equal(got[3], '?');
	assert_int_equal(procs_next(procs, 0, &info), 0);
	assert_string_equal(info.program, "program-with-a-");
	assert_string_equal(info.place, "/a/place");
	assert_string_equal(info.why, got);
	assert_int_equal(info.pid, getpid());
	assert_int_equal(procs_next(procs, 1, &info), -1);
	procs_close(procs);
}

static void test_the_applier_is_found_with_its_heartbeat(void **state)
{
	struct procs *a = open_procs(*state, "one", NULL), *b = open_procs(*state, "two", NULL);
	struct procs_info info;
	int64_t before_ms = clock_mono_ms();

	assert_false(procs_applier(a, &info));
	procs_set_applier(b, true);
	procs_beat_applier(b);
	assert_true(procs_applier(a, &info));
	assert_string_equal(info.program, "two");
	assert_true(info.applies);
	assert_true(info.applied_ms >= before_ms && info.applied_ms <= clock_mono_ms());
	int64_t beat_ms = info.beat_ms;
	UNTIL(clock_mono_ms() > beat_ms);
	procs_beat(b);
	assert_true(procs_applier(a, &info));
	assert_true(info.beat_ms > beat_ms);
	procs_set_applier(b, false);
	assert_false(procs_applier(a, &info));
	procs_close(a);
	procs_close(b);
}

static void test_one_process_at_a_time_logs_ticks(void **state)
{
	struct procs *a = open_procs(*state, "one", NULL), *b = open_procs(*state, "two", NULL);

	assert_true(procs_take_ticks(a));
	assert_true(procs_take_ticks(a));
	assert_false(procs_take_ticks(b));
	procs_close(a);
	assert_true(procs_take_ticks(b));
	procs_close(b);
}

static void test_slots_are_limited(void **state)
{
	struct procs *all[PROCS_MAX], *one = NULL;
	struct procs_info info;
	int i = -1, n = 0;

	for (int k = 0; k < PROCS_MAX; k++)
		all[k] = open_procs(*state, "p", NULL);
	assert_int_equal(procs_open(*state, "p", NULL, &one), -EUSERS);
	assert_null(one);
	while ((i = procs_next(all[7], i + 1, &info)) >= 0)
		n++;
	assert_int_equal(n, PROCS_MAX);
	for (int k = 0; k < PROCS_MAX; k++)
		procs_close(all[k]);
	assert_int_equal(procs_open("/nowhere/at/all", "p", NULL, &one), -ENOENT);
}

struct shared {
	const char *dir;
	_Atomic unsigned reports;
};

/* Report faults without end, each text made of one letter, until killed. */
static void report_without_end(void *arg)
{
	struct shared *shared = arg;
	struct procs *procs;
	char text[PROCS_WHY_MAX];

	CHILD_CHECK(procs_open(shared->dir, "child", NULL, &procs) == 0);
	procs_set_applier(procs, true);
	for (unsigned i = 0;; i++) {
		memset(text, 'a' + (int)(i % 26), sizeof(text));
		text[sizeof(text) - 1 - i % 500] = '\0';
		procs_set_fault(procs, FAULT_LOG, text);
		atomic_store(&shared->reports, i + 1);
	}
}

/* A reader gets whole texts from a writer that runs, is stopped or is killed at any
 * point, and none from a dead one. It never waits for the writer. */
static void test_readers_survive_a_writer_that_stops_anywhere(void **state)
{
	struct shared *shared = child_share(sizeof(*shared));
	struct procs *procs = open_procs(*state, "reader", NULL);
	char text[PROCS_WHY_MAX];
	struct procs_info info;
	unsigned whole = 0;

	shared->dir = *state;
	for (int round = 0; round < ROUNDS; round++) {
		atomic_store(&shared->reports, 0);
		pid_t pid = child_start(report_without_end, shared);
		UNTIL(atomic_load(&shared->reports) > 10);
		for (int i = 0; i < 500; i++) {
			if (i == 400)
				kill(pid, SIGSTOP);
			assert_int_equal(procs_faults(procs, text), 1u << FAULT_LOG);
			if (strcmp(text, "the log cannot be used") == 0)
				continue;
			assert_int_equal(strspn(text, (char[]){ text[0], '\0' }), strlen(text));
			whole++;
		}
		assert_true(procs_applier(procs, &info));
		assert_int_equal(info.pid, pid);
		child_kill(pid);
		expect_faults(procs, 0, "");
		assert_false(procs_applier(procs, &info));
		/* The next owner of the slot inherits nothing. */
		struct procs *next = open_procs(*state, "next", NULL);
		assert_int_equal(procs_next(procs, 1, &info), 1);
		assert_string_equal(info.program, "next");
		assert_string_equal(info.why, "");
		assert_int_equal(info.faults, 0);
		assert_false(info.applies);
		procs_close(next);
	}
	assert_int_not_equal(whole, 0);
	procs_close(procs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_set_up, temp_dir_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_fault_of_one_process_is_reported_by_all),
		TEST(test_texts_too_long_are_cut),
		TEST(test_the_applier_is_found_with_its_heartbeat),
		TEST(test_one_process_at_a_time_logs_ticks),
		TEST(test_slots_are_limited),
		TEST(test_readers_survive_a_writer_that_stops_anywhere),
	};

	return cmocka_run_group_tests_name("procs", tests, NULL, NULL);
}
