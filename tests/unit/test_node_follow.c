/* Tests of common/node/node.c: lost wake-ups, lost rows of the feed, and closing
 * while busy. The tests block the follower to provoke these.
 *
 * LINK: -Wl,--wrap=node_shm_sleep */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/base/clock.h"
#include "common/node/node_shm.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/node_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* While this is set, a node's thread sleeps until it is woken, whatever its timeout:
 * a lost wake-up stays lost. */
static atomic_bool ignore_timeouts;

void __real_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms)
{
	__real_node_shm_sleep(shm, wake_count,
	                      atomic_load(&ignore_timeouts) ? 3600000 : timeout_ms);
}

static int tear_down(void **state)
{
	atomic_store(&ignore_timeouts, false);
	return node_fixture_tear_down(state);
}

/* Blocks the follower at an event, and with it the work lock. */
struct block {
	_Atomic uint64_t until; /* block events from this offset on */
	_Atomic uint64_t at;    /* offset of the event that is blocked; 0: none */
};

static void block_here(void *arg, const struct feed_event *ev)
{
	struct block *block = arg;

	if (ev->offset < atomic_load(&block->until))
		return;
	atomic_store(&block->at, ev->offset);
	for (int64_t end = until_end();
	     ev->offset >= atomic_load(&block->until) && !until_over(end);)
		;
	atomic_store(&block->at, 0);
}

/* One event, submitted from a separate thread. */
struct single {
	pthread_t thread;
	struct node *node;
	struct event ev;
	struct answer answer;
};

static void *submit_one(void *arg)
{
	struct single *s = arg;

	node_submit(s->node, &s->ev, NULL, node_fixture_done, &s->answer);
	return NULL;
}

static void start_one(struct single *s, struct node *node, const char *key)
{
	memset(s, 0, sizeof(*s));
	s->node = node;
	s->ev = (struct event){ .op = EVENT_SET, .key = { key, strlen(key) } };
	assert_int_equal(pthread_create(&s->thread, NULL, submit_one, s), 0);
}

/* Apply N events as another process would, without this node. */
static void apply_past(struct store *store, uint64_t n)
{
	struct event ev = { .op = EVENT_SET, .key = B("past") };
	struct txn *txn;

	assert_int_equal(txn_write(store, &txn), 0);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(
		        apply_event(txn, &ev, txn_meta(txn)->applied + 1, clock_wall_ms(), NULL),
		        0);
	assert_int_equal(txn_commit(txn), 0);
}

/* The node's thread is woken for another process's commit while another thread holds
 * the work lock and has already read the feed: the lock holder must check the feed
 * again. */
static void test_no_wake_up_is_lost(void **state)
{
	static struct single s;
	struct node_fixture *fixture = *state;
	struct block block = { .until = 1 };
	struct node_shm *other;

	node_close(fixture->node);
	fixture->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	fixture->node = node_fixture_open(&fixture->config);
	assert_int_equal(node_shm_open(fixture->dir, false, &other), 0);
	atomic_store(&ignore_timeouts, true);
	start_one(&s, fixture->node, "own");
	UNTIL(atomic_load(&block.at) == 1);
	apply_past(node_store(fixture->node), 1);
	/* Often enough for the node's thread to have checked once and slept again. */
	for (int i = 0; i < 50; i++) {
		node_shm_wake_others(other);
		until_over(0);
	}
	atomic_store(&block.until, UINT64_MAX);
	UNTIL(node_offset(fixture->node) == 2);
	pthread_join(s.thread, NULL);
	assert_int_equal(atomic_load(&s.answer.calls), 1);
	node_shm_close(other);
}

/* More events than the feed keeps were applied while the follower was blocked: the
 * gap is reported, and no caller waits forever for an event whose row is gone. */
static void test_a_gap_in_the_feed_is_reported(void **state)
{
	static struct single first;
	static struct answer answers[400];
	struct node_fixture *fixture = *state;
	struct block block = { .until = 1 };

	node_close(fixture->node);
	fixture->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	fixture->node = node_fixture_open(&fixture->config);
	start_one(&first, fixture->node, "first");
	UNTIL(atomic_load(&block.at) == 1);
	/* These are applied in one batch and followed in several steps: the follower
	 * blocks within the first. */
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct event ev = { .op = EVENT_SET, .key = B("k") };
		node_submit(fixture->node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	atomic_store(&block.until, 2);
	UNTIL(atomic_load(&block.at) == 2);
	apply_past(node_store(fixture->node), STORE_FEED_SIZE + 10);
	atomic_store(&block.until, UINT64_MAX);
	UNTIL(node_offset(fixture->node) == 1 + ARRAY_SIZE(answers) + STORE_FEED_SIZE + 10);
	pthread_join(first.thread, NULL);
	assert_int_equal(atomic_load(&fixture->follower.gaps), 1);
	size_t unknown = 0;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UNTIL(atomic_load(&answers[i].calls));
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		unknown += answers[i].out.code == OUTCOME_UNKNOWN;
		assert_true(answers[i].out.code == OUTCOME_UNKNOWN ||
		            answers[i].out.code == OUTCOME_OK);
	}
	assert_in_range(unknown, 1, ARRAY_SIZE(answers) - 1);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("k"));
}

/* The applying process leaves out rows that the feed would not keep anyway: a gap is
 * reported as soon as there is a row again. */
static void test_rows_left_out_of_the_feed_are_a_gap(void **state)
{
	struct node_fixture *fixture = *state;
	struct event plain = { .op = EVENT_SET, .key = B("k") };
	struct event known = { .op = EVENT_SET, .key = B("k"), .idem = B("once") };
	struct node_shm *other;
	struct txn *txn;
	uint64_t offset, found;
	struct bytes row;

	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("k"));
	offset = node_offset(fixture->node);
	assert_int_equal(node_shm_open(fixture->dir, false, &other), 0);
	assert_int_equal(txn_write(node_store(fixture->node), &txn), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(apply_event_no_feed(txn, i == 1 ? &known : &plain, ++offset,
		                                     clock_wall_ms(), NULL),
		                 0);
	assert_int_equal(txn_commit(txn), 0);
	assert_int_equal(txn_read(node_store(fixture->node), &txn), 0);
	assert_int_equal(store_feed_first(txn, &found), 0);
	assert_int_equal(found, offset + 1);
	assert_int_equal(store_feed_next(txn, 0, &found, &row), -ENOENT);
	assert_int_equal(store_feed_get(txn, offset - 2, &row), 0);
	assert_int_equal(store_feed_get(txn, offset - 1, &row), -ENOENT);
	txn_abort(txn);
	apply_past(node_store(fixture->node), 2);
	node_shm_wake_others(other);
	UNTIL(node_offset(fixture->node) == offset + 2);
	assert_int_equal(atomic_load(&fixture->follower.gaps), 1);
	assert_int_equal(atomic_load(&fixture->follower.last), offset + 2);
	EXPECT_DO(fixture->node, OK, .op = EVENT_SET, .key = B("k"));
	assert_int_equal(atomic_load(&fixture->follower.gaps), 1);
	node_shm_close(other);
}

/* --- stopping --- */

#define MANY 120000

/* Every submitted event is answered, and those not refused are applied. */
static void test_close_answers_everything_submitted(void **state)
{
	static struct answer answers[MANY];
	static struct single first;
	struct node_fixture *fixture = *state;
	struct block block = { .until = 1 };
	uint64_t done = 0;

	node_close(fixture->node);
	fixture->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	fixture->node = node_fixture_open(&fixture->config);
	start_one(&first, fixture->node, "first");
	UNTIL(atomic_load(&block.at) == 1);
	for (size_t i = 0; i < MANY; i++) {
		struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };
		node_submit(fixture->node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	struct node_status status;
	node_status(fixture->node, &status);
	assert_int_equal(status.pending, MANY + 1);
	atomic_store(&block.until, UINT64_MAX);
	pthread_join(first.thread,
	             NULL); /* It applies the other threads' events for a limited time only. */
	node_close(fixture->node);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		if (answers[i].out.code != OUTCOME_OK)
			fail_msg("%zu: %s", i, event_outcome_text(answers[i].out.code));
		done++;
	}
	fixture->follower = (struct follower){ 0 };
	fixture->node = node_fixture_open(&fixture->config);
	char *value = node_fixture_value(fixture->node, "n", NULL);
	assert_int_equal(strtoull(value, NULL, 10), done);
	free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, node_fixture_set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_no_wake_up_is_lost),
		TEST(test_a_gap_in_the_feed_is_reported),
		TEST(test_rows_left_out_of_the_feed_are_a_gap),
		TEST(test_close_answers_everything_submitted),
	};

	return cmocka_run_group_tests_name("node_follow", tests, NULL, NULL);
}
