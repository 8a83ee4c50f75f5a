/* Tests of common/store/txn.c: snapshots, aborted and nested transactions. */
#include "tests/unit/cmocka_all.h"

#include "common/store/internal.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_name(struct txn *txn, const char *name)
{
	uint64_t ino;

	return store_lookup(txn, STORE_ROOT_INO, name, strlen(name), &ino, NULL) == 0;
}

static void add_name(struct txn *txn, const char *name)
{
	assert_int_equal(store_link(txn, STORE_ROOT_INO, name, strlen(name), 5, false), 0);
	txn_meta(txn)->nkeys++;
}

/* A snapshot does not change, whatever is committed meanwhile; a reused transaction
 * sees the newest commit like a new one. */
static void test_a_snapshot_does_not_change(void **state)
{
	struct store_fixture *fixture = *state;
	struct txn *old, *newer;

	add_name(fixture->txn, "a");
	old = store_fixture_read(fixture->store);
	assert_false(has_name(old, "a"));
	store_fixture_commit(fixture);
	newer = store_fixture_read(fixture->store);
	assert_true(has_name(newer, "a"));
	assert_int_equal(txn_meta(newer)->nkeys, 1);
	for (int i = 0; i < 50; i++) { /* Enough to reuse pages, if that were allowed. */
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		add_name(fixture->txn, name);
		assert_int_equal(store_chunks_write(fixture->txn, 5, (uint64_t)i * 1000, name, 4),
		                 0);
		store_fixture_commit(fixture);
	}
	assert_false(has_name(old, "a"));
	assert_int_equal(txn_meta(old)->nkeys, 0);
	assert_true(has_name(newer, "a"));
	assert_false(has_name(newer, "n0"));
	txn_abort(newer);
	txn_abort(old);
	old = store_fixture_read(fixture->store);
	newer = store_fixture_read(fixture->store);
	assert_true(has_name(old, "n49"));
	assert_true(has_name(newer, "n49"));
	assert_int_equal(txn_meta(old)->nkeys, 51);
	txn_abort(old);
	txn_abort(newer);
}

/* more threads than slots for idle transactions */
#define READERS (2 * STORE_IDLE_SLOTS + 3)

struct readers {
	struct store *store;
	atomic_uint_fast64_t committed; /* lower limit for the number of keys */
	atomic_uint begun;
	atomic_bool end;
	atomic_uint wrong;
};

static void *read_until_end(void *arg)
{
	struct readers *all = arg;
	uint64_t last = 0;
	bool first = true;

	while (first || !atomic_load(&all->end)) {
		uint64_t least = atomic_load(&all->committed);
		struct txn *txn;
		char name[24];
		if (txn_read(all->store, &txn) < 0) {
			atomic_fetch_add(&all->wrong, 1);
			return NULL;
		}
		uint64_t nkeys = txn_meta(txn)->nkeys;
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)nkeys);
		if (nkeys < last || nkeys < least || (nkeys && !has_name(txn, name)))
			atomic_fetch_add(&all->wrong, 1);
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)nkeys + 1);
		if (has_name(txn, name))
			atomic_fetch_add(&all->wrong, 1);
		txn_abort(txn);
		last = nkeys;
		if (first)
			atomic_fetch_add(&all->begun, 1);
		first = false;
	}
	return NULL;
}

/* The totals and rows of a snapshot are of the same commit, in every thread, and
 * never older than a commit that ended before the snapshot began. */
static void test_snapshots_are_consistent_in_many_threads(void **state)
{
	struct store_fixture *fixture = *state;
	struct readers all = { .store = fixture->store };
	pthread_t threads[READERS];

	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_end, &all), 0);
	while (atomic_load(&all.begun) < READERS && !atomic_load(&all.wrong))
		sched_yield();
	for (unsigned i = 1; i <= 200; i++) {
		char name[24];
		snprintf(name, sizeof(name), "n%u", i);
		add_name(fixture->txn, name);
		store_fixture_commit(fixture);
		atomic_store(&all.committed, i);
	}
	atomic_store(&all.end, true);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&all.wrong), 0);
}

static void test_an_abort_undoes_everything(void **state)
{
	struct store_fixture *fixture = *state;

	add_name(fixture->txn, "a");
	txn_abort(fixture->txn);
	fixture->txn = store_fixture_write(fixture->store);
	assert_false(has_name(fixture->txn, "a"));
	assert_int_equal(txn_meta(fixture->txn)->nkeys, 0);
	txn_abort(NULL);
}

static void test_nested_transactions_end_separately(void **state)
{
	struct store_fixture *fixture = *state;
	struct txn *inner, *innermost;

	add_name(fixture->txn, "outer");
	assert_int_equal(txn_nest(fixture->txn, &inner), 0);
	assert_true(has_name(inner, "outer"));
	assert_int_equal(txn_meta(inner)->nkeys, 1);
	add_name(inner, "undone");
	assert_int_equal(store_unlink(inner, STORE_ROOT_INO, "outer", 5), 0);
	txn_abort(inner);
	assert_true(has_name(fixture->txn, "outer"));
	assert_false(has_name(fixture->txn, "undone"));
	assert_int_equal(txn_meta(fixture->txn)->nkeys, 1);

	assert_int_equal(txn_nest(fixture->txn, &inner), 0);
	add_name(inner, "inner");
	assert_int_equal(txn_nest(inner, &innermost), 0);
	add_name(innermost, "undone");
	txn_abort(innermost);
	assert_int_equal(txn_nest(inner, &innermost), 0);
	add_name(innermost, "innermost");
	assert_int_equal(txn_commit(innermost), 0);
	assert_int_equal(txn_commit(inner), 0);
	assert_int_equal(txn_meta(fixture->txn)->nkeys, 3);
	store_fixture_commit(fixture);
	assert_true(has_name(fixture->txn, "inner"));
	assert_true(has_name(fixture->txn, "innermost"));
	assert_false(has_name(fixture->txn, "undone"));
	assert_int_equal(txn_meta(fixture->txn)->nkeys, 3);
}

/* Rows of the feed are removed at one end while they are added at the other: in
 * order, across emptied pages, and again after an abort restored some. */
static void test_the_oldest_feed_row_is_found(void **state)
{
	struct store_fixture *fixture = *state;
	struct txn *inner;
	struct bytes row;
	uint64_t oldest, next = 1;
	char text[60] = "";

	for (uint64_t offset = 1; offset <= 1000; offset++) {
		struct bytes put = { text, sizeof(text) };
		assert_int_equal(store_feed_put(fixture->txn, offset, put), 0);
		if (offset % 100 == 0)
			store_fixture_commit(fixture);
		if (offset <= 300)
			continue;
		assert_int_equal(store_feed_oldest(fixture->txn, &oldest, &row), 0);
		assert_int_equal(oldest, next);
		if (offset % 50 == 0) {
			assert_int_equal(txn_nest(fixture->txn, &inner), 0);
			for (uint64_t k = 0; k < 40; k++) {
				assert_int_equal(store_feed_oldest(inner, &oldest, &row), 0);
				assert_int_equal(oldest, next + k);
				assert_int_equal(store_feed_del(inner, oldest), 0);
			}
			txn_abort(inner);
			assert_int_equal(store_feed_oldest(fixture->txn, &oldest, &row), 0);
			assert_int_equal(oldest, next);
		}
		assert_int_equal(store_feed_del(fixture->txn, oldest), 0);
		next++;
	}
	while (store_feed_oldest(fixture->txn, &oldest, &row) == 0) {
		assert_int_equal(oldest, next++);
		assert_int_equal(store_feed_next(fixture->txn, oldest, &oldest, &row), 0);
		assert_int_equal(store_feed_del(fixture->txn, oldest), 0);
	}
	assert_int_equal(next, 1001);
}

int main(void)
{
#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_snapshot_does_not_change),
		TEST(test_snapshots_are_consistent_in_many_threads),
		TEST(test_an_abort_undoes_everything),
		TEST(test_nested_transactions_end_separately),
		TEST(test_the_oldest_feed_row_is_found),
	};

	return cmocka_run_group_tests_name("store_txn", tests, NULL, NULL);
}
