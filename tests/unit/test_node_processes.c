/* Tests of common/node/node.c with several processes on one store: all submit and
 * follow, one dies, mounts acknowledge; and with a store that is removed. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/prng.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 11
#define EACH 400

/* Memory that the processes of a test share. Each child has a number. */
struct shared {
	char dir[4096];
	_Atomic unsigned open;  /* nodes that are open */
	_Atomic unsigned start; /* children go on once this is set */
	_Atomic unsigned done;  /* processes that completed their part */
	_Atomic unsigned leave; /* children close their nodes and exit once this is set */
	_Atomic uint64_t acked; /* number of the newest acknowledged write */
	_Atomic uint64_t command, answered;
	struct follower follower[3];
	unsigned number;
};

static struct shared *share_memory(const char *dir)
{
	struct shared *shared = child_share(sizeof(*shared));

	assert_true((size_t)snprintf(shared->dir, sizeof(shared->dir), "%s", dir) <
	            sizeof(shared->dir));
	return shared;
}

static void child_until(_Atomic unsigned *flag, unsigned want)
{
	int64_t end = until_end();

	while (atomic_load(flag) < want)
		CHILD_CHECK(!until_over(end));
}

/* Submit an event in a child and wait for its answer. */
static struct outcome child_do(struct node *node, const struct event *ev)
{
	struct answer answer = { 0 };
	int64_t end = until_end();

	node_submit(node, ev, NULL, node_fixture_done, &answer);
	while (!atomic_load(&answer.calls))
		CHILD_CHECK(!until_over(end));
	CHILD_CHECK(atomic_load(&answer.calls) == 1);
	return answer.out;
}

/* --- all submit and follow --- */

static void submit_and_follow(void *arg)
{
	struct shared *shared = arg;
	struct follower *follower = &shared->follower[shared->number];
	struct node_config config = node_fixture_config(shared->dir, follower);
	struct node *node = node_fixture_open_in_child(&config);
	struct answer answers[EACH] = { 0 };
	char key[32];

	atomic_fetch_add(&shared->open, 1);
	child_until(&shared->start, 1);
	for (int i = 0; i < EACH; i++) {
		/* Half of the events increment one key, which shows the order; half set
		 * separate keys. */
		int n = snprintf(key, sizeof(key), i % 2 ? "p%u-%d" : "all", shared->number, i);
		struct event ev = { .op = i % 2 ? EVENT_SET : EVENT_INCR,
			            .key = { key, (size_t)n },
			            .value = { key, (size_t)n },
			            .by = 1 };
		node_submit(node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	int64_t end = until_end(), last = 0;
	for (int i = 0; i < EACH; i++) {
		while (!atomic_load(&answers[i].calls))
			CHILD_CHECK(!until_over(end));
		CHILD_CHECK(atomic_load(&answers[i].calls) == 1);
		CHILD_CHECK(answers[i].out.code == OUTCOME_OK);
		if (i % 2 ==
		    0) { /* Another process may increment in between, but the number never decreases. */
			CHILD_CHECK(answers[i].out.number > last);
			last = answers[i].out.number;
		}
	}
	atomic_fetch_add(&shared->done, 1);
	child_until(&shared->leave, 1);
	node_close(node);
}

static void test_all_processes_submit_and_follow(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_memory(dir);
	const unsigned nchildren = 3;
	pid_t pids[3];

	(void)state;
	for (unsigned i = 0; i < nchildren; i++) {
		shared->number = i;
		pids[i] = child_start(submit_and_follow, shared);
		UNTIL(atomic_load(&shared->open) == i + 1);
	}
	atomic_store(&shared->start, 1);
	UNTIL(atomic_load(&shared->done) == nchildren);
	for (unsigned i = 0; i < nchildren; i++) {
		struct follower *f = &shared->follower[i];
		UNTIL(atomic_load(&f->last) == nchildren * EACH);
		assert_int_equal(atomic_load(&f->events), nchildren * EACH);
		assert_int_equal(atomic_load(&f->faults), 0);
		assert_int_equal(atomic_load(&f->gaps), 0);
		assert_int_equal(atomic_load(&f->ops[EVENT_INCR]), nchildren * EACH / 2);
	}
	atomic_store(&shared->leave, 1);
	for (unsigned i = 0; i < nchildren; i++)
		child_join(pids[i]);
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	char *all = node_fixture_value(node, "all", NULL);
	assert_int_equal(strtol(all, NULL, 10), nchildren * EACH / 2);
	free(all);
	node_fixture_check(node);
	node_close(node);
	temp_dir_remove(dir);
}

/* --- one is killed --- */

static void write_and_count(void *arg)
{
	struct shared *shared = arg;
	unsigned turn = shared->number;
	struct node_config config = node_fixture_config(shared->dir, NULL);
	char key[32];

	atomic_fetch_add(&shared->open, 1);
	while (atomic_load(&shared->start) <= turn) /* Until it is its turn. */
		usleep(500);
	struct node *node = node_fixture_open_in_child(&config);
	for (;;) {
		uint64_t number = atomic_load(&shared->acked) + 1;
		int n = snprintf(key, sizeof(key), "c/%llu", (unsigned long long)number);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .value = { key, (size_t)n } };
		CHILD_CHECK(child_do(node, &ev).code == OUTCOME_OK);
		atomic_store(&shared->acked, number);
	}
}

/* Kill one process after another while it and this one write: this one continues and
 * follows everything, and every acknowledged write is there. */
static void test_a_kill_loses_no_acknowledged_write(void **state)
{
	char *dir = temp_dir_new(), key[32], *value;
	struct shared *shared = share_memory(dir);
	struct follower *follower = &shared->follower[0];
	struct node_config config = node_fixture_config(dir, follower);
	struct prng prng = { .seed = SEED };
	struct node *node = NULL;
	pid_t pids[6];
	uint64_t own = 0;

	(void)state;
	print_message("# seed %d\n", SEED);
	for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
		shared->number = i;
		pids[i] = child_start(write_and_count, shared);
		UNTIL(atomic_load(&shared->open) == i + 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
		uint64_t from = atomic_load(&shared->acked);
		atomic_store(&shared->start, i + 1);
		if (!node) {
			/* The first process creates the volume. */
			UNTIL(atomic_load(&shared->acked) > from);
			node = node_fixture_open(&config);
		}
		uint64_t until = from + 5 + prng_below(&prng, 60);
		while (atomic_load(&shared->acked) < until) {
			EXPECT_DO(node, OK, .op = EVENT_INCR, .key = B("own"), .by = 1);
			own++;
		}
		usleep(prng_below(&prng, 400));
		child_kill(pids[i]);
		EXPECT_DO(node, OK, .op = EVENT_INCR, .key = B("own"), .by = 1);
		own++;
	}
	for (uint64_t i = 1; i <= atomic_load(&shared->acked); i++) {
		snprintf(key, sizeof(key), "c/%llu", (unsigned long long)i);
		value = node_fixture_value(node, key, NULL);
		assert_non_null(value);
		assert_string_equal(value, key);
		free(value);
	}
	value = node_fixture_value(node, "own", NULL);
	assert_int_equal(strtoull(value, NULL, 10), own);
	free(value);
	struct node_status status;
	UNTIL((node_status(node, &status), status.followed == status.applied));
	assert_int_equal(atomic_load(&follower->faults), 0);
	assert_int_equal(atomic_load(&follower->last), status.applied);
	node_fixture_check(node);
	node_close(node);
	temp_dir_remove(dir);
}

/* --- a mount --- */

static void open_as_mount(void *arg)
{
	struct shared *shared = arg;
	struct follower *follower = &shared->follower[shared->number];
	struct node_config config = node_fixture_config(shared->dir, follower);
	config.is_mount = true;
	struct node *node = node_fixture_open_in_child(&config);
	uint64_t acked = 0;

	atomic_fetch_add(&shared->open, 1);
	int64_t end = until_end();
	while (!atomic_load(&shared->leave)) {
		uint64_t command = atomic_load(&shared->command);
		if (command > acked) {
			node_ack(node, acked = command);
			atomic_store(&shared->answered, command);
		}
		CHILD_CHECK(!until_over(end));
	}
	node_close(node);
}

/* A REST server waits for the mounts of its node until a deadline, and not for mounts
 * that are gone. */
static void test_wait_acked_waits_for_open_mounts(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_memory(dir);
	struct answer soon = { 0 }, bound = { 0 }, at_once = { 0 }, killed = { 0 }, old = { 0 };

	(void)state;
	pid_t pid = child_start(open_as_mount, shared);
	UNTIL(atomic_load(&shared->open) == 1);
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	struct outcome out = DO(node, .op = EVENT_SET, .key = B("a"));
	node_wait_acked(node, out.offset, 3600000, node_fixture_done, &soon);
	node_wait_acked(node, out.offset + 100, 1, node_fixture_done, &bound);
	UNTIL(atomic_load(&bound.calls));
	assert_int_equal(bound.out.code,
	                 OUTCOME_UNKNOWN); /* The outcome says that the deadline passed. */
	assert_int_equal(atomic_load(&soon.calls), 0);
	/* A mount acknowledges everything that it has seen when it opens. */
	node_wait_acked(node, 0, 3600000, node_fixture_done, &old);
	assert_int_equal(atomic_load(&old.calls), 1);
	atomic_store(&shared->command, out.offset);
	UNTIL(atomic_load(&soon.calls));
	assert_int_equal(soon.out.code, OUTCOME_OK);
	node_wait_acked(node, out.offset, 3600000, node_fixture_done, &at_once);
	assert_int_equal(atomic_load(&at_once.calls), 1);
	node_wait_acked(node, out.offset + 100, 3600000, node_fixture_done, &killed);
	child_kill(pid);
	UNTIL(atomic_load(&killed.calls));
	assert_int_equal(killed.out.code, OUTCOME_OK);
	assert_int_equal(atomic_load(&soon.calls), 1);
	assert_int_equal(atomic_load(&bound.calls), 1);
	node_close(node);
	temp_dir_remove(dir);
}

/* node_wait() ends when another process applies the event. */
static void write_on_command(void *arg)
{
	struct shared *shared = arg;
	struct node_config config = node_fixture_config(shared->dir, NULL);
	struct node *node = node_fixture_open_in_child(&config);
	struct event ev = { .op = EVENT_SET, .key = B("by another") };

	atomic_fetch_add(&shared->open, 1);
	child_until(&shared->start, 1);
	CHILD_CHECK(child_do(node, &ev).code == OUTCOME_OK);
	ev = (struct event){ .op = EVENT_SET, .key = B("short"), .ttl = TTL_SET, .ttl_ms = 20 };
	CHILD_CHECK(child_do(node, &ev).code == OUTCOME_OK);
	/* It exits without closing: the other process handles the expiry. */
	_exit(0);
}

static void test_a_wait_ends_by_another_process(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_memory(dir);
	struct follower *follower = &shared->follower[0];
	struct answer one = { 0 }, two = { 0 };

	(void)state;
	pid_t pid = child_start(write_on_command, shared);
	UNTIL(atomic_load(&shared->open) == 1);
	struct node_config config = node_fixture_config(dir, follower);
	struct node *node = node_fixture_open(&config);
	node_wait(node, 1, 3600000, node_fixture_done, &one);
	node_wait(node, 2, 3600000, node_fixture_done, &two);
	assert_int_equal(atomic_load(&one.calls), 0);
	atomic_store(&shared->start, 1);
	UNTIL(atomic_load(&one.calls));
	UNTIL(atomic_load(&two.calls));
	assert_int_equal(one.out.code, OUTCOME_OK);
	char *value = node_fixture_value(node, "by another", NULL);
	assert_non_null(value);
	free(value);
	child_join(pid);
	UNTIL(atomic_load(&follower->expired) == 1);
	assert_int_equal(atomic_load(&follower->faults), 0);
	node_close(node);
	temp_dir_remove(dir);
}

/* --- opening and closing in any order --- */

static void open_and_write(void *arg)
{
	struct shared *shared = arg;
	struct node_config config = node_fixture_config(shared->dir, NULL);
	struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };

	for (int i = 0; i < 10; i++) {
		struct node *node = node_fixture_open_in_child(&config);
		CHILD_CHECK(child_do(node, &ev).code == OUTCOME_OK);
		node_close(node);
	}
}

static void test_processes_open_and_close_in_any_order(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_memory(dir);
	pid_t pids[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = child_start(open_and_write, shared);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		child_join(pids[i]);
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	char *value = node_fixture_value(node, "n", NULL);
	assert_string_equal(value, "30");
	free(value);
	assert_int_equal(node_offset(node), 30);
	node_fixture_check(node);
	node_close(node);
	temp_dir_remove(dir);
}

/* --- the store is removed --- */

/* Wait until NODE reports that FILE of its store was removed or replaced, as HOW
 * says. */
static void until_lost(struct node *node, const char *file, const char *how)
{
	struct node_status status;
	int64_t end = until_end();

	do {
		assert_false(until_over(end));
		node_status(node, &status);
	} while (!strstr(status.why, file) || !strstr(status.why, how));
	assert_false(status.ready);
	assert_non_null(strstr(status.why, "start them again"));
}

static void test_a_removed_store_fails_writes(void **state)
{
	char *parent = temp_dir_new(), dir[4200];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/store", parent);
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("a"), .value = B("1"));
	temp_dir_remove(strdup(dir));
	until_lost(node, "data.mdb", "removed");
	EXPECT_DO(node, LOG_DOWN, .op = EVENT_SET, .key = B("a"), .value = B("2"));
	int64_t since_ms;
	assert_int_equal(node_write_error(node, &since_ms), EIO);
	assert_int_equal(since_ms, 0);

	/* A process that starts now creates another store, without any entry of this
	 * one. */
	struct node *other = node_fixture_open(&config);
	until_lost(node, "data.mdb", "replaced");
	EXPECT_DO(node, LOG_DOWN, .op = EVENT_SET, .key = B("a"), .value = B("2"));
	EXPECT_DO(other, OK, .op = EVENT_SET, .key = B("b"), .value = B("3"));
	assert_int_equal(store_place_check(store_place(node_store(other)), NULL, 0), 0);
	assert_null(node_fixture_value(other, "a", NULL));
	char *value = node_fixture_value(node, "a", NULL);
	assert_string_equal(value, "1");
	free(value);
	node_close(other);
	node_close(node);
	temp_dir_remove(parent);
}

/* Each file that a new node creates is checked, whenever it was created. */
static void test_any_removed_file_is_detected(void **state)
{
	static const char *const names[] = { "lock.mdb", "state",    "bell",
		                             "recency",  "data.mdb", "processes.1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *dir = temp_dir_new(), path[4200];
		struct node_config config = node_fixture_config(dir, NULL);

		config.evict = EVICT_LRU;
		struct node *node = node_fixture_open(&config);
		assert_int_equal(store_place_check(store_place(node_store(node)), NULL, 0), 0);
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(unlink(path), 0);
		until_lost(node, path, "removed");
		node_close(node);
		temp_dir_remove(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_processes_submit_and_follow),
		cmocka_unit_test(test_a_kill_loses_no_acknowledged_write),
		cmocka_unit_test(test_wait_acked_waits_for_open_mounts),
		cmocka_unit_test(test_a_wait_ends_by_another_process),
		cmocka_unit_test(test_processes_open_and_close_in_any_order),
		cmocka_unit_test(test_a_removed_store_fails_writes),
		cmocka_unit_test(test_any_removed_file_is_detected),
	};

	return cmocka_run_group_tests_name("node_processes", tests, NULL, NULL);
}
