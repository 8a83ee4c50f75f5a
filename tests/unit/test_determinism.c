/* Tests of determinism: two stores that applied the same log are equal, row by row,
 * whatever the size of their batches, whatever was killed meanwhile, and wherever a
 * copy was made. The log is one random sequence of all operations, including
 * malformed records, encoded and decoded as for a real log. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/event/record.h"
#include "tests/unit/child.h"
#include "tests/unit/event_random.h"
#include "tests/unit/store_check.h"
#include "tests/unit/store_equal.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 6
#define NEVENTS 5000
#define KILLS 25
#define START_MS INT64_C(1769860800000)

/* One record of the log. */
struct log_entry {
	uint64_t offset;
	int64_t time_ms;
	struct event *ev; /* NULL: malformed */
};

struct log {
	struct log_entry records[NEVENTS];
	uint64_t feed_skip_below; /* events before this offset may be applied without feed rows */
	unsigned malformed;
};

/* --- the log --- */

/* Damage a record as a foreign or faulty producer might. */
static void damage_record(struct prng *prng, struct record *rec)
{
	size_t i = rec->nheaders ? prng_below(prng, (uint32_t)rec->nheaders) : 0;

	switch (prng_below(prng, 6)) {
	case 0:
		rec->key = (struct bytes){ "a//b", 4 };
		break;
	case 1:
		rec->has_value = false;
		break;
	case 2:
		rec->key.len = 0;
		break;
	case 3:
		if (rec->nheaders)
			rec->headers[i] = rec->headers[--rec->nheaders];
		break;
	case 4:
		if (rec->nheaders)
			rec->headers[i].value = (struct bytes){ "\xff-1", 3 };
		break;
	default:
		rec->nheaders = RECORD_HEADERS_MAX + 1;
	}
}

/* Return the event as a log returns it: encoded, perhaps damaged, decoded. */
static struct event *encode_and_decode(struct prng *prng, const struct event *ev)
{
	struct record_out out;
	struct event *decoded = NULL;

	assert_int_equal(record_encode(ev, &out), 0);
	struct record rec = out.rec;
	rec.time_ms = ev->time_ms;
	if (prng_one_in(prng, 20)) {
		rec.nheaders = 0; /* A plain change. */
		rec.has_value = !prng_one_in(prng, 3);
	} else if (prng_one_in(prng, 12)) {
		damage_record(prng, &rec);
	}
	int r = record_decode(&rec, &decoded, NULL);
	if (r == -ENOTSUP) /* It would stop the node, which is not tested here. */
		r = record_decode(&out.rec, &decoded, NULL);
	assert_true(r == 0 || r == -EBADMSG);
	record_out_free(&out);
	return r == 0 ? decoded : NULL;
}

static void make_log(struct log *log, uint64_t seed)
{
	static struct event_space space;
	struct prng prng = { .seed = seed };
	int64_t time_ms = START_MS;
	uint64_t offset = 0;

	for (size_t i = 0; i < NEVENTS; i++) {
		struct event ev = { .op = EVENT_FORMAT, .name = { "volume", 6 } };

		time_ms = event_random_time(&prng, time_ms);
		ev.time_ms = time_ms;
		if (!prng_one_in(&prng, 200))
			event_random(&prng, &space, &ev);
		log->records[i] = (struct log_entry){ offset, time_ms,
			                              encode_and_decode(&prng, &ev) };
		log->malformed += !log->records[i].ev;
		/* Gaps, some of them longer than the feed. */
		offset += prng_one_in(&prng, 100) ? prng_below(&prng, STORE_FEED_SIZE / 4) : 1;
		offset += prng_one_in(&prng, 800) ? STORE_FEED_SIZE : 0;
	}
}

static void free_log(struct log *log)
{
	for (size_t i = 0; i < NEVENTS; i++)
		event_free(log->records[i].ev);
	free(log);
}

/* --- stores --- */

/* Return the index of the first record that the store has not applied. */
static size_t next_record(const struct log *log, const struct store_meta *meta)
{
	size_t i = 0;

	while (meta->started && i < NEVENTS && log->records[i].offset <= meta->applied)
		i++;
	return i;
}

/* Apply the next records in one transaction: at most N, and none from END on. Undo it
 * if ABORT. Return the number of records, or -errno. */
static int apply_some(struct store *store, const struct log *log, size_t n, size_t end, bool abort,
                      unsigned *counts)
{
	struct txn *txn;
	int done = 0, r = txn_write(store, &txn);

	if (r < 0)
		return r;
	size_t i = next_record(log, txn_meta(txn));
	for (; n && i < end; i++, n--, done++) {
		const struct log_entry *rec = &log->records[i];
		enum event_outcome outcome;

		r = (rec->offset < log->feed_skip_below ? apply_event_no_feed : apply_event)(
		        txn, rec->ev, rec->offset, rec->time_ms, &outcome);
		if (r < 0) {
			txn_abort(txn);
			return r;
		}
		if (counts)
			counts[outcome]++;
	}
	if (abort) {
		txn_abort(txn);
		return done;
	}
	r = txn_commit(txn);
	return r < 0 ? r : done;
}

/* Apply all records up to END in batches of at most MOST, some of which are first
 * applied and undone. */
static void apply_all(struct store *store, const struct log *log, size_t end, uint32_t most,
                      unsigned *counts)
{
	struct prng prng = { .seed = most };
	int r;

	do {
		size_t n = 1 + prng_below(&prng, most);
		if (most > 1 && prng_one_in(&prng, 6))
			assert_true(apply_some(store, log, n, end, true, NULL) >= 0);
		r = apply_some(store, log, n, end, false, counts);
		assert_true(r >= 0);
	} while (r > 0);
}

static void expect_equal(const char *what, struct store *a, struct store *b)
{
	char why[1024];

	if (store_differs(a, b, why, sizeof(why)) != 0)
		fail_msg("%s: %s", what, why);
}

static void expect_sound(struct store *store)
{
	struct txn *txn;
	char why[256];

	assert_int_equal(txn_read(store, &txn), 0);
	if (store_check(txn, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	txn_abort(txn);
}

/* --- the tests --- */

/* Batches of one record, of several, of all. */
static void test_batch_sizes_do_not_change_the_store(void **state)
{
	const uint32_t sizes[] = { 7, 64, 4 * NEVENTS };
	const struct log *log = *state;
	unsigned counts[OUTCOME_COUNT] = { 0 };
	char *dir = temp_dir_new();
	struct store *one = store_fixture_open(dir);

	apply_all(one, log, NEVENTS, 1, counts);
	expect_sound(one);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *other_dir = temp_dir_new();
		struct store *other = store_fixture_open(other_dir);

		apply_all(other, log, NEVENTS, sizes[i], NULL);
		expect_equal("batches", one, other);
		store_close(other);
		temp_dir_remove(other_dir);
	}
	store_close(one);
	temp_dir_remove(dir);
	/* Prove that the sequence is varied: nearly every possible outcome occurred. */
	int seen = 0;
	for (int i = 0; i <= OUTCOME_REJECTED; i++)
		seen += counts[i] > 0;
	assert_true(seen >= OUTCOME_REJECTED - 2);
	assert_true(counts[OUTCOME_OK] > NEVENTS / 10);
	assert_true(log->malformed > NEVENTS / 100);
}

/* Replay as a node does that knows the end of the log: from the start, from where
 * another replay stopped, and after a restart on the way. */
static void test_replay_without_feed_rows_gives_the_same_store(void **state)
{
	struct log *log = *state;
	const uint64_t last = log->records[NEVENTS - 1].offset;
	const size_t places[] = { 0, NEVENTS / 4, NEVENTS / 2, NEVENTS - 10, NEVENTS };
	char *dir = temp_dir_new();
	struct store *store = store_fixture_open(dir);

	apply_all(store, log, NEVENTS, 64, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char *other_dir = temp_dir_new();
		struct store *other = store_fixture_open(other_dir);

		apply_all(other, log, places[i], 16, NULL);
		/* The first replay ends earlier, at the end of the log as known then. */
		log->feed_skip_below = log->records[NEVENTS / 3 * 2].offset - STORE_FEED_SIZE;
		apply_all(other, log, NEVENTS / 2, 16, NULL);
		expect_sound(other);
		store_close(other);
		other = store_fixture_open(other_dir);
		log->feed_skip_below = last + 1 - STORE_FEED_SIZE;
		apply_all(other, log, NEVENTS, 16, NULL);
		log->feed_skip_below = 0;
		expect_equal("replayed without feed", store, other);
		expect_sound(other);
		store_close(other);
		temp_dir_remove(other_dir);
	}
	store_close(store);
	temp_dir_remove(dir);
}

/* A copy made at any point, also while the store is written to, that then applies the
 * rest. */
static void test_a_copy_that_goes_on_gives_the_same_store(void **state)
{
	const struct log *log = *state;
	const size_t places[] = { 0, 1, NEVENTS / 3, NEVENTS - 1, NEVENTS };
	char *dir = temp_dir_new(), path[4200];
	struct store *store = store_fixture_open(dir), *copies[ARRAY_SIZE(places)];
	char *dirs[ARRAY_SIZE(places)];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct store_config config = { 0 };
		char why[256] = "";

		apply_all(store, log, places[i], 16, NULL);
		config.dir = dirs[i] = temp_dir_new();
		snprintf(path, sizeof(path), "%s/data.mdb", dirs[i]);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		assert_int_equal(store_copy_fd(store, fd), 0);
		close(fd);
		if (store_open(&config, &copies[i], why, sizeof(why)) != 0)
			fail_msg("%s", why);
		expect_equal("a fresh copy", store, copies[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		apply_all(copies[i], log, NEVENTS, (uint32_t)(3 + i), NULL);
		expect_equal("a copy that went on", store, copies[i]);
		store_close(copies[i]);
		temp_dir_remove(dirs[i]);
	}
	store_close(store);
	temp_dir_remove(dir);
}

struct applier {
	const struct log *log;
	char dir[4096];
	_Atomic uint64_t transactions;
	uint64_t round;
	size_t end;
};

/* Apply up to END; then apply and undo transactions until killed. */
static void apply_until_killed(void *arg)
{
	struct applier *applier = arg;
	struct store_config config = { .dir = applier->dir };
	struct prng prng = { .seed = applier->round };
	struct store *store;
	bool there = false;
	int r;

	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	for (;;) {
		r = apply_some(store, applier->log, 1 + prng_below(&prng, 12),
		               there ? NEVENTS : applier->end, there, NULL);
		CHILD_CHECK(r >= 0);
		if (r == 0 && applier->end == NEVENTS)
			break;
		there = r == 0 || there;
		atomic_fetch_add(&applier->transactions, 1);
	}
	store_close(store);
}

/* A process that is killed again and again at random moments, and its store reopened. */
static void test_kills_do_not_change_the_store(void **state)
{
	const struct log *log = *state;
	char *dir = temp_dir_new(), *killed_dir = temp_dir_new();
	struct applier *applier = child_share(sizeof(*applier));
	struct prng prng = { .seed = SEED };
	struct store *store = store_fixture_open(dir), *killed;

	applier->log = log;
	snprintf(applier->dir, sizeof(applier->dir), "%s", killed_dir);
	for (applier->round = 1; applier->round <= KILLS; applier->round++) {
		uint64_t until = atomic_load(&applier->transactions) + 1 + prng_below(&prng, 20);

		applier->end = NEVENTS / (KILLS + 1) * applier->round;
		pid_t pid = child_start(apply_until_killed, applier);
		UNTIL(atomic_load(&applier->transactions) >= until);
		usleep(prng_below(&prng, 500));
		child_kill(pid);
	}
	applier->end = NEVENTS;
	child_join(child_start(apply_until_killed, applier));
	apply_all(store, log, NEVENTS, 5, NULL);
	killed = store_fixture_open(killed_dir);
	expect_equal("killed and opened again", store, killed);
	expect_sound(killed);
	store_close(killed);
	store_close(store);
	temp_dir_remove(dir);
	temp_dir_remove(killed_dir);
}

static int set_up(void **state)
{
	struct log *log = calloc(1, sizeof(*log));

	assert_non_null(log);
	print_message("# seed %d, %d events\n", SEED, NEVENTS);
	make_log(log, SEED);
	*state = log;
	return 0;
}

static int tear_down(void **state)
{
	free_log(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_sizes_do_not_change_the_store),
		cmocka_unit_test(test_replay_without_feed_rows_gives_the_same_store),
		cmocka_unit_test(test_a_copy_that_goes_on_gives_the_same_store),
		cmocka_unit_test(test_kills_do_not_change_the_store),
	};

	return cmocka_run_group_tests_name("determinism", tests, set_up, tear_down);
}
