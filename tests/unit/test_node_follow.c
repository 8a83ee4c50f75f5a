/* Tests of common/node/node.c: wake-ups and rows that get lost, and stopping with much
 * to do. The follower is held up to have them at will.
 * LINK: -Wl,--wrap=node_shm_sleep */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/node/node_shm.h"
#include "tests/unit/child.h"
#include "common/base/clock.h"
#include "tests/unit/node_fixture.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* While this is set a node's thread sleeps until it is rung, however long it
 * was to sleep at most: a wake-up that is lost is lost for good. */
static atomic_bool only_rings;

void __real_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
void __wrap_node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms)
{
	__real_node_shm_sleep(shm, wake_count, atomic_load(&only_rings) ? 3600000 : timeout_ms);
}

static int tear_down(void **state)
{
	atomic_store(&only_rings, false);
	return node_fixture_tear_down(state);
}

/* Holds the follower up at an event, and with it the work lock. */
struct block {
	_Atomic uint64_t until; /* events from this offset on are held up */
	_Atomic uint64_t at;    /* the one that is held up; 0: none */
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

/* One submit from a thread of its own. */
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
	memset(s, 0, sizeof *s);
	s->node = node;
	s->ev = (struct event){ .op = EVENT_SET, .key = { key, strlen(key) } };
	assert_int_equal(pthread_create(&s->thread, NULL, submit_one, s), 0);
}

/* Applies N events as another process would, past this node. */
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

/* The node's thread is rung for another process's commit while somebody else
 * holds the work lock, and has read the feed already: whoever holds it must
 * look again. */
static void test_no_lost_ring(void **state)
{
	static struct single s;
	struct node_fixture *bench = *state;
	struct block block = { .until = 1 };
	struct node_shm *other;

	node_close(bench->node);
	bench->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	bench->node = node_fixture_open(&bench->config);
	assert_int_equal(node_shm_open(bench->dir, false, &other), 0);
	atomic_store(&only_rings, true);
	start_one(&s, bench->node, "own");
	UNTIL(atomic_load(&block.at) == 1);
	apply_past(node_store(bench->node), 1);
	/* Often enough for the node's thread to have looked in vain and slept. */
	for (int i = 0; i < 50; i++) {
		node_shm_wake_others(other);
		until_over(0);
	}
	atomic_store(&block.until, UINT64_MAX);
	UNTIL(node_offset(bench->node) == 2);
	pthread_join(s.thread, NULL);
	assert_int_equal(atomic_load(&s.answer.calls), 1);
	node_shm_close(other);
}

/* The feed turned while this process was held up: the follower is told, and
 * nobody waits for ever for an event whose row is gone. */
static void test_gap(void **state)
{
	static struct single first;
	static struct answer answers[400];
	struct node_fixture *bench = *state;
	struct block block = { .until = 1 };

	node_close(bench->node);
	bench->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	bench->node = node_fixture_open(&bench->config);
	start_one(&first, bench->node, "first");
	UNTIL(atomic_load(&block.at) == 1);
	/* These are applied in one batch, and followed in more than one step: the
	 * follower stands still within the first. */
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct event ev = { .op = EVENT_SET, .key = B("k") };
		node_submit(bench->node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	atomic_store(&block.until, 2);
	UNTIL(atomic_load(&block.at) == 2);
	apply_past(node_store(bench->node), STORE_FEED_SIZE + 10);
	atomic_store(&block.until, UINT64_MAX);
	UNTIL(node_offset(bench->node) == 1 + ARRAY_SIZE(answers) + STORE_FEED_SIZE + 10);
	pthread_join(first.thread, NULL);
	assert_int_equal(atomic_load(&bench->follower.gaps), 1);
	size_t unknown = 0;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UNTIL(atomic_load(&answers[i].calls));
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		unknown += answers[i].out.code == OUTCOME_UNKNOWN;
		assert_true(answers[i].out.code == OUTCOME_UNKNOWN ||
		            answers[i].out.code == OUTCOME_OK);
	}
	assert_in_range(unknown, 1, ARRAY_SIZE(answers) - 1);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("k"));
}

/* The process that applies leaves out rows of the feed that nobody will find there
 * at the end: followers are told, as soon as there is a row again. */
static void test_unfed(void **state)
{
	struct node_fixture *bench = *state;
	struct event plain = { .op = EVENT_SET, .key = B("k") };
	struct event known = { .op = EVENT_SET, .key = B("k"), .idem = B("once") };
	struct node_shm *other;
	struct txn *txn;
	uint64_t offset, found;
	struct bytes row;

	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("k"));
	offset = node_offset(bench->node);
	assert_int_equal(node_shm_open(bench->dir, false, &other), 0);
	assert_int_equal(txn_write(node_store(bench->node), &txn), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(apply_event_no_feed(txn, i == 1 ? &known : &plain, ++offset,
		                                     clock_wall_ms(), NULL),
		                 0);
	assert_int_equal(txn_commit(txn), 0);
	assert_int_equal(txn_read(node_store(bench->node), &txn), 0);
	assert_int_equal(store_feed_first(txn, &found), 0);
	assert_int_equal(found, offset + 1);
	assert_int_equal(store_feed_next(txn, 0, &found, &row), -ENOENT);
	assert_int_equal(store_feed_get(txn, offset - 2, &row), 0);
	assert_int_equal(store_feed_get(txn, offset - 1, &row), -ENOENT);
	txn_abort(txn);
	apply_past(node_store(bench->node), 2);
	node_shm_wake_others(other);
	UNTIL(node_offset(bench->node) == offset + 2);
	assert_int_equal(atomic_load(&bench->follower.gaps), 1);
	assert_int_equal(atomic_load(&bench->follower.last), offset + 2);
	EXPECT_DO(bench->node, OK, .op = EVENT_SET, .key = B("k"));
	assert_int_equal(atomic_load(&bench->follower.gaps), 1);
	node_shm_close(other);
}

/* --- stopping --- */

#define MANY 120000

/* Everything that was submitted is answered, and what was not refused is done. */
static void test_close_while_busy(void **state)
{
	static struct answer answers[MANY];
	static struct single first;
	struct node_fixture *bench = *state;
	struct block block = { .until = 1 };
	uint64_t done = 0;

	node_close(bench->node);
	bench->follower = (struct follower){ .hook = block_here, .hook_arg = &block };
	bench->node = node_fixture_open(&bench->config);
	start_one(&first, bench->node, "first");
	UNTIL(atomic_load(&block.at) == 1);
	for (size_t i = 0; i < MANY; i++) {
		struct event ev = { .op = EVENT_INCR, .key = B("n"), .by = 1 };
		node_submit(bench->node, &ev, NULL, node_fixture_done, &answers[i]);
	}
	struct node_status status;
	node_status(bench->node, &status);
	assert_int_equal(status.pending, MANY + 1);
	atomic_store(&block.until, UINT64_MAX);
	pthread_join(first.thread, NULL); /* it works for the others, but not for ever */
	node_close(bench->node);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		if (answers[i].out.code != OUTCOME_OK)
			fail_msg("%zu: %s", i, event_outcome_text(answers[i].out.code));
		done++;
	}
	bench->follower = (struct follower){ 0 };
	bench->node = node_fixture_open(&bench->config);
	char *value = node_fixture_value(bench->node, "n", NULL);
	assert_int_equal(strtoull(value, NULL, 10), done);
	free(value);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, node_fixture_set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_no_lost_ring),
		TEST(test_gap),
		TEST(test_unfed),
		TEST(test_close_while_busy),
	};

	return cmocka_run_group_tests_name("node_follow", tests, NULL, NULL);
}
