/* Tests of common/node/node.c in one process: submitting from many threads, reading
 * one's own writes, waiting, expiry. */
#include "tests/unit/cmocka_all.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/temp_dir.h"

#include "common/apply/apply.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reopen(struct node_fixture *fixture)
{
	node_close(fixture->node);
	memset(&fixture->follower, 0, sizeof(fixture->follower));
	fixture->node = node_fixture_open(&fixture->config);
}

/* --- opening --- */

static void test_a_new_store_gets_a_lasting_volume(void **state)
{
	struct node_fixture *fixture = *state;
	struct node_status status;
	struct txn *txn;
	char volume[40];

	node_status(fixture->node, &status);
	assert_true(status.ready);
	assert_true(status.log_up);
	assert_true(status.applies);
	assert_string_equal(status.log, "local");
	assert_string_equal(status.why, "");
	assert_int_equal(status.pending, 0);
	assert_int_equal(status.applied, 0);
	assert_int_equal(node_offset(fixture->node), 0);
	assert_int_equal(txn_read(node_store(fixture->node), &txn), 0);
	memcpy(volume, txn_meta(txn)->volume, sizeof(volume));
	txn_abort(txn);
	assert_memory_equal(volume, "local-", 6);
	assert_int_equal(strlen(volume), 38);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("a"), .value = B("1"));
	/* The same volume again; earlier events are not followed again. */
	reopen(fixture);
	assert_int_equal(node_offset(fixture->node), 1);
	assert_int_equal(txn_read(node_store(fixture->node), &txn), 0);
	assert_string_equal(txn_meta(txn)->volume, volume);
	txn_abort(txn);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("a"), .value = B("2"));
	assert_int_equal(atomic_load(&fixture->follower.events), 1);
	assert_int_equal(atomic_load(&fixture->follower.last), 2);
	node_status(fixture->node, &status);
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
		fail_msg("\"%s\" does not mention \"%s\"", why, about);
	assert_int_equal(node_open(config, &node, NULL, 0), -EINVAL);
}

static void test_bad_configurations_are_refused(void **state)
{
	struct node_fixture *fixture = *state;
	struct node_config config = fixture->config;
	struct txn *txn;

	node_close(fixture->node);
	fixture->node = NULL;
	config.log = "locall";
	expect_refused(&config, "locall");
	config.log = "";
	expect_refused(&config, "--log");
	config = fixture->config;
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
	config = fixture->config;
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
		/* The node has copied the event: these bytes may change. */
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

/* Each event is answered exactly once; those of one thread are applied in order. */
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

static void test_events_of_each_thread_keep_their_order(void **state)
{
	static struct submitter submitters[NTHREADS];
	struct node_fixture *fixture = *state;

	run_submitters(fixture->node, submitters, NTHREADS);
	expect_answers(submitters, NTHREADS);
	expect_values(fixture->node, NTHREADS);
	UNTIL(node_offset(fixture->node) == NTHREADS * EACH);
	assert_int_equal(atomic_load(&fixture->follower.events), NTHREADS * EACH);
}

/* The same on a disk, where the node's own thread applies and syncs. */
static void test_events_keep_their_order_on_disk(void **state)
{
	static struct submitter submitters[2];
	struct node_fixture *fixture = *state;
	char *dir = temp_dir_on_disk();
	struct follower follower = { 0 };
	struct node_config config = node_fixture_config(dir, &follower);
	struct node *node = node_fixture_open(&config);

	(void)fixture;
	bool in_memory = store_in_memory(node_store(node));
	if (in_memory)
		print_message("# %s is not on a disk: set KEYDIR_DISK\n", dir);
	run_submitters(node, submitters, ARRAY_SIZE(submitters));
	expect_answers(submitters, ARRAY_SIZE(submitters));
	expect_values(node, ARRAY_SIZE(submitters));
	node_fixture_check(node);
	node_close(node);
	assert_int_equal(atomic_load(&follower.faults), 0);
	temp_dir_remove(dir);
	if (in_memory)
		skip();
}

struct own {
	struct node *node;
	const char *key;
	unsigned chain;
	_Atomic unsigned calls, faults;
};

/* The callback can read the change, and submit another event. It may run in the
 * node's thread, where an assertion could not end the test. */
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

static void test_a_callback_can_read_its_change_and_submit(void **state)
{
	struct node_fixture *fixture = *state;
	struct own own = { .node = fixture->node, .key = "n", .chain = 500 };
	struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };

	node_submit(fixture->node, &ev, NULL, read_own, &own);
	UNTIL(atomic_load(&own.calls) == 501);
	assert_int_equal(atomic_load(&own.faults), 0);
	char *value = node_fixture_value(fixture->node, "n", NULL);
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

/* The node frees a block that it was given, whatever the outcome. */
static void test_owned_values_are_always_freed(void **state)
{
	struct node_fixture *fixture = *state;
	const size_t len = 100000;
	struct answer answers[4] = { 0 };
	struct event ev = { .op = EVENT_SET, .key = B("a") };
	void *owned;

	owned = own_bytes(len);
	ev.value = (struct bytes){ (char *)owned + 10, len - 10 };
	node_submit(fixture->node, &ev, owned, node_fixture_done, &answers[0]);
	ev.cond = IF_ABSENT;
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, len };
	node_submit(fixture->node, &ev, owned, node_fixture_done, &answers[1]);
	ev.key = (struct bytes)B("..");
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, len };
	node_submit(fixture->node, &ev, owned, node_fixture_done, &answers[2]);
	ev.key = (struct bytes)B("a");
	owned = own_bytes(len);
	ev.value = (struct bytes){ owned, (size_t)(UINT64_C(1) << 31) };
	node_submit(fixture->node, &ev, owned, node_fixture_done, &answers[3]);
	const enum event_outcome want[] = { OUTCOME_OK, OUTCOME_EXISTS, OUTCOME_REJECTED,
		                            OUTCOME_TOO_LARGE };
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UNTIL(atomic_load(&answers[i].calls) == 1);
		assert_int_equal(answers[i].out.code, want[i]);
		assert_int_equal(answers[i].out.offset == 0, i >= 2);
	}
	size_t got;
	char *value = node_fixture_value(fixture->node, "a", &got);
	assert_int_equal(got, len - 10);
	free(value);
}

/* Several events at once: a flush applies all of them, in order, and each is called
 * back once. An event that breaks a rule is answered at once. */
static void test_a_flush_applies_queued_events_in_order(void **state)
{
	struct node_fixture *fixture = *state;
	struct answer answers[10] = { 0 };
	char key[16];
	struct node_config config = fixture->config;

	node_close(fixture->node);
	config.store.sync = STORE_SYNC_OFF; /* As in memory, wherever the test runs. */
	fixture->node = node_fixture_open(&config);
	for (int i = 0; i < 10; i++) {
		int n = snprintf(key, sizeof(key), i == 5 ? ".." : "k%d", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .value = B("together") };
		bool later = node_submit_later(fixture->node, &ev, NULL, node_fixture_done,
		                               &answers[i]);
		assert_int_equal(later, i != 5);
		if (i == 5)
			assert_int_equal(atomic_load(&answers[i].calls), 1);
	}
	node_flush(fixture->node);
	/* The node's thread may be applying them, too. */
	for (int i = 0; i < 10; i++)
		UNTIL(atomic_load(&answers[i].calls));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		assert_int_equal(answers[i].out.code, i == 5 ? OUTCOME_REJECTED : OUTCOME_OK);
		if (i != 5)
			assert_int_equal(answers[i].out.offset, i < 5 ? i + 1 : i);
	}
	node_flush(fixture->node); /* With nothing queued. */
}

/* Without a flush, the node's thread or another submit applies the event. */
static void test_queued_events_are_applied_without_a_flush(void **state)
{
	struct node_fixture *fixture = *state;
	struct answer answers[2] = { 0 };
	struct event ev = { .op = EVENT_SET, .key = B("a"), .value = B("1") };

	node_submit_later(fixture->node, &ev, NULL, node_fixture_done, &answers[0]);
	UNTIL(atomic_load(&answers[0].calls));
	node_submit_later(fixture->node, &ev, NULL, node_fixture_done, &answers[1]);
	EXPECT_DO(fixture->node, OK, .op = EVENT_DEL, .key = B("a"));
	UNTIL(atomic_load(&answers[1].calls));
	assert_int_equal(answers[1].out.code, OUTCOME_OK);
	assert_true(answers[1].out.offset < node_offset(fixture->node));
	/* Closing applies the rest. */
	atomic_store(&answers[0].calls, 0);
	node_submit_later(fixture->node, &ev, NULL, node_fixture_done, &answers[0]);
	node_close(fixture->node);
	assert_int_equal(atomic_load(&answers[0].calls), 1);
	assert_int_equal(answers[0].out.code, OUTCOME_OK);
	fixture->node = node_fixture_open(&fixture->config);
}

static void test_a_read_only_node_changes_nothing(void **state)
{
	struct node_fixture *fixture = *state;

	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = 1);
	fixture->config.read_only = true;
	reopen(fixture);
	struct outcome out = DO(fixture->node, .op = EVENT_SET, .key = B("b"));
	assert_int_not_equal(out.code, OUTCOME_OK);
	assert_int_equal(out.offset, 0);
	assert_null(node_fixture_value(fixture->node, "b", NULL));
	assert_int_equal(atomic_load(&fixture->follower.events), 0);
}

static void test_submitted_applied_and_rejected_are_counted(void **state)
{
	struct node_fixture *fixture = *state;
	uint64_t applied = metrics_get(METRIC_EVENTS_APPLIED),
	         rejected = metrics_get(METRIC_EVENTS_REJECTED),
	         submitted = metrics_get(METRIC_EVENTS_SUBMITTED);

	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("a"));
	EXPECT_DO(fixture->node, REJECTED, .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	EXPECT_DO(fixture->node, REJECTED, .op = EVENT_SET, .key = B("..")); /* Not submitted. */
	assert_int_equal(metrics_get(METRIC_EVENTS_SUBMITTED), submitted + 2);
	assert_int_equal(metrics_get(METRIC_EVENTS_APPLIED), applied + 2);
	assert_int_equal(metrics_get(METRIC_EVENTS_REJECTED), rejected + 1);
}

static void test_proposed_inodes_are_new_and_used(void **state)
{
	struct node_fixture *fixture = *state;
	uint64_t last = 0;

	for (int i = 0; i < 10000; i++) {
		uint64_t ino = node_propose_ino(fixture->node);
		assert_true(ino >= STORE_PROPOSED_MIN && ino < STORE_PROPOSED_MAX);
		assert_int_not_equal(ino, last);
		last = ino;
	}
	struct outcome out = DO(fixture->node, .op = EVENT_SET, .key = B("a"), .ino = last);
	assert_int_equal(out.ino, last);
	assert_true(out.created);
}

/* --- waiting --- */

static void test_waits_end_by_offset_timeout_or_close(void **state)
{
	struct node_fixture *fixture = *state;
	struct answer now = { 0 }, soon[3] = { 0 }, never = { 0 }, stopped = { 0 };
	struct event ev = { .op = EVENT_TICK };

	node_wait(fixture->node, 0, 0, node_fixture_done, &now);
	assert_int_equal(atomic_load(&now.calls), 1);
	assert_int_equal(now.out.code, OUTCOME_OK);
	for (uint64_t i = 0; i < 3; i++)
		node_wait(fixture->node, 1 + i, 3600000, node_fixture_done, &soon[i]);
	node_wait(fixture->node, 1000, 1, node_fixture_done, &never);
	node_wait(fixture->node, 1000, 3600000, node_fixture_done, &stopped);
	UNTIL(atomic_load(&never.calls));
	assert_int_equal(never.out.code, OUTCOME_UNKNOWN);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(atomic_load(&soon[i].calls), 0);
		ev = (struct event){ .op = EVENT_SET, .key = B("a") };
		assert_int_equal(node_fixture_do(fixture->node, &ev).code, OUTCOME_OK);
		UNTIL(atomic_load(&soon[i].calls));
		assert_int_equal(soon[i].out.code, OUTCOME_OK);
	}
	node_barrier(fixture->node, 1000, node_fixture_done, &now);
	UNTIL(atomic_load(&now.calls) == 2);
	node_close(fixture->node);
	fixture->node = NULL;
	assert_int_equal(atomic_load(&stopped.calls), 1);
	assert_int_equal(stopped.out.code, OUTCOME_STOPPING);
	for (int i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&soon[i].calls), 1);
	assert_int_equal(atomic_load(&never.calls), 1);
}

/* --- expiry --- */

/* Without any write, all keys expire when their time has come. */
static void test_keys_expire_without_any_write(void **state)
{
	struct node_fixture *fixture = *state;
	char key[32];

	for (int i = 0; i < 700; i++) {
		int n = snprintf(key, sizeof(key), "k%d", i);
		struct outcome out = DO(fixture->node, .op = EVENT_SET, .key = { key, (size_t)n },
		                        .ttl = TTL_SET, .ttl_ms = i % 2 ? 30 : 1 + i / 10);
		assert_int_equal(out.code, OUTCOME_OK);
	}
	UNTIL(atomic_load(&fixture->follower.expired) == 700);
	struct txn *txn;
	assert_int_equal(txn_read(node_store(fixture->node), &txn), 0);
	assert_int_equal(txn_meta(txn)->nkeys, 0);
	assert_int_equal(txn_meta(txn)->nexpired, 700);
	txn_abort(txn);
	/* A key that is due much later does not delay an earlier one. */
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("late"), .ttl = TTL_SET,
	          .ttl_ms = 3600000);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("soon"));
	EXPECT_DO(fixture->node, OK, .op = EVENT_EXPIRE, .key = B("soon"), .ttl = TTL_SET,
	          .ttl_ms = 5);
	UNTIL(atomic_load(&fixture->follower.expired) == 701);
	char *late = node_fixture_value(fixture->node, "late", NULL);
	assert_non_null(late);
	free(late);
	/* A key that became due while no node was open. */
	EXPECT_DO(fixture->node, OK, .op = EVENT_EXPIRE, .key = B("late"), .ttl = TTL_SET,
	          .ttl_ms = 1);
	reopen(fixture);
	UNTIL(node_fixture_value(fixture->node, "late", NULL) == NULL);
	struct node_status status;
	UNTIL((node_status(fixture->node, &status), status.pending == 0));
}

static void test_closing_null_does_nothing(void **state)
{
	(void)state;
	node_close(NULL);
}

/* --- the store is blocked --- */

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

/* While the store's write transaction is blocked, every write gets a true answer at
 * its deadline: the write being applied may still happen, the queued one was not
 * done. The node is not ready, and recovers by itself. */
static void test_blocked_writes_are_answered_at_their_deadline(void **state)
{
	struct node_fixture *fixture = *state;
	struct txn *txn;

	node_close(fixture->node);
	fixture->config.write_timeout_ms = 50;
	fixture->node = node_fixture_open(&fixture->config);
	struct writer taken = { .node = fixture->node, .key = "taken" };
	struct writer queued = { .node = fixture->node, .key = "queued" };

	assert_int_equal(txn_write(node_store(fixture->node), &txn), 0);
	start_writer(&taken);
	UNTIL(is_queue_empty(fixture->node));
	start_writer(&queued);
	UNTIL(atomic_load(&taken.answer.calls) && atomic_load(&queued.answer.calls));
	assert_int_equal(taken.answer.out.code, OUTCOME_UNKNOWN);
	assert_int_equal(queued.answer.out.code, OUTCOME_LATE);
	struct node_status status;
	do
		node_status(fixture->node, &status);
	while (status.ready);
	assert_non_null(strstr(status.why, "applying is blocked"));
	assert_true(status.oldest_ms > 0);
	assert_int_equal(status.pending, 1);
	txn_abort(txn);
	pthread_join(taken.thread, NULL);
	pthread_join(queued.thread, NULL);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("next"), .value = B("v"));
	char *value = node_fixture_value(fixture->node, "taken", NULL);
	assert_non_null(value);
	free(value);
	assert_null(node_fixture_value(fixture->node, "queued", NULL));
	assert_int_equal(atomic_load(&taken.answer.calls), 1);
	assert_int_equal(atomic_load(&queued.answer.calls), 1);
	node_status(fixture->node, &status);
	assert_true(status.ready);
	assert_int_equal(status.pending, 0);
}

int main(void)
{
#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, node_fixture_set_up, node_fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_new_store_gets_a_lasting_volume),
		TEST(test_bad_configurations_are_refused),
		TEST(test_events_of_each_thread_keep_their_order),
		TEST(test_events_keep_their_order_on_disk),
		TEST(test_a_callback_can_read_its_change_and_submit),
		TEST(test_owned_values_are_always_freed),
		TEST(test_a_read_only_node_changes_nothing),
		TEST(test_submitted_applied_and_rejected_are_counted),
		TEST(test_a_flush_applies_queued_events_in_order),
		TEST(test_queued_events_are_applied_without_a_flush),
		TEST(test_proposed_inodes_are_new_and_used),
		TEST(test_waits_end_by_offset_timeout_or_close),
		TEST(test_blocked_writes_are_answered_at_their_deadline),
		TEST(test_keys_expire_without_any_write),
		cmocka_unit_test(test_closing_null_does_nothing),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
