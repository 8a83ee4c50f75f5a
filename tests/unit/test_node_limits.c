/* Tests of common/node/submit.c and node/quota.c: the quota, the limit of one value,
 * a full file system.
 *
 * LINK: -Wl,--wrap=node_shm_sleep */
#include "tests/unit/cmocka_all.h"

#include "common/node/node_shm.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/temp_dir.h"

#include "common/apply/apply.h"
#include "common/node/quota.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST STORE_ENTRY_COST

/* How often the node's thread went to sleep, each time after checking everything. */
static _Atomic uint64_t sleeps;

void __real_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms)
{
	atomic_fetch_add(&sleeps, 1);
	__real_node_shm_sleep(shm, wake_count, timeout_ms < 20 ? timeout_ms : 20);
}

static int set_up(void **state)
{
	*state = node_fixture_new();
	return 0;
}

static uint64_t used_bytes(struct node *node)
{
	struct txn *txn;

	assert_int_equal(txn_read(node_store(node), &txn), 0);
	uint64_t bytes = txn_meta(txn)->used_bytes;
	txn_abort(txn);
	return bytes;
}

static char zeros[4096];

/* Open a node whose quota holds N keys k0, k1 ... of 100 bytes plus BYTES, and set
 * the keys. */
static void open_and_fill(struct node_fixture *fixture, int n, uint64_t bytes)
{
	char key[8];

	fixture->config.size_bytes = (uint64_t)n * (COST + 2 + 100) + bytes;
	fixture->node = node_fixture_open(&fixture->config);
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = { key, 2 },
		          .value = { zeros, 100 });
	}
	assert_int_equal(used_bytes(fixture->node), fixture->config.size_bytes - bytes);
}

/* --- the quota --- */

/* The quota is used up to the last byte. When it is full, everything except growth
 * continues. */
static void test_a_full_cache_refuses_only_growth(void **state)
{
	struct node_fixture *fixture = *state;
	const struct event_range inside = { 50, 10 }, beyond = { 95, 10 };

	open_and_fill(fixture, 5, 0);
	struct node *node = fixture->node;
	uint64_t full = used_bytes(node), applied = node_offset(node);

	EXPECT_DO(node, NO_SPACE, .op = EVENT_SET, .key = B("x"));
	EXPECT_DO(node, NO_SPACE, .op = EVENT_SET, .key = B("k0"), .value = { zeros, 101 });
	EXPECT_DO(node, NO_SPACE, .op = EVENT_SET, .key = B("k0"), .value = { zeros, 100 },
	          .type = B("t"));
	EXPECT_DO(node, NO_SPACE, .op = EVENT_APPEND, .key = B("k0"), .value = B("1"));
	EXPECT_DO(node, NO_SPACE, .op = EVENT_TRUNCATE, .key = B("k0"), .size = 101);
	EXPECT_DO(node, NO_SPACE, .op = EVENT_WRITE, .key = B("k0"), .size = 101);
	EXPECT_DO(node, NO_SPACE, .op = EVENT_WRITE, .key = B("k0"), .value = { zeros, 10 },
	          .ranges = &beyond, .nranges = 1);
	EXPECT_DO(node, NO_SPACE, .op = EVENT_INCR, .key = B("n"), .by = 1);
	EXPECT_DO(node, NO_SPACE, .op = EVENT_MKDIR, .key = B("d"));
	EXPECT_DO(node, NO_SPACE, .op = EVENT_SETXATTR, .key = B("k0"), .name = B("user.x"));
	EXPECT_DO(node, NO_SPACE, .op = EVENT_RENAME, .key = B("k0"), .to = B("d/e/f"));
	assert_int_equal(used_bytes(node), full);
	assert_int_equal(node_offset(node), applied); /* No refused event was logged. */

	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("k0"), .value = { zeros, 100 });
	EXPECT_DO(node, OK, .op = EVENT_SET, .dir = STORE_ROOT_INO, .key = B("some/where/k0"),
	          .value = { zeros, 100 });
	EXPECT_DO(node, OK, .op = EVENT_WRITE, .key = B("k0"), .value = { zeros, 10 },
	          .ranges = &inside, .nranges = 1);
	EXPECT_DO(node, OK, .op = EVENT_APPEND, .key = B("k0"));
	EXPECT_DO(node, OK, .op = EVENT_TRUNCATE, .key = B("k0"), .size = 100);
	EXPECT_DO(node, OK, .op = EVENT_CHMOD, .key = B("k0"), .mode = 0600,
	          .flags = EVENT_HAS_MODE);
	EXPECT_DO(node, OK, .op = EVENT_TOUCH, .key = B("k0"));
	EXPECT_DO(node, OK, .op = EVENT_SETXATTR, .at = STORE_ROOT_INO,
	          .name = B("user.default_ttl"), .value = B("1h"));
	EXPECT_DO(node, OK, .op = EVENT_EXPIRE, .key = B("k0"), .ttl = TTL_SET, .ttl_ms = 3600000);
	EXPECT_DO(node, OK, .op = EVENT_PERSIST, .key = B("k0"));
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("k0"), .to = B("K0"));
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("K0"), .to = B("k1"));
	assert_true(used_bytes(node) < full);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("k0"), .value = { zeros, 100 });
	assert_int_equal(used_bytes(node), full);
	/* A longer name is permitted although it exceeds the quota. */
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("k0"), .to = B("a_longer_name"));
	assert_int_equal(used_bytes(node), full + 11);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("k1"), .value = { zeros, 99 });
	EXPECT_DO(node, OK, .op = EVENT_DEL, .key = B("k1"));
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("x"));
}

/* An event that would fail anyway fails with its own reason, full or not. */
static void test_other_failures_come_before_no_space(void **state)
{
	struct node_fixture *fixture = *state;

	open_and_fill(fixture, 3, 0);
	EXPECT_DO(fixture->node, EXISTS, .op = EVENT_SET, .key = B("k0"), .cond = IF_ABSENT,
	          .value = { zeros, 4096 });
	EXPECT_DO(fixture->node, VERSION, .op = EVENT_SET, .key = B("k0"), .cond = IF_VERSION,
	          .if_version = 999, .value = { zeros, 4096 });
	EXPECT_DO(fixture->node, NOT_FOUND, .op = EVENT_SETXATTR, .key = B("none"),
	          .name = B("user.x"));
	EXPECT_DO(fixture->node, NOT_DIR, .op = EVENT_SET, .key = B("k0/x"));
	EXPECT_DO(fixture->node, IS_DIR, .op = EVENT_SET, .at = STORE_ROOT_INO,
	          .value = { zeros, 4096 });
	EXPECT_DO(fixture->node, NOT_FOUND, .op = EVENT_TRUNCATE, .key = B("none"), .size = 4096);
}

/* Missing directories cost as much as keys. */
static void test_directories_count_towards_the_quota(void **state)
{
	struct node_fixture *fixture = *state;

	open_and_fill(fixture, 1, 3 * (COST + 1) - 1);
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_SET, .key = B("a/b/c"));
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_MKDIR, .key = B("a/b/c"));
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_APPEND, .key = B("a/b/c"));
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_INCR, .key = B("a/b/c"));
	char *made = node_fixture_value(fixture->node, "a", NULL);
	assert_null(made);
	EXPECT_DO(fixture->node, OK, .op = EVENT_MKDIR, .key = B("a/b"));
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_SET, .key = B("a/b/c"));
	EXPECT_DO(fixture->node, OK, .op = EVENT_TRUNCATE, .key = B("k0"), .size = 99);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("a/b/c"));
	assert_int_equal(used_bytes(fixture->node), fixture->config.size_bytes);
}

/* A transaction counts as a whole. */
static void test_a_transaction_counts_as_a_whole(void **state)
{
	struct node_fixture *fixture = *state;
	struct event swap[] = { { .op = EVENT_DEL, .key = B("k0") },
		                { .op = EVENT_SET, .key = B("n0"), .value = { zeros, 100 } } };
	struct event two[] = { { .op = EVENT_SET, .key = B("k1") },
		               { .op = EVENT_SET, .key = B("n1"), .value = { zeros, 101 } } };
	struct event shrink[] = { { .op = EVENT_SET, .key = B("k1"), .value = { zeros, 4096 } },
		                  { .op = EVENT_TRUNCATE, .key = B("k1") } };

	open_and_fill(fixture, 3, 0);
	uint64_t full = used_bytes(fixture->node);
	EXPECT_DO(fixture->node, OK, .op = EVENT_TXN, .ops = swap, .nops = 2);
	assert_int_equal(used_bytes(fixture->node), full);
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_TXN, .ops = two, .nops = 2);
	assert_int_equal(used_bytes(fixture->node), full);
	EXPECT_DO(fixture->node, OK, .op = EVENT_TXN, .ops = shrink, .nops = 2);
	assert_int_equal(used_bytes(fixture->node), full - 100);
}

/* Set 200 keys without waiting; return how many succeeded. Events that are queued
 * together still count. */
static void *set_many(void *arg)
{
	struct node *node = arg;
	static _Atomic int number;
	struct answer *answers = calloc(200, sizeof(*answers));
	char key[16];
	uintptr_t done = 0;

	assert_non_null(answers);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "n%05d", atomic_fetch_add(&number, 1));
		struct event ev = { .op = EVENT_SET, .key = { key, 6 }, .value = { zeros, 10 } };
		node_submit(node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	for (int i = 0; i < 200; i++) {
		UNTIL(atomic_load(&answers[i].calls));
		done += answers[i].out.code == OUTCOME_OK;
		assert_true(answers[i].out.code == OUTCOME_OK ||
		            answers[i].out.code == OUTCOME_NO_SPACE);
	}
	free(answers);
	return (void *)done;
}

static void test_racing_writes_fill_the_quota_exactly(void **state)
{
	struct node_fixture *fixture = *state;
	pthread_t threads[3];
	uintptr_t all = 0;

	open_and_fill(fixture, 1, 300 * (COST + 6 + 10));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, set_many, fixture->node), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *done;
		pthread_join(threads[i], &done);
		all += (uintptr_t)done;
	}
	assert_int_equal(all, 300);
	assert_int_equal(used_bytes(fixture->node), fixture->config.size_bytes);
}

/* The growth that a Kafka node predicts: never less than an event adds in a new
 * place, and nothing for what it replaces. */
static void test_predicted_growth_is_an_upper_bound(void **state)
{
	static const struct event events[] = {
		{ .op = EVENT_SET,
		  .key = B("a/b/c"),
		  .value = B("12345"),
		  .type = B("text/plain") },
		{ .op = EVENT_SET, .key = B("top"), .value = B("12345") },
		{ .op = EVENT_APPEND, .key = B("q/r"), .value = B("12345") },
		{ .op = EVENT_INCR, .key = B("s/t/u/n"), .by = INT64_MIN },
		{ .op = EVENT_MKDIR, .key = B("v/w/x/y/z") },
		{ .op = EVENT_SETXATTR, .key = B("top"), .name = B("user.x"), .value = B("12") },
		{ .op = EVENT_TRUNCATE, .key = B("top"), .size = 4096 },
		{ .op = EVENT_RENAME, .key = B("top"), .to = B("far/away/top") },
		{ .op = EVENT_DEL, .key = B("far"), .flags = EVENT_RECURSE },
	};
	struct node_fixture *fixture = *state;
	struct txn *txn;

	fixture->node = node_fixture_open(&fixture->config);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		uint64_t before = used_bytes(fixture->node);
		assert_int_equal(node_fixture_do(fixture->node, &events[i]).code, OUTCOME_OK);
		uint64_t after = used_bytes(fixture->node);
		assert_row(event_op_text(events[i].op), after <= before + quota_growth(&events[i]));
	}
	assert_int_equal(txn_read(node_store(fixture->node), &txn), 0);
	uint64_t all = txn_meta(txn)->used_bytes;
	struct event again = events[0];
	assert_true(quota_fits(txn, &again, all + 17 + 10, 0)); /* Replaced, except for the type. */
	assert_false(quota_fits(txn, &again, all, 1000));
	again = (struct event){ .op = EVENT_SET, .key = B("a/b/c"), .value = B("12345") };
	assert_true(quota_fits(txn, &again, all, 0));
	again.value.len = 4;
	assert_true(quota_fits(txn, &again, 0, 0)); /* Shrinking, whatever the quota. */
	again = (struct event){ .op = EVENT_SET, .key = B("a/b/d") };
	assert_true(quota_fits(txn, &again, all + COST + 1, 0));
	assert_false(quota_fits(txn, &again, all + COST, 0));
	again = (struct event){ .op = EVENT_SET, .key = B("a/x/d") };
	assert_true(quota_fits(txn, &again, all + 2 * COST + 3, 0));
	assert_false(quota_fits(txn, &again, all + 2 * COST, 0));
	again = (struct event){ .op = EVENT_RENAME, .key = B("a/b/c"), .to = B("a/b/longer") };
	assert_true(quota_fits(txn, &again, all, 0));
	again = (struct event){ .op = EVENT_DEL, .key = B("a/b/c") };
	assert_true(quota_fits(txn, &again, 0, 0));
	txn_abort(txn);
}

/* --- the limit of one value --- */

static void test_no_value_exceeds_its_limit(void **state)
{
	struct node_fixture *fixture = *state;
	const struct event_range last = { 990, 10 }, over = { 991, 10 };
	struct event twice[] = { { .op = EVENT_APPEND, .key = B("t"), .value = { zeros, 600 } },
		                 { .op = EVENT_APPEND, .key = B("t"), .value = { zeros, 401 } } };

	fixture->config.max_value = 1000;
	struct node *node = fixture->node = node_fixture_open(&fixture->config);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("d/a"), .value = { zeros, 1000 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_SET, .key = B("d/a"), .value = { zeros, 1001 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TRUNCATE, .key = B("d/a"), .size = 1001);
	EXPECT_DO(node, OK, .op = EVENT_WRITE, .key = B("d/a"), .value = { zeros, 10 },
	          .ranges = &last, .nranges = 1);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_WRITE, .key = B("d/a"), .value = { zeros, 10 },
	          .ranges = &over, .nranges = 1);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_WRITE, .key = B("d/a"), .size = 1001);
	/* Appends, however the key is addressed. */
	struct outcome dir = DO(node, .op = EVENT_MKDIR, .key = B("d"));
	struct outcome key = DO(node, .op = EVENT_SET, .key = B("d/k"), .value = { zeros, 990 });
	EXPECT_DO(node, OK, .op = EVENT_APPEND, .key = B("d/k"), .value = { zeros, 10 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_APPEND, .key = B("d/k"), .value = { zeros, 1 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_APPEND, .at = key.ino, .value = { zeros, 1 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_APPEND, .dir = dir.ino, .key = B("d/k"),
	          .value = { zeros, 1 });
	EXPECT_DO(node, OK, .op = EVENT_APPEND, .dir = dir.ino, .key = B("d/l"),
	          .value = { zeros, 1000 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_APPEND, .key = B("new"), .value = { zeros, 1001 });
	EXPECT_DO(node, VERSION, .op = EVENT_APPEND, .key = B("d/k"), .value = { zeros, 1 },
	          .cond = IF_VERSION, .if_version = 12345);
	/* In a transaction, appends add up. */
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TXN, .ops = twice, .nops = 2);
	assert_null(node_fixture_value(node, "t", NULL));
	twice[1].value.len = 400;
	EXPECT_DO(node, OK, .op = EVENT_TXN, .ops = twice, .nops = 2);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TXN, .ops = twice, .nops = 1);
	/* An attribute may be longer than a value. */
	fixture->config.max_value = 5;
	node_close(node);
	node = fixture->node = node_fixture_open(&fixture->config);
	EXPECT_DO(node, OK, .op = EVENT_SETXATTR, .key = B("d/k"), .name = B("user.x"),
	          .value = { zeros, 100 });
	/* A value that exceeds the limit can shrink, be renamed and be removed. */
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("d/k"), .to = B("d/m"));
	EXPECT_DO(node, OK, .op = EVENT_TRUNCATE, .key = B("d/m"), .size = 5);
	EXPECT_DO(node, OK, .op = EVENT_DEL, .key = B("d/a"));
}

/* An append does not extend an expired key. */
static void test_an_append_to_an_expired_key_creates_it(void **state)
{
	struct node_fixture *fixture = *state;
	struct txn *txn;

	fixture->config.max_value = 10;
	fixture->config.read_only = true; /* No tick purges it meanwhile. */
	fixture->node = node_fixture_open(&fixture->config);
	struct event old = { .op = EVENT_SET,
		             .key = B("k"),
		             .value = B("0123456789"),
		             .ttl = TTL_UNTIL,
		             .ttl_ms = 1 };
	assert_int_equal(txn_write(node_store(fixture->node), &txn), 0);
	assert_int_equal(apply_event(txn, &old, 1, 5, NULL), 0);
	assert_int_equal(txn_commit(txn), 0);
	node_close(fixture->node);
	fixture->config.read_only = false;
	fixture->node = node_fixture_open(&fixture->config);
	EXPECT_DO(fixture->node, OK, .op = EVENT_APPEND, .key = B("k"), .value = B("new"));
	char *value = node_fixture_value(fixture->node, "k", NULL);
	assert_string_equal(value, "new");
	free(value);
}

static void *append_many(void *arg)
{
	struct node *node = arg;
	struct answer answers[100] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct event ev = { .op = EVENT_APPEND, .key = B("log"), .value = { zeros, 10 } };
		node_submit(node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		UNTIL(atomic_load(&answers[i].calls) == 1);
	return NULL;
}

static void test_racing_appends_stay_within_the_limit(void **state)
{
	struct node_fixture *fixture = *state;
	pthread_t threads[3];
	size_t len;

	fixture->config.max_value = 1005;
	fixture->node = node_fixture_open(&fixture->config);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, fixture->node), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	free(node_fixture_value(fixture->node, "log", &len));
	assert_int_equal(len, 1000);
}

/* --- a full file system --- */

static void wait_for_sleeps(unsigned times)
{
	uint64_t from = atomic_load(&sleeps);

	UNTIL(atomic_load(&sleeps) >= from + times);
}

static struct node_status status_of(struct node *node)
{
	struct node_status status;

	node_status(node, &status);
	return status;
}

/* Writes fail and reads work; the node reports the reason, and recovers once there is
 * space. */
static void test_a_full_file_system_is_reported_and_survived(void **state)
{
	static char big[3 * STORE_CHUNK_SIZE];
	struct node_fixture *fixture = *state;
	char key[16], *dir = temp_dir_small(4 << 20);
	int n = 0;

	if (!dir) {
		skip();
		return;
	}
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	(void)fixture;
	assert_true(status_of(node).ready);
	for (;; n++) {
		snprintf(key, sizeof(key), "k%d", n);
		struct outcome out = DO(node, .op = EVENT_SET, .key = { key, strlen(key) },
		                        .value = { big, sizeof(big) });
		if (out.code == OUTCOME_STORE_FULL)
			break;
		assert_int_equal(out.code, OUTCOME_OK);
	}
	assert_in_range(n, 5, 30);
	for (int i = 0; i < 3; i++) {
		struct node_status status = status_of(node);
		assert_false(status.ready);
		assert_non_null(strstr(status.why, "No space left"));
		assert_non_null(strstr(status.why, dir));
		assert_int_equal(status.pending, 0);
		wait_for_sleeps(3); /* It checks for space, and finds none. */
	}
	size_t len;
	free(node_fixture_value(node, "k0", &len));
	assert_int_equal(len, sizeof(big));
	node_fixture_check(node);
	temp_dir_resize(dir, 16 << 20);
	UNTIL(status_of(node).ready);
	assert_string_equal(status_of(node).why, "");
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("more"), .value = { big, sizeof(big) });
	/* Deleting makes space as well. */
	temp_dir_fill(dir);
	while (DO(node, .op = EVENT_APPEND, .key = B("log"), .value = { big, sizeof(big) }).code ==
	       OUTCOME_OK)
		;
	assert_false(status_of(node).ready);
	EXPECT_DO(node, OK, .op = EVENT_DEL, .key = B("k0"));
	assert_true(status_of(node).ready);
	node_fixture_check(node);
	node_close(node);
	temp_dir_remove(dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_full_cache_refuses_only_growth),
		TEST(test_other_failures_come_before_no_space),
		TEST(test_directories_count_towards_the_quota),
		TEST(test_a_transaction_counts_as_a_whole),
		TEST(test_racing_writes_fill_the_quota_exactly),
		TEST(test_predicted_growth_is_an_upper_bound),
		TEST(test_no_value_exceeds_its_limit),
		TEST(test_an_append_to_an_expired_key_creates_it),
		TEST(test_racing_appends_stay_within_the_limit),
		TEST(test_a_full_file_system_is_reported_and_survived),
	};

	return cmocka_run_group_tests_name("node_limits", tests, NULL, NULL);
}
