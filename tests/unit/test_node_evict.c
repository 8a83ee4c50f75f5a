/* Tests of common/node/evictor.c: room is made for those who write, in order, and for
 * nobody else. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/fixture.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (UINT64_C(256) << 10)
#define COST STORE_ENTRY_COST

static char zeros[1 << 20];

static int set_up(void **state)
{
	struct node_fixture *bench = node_fixture_new();

	bench->config.size_bytes = SIZE;
	*state = bench;
	return 0;
}

static void start(struct node_fixture *bench, enum evict_policy policy)
{
	bench->config.evict = policy;
	bench->node = node_fixture_open(&bench->config);
}

static struct store_meta meta_of(struct node *node)
{
	struct txn *txn;

	assert_int_equal(txn_read(node_store(node), &txn), 0);
	struct store_meta meta = *txn_meta(txn);
	txn_abort(txn);
	return meta;
}

static enum event_outcome set(struct node *node, const char *prefix, unsigned i, size_t size,
                              int64_t ttl_ms)
{
	char key[64];
	struct event ev = { .op = EVENT_SET,
		            .key = { key, (size_t)snprintf(key, sizeof key, "%s%u", prefix, i) },
		            .value = { zeros, size },
		            .ttl = ttl_ms ? TTL_SET : TTL_NONE,
		            .ttl_ms = ttl_ms };

	return node_fixture_do(node, &ev).code;
}

static bool is_there(struct node *node, const char *prefix, unsigned i, uint64_t *ret_ino)
{
	struct view view;
	struct entry e;
	char key[64];
	int n = snprintf(key, sizeof key, "%s%u", prefix, i);

	assert_int_equal(view_open(node_store(node), &view), 0);
	int r = view_key(&view, key, (size_t)n, &e);
	view_close(&view);
	if (r == 0 && ret_ino)
		*ret_ino = e.ino;
	return r == 0;
}

/* Many times the quota goes through; those that are read stay. */
static void test_lru(void **state)
{
	struct node_fixture *bench = *state;
	unsigned n = 10000, hot = 100, kept = 0;
	uint64_t ino;

	start(bench, EVICT_LRU);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(set(bench->node, "k", i, 100, 0), OUTCOME_OK);
		assert_true(is_there(bench->node, "k", i, NULL));
		assert_in_range(meta_of(bench->node).used_bytes, 0, SIZE);
		for (unsigned h = i % 10; i > hot && h < hot; h += 10) {
			if (is_there(bench->node, "k", h, &ino))
				node_touch(bench->node, ino, clock_wall_ms());
		}
	}
	for (unsigned h = 0; h < hot; h++)
		kept += is_there(bench->node, "k", h, NULL);
	print_message("%u of %u hot keys stayed\n", kept, hot);
	assert_in_range(kept, hot * 9 / 10, hot);
	struct store_meta meta = meta_of(bench->node);
	assert_int_equal(meta.nevicted, n - meta.nkeys);
	/* No more was evicted than that some room is free. */
	assert_in_range(meta.used_bytes, SIZE * 9 / 10, SIZE);
	assert_int_equal(atomic_load(&bench->follower.ops[EVENT_DEL]), meta.nevicted);
}

/* A large value takes the place of many small ones, and keeps none from coming
 * after it. */
static void test_large(void **state)
{
	struct node_fixture *bench = *state;

	start(bench, EVICT_LRU);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(set(bench->node, "k", i, 10, 0), OUTCOME_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(set(bench->node, "large", i, SIZE / 2, 0), OUTCOME_OK);
	assert_true(is_there(bench->node, "large", 19, NULL));
	assert_int_equal(set(bench->node, "k", 0, 10, 0), OUTCOME_OK);
	/* All but its own cost. */
	assert_int_equal(set(bench->node, "m", 0, SIZE - COST - 2, 0), OUTCOME_OK);
	assert_int_equal(meta_of(bench->node).nkeys, 1);
}

/* What can never fit evicts nothing. */
static void test_too_large(void **state)
{
	struct node_fixture *bench = *state;
	const struct event_range far = { SIZE, 1 };

	start(bench, EVICT_LRU);
	assert_int_equal(set(bench->node, "k", 0, SIZE * 2 / 3, 0), OUTCOME_OK);
	assert_int_equal(set(bench->node, "k", 1, SIZE, 0), OUTCOME_NO_SPACE);
	assert_int_equal(set(bench->node, "k", 0, SIZE, 0), OUTCOME_NO_SPACE);
	assert_int_equal(set(bench->node, "m", 0, SIZE - COST - 1, 0), OUTCOME_NO_SPACE);
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_APPEND, .key = B("k0"),
	          .value = { zeros, SIZE / 2 });
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_TRUNCATE, .key = B("k0"), .size = SIZE);
	EXPECT_DO(bench->node, NO_SPACE, .op = EVENT_WRITE, .key = B("k0"), .value = B("1"),
	          .ranges = &far, .nranges = 1);
	EXPECT_DO(bench->node, NOT_FOUND, .op = EVENT_TRUNCATE, .key = B("k9"), .size = SIZE / 2);
	assert_int_equal(meta_of(bench->node).nevicted, 0);
	/* An append that fits keeps what it appends to. */
	EXPECT_DO(bench->node, OK, .op = EVENT_APPEND, .key = B("k0"), .value = B("1"));
	assert_int_equal(set(bench->node, "other", 0, SIZE / 4, 0), OUTCOME_OK);
	EXPECT_DO(bench->node, OK, .op = EVENT_APPEND, .key = B("k0"),
	          .value = { zeros, SIZE / 4 });
	size_t len;
	free(node_fixture_value(bench->node, "k0", &len));
	assert_int_equal(len, SIZE * 2 / 3 + 1 + SIZE / 4);
	assert_int_equal(meta_of(bench->node).nevicted, 1);
}

/* Soonest to expire first; without any, the cache is full as it was before. */
static void test_ttl(void **state)
{
	struct node_fixture *bench = *state;
	unsigned i, n = 0;

	start(bench, EVICT_TTL);
	for (i = 0; i < 50; i++) /* the lower, the later */
		assert_int_equal(set(bench->node, "t", i, 1000, 10000000 - i * 1000), OUTCOME_OK);
	for (i = 0; set(bench->node, "p", i, 1000, 0) == OUTCOME_OK; i++)
		;
	assert_int_equal(meta_of(bench->node).nevicted, 50);
	assert_int_equal(meta_of(bench->node).nkeys, i);
	assert_in_range(meta_of(bench->node).used_bytes, SIZE - 2000, SIZE);
	assert_int_equal(set(bench->node, "t", 0, 2000, 1000000), OUTCOME_NO_SPACE);
	EXPECT_DO(bench->node, OK, .op = EVENT_DEL, .key = B("p0"));
	assert_int_equal(set(bench->node, "t", 0, 500, 1000000), OUTCOME_OK);
	assert_int_equal(set(bench->node, "p", 0, 1000, 0), OUTCOME_OK);
	UNTIL(!is_there(bench->node, "t", 0, NULL));

	/* In order, which the marks show: those that are left expire last. */
	for (i = 1; i < 100; i++) {
		char key[16];
		struct event del = { .op = EVENT_DEL,
			             .key = { key, (size_t)snprintf(key, sizeof key, "p%u", i) } };

		assert_int_equal(node_fixture_do(bench->node, &del).code, OUTCOME_OK);
	}
	for (i = 0; i < 150; i++)
		assert_int_equal(set(bench->node, "t", i, 1000, 10000000 - i * 1000), OUTCOME_OK);
	while (n < i && is_there(bench->node, "t", n, NULL))
		n++;
	assert_in_range(n, 50, 140);
	for (; n < i - 10; n++) /* the last ones came after others had gone */
		assert_false(is_there(bench->node, "t", n, NULL));
}

/* Without a policy nothing has changed. */
static void test_none(void **state)
{
	struct node_fixture *bench = *state;
	unsigned i;

	start(bench, EVICT_NONE);
	for (i = 0; set(bench->node, "k", i, 1000, 10000000) == OUTCOME_OK; i++)
		;
	assert_int_equal(meta_of(bench->node).nevicted, 0);
	assert_int_equal(meta_of(bench->node).nkeys, i);
}

static void hold_all(void *arg, struct node *node)
{
	struct view view;
	struct entry e;
	struct walk *walk;
	_Atomic bool *on = arg;

	if (!atomic_load(on) || view_open(node_store(node), &view) < 0)
		return;
	assert_int_equal(walk_open(view.txn, &walk), 0);
	for (int r = walk_seek(walk, STORE_ROOT_INO, &e); r == 0; r = walk_next(walk, &e))
		node_pin(node, e.ino);
	walk_close(walk);
	view_close(&view);
}

/* What is in use stays, even if there is nothing else; and then a write waits no
 * longer than it has to. */
static void test_in_use(void **state)
{
	struct node_fixture *bench = *state;
	static _Atomic bool on; /* asked until the node is closed */
	unsigned i;

	atomic_store(&on, true);
	bench->config.in_use = hold_all;
	bench->config.in_use_arg = (void *)&on;
	start(bench, EVICT_LRU);
	for (i = 0; i < 200; i++) {
		uint64_t ino = 0;

		assert_int_equal(set(bench->node, "k", i, 1000, 0), OUTCOME_OK);
		assert_true(is_there(bench->node, "k", i, &ino));
		node_pin(bench->node, ino);
	}
	assert_int_equal(set(bench->node, "large", 0, SIZE / 2, 0), OUTCOME_NO_SPACE);
	for (unsigned j = 0; j < i; j++)
		assert_true(is_there(bench->node, "k", j, NULL));
	atomic_store(&on, false);
	UNTIL(set(bench->node, "large", 0, SIZE / 2, 0) == OUTCOME_OK);
}

/* The empty directories that keys leave do not fill the cache. */
static void test_directories(void **state)
{
	struct node_fixture *bench = *state;
	char key[64];

	start(bench, EVICT_LRU);
	for (unsigned i = 0; i < 5000; i++) {
		int len = snprintf(key, sizeof key, "users/%u/name", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)len },
			            .value = { zeros, 100 } };

		assert_int_equal(node_fixture_do(bench->node, &ev).code, OUTCOME_OK);
	}
	struct store_meta meta = meta_of(bench->node);
	assert_in_range(meta.used_bytes, SIZE / 2, SIZE);
	assert_in_range(meta.ndirs, 1, 1200);
	assert_int_equal(meta.nevicted + meta.nkeys + meta.ndirs, 10001);
}

/* --- many at once --- */

#define WRITERS 4
#define LINES 400

struct writer {
	struct node *node;
	unsigned id;
	uint64_t ino; /* of its file, which is in use */
	_Atomic unsigned good, bad;
	pthread_t thread;
};

static void count_line(void *arg, const struct outcome *out)
{
	struct writer *w = arg;

	if (out->code == OUTCOME_OK)
		atomic_fetch_add(&w->good, 1);
	else
		atomic_fetch_add(&w->bad, 1);
}

/* Appends to a file of its own without waiting, while it fills the cache. */
static void *write_lines(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < LINES; i++) {
		char key[16], line[80], filler[16];
		struct event append = {
			.op = EVENT_APPEND,
			.key = { key, (size_t)snprintf(key, sizeof key, "log%u", w->id) },
			.value = { line, (size_t)snprintf(line, sizeof line, "%07u\n", i) }
		};
		struct event fill = { .op = EVENT_SET,
			              .key = { filler, (size_t)snprintf(filler, sizeof filler,
			                                                "%u-%u", w->id, i) },
			              .value = { zeros, 100 + i % 7 * 700 } };

		node_submit(w->node, &fill, NULL, count_line, w);
		node_submit(w->node, &append, NULL, count_line, w);
		node_pin(w->node, w->ino);
	}
	return NULL;
}

static unsigned count(struct writer *w)
{
	return atomic_load(&w->good) + atomic_load(&w->bad);
}

/* Returns how many writes failed. */
static unsigned run_writers(struct node *node, unsigned first)
{
	struct writer writers[WRITERS] = { 0 };
	unsigned bad = 0;

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].node = node;
		writers[i].id = first + i;
		writers[i].ino = STORE_PROPOSED_MIN + first + i;
		char key[16];
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)snprintf(key, sizeof key, "log%u",
			                                           writers[i].id) },
			            .ino = writers[i].ino };
		node_pin(node, writers[i].ino);
		if (node_fixture_do(node, &ev).code != OUTCOME_OK)
			abort();
		if (pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		int64_t end = until_end();
		while (count(&writers[i]) < 2 * LINES && !until_over(end)) {
			for (unsigned j = 0; j < WRITERS; j++)
				node_pin(node, writers[j].ino);
		}
		bad += 2 * LINES - atomic_load(&writers[i].good);
	}
	return bad;
}

/* Each file's lines are all there, in order: nobody who waits is overtaken. */
static void check_lines(struct node *node, unsigned first)
{
	for (unsigned i = 0; i < WRITERS; i++) {
		char key[16], line[16];
		size_t len;

		snprintf(key, sizeof key, "log%u", first + i);
		char *text = node_fixture_value(node, key, &len);
		assert_non_null(text);
		assert_int_equal(len, LINES * 8);
		for (unsigned j = 0; j < LINES; j++) {
			snprintf(line, sizeof line, "%07u\n", j);
			assert_memory_equal(text + (size_t)j * 8, line, 8);
		}
		free(text);
	}
}

static void test_order(void **state)
{
	struct node_fixture *bench = *state;

	start(bench, EVICT_LRU);
	assert_int_equal(run_writers(bench->node, 0), 0);
	check_lines(bench->node, 0);
	assert_in_range(meta_of(bench->node).used_bytes, 0, SIZE);
	assert_int_not_equal(meta_of(bench->node).nevicted, 0);
	assert_int_not_equal(metrics_get(METRIC_WRITES_HELD), 0);
}

static void other_process(void *arg)
{
	struct node_fixture *bench = arg;
	struct node_config config = bench->config;

	config.follow = NULL;
	struct node *node = node_fixture_open_in_child(&config);
	CHILD_CHECK(run_writers(node, WRITERS) == 0);
	node_close(node);
}

/* Two processes of a node evict at once. */
static void test_two_processes(void **state)
{
	struct node_fixture *bench = *state;

	bench->config.evict = EVICT_LRU;
	pid_t child = child_start(other_process, bench);
	start(bench, EVICT_LRU);
	assert_int_equal(run_writers(bench->node, 0), 0);
	child_join(child);
	assert_in_range(meta_of(bench->node).used_bytes, 0, SIZE);
}

/* A stop does not wait for room, and answers all. */
static void test_stop(void **state)
{
	struct node_fixture *bench = *state;
	static _Atomic bool on; /* asked until the node is closed */
	struct writer w = { 0 };
	unsigned n = 0;

	atomic_store(&on, true);
	bench->config.in_use = hold_all;
	bench->config.in_use_arg = (void *)&on;
	start(bench, EVICT_LRU);
	for (unsigned i = 0; i < 300; i++, n++) {
		char key[16];
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)snprintf(key, sizeof key, "k%u", i) },
			            .value = { zeros, 2000 } };

		node_submit(bench->node, &ev, NULL, count_line, &w);
	}
	node_close(bench->node);
	assert_int_equal(atomic_load(&w.good) + atomic_load(&w.bad), n);
	bench->node = node_fixture_open(&bench->config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lru),         TEST(test_large), TEST(test_too_large),
		TEST(test_ttl),         TEST(test_none),  TEST(test_in_use),
		TEST(test_directories), TEST(test_order), TEST(test_two_processes),
		TEST(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
