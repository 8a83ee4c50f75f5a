/* Tests of a full file system: a store in memory that is written through its mapping
 * gets an error and never a signal, and recovers when entries are removed. The
 * reserved pages are compared with those that LMDB used. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/store/internal.h"
#include "tests/unit/child.h"
#include "tests/unit/event_random.h"
#include "tests/unit/store_check.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_MS INT64_C(1769860800000)
#define VALUE_MAX (5 * STORE_CHUNK_SIZE)
#define SEEDS 2
#define ROUNDS 240

static char big[VALUE_MAX];

struct world {
	struct prng prng;
	struct store *store;
	uint64_t applied, refused; /* transactions */
};

/* Remove the store, so that the next one starts empty. */
static void remove_store(const char *dir)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "fill" };
	char path[4200];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_true(unlink(path) == 0 || errno == ENOENT);
	}
}

static struct store *open_store(const char *dir)
{
	struct store *store = store_fixture_open(dir);

	assert_true(store->mapped);
	return store;
}

/* Expect that LMDB uses no page past the allocated ones. */
static void expect_room(struct store *store)
{
	MDB_envinfo info;

	assert_int_equal(mdb_env_info(store->env, &info), 0);
	assert_true(info.me_last_pgno < store->allocated_end);
}

static void check_store(struct store *store)
{
	char why[256] = "";
	struct txn *txn;

	assert_int_equal(txn_read(store, &txn), 0);
	if (store_check(txn, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	txn_abort(txn);
}

/* Make an event with a value of any length, most of them short, on one of few keys. */
static void set_something(struct world *w, char *key, size_t size, struct event *ev)
{
	static const size_t sizes[] = { 0,    10,   100,  500,   600,   1990,
		                        2010, 4000, 4100, 20000, 70000, VALUE_MAX };
	int len = snprintf(key, size, "d%u/%u/key%u", prng_below(&w->prng, 4),
	                   prng_below(&w->prng, 10), prng_below(&w->prng, 3000));
	size_t n = sizes[prng_below(&w->prng, ARRAY_SIZE(sizes))];

	*ev = (struct event){ .op = prng_one_in(&w->prng, 5) ? EVENT_APPEND : EVENT_SET,
		              .key = { key, (size_t)len },
		              .value = { big, n ? prng_below(&w->prng, (uint32_t)n + 1) : 0 } };
}

/* Make an event of any kind that writes. */
static void any_event(struct world *w, char *key, size_t size, struct event *ev)
{
	static struct event_space space;

	if (!prng_one_in(&w->prng, 4)) {
		set_something(w, key, size, ev);
		return;
	}
	ev->time_ms = START_MS;
	event_random(&w->prng, &space, ev);
}

/* Apply EV in a nested transaction, which may be aborted. */
static int apply_part(struct world *w, struct txn *txn, const struct event *ev)
{
	struct txn *part;

	assert_int_equal(txn_nest(txn, &part), 0);
	int r = apply_event(part, ev, txn_meta(part)->applied + 1, START_MS, NULL);
	if (r == 0 && prng_one_in(&w->prng, 2))
		return txn_commit(part);
	txn_abort(part);
	return r;
}

/* Apply N events in one transaction; sometimes abort nested parts, or all of it. */
static void apply_some(struct world *w, unsigned n)
{
	struct txn *txn;
	char key[64];
	int r = txn_write(w->store, &txn);

	assert_true(r == 0 || r == -ENOSPC);
	if (r == 0) {
		for (unsigned i = 0; r == 0 && i < n; i++) {
			struct event ev = { .op = EVENT_TICK };
			any_event(w, key, sizeof(key), &ev);
			r = prng_one_in(&w->prng, 6) ?
			            apply_part(w, txn, &ev) :
			            apply_event(txn, &ev, txn_meta(txn)->applied + 1, START_MS,
			                        NULL);
		}
		if (r == 0 && !prng_one_in(&w->prng, 10))
			r = txn_commit(txn);
		else
			txn_abort(txn);
		expect_room(w->store);
	}
	assert_true(r == 0 || r == -ENOSPC);
	w->applied += r == 0;
	w->refused += r != 0;
}

/* Remove a key, which must be possible however full the file system is. */
static void remove_one(struct world *w, const char *key)
{
	struct event ev = { .op = EVENT_DEL, .key = { key, strlen(key) } };
	struct txn *txn;
	enum event_outcome outcome;

	assert_int_equal(txn_write(w->store, &txn), 0);
	assert_int_equal(apply_event(txn, &ev, txn_meta(txn)->applied + 1, START_MS, &outcome), 0);
	assert_int_equal(txn_commit(txn), 0);
	expect_room(w->store);
}

/* Set a key; return 0 or -ENOSPC. */
static int set_one(struct world *w, const char *key, size_t size)
{
	struct event ev = { .op = EVENT_SET, .key = { key, strlen(key) }, .value = { big, size } };
	struct txn *txn;
	int r = txn_write(w->store, &txn);

	if (r == 0) {
		r = apply_event(txn, &ev, txn_meta(txn)->applied + 1, START_MS, NULL);
		if (r == 0)
			r = txn_commit(txn);
		else
			txn_abort(txn);
	}
	return r;
}

/* Random writes into a file system that is full or nearly so. */
static void test_random_writes_survive_a_full_file_system(void **state)
{
	(void)state;
	char *dir = temp_dir_small(3 << 20);
	if (!dir)
		skip();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world w = { .prng = { .seed = seed } };
		size_t mib = 3;

		w.store = open_store(dir);
		for (int i = 0; i < ROUNDS; i++) {
			apply_some(&w, 1 + prng_below(&w.prng, prng_one_in(&w.prng, 4) ? 300 : 8));
			if (i % (ROUNDS / 4) == 0)
				temp_dir_resize(dir, ++mib << 20);
		}
		check_store(w.store);
		assert_true(w.applied > 10 && w.refused > 10);
		store_close(w.store);
		w.store = open_store(dir); /* Full, and opened again. */
		check_store(w.store);
		store_close(w.store);
		remove_store(dir);
		temp_dir_resize(dir, 3 << 20);
	}
	temp_dir_remove(dir);
}

/* A store filled to the last page can be emptied key by key and filled again,
 * although the file system has no free page. */
static void test_a_full_store_can_be_emptied_and_refilled(void **state)
{
	(void)state;
	static const size_t sizes[] = { 500, 1500, 3000, 30000, VALUE_MAX };
	char *dir = temp_dir_small(6 << 20), key[32];
	if (!dir)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct world w = { .store = open_store(dir) };
		int n = 0, again = 0;

		for (;; n++) {
			snprintf(key, sizeof(key), "key%d", n);
			if (set_one(&w, key, sizes[i]) != 0)
				break;
		}
		temp_dir_fill(dir);
		for (int round = 0; round < 3; round++) {
			for (int k = 0; k < n; k++) {
				snprintf(key, sizeof(key), "key%d", k);
				remove_one(&w, key);
			}
			for (again = 0; again < n; again++) {
				snprintf(key, sizeof(key), "key%d", again);
				if (set_one(&w, key, sizes[i]) != 0)
					break;
			}
			expect_room(w.store);
			/* Not all of them: the feed grows, and long values need contiguous
			 * pages. */
			assert_true(again >= n / 2);
		}
		check_store(w.store);
		store_close(w.store);
		remove_store(dir);
	}
	temp_dir_remove(dir);
}

/* Fill the file system with values of SIZE bytes below "d". Return their number. */
static int fill_directory(struct world *w, size_t size)
{
	char key[32];
	int n = 0;

	for (;; n++) {
		snprintf(key, sizeof(key), "d/%d", n);
		if (set_one(w, key, size) != 0)
			return n;
	}
}

/* Remove "d" recursively, as one event. */
static void remove_directory(struct world *w)
{
	struct event ev = { .op = EVENT_DEL, .key = { "d", 1 }, .flags = EVENT_RECURSE };
	struct txn *txn;
	enum event_outcome outcome;

	assert_int_equal(txn_write(w->store, &txn), 0);
	assert_int_equal(apply_event(txn, &ev, txn_meta(txn)->applied + 1, START_MS, &outcome), 0);
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(txn_commit(txn), 0);
	expect_room(w->store);
}

/* One event can remove all values: large ones on a full file system, short ones if a
 * fifth of it is free. The next transaction does not count the free list as its own
 * pages, and can use the pages on it, however long the list is. */
static void test_one_event_can_remove_everything(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t value, spare;
	} rows[] = { { "short values", 3000, 16 << 20 },
		     { "long values", 30000, 0 },
		     { "the longest values", VALUE_MAX, 0 } };
	char *dir = temp_dir_small(80 << 20);
	struct txn *txn;
	if (!dir)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world w = { .store = open_store(dir) };

		int n = fill_directory(&w, rows[i].value);
		temp_dir_resize(dir, (80 << 20) + rows[i].spare);
		remove_directory(&w);
		temp_dir_fill(dir);
		assert_int_equal(txn_write(w.store, &txn), 0);
		assert_int_equal(txn_pages(txn), 0);
		txn_abort(txn);
		assert_int_equal(store_advance(w.store), 0);
		int again = fill_directory(&w, rows[i].value);
		assert_row(rows[i].name, again > n / 2);
		expect_room(w.store);
		check_store(w.store);
		store_close(w.store);
		remove_store(dir);
		temp_dir_resize(dir, 80 << 20);
	}
	temp_dir_remove(dir);
}

/* While a snapshot is open, overwriting large values frees pages that cannot be
 * reused. No transaction counts the growing free list as its own pages. */
static void test_the_free_list_is_not_counted_as_written(void **state)
{
	(void)state;
	char *dir = temp_dir_small(64 << 20);
	struct txn *reader, *txn;
	if (!dir)
		skip();
	struct world w = { .store = open_store(dir) };

	assert_int_equal(set_one(&w, "k", VALUE_MAX), 0);
	assert_int_equal(txn_read(w.store, &reader), 0);
	int n = 0;
	while (set_one(&w, "k", VALUE_MAX) == 0) {
		n++;
		assert_int_equal(txn_write(w.store, &txn), 0);
		assert_int_equal(txn_pages(txn), 0);
		txn_abort(txn);
		expect_room(w.store);
	}
	assert_in_range(n, 100, 210);
	txn_abort(reader);
	assert_int_equal(store_advance(w.store), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(set_one(&w, "k", VALUE_MAX), 0);
	check_store(w.store);
	store_close(w.store);
	temp_dir_remove(dir);
}

static void fill_until_full(void *arg)
{
	const char *dir = arg;
	struct store_config config = { .dir = dir };
	struct world w = { .prng = { .seed = (uint64_t)getpid() } };
	char key[64];
	int failed = 0;

	CHILD_CHECK(store_open(&config, &w.store, NULL, 0) == 0);
	while (failed < 50) {
		snprintf(key, sizeof(key), "%d/%u", getpid(), prng_below(&w.prng, 100000));
		int r = set_one(&w, key, prng_below(&w.prng, 5000));
		CHILD_CHECK(r == 0 || r == -ENOSPC);
		failed += r != 0;
	}
	store_close(w.store);
}

/* Several processes, each with its own count of allocated pages. */
static void test_processes_share_a_full_file_system(void **state)
{
	(void)state;
	char *dir = temp_dir_small(8 << 20);
	pid_t pids[3];
	if (!dir)
		skip();
	store_close(open_store(dir));
	for (int i = 0; i < 3; i++)
		pids[i] = child_start(fill_until_full, dir);
	for (int i = 0; i < 3; i++)
		child_join(pids[i]);
	struct store *store = open_store(dir);
	check_store(store);
	store_close(store);
	temp_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_writes_survive_a_full_file_system),
		cmocka_unit_test(test_a_full_store_can_be_emptied_and_refilled),
		cmocka_unit_test(test_one_event_can_remove_everything),
		cmocka_unit_test(test_the_free_list_is_not_counted_as_written),
		cmocka_unit_test(test_processes_share_a_full_file_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
