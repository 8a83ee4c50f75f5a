/* Tests of common/store.c: snapshots, aborted and nested transactions. */
#include "cmocka_all.h"

#include "store.h"
#include "temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench {
	char *dir;
	struct store *store;
	struct txn *txn; /* a write transaction */
};

static struct store *open_store(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[256] = "";

	if (store_open(&config, &store, why, sizeof why) != 0)
		fail_msg("%s", why);
	return store;
}

static struct txn *begin_write(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_write(store, &txn), 0);
	return txn;
}

static struct txn *begin_read(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_read(store, &txn), 0);
	return txn;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	assert_non_null(bench);
	bench->dir = temp_dir_new();
	bench->store = open_store(bench->dir);
	bench->txn = begin_write(bench->store);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	txn_abort(bench->txn);
	store_close(bench->store);
	temp_dir_remove(bench->dir);
	free(bench);
	return 0;
}

static void commit(struct bench *bench)
{
	assert_int_equal(txn_commit(bench->txn), 0);
	bench->txn = begin_write(bench->store);
}

static bool has(struct txn *txn, const char *name)
{
	uint64_t ino;

	return store_lookup(txn, STORE_ROOT_INO, name, strlen(name), &ino, NULL) == 0;
}

static void add(struct txn *txn, const char *name)
{
	assert_int_equal(store_link(txn, STORE_ROOT_INO, name, strlen(name), 5, false), 0);
	txn_meta(txn)->nkeys++;
}

/* A snapshot stays as it was when it began, whatever is committed meanwhile;
 * one that is used again is as new as one that is made. */
static void test_snapshots(void **state)
{
	struct bench *bench = *state;
	struct txn *old, *newer;

	add(bench->txn, "a");
	old = begin_read(bench->store);
	assert_false(has(old, "a"));
	commit(bench);
	newer = begin_read(bench->store);
	assert_true(has(newer, "a"));
	assert_int_equal(txn_meta(newer)->nkeys, 1);
	for (int i = 0; i < 50; i++) { /* enough to reuse pages, if that were allowed */
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		add(bench->txn, name);
		assert_int_equal(store_chunks_write(bench->txn, 5, (uint64_t)i * 1000, name, 4), 0);
		commit(bench);
	}
	assert_false(has(old, "a"));
	assert_int_equal(txn_meta(old)->nkeys, 0);
	assert_true(has(newer, "a"));
	assert_false(has(newer, "n0"));
	txn_abort(newer);
	txn_abort(old);
	old = begin_read(bench->store);
	newer = begin_read(bench->store);
	assert_true(has(old, "n49"));
	assert_true(has(newer, "n49"));
	assert_int_equal(txn_meta(old)->nkeys, 51);
	txn_abort(old);
	txn_abort(newer);
}

static void test_abort(void **state)
{
	struct bench *bench = *state;

	add(bench->txn, "a");
	txn_abort(bench->txn);
	bench->txn = begin_write(bench->store);
	assert_false(has(bench->txn, "a"));
	assert_int_equal(txn_meta(bench->txn)->nkeys, 0);
	txn_abort(NULL);
}

static void test_nested(void **state)
{
	struct bench *bench = *state;
	struct txn *inner, *innermost;

	add(bench->txn, "outer");
	assert_int_equal(txn_nest(bench->txn, &inner), 0);
	assert_true(has(inner, "outer"));
	assert_int_equal(txn_meta(inner)->nkeys, 1);
	add(inner, "undone");
	assert_int_equal(store_unlink(inner, STORE_ROOT_INO, "outer", 5), 0);
	txn_abort(inner);
	assert_true(has(bench->txn, "outer"));
	assert_false(has(bench->txn, "undone"));
	assert_int_equal(txn_meta(bench->txn)->nkeys, 1);

	assert_int_equal(txn_nest(bench->txn, &inner), 0);
	add(inner, "inner");
	assert_int_equal(txn_nest(inner, &innermost), 0);
	add(innermost, "undone");
	txn_abort(innermost);
	assert_int_equal(txn_nest(inner, &innermost), 0);
	add(innermost, "innermost");
	assert_int_equal(txn_commit(innermost), 0);
	assert_int_equal(txn_commit(inner), 0);
	assert_int_equal(txn_meta(bench->txn)->nkeys, 3);
	commit(bench);
	assert_true(has(bench->txn, "inner"));
	assert_true(has(bench->txn, "innermost"));
	assert_false(has(bench->txn, "undone"));
	assert_int_equal(txn_meta(bench->txn)->nkeys, 3);
}

/* The feed's rows leave one end while they come at the other: in order, over pages
 * that grow empty, and so again after some came back. */
static void test_feed_ends(void **state)
{
	struct bench *bench = *state;
	struct txn *inner;
	struct bytes row;
	uint64_t oldest, next = 1;
	char text[60] = "";

	for (uint64_t offset = 1; offset <= 1000; offset++) {
		struct bytes put = { text, sizeof text };
		assert_int_equal(store_feed_put(bench->txn, offset, put), 0);
		if (offset % 100 == 0)
			commit(bench);
		if (offset <= 300)
			continue;
		assert_int_equal(store_feed_oldest(bench->txn, &oldest, &row), 0);
		assert_int_equal(oldest, next);
		if (offset % 50 == 0) {
			assert_int_equal(txn_nest(bench->txn, &inner), 0);
			for (uint64_t k = 0; k < 40; k++) {
				assert_int_equal(store_feed_oldest(inner, &oldest, &row), 0);
				assert_int_equal(oldest, next + k);
				assert_int_equal(store_feed_del(inner, oldest), 0);
			}
			txn_abort(inner);
			assert_int_equal(store_feed_oldest(bench->txn, &oldest, &row), 0);
			assert_int_equal(oldest, next);
		}
		assert_int_equal(store_feed_del(bench->txn, oldest), 0);
		next++;
	}
	while (store_feed_oldest(bench->txn, &oldest, &row) == 0) {
		assert_int_equal(oldest, next++);
		assert_int_equal(store_feed_next(bench->txn, oldest, &oldest, &row), 0);
		assert_int_equal(store_feed_del(bench->txn, oldest), 0);
	}
	assert_int_equal(next, 1001);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_snapshots),
		TEST(test_abort),
		TEST(test_nested),
		TEST(test_feed_ends),
	};

	return cmocka_run_group_tests_name("store_txn", tests, NULL, NULL);
}
