/* Tests of common/node/evict.c and node/recency.c: who has to go when the cache is full. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/prng.h"
#include "common/node/evict.h"
#include "tests/unit/fixture.h"
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

static void test_recency(void **state)
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
	/* What no counter of 32 bits can tell from the future is not known. */
	assert_true(recency_last_ms(a, 7, NOW_MS + INT64_C(300) * 24 * HOUR_MS) == INT64_MIN);
	recency_touch(NULL, 7, NOW_MS);
	recency_hold(NULL, 7, NOW_MS);
	recency_close(NULL);
	recency_close(a);
	recency_close(b);
	temp_dir_remove(dir);
}

static void test_hold(void **state)
{
	char *dir = temp_dir_new();
	struct recency *r = open_recency(dir, 1 << 20);

	(void)state;
	recency_touch(r, 7, NOW_MS);
	recency_hold(r, 7, NOW_MS);
	recency_touch(r, 7, NOW_MS + 10);
	assert_true(recency_last_ms(r, 7, NOW_MS + 20) == INT64_MAX);
	/* By a clock that was read before, too. */
	assert_true(recency_last_ms(r, 7, NOW_MS - 500) == INT64_MAX);
	recency_hold(r, 7, NOW_MS + 2000);
	assert_true(recency_last_ms(r, 7, NOW_MS + 2000 + RECENCY_HOLD_MS - 10) == INT64_MAX);
	/* Not renewed: it was used until then. */
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
static void test_recency_size(void **state)
{
	char *dir = temp_dir_new(), path[256];
	struct stat st;
	struct recency *r = NULL;

	(void)state;
	snprintf(path, sizeof path, "%s/recency", dir);
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

/* --- choosing --- */

struct bench {
	struct fixture fixture;
	struct recency *recency;
	struct evict *evict;
	struct evict_victim victims[EVICT_MAX];
	int n;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);

	assert_non_null(bench);
	fixture_init(&bench->fixture);
	bench->fixture.unchecked = true;
	bench->recency = open_recency(bench->fixture.dir, 64 << 20);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	evict_free(bench->evict);
	recency_close(bench->recency);
	fixture_free(&bench->fixture);
	free(bench);
	return 0;
}

static void make(struct bench *bench, enum evict_policy policy)
{
	assert_int_equal(evict_new(policy, bench->recency, SEED, &bench->evict), 0);
}

static void choose(struct bench *bench, int64_t now_ms, uint64_t want_bytes, uint64_t spare)
{
	struct txn *txn;

	assert_int_equal(txn_read(bench->fixture.store, &txn), 0);
	bench->n = evict_choose(bench->evict, txn, now_ms, want_bytes, spare, bench->victims);
	txn_abort(txn);
	assert_true(bench->n >= 0);
}

/* Sets keys k0 ... as one transaction would, much faster than one by one. INOS
 * gets their numbers, of as many creators as NCREATORS. */
static void fill(struct bench *bench, unsigned n, unsigned ncreators, uint64_t *inos)
{
	struct fixture *fixture = &bench->fixture;
	struct txn *txn;
	char key[16];

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (unsigned i = 0; i < n; i++) {
		uint64_t creator = i % (ncreators + 1);
		struct event ev = { .op = EVENT_SET, .key = { key, 0 } };

		ev.key.len = (size_t)snprintf(key, sizeof key, "k%u", i);
		if (creator) /* as node_propose_ino() has them */
			ev.ino = (creator * 7919 + 0x1000) << 28 | i;
		assert_int_equal(apply_event(txn, &ev, fixture->offset++, fixture->time_ms, NULL),
		                 0);
		assert_int_equal(store_lookup(txn, STORE_ROOT_INO, key, ev.key.len, &inos[i], NULL),
		                 0);
	}
	assert_int_equal(txn_commit(txn), 0);
}

/* Removes the victims, as their events would. */
static void evict(struct bench *bench)
{
	struct fixture *fixture = &bench->fixture;
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (int i = 0; i < bench->n; i++) {
		enum event_outcome out;
		struct event ev = { .op = EVENT_DEL,
			            .at = bench->victims[i].ino,
			            .key = B("k"),
			            .flags = EVENT_EVICT,
			            .cond = IF_VERSION,
			            .if_version = bench->victims[i].version };

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

static bool find(const uint64_t *sorted, size_t n, uint64_t ino)
{
	return bsearch(&ino, sorted, n, sizeof ino, by_number);
}

/* Of 100,000 keys every other was read a minute ago. What goes, until a third is
 * gone, was mostly not read. A place of the table that two keys share spares
 * some of the others, but costs no key that was read its place. */
static void test_lru(void **state)
{
	struct bench *bench = *state;
	unsigned n = 100000, nread = 0, gone = 0, wrong = 0;
	uint64_t *inos = calloc(n, sizeof *inos), *read_inos = calloc(n, sizeof *inos);
	struct prng prng = { .seed = SEED };

	assert_non_null(inos);
	assert_non_null(read_inos);
	fill(bench, n, 3, inos);
	for (unsigned i = 0; i < n; i++) {
		if (prng_one_in(&prng, 2))
			continue;
		read_inos[nread++] = inos[i];
		recency_touch(bench->recency, inos[i], NOW_MS - 60000);
	}
	qsort(read_inos, nread, sizeof *read_inos, by_number);
	make(bench, EVICT_LRU);
	while (gone < n / 3) {
		choose(bench, NOW_MS, 32 << 10, 0);
		assert_int_not_equal(bench->n, 0);
		for (int i = 0; i < bench->n; i++)
			wrong += find(read_inos, nread, bench->victims[i].ino);
		gone += (unsigned)bench->n;
		evict(bench);
	}
	print_message("seed %d: of %u evicted %u had been read\n", SEED, gone, wrong);
	assert_in_range(wrong, 0, gone / 100);
	free(inos);
	free(read_inos);
}

/* Where all keys differ in age, what goes is among the oldest: by rank, and after
 * much has come and gone, which leaves numbers with wide gaps. */
static void test_ranks(void **state)
{
	struct bench *bench = *state;
	unsigned n = 20000, late = 0, gone = 0;
	uint64_t *inos = calloc(n, sizeof *inos);
	struct prng prng = { .seed = SEED };

	assert_non_null(inos);
	fill(bench, n, 1, inos);
	/* Of the first three quarters only one in fifty is left, all of them read
	 * just now. */
	struct txn *txn;
	assert_int_equal(txn_write(bench->fixture.store, &txn), 0);
	for (unsigned i = 0; i < n * 3 / 4; i++) {
		struct event ev = { .op = EVENT_DEL, .at = inos[i], .key = B("k") };

		if (prng_one_in(&prng, 50))
			recency_touch(bench->recency, inos[i], NOW_MS);
		else
			assert_int_equal(apply_event(txn, &ev, bench->fixture.offset++,
			                             bench->fixture.time_ms, NULL),
			                 0);
	}
	assert_int_equal(txn_commit(txn), 0);
	/* The rest: the later made, the later read. */
	for (unsigned i = n * 3 / 4; i < n; i++)
		recency_touch(bench->recency, inos[i], NOW_MS - (n - i) * INT64_C(100) - 1000);
	make(bench, EVICT_LRU);
	while (gone < n / 8) {
		choose(bench, NOW_MS, 4 << 10, 0);
		assert_int_not_equal(bench->n, 0);
		for (int i = 0; i < bench->n; i++)
			late += bench->victims[i].last_ms > NOW_MS - n / 8 * INT64_C(100);
		gone += (unsigned)bench->n;
		evict(bench);
	}
	print_message("seed %d: of %u evicted %u were of the younger half\n", SEED, gone, late);
	assert_in_range(late, 0, gone / 20);
	free(inos);
}

/* The survey sees all, in pieces, while entries come and go. */
static void test_survey(void **state)
{
	struct bench *bench = *state;
	unsigned n = 9000, rounds = 1;
	uint64_t *inos = calloc(n, sizeof *inos);
	struct txn *txn;

	assert_non_null(inos);
	make(bench, EVICT_LRU);
	fill(bench, n, 2, inos);
	for (;; rounds++) {
		assert_int_equal(txn_read(bench->fixture.store, &txn), 0);
		bool more = evict_survey(bench->evict, txn, 1000);
		txn_abort(txn);
		if (!more)
			break;
		assert_in_range(rounds, 1, 20);
	}
	assert_in_range(rounds, 8, 11);
	choose(bench, NOW_MS, 1, 0);
	assert_int_equal(bench->n, 1);
	free(inos);
}

/* Directories, links, what is held, what is over and what is spared stay; an empty
 * directory that was made on the way goes. */
static void test_never(void **state)
{
	struct bench *bench = *state;
	struct fixture *fixture = &bench->fixture;
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
	recency_hold(bench->recency, fixture_ino(fixture, "held"), NOW_MS);
	uint64_t spare = fixture_ino(fixture, "spare"), way = fixture_ino(fixture, "way"),
	         key = fixture_ino(fixture, "way/k");

	make(bench, EVICT_LRU);
	choose(bench, NOW_MS, 1 << 20, spare);
	assert_int_equal(bench->n, 1);
	assert_int_equal(bench->victims[0].ino, key);
	assert_false(bench->victims[0].dir);
	assert_int_equal(bench->victims[0].bytes, STORE_ENTRY_COST + 1);
	evict(bench);
	choose(bench, NOW_MS, 1 << 20, spare);
	assert_int_equal(bench->n, 1);
	assert_int_equal(bench->victims[0].ino, way);
	assert_true(bench->victims[0].dir);
	EXPECT(fixture, OK, "evicted way/", .op = EVENT_RMDIR, .at = way, .key = B("way"),
	       .flags = EVENT_EVICT);
	choose(bench, NOW_MS, 1 << 20, spare);
	assert_int_equal(bench->n, 0);
	choose(bench, NOW_MS, 1 << 20, 0);
	assert_int_equal(bench->n, 1);
	assert_int_equal(bench->victims[0].ino, spare);
}

/* With either policy nothing below a directory that has the attribute goes, at any depth,
 * and neither does a key that has it; with another value, or without it again, all does. */
static void test_never_below_a_kept_directory(void **state)
{
	struct bench *bench = *state;
	struct fixture *fixture = &bench->fixture;
	const enum evict_policy policies[] = { EVICT_LRU, EVICT_TTL };

	for (unsigned i = 0; i < 40; i++) {
		char key[32];
		struct event ev = { .op = EVENT_SET,
			            .key = { key, 0 },
			            .ttl = TTL_UNTIL,
			            .ttl_ms = NOW_MS + HOUR_MS + i };

		ev.key.len = (size_t)snprintf(key, sizeof key, i < 20 ? "keep/a/b/%u" : "go/a/%u",
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
		make(bench, policies[i]);
		choose(bench, NOW_MS, 1 << 20, 0);
		assert_int_equal(bench->n, 19);
		evict_free(bench->evict);
	}
	keep.op = EVENT_REMOVEXATTR;
	keep.key = (struct bytes)B("keep");
	keep.value = (struct bytes){ 0 };
	assert_int_equal(fixture_apply(fixture, &keep), OUTCOME_OK);
	make(bench, EVICT_LRU);
	choose(bench, NOW_MS, 1 << 20, 0);
	assert_int_equal(bench->n, 39);
}

static bool possible(struct fixture *fixture, enum evict_policy policy)
{
	struct txn *txn;

	assert_int_equal(txn_read(fixture->store, &txn), 0);
	bool can = evict_possible(policy, txn);
	txn_abort(txn);
	return can;
}

/* Exactly those that expire first, in order, and no key without an expiry. */
static void test_ttl(void **state)
{
	struct bench *bench = *state;
	struct fixture *fixture = &bench->fixture;
	char key[8];

	make(bench, EVICT_TTL);
	EXPECT(fixture, OK, "added forever=0", .op = EVENT_SET, .key = B("forever"));
	choose(bench, NOW_MS, 1, 0);
	assert_int_equal(bench->n, 0);
	assert_false(possible(fixture, EVICT_TTL));
	assert_true(possible(fixture, EVICT_LRU));
	for (int i = 0; i < 100; i++) {
		struct event ev = { .op = EVENT_SET,
			            .key = { key, 0 },
			            .ttl = TTL_UNTIL,
			            .ttl_ms = NOW_MS + HOUR_MS + (i * 37 % 100) };

		ev.key.len = (size_t)snprintf(key, sizeof key, "t%02d", i);
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	assert_true(possible(fixture, EVICT_TTL));
	assert_false(possible(fixture, EVICT_NONE));
	recency_hold(bench->recency, fixture_ino(fixture, "t00"), NOW_MS);
	choose(bench, NOW_MS, 20 * (STORE_ENTRY_COST + 3), 0);
	assert_int_equal(bench->n, 20);
	for (int i = 0; i < bench->n; i++)
		assert_int_equal(bench->victims[i].last_ms, NOW_MS + HOUR_MS + i + 1);
	choose(bench, NOW_MS + HOUR_MS + 49, 1 << 20, 0);
	assert_int_equal(bench->n, 50); /* the others' time is over */
	choose(bench, NOW_MS + HOUR_MS + 99, 1 << 20, 0);
	assert_int_equal(bench->n, 0);
}

static void test_policies(void **state)
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
		cmocka_unit_test(test_recency),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_recency_size),
		TEST(test_lru),
		TEST(test_ranks),
		TEST(test_survey),
		TEST(test_never),
		TEST(test_never_below_a_kept_directory),
		TEST(test_ttl),
		cmocka_unit_test(test_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
