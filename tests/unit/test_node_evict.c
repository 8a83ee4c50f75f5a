/* Tests of common/node/evictor.c: space is made for writers, in order, and only for
 * writers. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/node_fixture.h"

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
	struct node_fixture *fixture = node_fixture_new();

	fixture->config.size_bytes = SIZE;
	*state = fixture;
	return 0;
}

static void open_node(struct node_fixture *fixture, enum evict_policy policy)
{
	fixture->config.evict = policy;
	fixture->node = node_fixture_open(&fixture->config);
}

static struct store_meta meta_of(struct node *node)
{
	struct txn *txn;

	assert_int_equal(txn_read(node_store(node), &txn), 0);
	struct store_meta meta = *txn_meta(txn);
	txn_abort(txn);
	return meta;
}

static enum event_outcome set_key(struct node *node, const char *prefix, unsigned i, size_t size,
                                  int64_t ttl_ms)
{
	char key[64];
	struct event ev = { .op = EVENT_SET,
		            .key = { key, (size_t)snprintf(key, sizeof(key), "%s%u", prefix, i) },
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
	int n = snprintf(key, sizeof(key), "%s%u", prefix, i);

	assert_int_equal(view_open(node_store(node), &view), 0);
	int r = view_key(&view, key, (size_t)n, &e);
	view_close(&view);
	if (r == 0 && ret_ino)
		*ret_ino = e.ino;
	return r == 0;
}

/* The written bytes exceed the quota many times over; keys that are read stay. */
static void test_lru_keeps_the_keys_that_are_read(void **state)
{
	struct node_fixture *fixture = *state;
	unsigned n = 10000, hot = 100, kept = 0;
	uint64_t ino;

	open_node(fixture, EVICT_LRU);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(set_key(fixture->node, "k", i, 100, 0), OUTCOME_OK);
		assert_true(is_there(fixture->node, "k", i, NULL));
		assert_in_range(meta_of(fixture->node).used_bytes, 0, SIZE);
		for (unsigned h = i % 10; i > hot && h < hot; h += 10) {
			if (is_there(fixture->node, "k", h, &ino))
				node_touch(fixture->node, ino, clock_wall_ms());
		}
	}
	for (unsigned h = 0; h < hot; h++)
		kept += is_there(fixture->node, "k", h, NULL);
	print_message("%u of %u hot keys stayed\n", kept, hot);
	assert_in_range(kept, hot * 9 / 10, hot);
	struct store_meta meta = meta_of(fixture->node);
	assert_int_equal(meta.nevicted, n - meta.nkeys);
	/* Only a small reserve was freed in addition. */
	assert_in_range(meta.used_bytes, SIZE * 9 / 10, SIZE);
	assert_int_equal(atomic_load(&fixture->follower.ops[EVENT_DEL]), meta.nevicted);
}

/* A large value replaces many small ones, and does not stop later small ones. */
static void test_a_large_value_replaces_many_small_ones(void **state)
{
	struct node_fixture *fixture = *state;

	open_node(fixture, EVICT_LRU);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(set_key(fixture->node, "k", i, 10, 0), OUTCOME_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(set_key(fixture->node, "large", i, SIZE / 2, 0), OUTCOME_OK);
	assert_true(is_there(fixture->node, "large", 19, NULL));
	assert_int_equal(set_key(fixture->node, "k", 0, 10, 0), OUTCOME_OK);
	/* The whole quota except the cost of the entry itself. */
	assert_int_equal(set_key(fixture->node, "m", 0, SIZE - COST - 2, 0), OUTCOME_OK);
	assert_int_equal(meta_of(fixture->node).nkeys, 1);
}

/* A write that can never fit evicts nothing. */
static void test_a_write_that_cannot_fit_evicts_nothing(void **state)
{
	struct node_fixture *fixture = *state;
	const struct event_range far = { SIZE, 1 };

	open_node(fixture, EVICT_LRU);
	assert_int_equal(set_key(fixture->node, "k", 0, SIZE * 2 / 3, 0), OUTCOME_OK);
	assert_int_equal(set_key(fixture->node, "k", 1, SIZE, 0), OUTCOME_NO_SPACE);
	assert_int_equal(set_key(fixture->node, "k", 0, SIZE, 0), OUTCOME_NO_SPACE);
	assert_int_equal(set_key(fixture->node, "m", 0, SIZE - COST - 1, 0), OUTCOME_NO_SPACE);
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_APPEND, .key = B("k0"),
	          .value = { zeros, SIZE / 2 });
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_TRUNCATE, .key = B("k0"), .size = SIZE);
	EXPECT_DO(fixture->node, NO_SPACE, .op = EVENT_WRITE, .key = B("k0"), .value = B("1"),
	          .ranges = &far, .nranges = 1);
	EXPECT_DO(fixture->node, NOT_FOUND, .op = EVENT_TRUNCATE, .key = B("k9"), .size = SIZE / 2);
	assert_int_equal(meta_of(fixture->node).nevicted, 0);
	/* An append that fits does not evict its own key. */
	EXPECT_DO(fixture->node, OK, .op = EVENT_APPEND, .key = B("k0"), .value = B("1"));
	assert_int_equal(set_key(fixture->node, "other", 0, SIZE / 4, 0), OUTCOME_OK);
	EXPECT_DO(fixture->node, OK, .op = EVENT_APPEND, .key = B("k0"),
	          .value = { zeros, SIZE / 4 });
	size_t len;
	free(node_fixture_value(fixture->node, "k0", &len));
	assert_int_equal(len, SIZE * 2 / 3 + 1 + SIZE / 4);
	assert_int_equal(meta_of(fixture->node).nevicted, 1);
}

/* Evict what expires soonest; without keys that expire, the cache is full as without
 * a policy. */
static void test_ttl_evicts_what_expires_first(void **state)
{
	struct node_fixture *fixture = *state;
	unsigned i, n = 0;

	open_node(fixture, EVICT_TTL);
	for (i = 0; i < 50; i++) /* The lower the number, the later it expires. */
		assert_int_equal(set_key(fixture->node, "t", i, 1000, 10000000 - i * 1000),
		                 OUTCOME_OK);
	for (i = 0; set_key(fixture->node, "p", i, 1000, 0) == OUTCOME_OK; i++)
		;
	assert_int_equal(meta_of(fixture->node).nevicted, 50);
	assert_int_equal(meta_of(fixture->node).nkeys, i);
	assert_in_range(meta_of(fixture->node).used_bytes, SIZE - 2000, SIZE);
	assert_int_equal(set_key(fixture->node, "t", 0, 2000, 1000000), OUTCOME_NO_SPACE);
	EXPECT_DO(fixture->node, OK, .op = EVENT_DEL, .key = B("p0"));
	assert_int_equal(set_key(fixture->node, "t", 0, 500, 1000000), OUTCOME_OK);
	assert_int_equal(set_key(fixture->node, "p", 0, 1000, 0), OUTCOME_OK);
	UNTIL(!is_there(fixture->node, "t", 0, NULL));

	/* The keys that are left expire last. */
	for (i = 1; i < 100; i++) {
		char key[16];
		struct event del = { .op = EVENT_DEL,
			             .key = { key, (size_t)snprintf(key, sizeof(key), "p%u", i) } };

		assert_int_equal(node_fixture_do(fixture->node, &del).code, OUTCOME_OK);
	}
	for (i = 0; i < 150; i++)
		assert_int_equal(set_key(fixture->node, "t", i, 1000, 10000000 - i * 1000),
		                 OUTCOME_OK);
	while (n < i && is_there(fixture->node, "t", n, NULL))
		n++;
	assert_in_range(n, 50, 140);
	for (; n < i - 10; n++) /* The last ones were written after evictions. */
		assert_false(is_there(fixture->node, "t", n, NULL));
}

/* Without a policy nothing is evicted. */
static void test_without_a_policy_nothing_is_evicted(void **state)
{
	struct node_fixture *fixture = *state;
	unsigned i;

	open_node(fixture, EVICT_NONE);
	for (i = 0; set_key(fixture->node, "k", i, 1000, 10000000) == OUTCOME_OK; i++)
		;
	assert_int_equal(meta_of(fixture->node).nevicted, 0);
	assert_int_equal(meta_of(fixture->node).nkeys, i);
}

static void pin_all(void *arg, struct node *node)
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

/* Entries in use are not evicted, not even if all are in use; then a write does not
 * wait in vain. */
static void test_entries_in_use_are_not_evicted(void **state)
{
	struct node_fixture *fixture = *state;
	static _Atomic bool on; /* Called until the node is closed. */
	unsigned i;

	atomic_store(&on, true);
	fixture->config.in_use = pin_all;
	fixture->config.in_use_arg = (void *)&on;
	open_node(fixture, EVICT_LRU);
	for (i = 0; i < 200; i++) {
		uint64_t ino = 0;

		assert_int_equal(set_key(fixture->node, "k", i, 1000, 0), OUTCOME_OK);
		assert_true(is_there(fixture->node, "k", i, &ino));
		node_pin(fixture->node, ino);
	}
	assert_int_equal(set_key(fixture->node, "large", 0, SIZE / 2, 0), OUTCOME_NO_SPACE);
	for (unsigned j = 0; j < i; j++)
		assert_true(is_there(fixture->node, "k", j, NULL));
	atomic_store(&on, false);
	UNTIL(set_key(fixture->node, "large", 0, SIZE / 2, 0) == OUTCOME_OK);
}

/* The empty directories of evicted keys do not fill the cache. */
static void test_empty_directories_are_evicted(void **state)
{
	struct node_fixture *fixture = *state;
	char key[64];

	open_node(fixture, EVICT_LRU);
	for (unsigned i = 0; i < 5000; i++) {
		int len = snprintf(key, sizeof(key), "users/%u/name", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)len },
			            .value = { zeros, 100 } };

		assert_int_equal(node_fixture_do(fixture->node, &ev).code, OUTCOME_OK);
	}
	struct store_meta meta = meta_of(fixture->node);
	assert_in_range(meta.used_bytes, SIZE / 2, SIZE);
	assert_in_range(meta.ndirs, 1, 1200);
	assert_int_equal(meta.nevicted + meta.nkeys + meta.ndirs, 10001);
}

/* --- concurrent writers --- */

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

/* Append to a file of its own without waiting, while filling the cache. */
static void *write_lines(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < LINES; i++) {
		char key[16], line[80], filler[16];
		struct event append = {
			.op = EVENT_APPEND,
			.key = { key, (size_t)snprintf(key, sizeof(key), "log%u", w->id) },
			.value = { line, (size_t)snprintf(line, sizeof(line), "%07u\n", i) }
		};
		struct event fill = { .op = EVENT_SET,
			              .key = { filler, (size_t)snprintf(filler, sizeof(filler),
			                                                "%u-%u", w->id, i) },
			              .value = { zeros, 100 + i % 7 * 700 } };

		node_submit(w->node, &fill, NULL, count_line, w);
		node_submit(w->node, &append, NULL, count_line, w);
		node_pin(w->node, w->ino);
	}
	return NULL;
}

static unsigned count_outcomes(struct writer *w)
{
	return atomic_load(&w->good) + atomic_load(&w->bad);
}

/* Run WRITERS writers; return the number of failed writes. */
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
			            .key = { key, (size_t)snprintf(key, sizeof(key), "log%u",
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
		while (count_outcomes(&writers[i]) < 2 * LINES && !until_over(end)) {
			for (unsigned j = 0; j < WRITERS; j++)
				node_pin(node, writers[j].ino);
		}
		bad += 2 * LINES - atomic_load(&writers[i].good);
	}
	return bad;
}

/* Expect all lines of each file, in order: no waiting write is overtaken. */
static void check_lines(struct node *node, unsigned first)
{
	for (unsigned i = 0; i < WRITERS; i++) {
		char key[16], line[16];
		size_t len;

		snprintf(key, sizeof(key), "log%u", first + i);
		char *text = node_fixture_value(node, key, &len);
		assert_non_null(text);
		assert_int_equal(len, LINES * 8);
		for (unsigned j = 0; j < LINES; j++) {
			snprintf(line, sizeof(line), "%07u\n", j);
			assert_memory_equal(text + (size_t)j * 8, line, 8);
		}
		free(text);
	}
}

static void test_waiting_writes_keep_their_order(void **state)
{
	struct node_fixture *fixture = *state;

	open_node(fixture, EVICT_LRU);
	assert_int_equal(run_writers(fixture->node, 0), 0);
	check_lines(fixture->node, 0);
	assert_in_range(meta_of(fixture->node).used_bytes, 0, SIZE);
	assert_int_not_equal(meta_of(fixture->node).nevicted, 0);
	assert_int_not_equal(metrics_get(METRIC_WRITES_HELD), 0);
}

static void run_other_process(void *arg)
{
	struct node_fixture *fixture = arg;
	struct node_config config = fixture->config;

	config.follow = NULL;
	struct node *node = node_fixture_open_in_child(&config);
	CHILD_CHECK(run_writers(node, WRITERS) == 0);
	node_close(node);
}

/* Two processes of a node evict at the same time. */
static void test_two_processes_can_evict_at_once(void **state)
{
	struct node_fixture *fixture = *state;

	fixture->config.evict = EVICT_LRU;
	pid_t child = child_start(run_other_process, fixture);
	open_node(fixture, EVICT_LRU);
	assert_int_equal(run_writers(fixture->node, 0), 0);
	child_join(child);
	assert_in_range(meta_of(fixture->node).used_bytes, 0, SIZE);
}

/* Closing does not wait for space, and answers every write. */
static void test_close_answers_writes_that_wait_for_space(void **state)
{
	struct node_fixture *fixture = *state;
	static _Atomic bool on; /* Called until the node is closed. */
	struct writer w = { 0 };
	unsigned n = 0;

	atomic_store(&on, true);
	fixture->config.in_use = pin_all;
	fixture->config.in_use_arg = (void *)&on;
	open_node(fixture, EVICT_LRU);
	for (unsigned i = 0; i < 300; i++, n++) {
		char key[16];
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)snprintf(key, sizeof(key), "k%u", i) },
			            .value = { zeros, 2000 } };

		node_submit(fixture->node, &ev, NULL, count_line, &w);
	}
	node_close(fixture->node);
	assert_int_equal(atomic_load(&w.good) + atomic_load(&w.bad), n);
	fixture->node = node_fixture_open(&fixture->config);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, node_fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lru_keeps_the_keys_that_are_read),
		TEST(test_a_large_value_replaces_many_small_ones),
		TEST(test_a_write_that_cannot_fit_evicts_nothing),
		TEST(test_ttl_evicts_what_expires_first),
		TEST(test_without_a_policy_nothing_is_evicted),
		TEST(test_entries_in_use_are_not_evicted),
		TEST(test_empty_directories_are_evicted),
		TEST(test_waiting_writes_keep_their_order),
		TEST(test_two_processes_can_evict_at_once),
		TEST(test_close_answers_writes_that_wait_for_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
