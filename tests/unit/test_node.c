/* Tests of common/node/node.c in one process: submitting from many threads, reading
 * one's own writes, waiting, expiry. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/child.h"
#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/fixture.h"
#include "tests/unit/temp_dir.h"

#include "common/apply/apply.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reopen(struct node_fixture *bench)
{
	node_close(bench->node);
	memset(&bench->follower, 0, sizeof(bench->follower));
	bench->node = node_fixture_open(&bench->config);
}

/* --- opening --- */

static void test_new_volume(void **state)
{
	struct node_fixture *bench = *state;
	struct node_status status;
	struct txn *txn;
	char volume[40];

	node_status(bench->node, &status);
	assert_true(status.ready);
	assert_true(status.log_up);
	assert_true(status.applies);
	assert_string_equal(status.log, "local");
	assert_string_equal(status.why, "");
	assert_int_equal(status.pending, 0);
	assert_int_equal(status.applied, 0);
	assert_int_equal(node_offset(bench->node), 0);
	assert_int_equal(txn_read(node_store(bench->node), &txn), 0);
	memcpy(volume, txn_meta(txn)->volume, sizeof(volume));
	txn_abort(txn);
	assert_memory_equal(volume, "local-", 6);
	assert_int_equal(strlen(volume), 38);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("a"), .value = B("1"));
	/* The same volume again; what happened before is not followed again. */
	reopen(bench);
	assert_int_equal(node_offset(bench->node), 1);
	assert_int_equal(txn_read(node_store(bench->node), &txn), 0);
	assert_string_equal(txn_meta(txn)->volume, volume);
	txn_abort(txn);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("a"), .value = B("2"));
	assert_int_equal(atomic_load(&bench->follower.events), 1);
	assert_int_equal(atomic_load(&bench->follower.last), 2);
	node_status(bench->node, &status);
	assert_int_equal(status.applied, 2);
	assert_int_equal(status.log_end, 2);
	assert_int_equal(status.followed, 2);
	assert_int_equal(status.lag_ms, 0);
}

static void expect_refused(const struct node_config *config, const char *about)
{
	struct node *node = NULL;
	char why[512] = "";

	assert_int_equal(node_open(config, &node, why, sizeof(why)), -EINVAL);
	assert_null(node);
	if (!strstr(why, about))
		fail_msg("\"%s\" says nothing of \"%s\"", why, about);
	assert_int_equal(node_open(config, &node, NULL, 0), -EINVAL);
}

static void test_bad_configurations(void **state)
{
	struct node_fixture *bench = *state;
	struct node_config config = bench->config;
	struct txn *txn;

	node_close(bench->node);
	bench->node = NULL;
	config.log = "locall";
	expect_refused(&config, "locall");
	config.log = "";
	expect_refused(&config, "--log");
	config = bench->config;
	config.max_value = 0;
	expect_refused(&config, "--max-value");
	config.max_value = UINT64_C(1) << 40;
	expect_refused(&config, "--max-value");

	/* A store that belongs to another log. */
	char *dir = temp_dir_new(), why[256];
	struct store_config store_config = { .dir = dir };
	struct store *store;
	assert_int_equal(store_open(&store_config, &store, why, sizeof(why)), 0);
	assert_int_equal(txn_write(store, &txn), 0);
	struct event format = { .op = EVENT_FORMAT, .name = B("7f3c-of-a-topic") };
	assert_int_equal(apply_event(txn, &format, 3, 1000, NULL), 0);
	assert_int_equal(txn_commit(txn), 0);
	store_close(store);
	config = bench->config;
	config.store.dir = dir;
	expect_refused(&config, "Kafka");
	expect_refused(&config, dir);
	temp_dir_remove(dir);
}

/* --- submitting --- */

#define NTHREADS 4
#define EACH 400

struct submitter {
	pthread_t thread;
	struct node *node;
	int number;
	struct answer answers[EACH];
};

static void *submit_many(void *arg)
{
	struct submitter *s = arg;
	char key[16], value[16];

	for (int i = 0; i < EACH; i++) {
		struct event ev = { .op = i % 10 == 9 ? EVENT_DEL : EVENT_APPEND };
		int n = snprintf(key, sizeof(key), i % 10 == 9 ? "none%d" : "t%d", s->number);
		ev.key = (struct bytes){ key, (size_t)n };
		n = snprintf(value, sizeof(value), "%d\n", i);
		if (ev.op == EVENT_APPEND)
			ev.value = (struct bytes){ value, (size_t)n };
		node_submit(s->node, &ev, NULL, node_fixture_done, &s->answers[i]);
		/* What was handed over is the node's: these bytes may change. */
		memset(key, '?', sizeof(key));
		memset(value, '?', sizeof(value));
	}
	return NULL;
}

static void run_submitters(struct node *node, struct submitter *submitters, size_t n)
{
	memset(submitters, 0, n * sizeof(*submitters));
	for (size_t t = 0; t < n; t++) {
		submitters[t].node = node;
		submitters[t].number = (int)t;
		assert_int_equal(
		        pthread_create(&submitters[t].thread, NULL, submit_many, &submitters[t]),
		        0);
	}
	for (size_t t = 0; t < n; t++)
		pthread_join(submitters[t].thread, NULL);
}

/* Each is answered exactly once; those of one thread happen in its order. */
static void expect_answers(struct submitter *submitters, size_t n)
{
	for (size_t t = 0; t < n; t++) {
		uint64_t last = 0;
		for (int i = 0; i < EACH; i++) {
			struct answer *a = &submitters[t].answers[i];
			UNTIL(atomic_load(&a->calls));
			assert_int_equal(atomic_load(&a->calls), 1);
			assert_int_equal(a->out.code, i % 10 == 9 ? OUTCOME_NOT_FOUND : OUTCOME_OK);
			assert_true(a->out.offset > last);
			last = a->out.offset;
			if (i % 10 != 9)
				assert_int_equal(a->out.version, a->out.offset);
			assert_int_equal(a->out.created, i == 0);
		}
	}
}

static void expect_values(struct node *node, size_t n)
{
	for (size_t t = 0; t < n; t++) {
		char key[16], *value, *at, *end;
		snprintf(key, sizeof(key), "t%zu", t);
		value = at = node_fixture_value(node, key, NULL);
		assert_non_null(value);
		for (int i = 0; i < EACH; i++) {
			if (i % 10 == 9)
				continue;
			assert_int_equal(strtol(at, &end, 10), i);
			assert_int_equal(*end, '\n');
			at = end + 1;
		}
		assert_int_equal(*at, '\0');
		free(value);
	}
}

static void test_many_threads(void **state)
{
	static struct submitter submitters[NTHREADS];
	struct node_fixture *bench = *state;

	run_submitters(bench->node, submitters, NTHREADS);
	expect_answers(submitters, NTHREADS);
	expect_values(bench->node, NTHREADS);
	UNTIL(node_offset(bench->node) == NTHREADS * EACH);
	assert_int_equal(atomic_load(&bench->follower.events), NTHREADS * EACH);
}

/* The same on a disk, where the node's own thread applies and syncs. */
static void test_many_threads_on_disk(void **state)
{
	static struct submitter submitters[2];
	struct node_fixture *bench = *state;
	char *dir = temp_dir_on_disk();
	struct follower follower = { 0 };
	struct node_config config = node_fixture_config(dir, &follower);
	struct node *node = node_fixture_open(&config);

	(void)bench;
	if (store_in_memory(node_store(node)))
		print_message("# %s is not on a disk\n", dir);
	run_submitters(node, submitters, ARRAY_SIZE(submitters));
	expect_answers(submitters, ARRAY_SIZE(submitters));
	expect_values(node, ARRAY_SIZE(submitters));
	node_fixture_check(node);
	node_close(node);
	assert_int_equal(atomic_load(&follower.faults), 0);
	temp_dir_remove(dir);
}

struct own {
	struct node *node;
	const char *key;
	unsigned chain;
	_Atomic unsigned calls, faults;
};

/* In the callback the change can be read, and another one submitted. It may run
 * in the node's thread, where an assertion could not end the test. */
static void read_own(void *arg, const struct outcome *out)
{
	struct own *own = arg;
	struct view view;
	struct entry e;
	bool right = out->code == OUTCOME_OK && node_offset(own->node) >= out->offset &&
	             out->feed && out->feed->offset == out->offset && out->feed->neffects == 1;

	if (view_open(node_store(own->node), &view) == 0) {
		right &= view_offset(&view) >= out->offset &&
		         view_key(&view, own->key, strlen(own->key), &e) == 0 &&
		         e.version >= out->version && e.ino == out->ino;
		view_close(&view);
	} else {
		right = false;
	}
	if (!right)
		atomic_fetch_add(&own->faults, 1);
	if (own->chain) {
		struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };
		own->chain--;
		node_submit(own->node, &ev, NULL, read_own, own);
	}
	atomic_fetch_add(&own->calls, 1);
}

static void test_read_own_writes(void **state)
{
	struct node_fixture *bench = *state;
	struct own own = { .node = bench->node, .key = "n", .chain = 500 };
	struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };

	node_submit(bench->node, &ev, NULL, read_own, &own);
	UNTIL(atomic_load(&own.calls) == 501);
	assert_int_equal(atomic_load(&own.faults), 0);
	char *value = node_fixture_value(bench->node, "n", NULL);
	assert_string_equal(value, "501");
	free(value);
}

static void *own_bytes(size_t len)
{
	void *bytes = malloc(len);

	assert_non_null(bytes);
	memset(bytes, 'o', len);
	return bytes;
}

/* A block that is handed over is freed by the node, whatever comes of it. */
static void test_owned_values(void **state)
{
	struct node_fixture *bench = *state;
	const size_t len = 100000;
	struct answer answers[4] = { 0 };
	struct event ev = { .op = EVENT_SET, .key = B("a") };
	void *owned;

	owned = own_bytes(len);
	ev.value = (struct bytes){ (char *)owned + 10, len - 10 };
	node_submit(bench->node, &ev, owned, node_fixture_done, &answers[0]);
	ev.cond = IF_ABSENT;
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, len };
	node_submit(bench->node, &ev, owned, node_fixture_done, &answers[1]);
	ev.key = (struct bytes)B("..");
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, len };
	node_submit(bench->node, &ev, owned, node_fixture_done, &answers[2]);
	ev.key = (struct bytes)B("a");
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, (size_t)(UINT64_C(1) << 31) };
	node_submit(bench->node, &ev, owned, node_fixture_done, &answers[3]);
	const enum event_outcome want[] = { OUTCOME_OK, OUTCOME_EXISTS, OUTCOME_REJECTED,
		                            OUTCOME_TOO_LARGE };
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UNTIL(atomic_load(&answers[i].calls) == 1);
		assert_int_equal(answers[i].out.code, want[i]);
		assert_int_equal(answers[i].out.offset == 0, i >= 2);
	}
	size_t got;
	char *value = node_fixture_value(bench->node, "a", &got);
	assert_int_equal(got, len - 10);
	free(value);
}

/* Several at once: the flush does them all, in order, and each is called back once. One that a rule forbids is told at once. */
static void test_submit_later(void **state)
{
	struct node_fixture *bench = *state;
	struct answer answers[10] = { 0 };
	char key[16];
	struct node_config config = bench->config;

	node_close(bench->node);
	config.store.sync = STORE_SYNC_OFF; /* as in memory, wherever the test runs */
	bench->node = node_fixture_open(&config);
	for (int i = 0; i < 10; i++) {
		int n = snprintf(key, sizeof(key), i == 5 ? ".." : "k%d", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .value = B("together") };
		bool later = node_submit_later(bench->node, &ev, NULL, node_fixture_done,
		                               &answers[i]);
		assert_int_equal(later, i != 5);
		if (i == 5)
			assert_int_equal(atomic_load(&answers[i].calls), 1);
	}
	node_flush(bench->node);
	/* The node's thread may be at it, too. */
	for (int i = 0; i < 10; i++)
		UNTIL(atomic_load(&answers[i].calls));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		assert_int_equal(answers[i].out.code, i == 5 ? OUTCOME_REJECTED : OUTCOME_OK);
		if (i != 5)
			assert_int_equal(answers[i].out.offset, i < 5 ? i + 1 : i);
	}
	node_flush(bench->node); /* with nothing there */
}

/* Nobody flushes: the node's thread finds it, or another submit does. */
static void test_submit_later_alone(void **state)
{
	struct node_fixture *bench = *state;
	struct answer answers[2] = { 0 };
	struct event ev = { .op = EVENT_SET, .key = B("a"), .value = B("1") };

	node_submit_later(bench->node, &ev, NULL, node_fixture_done, &answers[0]);
	UNTIL(atomic_load(&answers[0].calls));
	node_submit_later(bench->node, &ev, NULL, node_fixture_done, &answers[1]);
	EXPECT_DO(bench->node, OK, .op = EVENT_DEL, .key = B("a"));
	UNTIL(atomic_load(&answers[1].calls));
	assert_int_equal(answers[1].out.code, OUTCOME_OK);
	assert_true(answers[1].out.offset < node_offset(bench->node));
	/* What is left is done by closing. */
	atomic_store(&answers[0].calls, 0);
	node_submit_later(bench->node, &ev, NULL, node_fixture_done, &answers[0]);
	node_close(bench->node);
	assert_int_equal(atomic_load(&answers[0].calls), 1);
	assert_int_equal(answers[0].out.code, OUTCOME_OK);
	bench->node = node_fixture_open(&bench->config);
}

static void test_read_only(void **state)
{
	struct node_fixture *bench = *state;

	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = 1);
	bench->config.read_only = true;
	reopen(bench);
	struct outcome out = DO(bench->node, .op = EVENT_SET, .key = B("b"));
	assert_int_not_equal(out.code, OUTCOME_OK);
	assert_int_equal(out.offset, 0);
	assert_null(node_fixture_value(bench->node, "b", NULL));
	assert_int_equal(atomic_load(&bench->follower.events), 0);
}

static void test_counters(void **state)
{
	struct node_fixture *bench = *state;
	uint64_t applied = metrics_get(METRIC_EVENTS_APPLIED),
	         rejected = metrics_get(METRIC_EVENTS_REJECTED),
	         submitted = metrics_get(METRIC_EVENTS_SUBMITTED);

	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("a"));
	EXPECT_DO(bench->node, REJECTED, .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	EXPECT_DO(bench->node, REJECTED, .op = EVENT_SET, .key = B("..")); /* not submitted */
	assert_int_equal(metrics_get(METRIC_EVENTS_SUBMITTED), submitted + 2);
	assert_int_equal(metrics_get(METRIC_EVENTS_APPLIED), applied + 2);
	assert_int_equal(metrics_get(METRIC_EVENTS_REJECTED), rejected + 1);
}

static void test_proposed_inodes(void **state)
{
	struct node_fixture *bench = *state;
	uint64_t last = 0;

	for (int i = 0; i < 10000; i++) {
		uint64_t ino = node_propose_ino(bench->node);
		assert_true(ino >= STORE_PROPOSED_MIN && ino < STORE_PROPOSED_MAX);
		assert_int_not_equal(ino, last);
		last = ino;
	}
	struct outcome out = DO(bench->node, .op = EVENT_SET, .key = B("a"), .ino = last);
	assert_int_equal(out.ino, last);
	assert_true(out.created);
}

/* --- waiting --- */

static void test_wait(void **state)
{
	struct node_fixture *bench = *state;
	struct answer now = { 0 }, soon[3] = { 0 }, never = { 0 }, stopped = { 0 };
	struct event ev = { .op = EVENT_TICK };

	node_wait(bench->node, 0, 0, node_fixture_done, &now);
	assert_int_equal(atomic_load(&now.calls), 1);
	assert_int_equal(now.out.code, OUTCOME_OK);
	for (uint64_t i = 0; i < 3; i++)
		node_wait(bench->node, 1 + i, 3600000, node_fixture_done, &soon[i]);
	node_wait(bench->node, 1000, 1, node_fixture_done, &never);
	node_wait(bench->node, 1000, 3600000, node_fixture_done, &stopped);
	UNTIL(atomic_load(&never.calls));
	assert_int_equal(never.out.code, OUTCOME_UNKNOWN);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(atomic_load(&soon[i].calls), 0);
		ev = (struct event){ .op = EVENT_SET, .key = B("a") };
		assert_int_equal(node_fixture_do(bench->node, &ev).code, OUTCOME_OK);
		UNTIL(atomic_load(&soon[i].calls));
		assert_int_equal(soon[i].out.code, OUTCOME_OK);
	}
	node_barrier(bench->node, 1000, node_fixture_done, &now);
	UNTIL(atomic_load(&now.calls) == 2);
	node_close(bench->node);
	bench->node = NULL;
	assert_int_equal(atomic_load(&stopped.calls), 1);
	assert_int_equal(stopped.out.code, OUTCOME_STOPPING);
	for (int i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&soon[i].calls), 1);
	assert_int_equal(atomic_load(&never.calls), 1);
}

/* --- expiry --- */

/* Nothing is written, and yet keys go when their time is over, all of them. */
static void test_expiry_by_itself(void **state)
{
	struct node_fixture *bench = *state;
	char key[32];

	for (int i = 0; i < 700; i++) {
		int n = snprintf(key, sizeof(key), "k%d", i);
		struct outcome out = DO(bench->node, .op = EVENT_SET, .key = { key, (size_t)n },
		                        .ttl = TTL_SET, .ttl_ms = i % 2 ? 30 : 1 + i / 10);
		assert_int_equal(out.code, OUTCOME_OK);
	}
	UNTIL(atomic_load(&bench->follower.expired) == 700);
	struct txn *txn;
	assert_int_equal(txn_read(node_store(bench->node), &txn), 0);
	assert_int_equal(txn_meta(txn)->nkeys, 0);
	assert_int_equal(txn_meta(txn)->nexpired, 700);
	txn_abort(txn);
	/* One that is due far later does not keep a nearer one waiting. */
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("late"), .ttl = TTL_SET,
	          .ttl_ms = 3600000);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("soon"));
	EXPECT_DO(bench->node, OK, .op = EVENT_EXPIRE, .key = B("soon"), .ttl = TTL_SET,
	          .ttl_ms = 5);
	UNTIL(atomic_load(&bench->follower.expired) == 701);
	char *late = node_fixture_value(bench->node, "late", NULL);
	assert_non_null(late);
	free(late);
	/* And what was due while no node was open. */
	EXPECT_DO(bench->node, OK, .op = EVENT_EXPIRE, .key = B("late"), .ttl = TTL_SET,
	          .ttl_ms = 1);
	reopen(bench);
	UNTIL(node_fixture_value(bench->node, "late", NULL) == NULL);
	struct node_status status;
	UNTIL((node_status(bench->node, &status), status.pending == 0));
}

static void test_close_null(void **state)
{
	(void)state;
	node_close(NULL);
}

/* --- applying that is held up --- */

/* A write from a separate thread, which may block. */
struct writer {
	struct node *node;
	const char *key;
	struct answer answer;
	pthread_t thread;
};

static void *write_one(void *arg)
{
	struct writer *w = arg;
	struct event set = { .op = EVENT_SET, .key = { w->key, strlen(w->key) }, .value = B("v") };

	node_submit(w->node, &set, NULL, node_fixture_done, &w->answer);
	return NULL;
}

static void start_writer(struct writer *w)
{
	assert_int_equal(pthread_create(&w->thread, NULL, write_one, w), 0);
}

/* Return whether a worker has taken everything that was submitted. */
static bool is_queue_empty(struct node *node)
{
	pthread_mutex_lock(&node->queue_lock);
	bool empty = !node->queue && node->pending;
	pthread_mutex_unlock(&node->queue_lock);
	return empty;
}

/* While the store's write transaction is blocked, every write gets a true answer at its
 * deadline: the write being applied may still happen, the queued one was not done. The
 * node is not ready, and recovers by itself. */
static void test_held_up(void **state)
{
	struct node_fixture *bench = *state;
	struct txn *txn;

	node_close(bench->node);
	bench->config.write_timeout_ms = 50;
	bench->node = node_fixture_open(&bench->config);
	struct writer taken = { .node = bench->node, .key = "taken" };
	struct writer queued = { .node = bench->node, .key = "queued" };

	assert_int_equal(txn_write(node_store(bench->node), &txn), 0);
	start_writer(&taken);
	UNTIL(is_queue_empty(bench->node));
	start_writer(&queued);
	UNTIL(atomic_load(&taken.answer.calls) && atomic_load(&queued.answer.calls));
	assert_int_equal(taken.answer.out.code, OUTCOME_UNKNOWN);
	assert_int_equal(queued.answer.out.code, OUTCOME_LATE);
	struct node_status status;
	do
		node_status(bench->node, &status);
	while (status.ready);
	assert_non_null(strstr(status.why, "held up"));
	assert_true(status.oldest_ms > 0);
	assert_int_equal(status.pending, 1);
	txn_abort(txn);
	pthread_join(taken.thread, NULL);
	pthread_join(queued.thread, NULL);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("next"), .value = B("v"));
	char *value = node_fixture_value(bench->node, "taken", NULL);
	assert_non_null(value);
	free(value);
	assert_null(node_fixture_value(bench->node, "queued", NULL));
	assert_int_equal(atomic_load(&taken.answer.calls), 1);
	assert_int_equal(atomic_load(&queued.answer.calls), 1);
	node_status(bench->node, &status);
	assert_true(status.ready);
	assert_int_equal(status.pending, 0);
}

int main(void)
{
#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, node_fixture_set_up, node_fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_new_volume),
		TEST(test_bad_configurations),
		TEST(test_many_threads),
		TEST(test_many_threads_on_disk),
		TEST(test_read_own_writes),
		TEST(test_owned_values),
		TEST(test_read_only),
		TEST(test_counters),
		TEST(test_submit_later),
		TEST(test_submit_later_alone),
		TEST(test_proposed_inodes),
		TEST(test_wait),
		TEST(test_held_up),
		TEST(test_expiry_by_itself),
		cmocka_unit_test(test_close_null),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
