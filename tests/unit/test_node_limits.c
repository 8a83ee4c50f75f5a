/* Tests of common/node/submit.c and node/quota.c: the quota, the limit of one value, a file
 * system that is full.
 * LINK: -Wl,--wrap=node_shm_sleep */
#include "tests/unit/cmocka_all.h"

#include "common/node/node_shm.h"
#include "tests/unit/child.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/fixture.h"
#include "tests/unit/temp_dir.h"

#include "common/apply/apply.h"
#include "common/node/quota.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST STORE_ENTRY_COST

/* How often a node's thread went to sleep: each time it has looked at all. */
static _Atomic uint64_t naps;

void __real_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms)
{
	atomic_fetch_add(&naps, 1);
	__real_node_shm_sleep(shm, wake_count, timeout_ms < 20 ? timeout_ms : 20);
}

static int set_up(void **state)
{
	*state = node_fixture_new();
	return 0;
}

static uint64_t used(struct node *node)
{
	struct txn *txn;

	assert_int_equal(txn_read(node_store(node), &txn), 0);
	uint64_t bytes = txn_meta(txn)->used_bytes;
	txn_abort(txn);
	return bytes;
}

static char zeros[4096];

/* Opens a node whose quota has room for N keys k0, k1 ... of 100 bytes, and sets
 * them; BYTES more fit. */
static void fill(struct node_fixture *bench, int n, uint64_t bytes)
{
	char key[8];

	bench->config.size_bytes = (uint64_t)n * (COST + 2 + 100) + bytes;
	bench->node = node_fixture_open(&bench->config);
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof key, "k%d", i);
		EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = { key, 2 },
		          .value = { zeros, 100 });
	}
	assert_int_equal(used(bench->node), bench->config.size_bytes - bytes);
}

/* --- the quota --- */

/* Exactly what fits goes in, and when it is full all goes on but growth. */
static void test_full(void **state)
{
	struct node_fixture *bench = *state;
	const struct event_range inside = { 50, 10 }, beyond = { 95, 10 };

	fill(bench, 5, 0);
	struct node *node = bench->node;
	uint64_t full = used(node), applied = node_offset(node);

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
	assert_int_equal(used(node), full);
	assert_int_equal(node_offset(node), applied); /* nothing of this was logged */

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
	assert_true(used(node) < full);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("k0"), .value = { zeros, 100 });
	assert_int_equal(used(node), full);
	/* A longer name is let through, though it is over. */
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("k0"), .to = B("a_longer_name"));
	assert_int_equal(used(node), full + 11);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("k1"), .value = { zeros, 99 });
	EXPECT_DO(node, OK, .op = EVENT_DEL, .key = B("k1"));
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("x"));
}

/* What cannot be done anyhow says why, full or not. */
static void test_full_and_failing(void **state)
{
	struct node_fixture *bench = *state;

	fill(bench, 3, 0);
	EXPECT_DO(bench->node, EXISTS, .op = EVENT_SET, .key = B("k0"), .cond = IF_ABSENT,
	          .value = { zeros, 4096 });
	EXPECT_DO(bench->node, VERSION, .op = EVENT_SET, .key = B("k0"), .cond = IF_VERSION,
	          .if_version = 999, .value = { zeros, 4096 });
	EXPECT_DO(bench->node, NOT_FOUND, .op = EVENT_SETXATTR, .key = B("none"),
	          .name = B("user.x"));
	EXPECT_DO(bench->node, NOT_DIR, .op = EVENT_SET, .key = B("k0/x"));
	EXPECT_DO(bench->node, IS_DIR, .op = EVENT_SET, .at = STORE_ROOT_INO,
	          .value = { zeros, 4096 });
	EXPECT_DO(bench->node, NOT_FOUND, .op = EVENT_TRUNCATE, .key = B("none"), .size = 4096);
}

/* Missing directories cost as much as keys do. */
static void test_directories_count(void **state)
{
	struct node_fixture *bench = *state;

	fill(bench, 1, 3 * (COST + 1) - 1);
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_SET, .key = B("a/b/c"));
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_MKDIR, .key = B("a/b/c"));
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_APPEND, .key = B("a/b/c"));
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_INCR, .key = B("a/b/c"));
	char *made = node_fixture_value(bench->node, "a", NULL);
	assert_null(made);
	EXPECT_DO(bench->node, OK, .op = EVENT_MKDIR, .key = B("a/b"));
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_SET, .key = B("a/b/c"));
	EXPECT_DO(bench->node, OK, .op = EVENT_TRUNCATE, .key = B("k0"), .size = 99);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("a/b/c"));
	assert_int_equal(used(bench->node), bench->config.size_bytes);
}

/* A transaction counts as a whole. */
static void test_transactions_count(void **state)
{
	struct node_fixture *bench = *state;
	struct event swap[] = { { .op = EVENT_DEL, .key = B("k0") },
		                { .op = EVENT_SET, .key = B("n0"), .value = { zeros, 100 } } };
	struct event two[] = { { .op = EVENT_SET, .key = B("k1") },
		               { .op = EVENT_SET, .key = B("n1"), .value = { zeros, 101 } } };
	struct event shrink[] = { { .op = EVENT_SET, .key = B("k1"), .value = { zeros, 4096 } },
		                  { .op = EVENT_TRUNCATE, .key = B("k1") } };

	fill(bench, 3, 0);
	uint64_t full = used(bench->node);
	EXPECT_DO(bench->node, OK, .op = EVENT_TXN, .ops = swap, .nops = 2);
	assert_int_equal(used(bench->node), full);
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_TXN, .ops = two, .nops = 2);
	assert_int_equal(used(bench->node), full);
	EXPECT_DO(bench->node, OK, .op = EVENT_TXN, .ops = shrink, .nops = 2);
	assert_int_equal(used(bench->node), full - 100);
}

/* Whoever comes first gets the room; what waits together is still counted. */
static void *set_many(void *arg)
{
	struct node *node = arg;
	static _Atomic int number;
	struct answer *answers = calloc(200, sizeof *answers);
	char key[16];
	uintptr_t done = 0;

	assert_non_null(answers);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "n%05d", atomic_fetch_add(&number, 1));
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

static void test_race_for_room(void **state)
{
	struct node_fixture *bench = *state;
	pthread_t threads[3];
	uintptr_t all = 0;

	fill(bench, 1, 300 * (COST + 6 + 10));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, set_many, bench->node), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *done;
		pthread_join(threads[i], &done);
		all += (uintptr_t)done;
	}
	assert_int_equal(all, 300);
	assert_int_equal(used(bench->node), bench->config.size_bytes);
}

/* The forecast that a log outside needs: never less than what an event really
 * adds to a new place, and nothing for what is replaced. */
static void test_forecast(void **state)
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
	struct node_fixture *bench = *state;
	struct txn *txn;

	bench->node = node_fixture_open(&bench->config);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		uint64_t before = used(bench->node);
		assert_int_equal(node_fixture_do(bench->node, &events[i]).code, OUTCOME_OK);
		uint64_t after = used(bench->node);
		assert_true(after <= before + quota_growth(&events[i]));
	}
	assert_int_equal(txn_read(node_store(bench->node), &txn), 0);
	uint64_t all = txn_meta(txn)->used_bytes;
	struct event again = events[0];
	assert_true(quota_fits(txn, &again, all + 17 + 10, 0)); /* replaced, but for the type */
	assert_false(quota_fits(txn, &again, all, 1000));
	again = (struct event){ .op = EVENT_SET, .key = B("a/b/c"), .value = B("12345") };
	assert_true(quota_fits(txn, &again, all, 0));
	again.value.len = 4;
	assert_true(quota_fits(txn, &again, 0, 0)); /* shrinking, whatever the quota */
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

static void test_value_limit(void **state)
{
	struct node_fixture *bench = *state;
	const struct event_range last = { 990, 10 }, over = { 991, 10 };
	struct event twice[] = { { .op = EVENT_APPEND, .key = B("t"), .value = { zeros, 600 } },
		                 { .op = EVENT_APPEND, .key = B("t"), .value = { zeros, 401 } } };

	bench->config.max_value = 1000;
	struct node *node = bench->node = node_fixture_open(&bench->config);
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("d/a"), .value = { zeros, 1000 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_SET, .key = B("d/a"), .value = { zeros, 1001 });
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TRUNCATE, .key = B("d/a"), .size = 1001);
	EXPECT_DO(node, OK, .op = EVENT_WRITE, .key = B("d/a"), .value = { zeros, 10 },
	          .ranges = &last, .nranges = 1);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_WRITE, .key = B("d/a"), .value = { zeros, 10 },
	          .ranges = &over, .nranges = 1);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_WRITE, .key = B("d/a"), .size = 1001);
	/* Appends, however the key is found. */
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
	/* In a transaction, summed up. */
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TXN, .ops = twice, .nops = 2);
	assert_null(node_fixture_value(node, "t", NULL));
	twice[1].value.len = 400;
	EXPECT_DO(node, OK, .op = EVENT_TXN, .ops = twice, .nops = 2);
	EXPECT_DO(node, TOO_LARGE, .op = EVENT_TXN, .ops = twice, .nops = 1);
	/* An attribute may be longer than a value. */
	bench->config.max_value = 5;
	node_close(node);
	node = bench->node = node_fixture_open(&bench->config);
	EXPECT_DO(node, OK, .op = EVENT_SETXATTR, .key = B("d/k"), .name = B("user.x"),
	          .value = { zeros, 100 });
	/* What is larger already can shrink, move and go. */
	EXPECT_DO(node, OK, .op = EVENT_RENAME, .key = B("d/k"), .to = B("d/m"));
	EXPECT_DO(node, OK, .op = EVENT_TRUNCATE, .key = B("d/m"), .size = 5);
	EXPECT_DO(node, OK, .op = EVENT_DEL, .key = B("d/a"));
}

/* An expired key is no longer there to be appended to. */
static void test_append_to_expired(void **state)
{
	struct node_fixture *bench = *state;
	struct txn *txn;

	bench->config.max_value = 10;
	bench->config.read_only = true; /* no tick purges it meanwhile */
	bench->node = node_fixture_open(&bench->config);
	struct event old = { .op = EVENT_SET,
		             .key = B("k"),
		             .value = B("0123456789"),
		             .ttl = TTL_UNTIL,
		             .ttl_ms = 1 };
	assert_int_equal(txn_write(node_store(bench->node), &txn), 0);
	assert_int_equal(apply_event(txn, &old, 1, 5, NULL), 0);
	assert_int_equal(txn_commit(txn), 0);
	node_close(bench->node);
	bench->config.read_only = false;
	bench->node = node_fixture_open(&bench->config);
	EXPECT_DO(bench->node, OK, .op = EVENT_APPEND, .key = B("k"), .value = B("new"));
	char *value = node_fixture_value(bench->node, "k", NULL);
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

static void test_race_to_append(void **state)
{
	struct node_fixture *bench = *state;
	pthread_t threads[3];
	size_t len;

	bench->config.max_value = 1005;
	bench->node = node_fixture_open(&bench->config);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, bench->node), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	free(node_fixture_value(bench->node, "log", &len));
	assert_int_equal(len, 1000);
}

/* --- a full file system --- */

static void nap(unsigned times)
{
	uint64_t from = atomic_load(&naps);

	UNTIL(atomic_load(&naps) >= from + times);
}

static struct node_status status_of(struct node *node)
{
	struct node_status status;

	node_status(node, &status);
	return status;
}

/* Writes fail, reads go on, the node says so and stays so, and goes on by itself
 * once there is room. */
static void test_full_file_system(void **state)
{
	static char big[3 * STORE_CHUNK_SIZE];
	struct node_fixture *bench = *state;
	char key[16], *dir = temp_dir_small(4 << 20);
	int n = 0;

	if (!dir) {
		skip();
		return;
	}
	struct node_config config = node_fixture_config(dir, NULL);
	struct node *node = node_fixture_open(&config);
	(void)bench;
	assert_true(status_of(node).ready);
	for (;; n++) {
		snprintf(key, sizeof key, "k%d", n);
		struct outcome out = DO(node, .op = EVENT_SET, .key = { key, strlen(key) },
		                        .value = { big, sizeof big });
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
		nap(3); /* it looks whether there is room, and there is none */
	}
	size_t len;
	free(node_fixture_value(node, "k0", &len));
	assert_int_equal(len, sizeof big);
	node_fixture_check(node);
	temp_dir_resize(dir, 16 << 20);
	UNTIL(status_of(node).ready);
	assert_string_equal(status_of(node).why, "");
	EXPECT_DO(node, OK, .op = EVENT_SET, .key = B("more"), .value = { big, sizeof big });
	/* Not only from outside: deleting makes room as well. */
	temp_dir_fill(dir);
	while (DO(node, .op = EVENT_APPEND, .key = B("log"), .value = { big, sizeof big }).code ==
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
		TEST(test_full),
		TEST(test_full_and_failing),
		TEST(test_directories_count),
		TEST(test_transactions_count),
		TEST(test_race_for_room),
		TEST(test_forecast),
		TEST(test_value_limit),
		TEST(test_append_to_expired),
		TEST(test_race_to_append),
		TEST(test_full_file_system),
	};

	return cmocka_run_group_tests_name("node_limits", tests, NULL, NULL);
}
