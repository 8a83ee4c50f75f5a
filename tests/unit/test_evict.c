/* Tests of common/node/evict.c and node/recency.c: which entries are evicted when the
 * cache is full. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/node/evict.h"
#include "tests/unit/fixture.h"
#include "tests/unit/prng.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HOUR_MS INT64_C(3600000)
#define NOW_MS (FIXTURE_START_MS + 100 * HOUR_MS)
#define SEED 11

/* --- recency --- */

static struct recency *open_recency(const char *dir, uint64_t size_bytes)
{
	struct recency *recency = NULL;

	assert_int_equal(recency_open(dir, size_bytes, &recency), 0);
	return recency;
}

static void test_both_processes_see_the_latest_use(void **state)
{
	char *dir = temp_dir_new();
	struct recency *a = open_recency(dir, 1 << 20), *b = open_recency(dir, 1 << 20);

	(void)state;
	assert_true(recency_last_ms(a, 7, NOW_MS) == INT64_MIN);
	recency_touch(a, 7, NOW_MS);
	assert_int_equal(recency_last_ms(b, 7, NOW_MS), NOW_MS);
	assert_int_equal(recency_last_ms(b, 7, NOW_MS + HOUR_MS), NOW_MS);
	recency_touch(b, 7, NOW_MS + 5000);
	assert_int_equal(recency_last_ms(a, 7, NOW_MS + HOUR_MS), NOW_MS + 5000);
	/* A time that a 32-bit counter cannot distinguish from a future time
	 * counts as unknown. */
	assert_true(recency_last_ms(a, 7, NOW_MS + INT64_C(300) * 24 * HOUR_MS) == INT64_MIN);
	recency_touch(NULL, 7, NOW_MS);
	recency_hold(NULL, 7, NOW_MS);
	recency_close(NULL);
	recency_close(a);
	recency_close(b);
	temp_dir_remove(dir);
}

static void test_a_held_entry_counts_as_used_until_released(void **state)
{
	char *dir = temp_dir_new();
	struct recency *r = open_recency(dir, 1 << 20);

	(void)state;
	recency_touch(r, 7, NOW_MS);
	recency_hold(r, 7, NOW_MS);
	recency_touch(r, 7, NOW_MS + 10);
	assert_true(recency_last_ms(r, 7, NOW_MS + 20) == INT64_MAX);
	/* Also for a caller whose clock reading is older. */
	assert_true(recency_last_ms(r, 7, NOW_MS - 500) == INT64_MAX);
	recency_hold(r, 7, NOW_MS + 2000);
	assert_true(recency_last_ms(r, 7, NOW_MS + 2000 + RECENCY_HOLD_MS - 10) == INT64_MAX);
	/* Not renewed: the hold ended, and counts as the latest use. */
	assert_int_equal(recency_last_ms(r, 7, NOW_MS + HOUR_MS), NOW_MS + 2000 + RECENCY_HOLD_MS);
	recency_touch(r, 7, NOW_MS + HOUR_MS);
	assert_int_equal(recency_last_ms(r, 7, NOW_MS + HOUR_MS), NOW_MS + HOUR_MS);
	recency_hold(r, 7, NOW_MS + HOUR_MS);
	recency_release(r, 7, NOW_MS + HOUR_MS + 10);
	assert_int_equal(recency_last_ms(r, 7, NOW_MS + HOUR_MS + 20), NOW_MS + HOUR_MS + 10);
	recency_close(r);
	temp_dir_remove(dir);
}

/* The table is as large as the cache needs, and never shrinks. */
static void test_the_table_grows_with_the_cache_and_never_shrinks(void **state)
{
	char *dir = temp_dir_new(), path[256];
	struct stat st;
	struct recency *r = NULL;

	(void)state;
	snprintf(path, sizeof(path), "%s/recency", dir);
	recency_close(open_recency(dir, 1));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1 << 16);
	recency_close(open_recency(dir, UINT64_C(256) << 20));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8 << 20);
	recency_close(open_recency(dir, 1));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8 << 20);
	assert_int_equal(recency_open("/nowhere/at/all", 1, &r), -ENOENT);
	temp_dir_remove(dir);
	dir = temp_dir_small(1 << 20);
	if (dir) {
		assert_int_equal(recency_open(dir, UINT64_C(1) << 30, &r), -ENOSPC);
		temp_dir_remove(dir);
	}
	assert_null(r);
}

/* --- choosing victims --- */

struct evict_fixture {
	struct fixture fixture;
	struct recency *recency;
	struct evict *evict;
	struct evict_victim victims[EVICT_MAX];
	int n;
};

static int set_up(void **state)
{
	struct evict_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_init(&f->fixture);
	f->fixture.unchecked = true;
	f->recency = open_recency(f->fixture.dir, 64 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct evict_fixture *f = *state;

	evict_free(f->evict);
	recency_close(f->recency);
	fixture_free(&f->fixture);
	free(f);
	return 0;
}

static void set_policy(struct evict_fixture *f, enum evict_policy policy)
{
	assert_int_equal(evict_new(policy, f->recency, SEED, &f->evict), 0);
}

static void choose_victims(struct evict_fixture *f, int64_t now_ms, uint64_t want_bytes,
                           uint64_t spare)
{
	struct txn *txn;

	assert_int_equal(txn_read(f->fixture.store, &txn), 0);
	f->n = evict_choose(f->evict, txn, now_ms, want_bytes, spare, f->victims);
	txn_abort(txn);
	assert_true(f->n >= 0);
}

/* Set keys k0, k1 ... in one transaction, which is much faster than one by one. INOS
 * gets their inodes, which NCREATORS different creators proposed. */
static void set_keys(struct evict_fixture *f, unsigned n, unsigned ncreators, uint64_t *inos)
{
	struct fixture *fixture = &f->fixture;
	struct txn *txn;
	char key[16];

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t creator = i % (ncreators + 1);
		struct event ev = { .op = EVENT_SET, .key = { key, 0 } };

		ev.key.len = (size_t)snprintf(key, sizeof(key), "k%u", i);
		if (creator) /* As node_propose_ino() numbers them. */
			ev.ino = (creator * 7919 + 0x1000) << 28 | i;
		assert_int_equal(apply_event(txn, &ev, fixture->offset++, fixture->time_ms, NULL),
		                 0);
		assert_int_equal(store_lookup(txn, STORE_ROOT_INO, key, ev.key.len, &inos[i], NULL),
		                 0);
	}
	assert_int_equal(txn_commit(txn), 0);
}

/* Remove the victims as their events would. */
static void remove_victims(struct evict_fixture *f)
{
	struct fixture *fixture = &f->fixture;
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (int i = 0; i < f->n; i++) {
		enum event_outcome out;
		struct event ev = { .op = EVENT_DEL,
			            .at = f->victims[i].ino,
			            .key = B("k"),
			            .flags = EVENT_EVICT,
			            .cond = IF_VERSION,
			            .if_version = f->victims[i].version };

		assert_int_equal(apply_event(txn, &ev, fixture->offset++, fixture->time_ms, &out),
		                 0);
		assert_int_equal(out, OUTCOME_OK);
	}
	assert_int_equal(txn_commit(txn), 0);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool is_among(const uint64_t *sorted, size_t n, uint64_t ino)
{
	return bsearch(&ino, sorted, n, sizeof(ino), by_number);
}

/* Half of 100,000 keys, chosen at random, were read a minute ago. Until a third of all
 * keys is evicted, nearly all victims are keys that were not read. If two keys share a
 * slot of the table, an unread one may be spared, but no read key loses its slot. */
static void test_lru_evicts_what_was_not_read(void **state)
{
	struct evict_fixture *f = *state;
	unsigned n = 100000, nread = 0, gone = 0, wrong = 0;
	uint64_t *inos = calloc(n, sizeof(*inos)), *read_inos = calloc(n, sizeof(*inos));
	struct prng prng = { .seed = SEED };

	assert_non_null(inos);
	assert_non_null(read_inos);
	set_keys(f, n, 3, inos);
	for (unsigned i = 0; i < n; i++) {
		if (prng_one_in(&prng, 2))
			continue;
		read_inos[nread++] = inos[i];
		recency_touch(f->recency, inos[i], NOW_MS - 60000);
	}
	qsort(read_inos, nread, sizeof(*read_inos), by_number);
	set_policy(f, EVICT_LRU);
	while (gone < n / 3) {
		choose_victims(f, NOW_MS, 32 << 10, 0);
		assert_int_not_equal(f->n, 0);
		for (int i = 0; i < f->n; i++)
			wrong += is_among(read_inos, nread, f->victims[i].ino);
		gone += (unsigned)f->n;
		remove_victims(f);
	}
	print_message("seed %d: of %u evicted %u had been read\n", SEED, gone, wrong);
	assert_in_range(wrong, 0, gone / 100);
	free(inos);
	free(read_inos);
}

/* If all keys differ in age, the victims are among the oldest. The keys' inodes have
 * wide gaps, as after many creations and removals. */
static void test_lru_evicts_the_oldest(void **state)
{
	struct evict_fixture *f = *state;
	unsigned n = 20000, late = 0, gone = 0;
	uint64_t *inos = calloc(n, sizeof(*inos));
	struct prng prng = { .seed = SEED };

	assert_non_null(inos);
	set_keys(f, n, 1, inos);
	/* In the first three quarters only one key in fifty is left; all of these
	 * were read just now. */
	struct txn *txn;
	assert_int_equal(txn_write(f->fixture.store, &txn), 0);
	for (unsigned i = 0; i < n * 3 / 4; i++) {
		struct event ev = { .op = EVENT_DEL, .at = inos[i], .key = B("k") };

		if (prng_one_in(&prng, 50))
			recency_touch(f->recency, inos[i], NOW_MS);
		else
			assert_int_equal(apply_event(txn, &ev, f->fixture.offset++,
			                             f->fixture.time_ms, NULL),
			                 0);
	}
	assert_int_equal(txn_commit(txn), 0);
	/* The rest: the later created, the later read. */
	for (unsigned i = n * 3 / 4; i < n; i++)
		recency_touch(f->recency, inos[i], NOW_MS - (n - i) * INT64_C(100) - 1000);
	set_policy(f, EVICT_LRU);
	while (gone < n / 8) {
		choose_victims(f, NOW_MS, 4 << 10, 0);
		assert_int_not_equal(f->n, 0);
		for (int i = 0; i < f->n; i++)
			late += f->victims[i].last_ms > NOW_MS - n / 8 * INT64_C(100);
		gone += (unsigned)f->n;
		remove_victims(f);
	}
	print_message("seed %d: of %u evicted %u were of the younger half\n", SEED, gone, late);
	assert_in_range(late, 0, gone / 20);
	free(inos);
}

/* The survey sees all entries, in several steps, while entries are created and
 * removed. */
static void test_a_survey_sees_all_entries_in_steps(void **state)
{
	struct evict_fixture *f = *state;
	unsigned n = 9000, rounds = 1;
	uint64_t *inos = calloc(n, sizeof(*inos));
	struct txn *txn;

	assert_non_null(inos);
	set_policy(f, EVICT_LRU);
	set_keys(f, n, 2, inos);
	for (;; rounds++) {
		assert_int_equal(txn_read(f->fixture.store, &txn), 0);
		bool more = evict_survey(f->evict, txn, 1000);
		txn_abort(txn);
		if (!more)
			break;
		assert_in_range(rounds, 1, 20);
	}
	assert_in_range(rounds, 8, 11);
	choose_victims(f, NOW_MS, 1, 0);
	assert_int_equal(f->n, 1);
	free(inos);
}

/* Directories, links, held keys, expired keys and the spared key are never chosen; an
 * empty directory that was created implicitly is. */
static void test_protected_entries_are_never_evicted(void **state)
{
	struct evict_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	const uint64_t made = STORE_PROPOSED_MIN;

	EXPECT(fixture, OK, "added made/", .op = EVENT_MKDIR, .key = B("made"), .ino = made);
	EXPECT(fixture, OK, "added link=1", .op = EVENT_SET, .key = B("link"), .value = B("x"),
	       .flags = EVENT_SYMLINK);
	EXPECT(fixture, OK, "added held=0", .op = EVENT_SET, .key = B("held"));
	EXPECT(fixture, OK, "added spare=0", .op = EVENT_SET, .key = B("spare"));
	EXPECT(fixture, OK, "added way/, added way/k=0", .op = EVENT_SET, .key = B("way/k"));
	EXPECT(fixture, OK, "added ttl/, added ttl/k=0", .op = EVENT_SET, .key = B("ttl/k"));
	EXPECT(fixture, OK, "attr ttl/", .op = EVENT_SETXATTR, .key = B("ttl"),
	       .name = B("user.default_ttl"), .value = B("1h"));
	EXPECT(fixture, OK, "removed ttl/k=0", .op = EVENT_DEL, .key = B("ttl/k"));
	struct event over = {
		.op = EVENT_SET, .key = B("over"), .ttl = TTL_UNTIL, .ttl_ms = NOW_MS - 1
	};
	assert_int_equal(fixture_apply(fixture, &over), OUTCOME_OK);
	recency_hold(f->recency, fixture_ino(fixture, "held"), NOW_MS);
	uint64_t spare = fixture_ino(fixture, "spare"), way = fixture_ino(fixture, "way"),
	         key = fixture_ino(fixture, "way/k");

	set_policy(f, EVICT_LRU);
	choose_victims(f, NOW_MS, 1 << 20, spare);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->victims[0].ino, key);
	assert_false(f->victims[0].dir);
	assert_int_equal(f->victims[0].bytes, STORE_ENTRY_COST + 1);
	remove_victims(f);
	choose_victims(f, NOW_MS, 1 << 20, spare);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->victims[0].ino, way);
	assert_true(f->victims[0].dir);
	EXPECT(fixture, OK, "evicted way/", .op = EVENT_RMDIR, .at = way, .key = B("way"),
	       .flags = EVENT_EVICT);
	choose_victims(f, NOW_MS, 1 << 20, spare);
	assert_int_equal(f->n, 0);
	choose_victims(f, NOW_MS, 1 << 20, 0);
	assert_int_equal(f->n, 1);
	assert_int_equal(f->victims[0].ino, spare);
}

/* Under either policy nothing below a directory with the attribute is evicted, at any
 * depth, nor is a key that has it. With another value, or after its removal,
 * everything can be. */
static void test_nothing_below_a_kept_directory_is_evicted(void **state)
{
	struct evict_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	const enum evict_policy policies[] = { EVICT_LRU, EVICT_TTL };

	for (unsigned i = 0; i < 40; i++) {
		char key[32];
		struct event ev = { .op = EVENT_SET,
			            .key = { key, 0 },
			            .ttl = TTL_UNTIL,
			            .ttl_ms = NOW_MS + HOUR_MS + i };

		ev.key.len = (size_t)snprintf(key, sizeof(key), i < 20 ? "keep/a/b/%u" : "go/a/%u",
		                              i);
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	struct event keep = { .op = EVENT_SETXATTR,
		              .key = B("keep"),
		              .name = B(EVICT_ATTR),
		              .value = B(EVICT_NEVER) };
	assert_int_equal(fixture_apply(fixture, &keep), OUTCOME_OK);
	keep.key = (struct bytes)B("go/a/20");
	assert_int_equal(fixture_apply(fixture, &keep), OUTCOME_OK);
	keep.key = (struct bytes)B("go");
	keep.value = (struct bytes)B("sometimes");
	assert_int_equal(fixture_apply(fixture, &keep), OUTCOME_OK);
	for (size_t i = 0; i < 2; i++) {
		set_policy(f, policies[i]);
		choose_victims(f, NOW_MS, 1 << 20, 0);
		assert_int_equal(f->n, 19);
		evict_free(f->evict);
	}
	keep.op = EVENT_REMOVEXATTR;
	keep.key = (struct bytes)B("keep");
	keep.value = (struct bytes){ 0 };
	assert_int_equal(fixture_apply(fixture, &keep), OUTCOME_OK);
	set_policy(f, EVICT_LRU);
	choose_victims(f, NOW_MS, 1 << 20, 0);
	assert_int_equal(f->n, 39);
}

static bool can_evict(struct fixture *fixture, enum evict_policy policy)
{
	struct txn *txn;

	assert_int_equal(txn_read(fixture->store, &txn), 0);
	bool can = evict_possible(policy, txn);
	txn_abort(txn);
	return can;
}

/* The keys that expire first are chosen, in order, and none without an expiry. */
static void test_ttl_evicts_what_expires_first(void **state)
{
	struct evict_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	char key[8];

	set_policy(f, EVICT_TTL);
	EXPECT(fixture, OK, "added forever=0", .op = EVENT_SET, .key = B("forever"));
	choose_victims(f, NOW_MS, 1, 0);
	assert_int_equal(f->n, 0);
	assert_false(can_evict(fixture, EVICT_TTL));
	assert_true(can_evict(fixture, EVICT_LRU));
	for (int i = 0; i < 100; i++) {
		struct event ev = { .op = EVENT_SET,
			            .key = { key, 0 },
			            .ttl = TTL_UNTIL,
			            .ttl_ms = NOW_MS + HOUR_MS + (i * 37 % 100) };

		ev.key.len = (size_t)snprintf(key, sizeof(key), "t%02d", i);
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	assert_true(can_evict(fixture, EVICT_TTL));
	assert_false(can_evict(fixture, EVICT_NONE));
	recency_hold(f->recency, fixture_ino(fixture, "t00"), NOW_MS);
	choose_victims(f, NOW_MS, 20 * (STORE_ENTRY_COST + 3), 0);
	assert_int_equal(f->n, 20);
	for (int i = 0; i < f->n; i++)
		assert_int_equal(f->victims[i].last_ms, NOW_MS + HOUR_MS + i + 1);
	choose_victims(f, NOW_MS + HOUR_MS + 49, 1 << 20, 0);
	assert_int_equal(f->n, 50); /* The other keys have expired. */
	choose_victims(f, NOW_MS + HOUR_MS + 99, 1 << 20, 0);
	assert_int_equal(f->n, 0);
}

static void test_policy_names_are_parsed_exactly(void **state)
{
	enum evict_policy policy = EVICT_NONE;

	(void)state;
	assert_int_equal(evict_policy_parse("lru", &policy), 0);
	assert_int_equal(policy, EVICT_LRU);
	assert_int_equal(evict_policy_parse("ttl", &policy), 0);
	assert_string_equal(evict_policy_text(policy), "ttl");
	assert_int_equal(evict_policy_parse("lfu", &policy), -ENOENT);
	assert_int_equal(evict_policy_parse("", &policy), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_processes_see_the_latest_use),
		cmocka_unit_test(test_a_held_entry_counts_as_used_until_released),
		cmocka_unit_test(test_the_table_grows_with_the_cache_and_never_shrinks),
		TEST(test_lru_evicts_what_was_not_read),
		TEST(test_lru_evicts_the_oldest),
		TEST(test_a_survey_sees_all_entries_in_steps),
		TEST(test_protected_entries_are_never_evicted),
		TEST(test_nothing_below_a_kept_directory_is_evicted),
		TEST(test_ttl_evicts_what_expires_first),
		cmocka_unit_test(test_policy_names_are_parsed_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
