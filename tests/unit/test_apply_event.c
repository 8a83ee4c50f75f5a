/* Tests of common/apply/apply.c: transactions, idempotency, rejection, the volume,
 * offsets, the feed's ring. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/rig.h"
#include "tests/unit/store_check.h"
#include "common/store/skipped.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST STORE_ENTRY_COST

/* --- txn --- */

#define OPS(...)                                                                                   \
	.op = EVENT_TXN, .ops = (struct event[]){ __VA_ARGS__ },                                   \
	.nops = sizeof((struct event[]){ __VA_ARGS__ }) / sizeof(struct event)

static void expect_op(struct rig *rig, size_t i, enum event_outcome outcome, bool created,
                      uint64_t version, int64_t number)
{
	assert_true(i < rig->feed->nops);
	assert_int_equal(rig->feed->ops[i].outcome, outcome);
	assert_int_equal(rig->feed->ops[i].created, created);
	assert_int_equal(rig->feed->ops[i].version, version);
	assert_int_equal(rig->feed->ops[i].number, number);
}

static void test_txn_done(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added n=1", .op = EVENT_SET, .key = B("n"), .value = B("7"));
	EXPECT(rig, OK,
	       "added d/, added d/a=1, data d/a=3, data n=1, attr d/a=3@1000100, removed n=1, "
	       "added d/n=1, removed d/a=3@1000100",
	       OPS({ .op = EVENT_SET, .key = B("d/a"), .value = B("x") },
	           { .op = EVENT_APPEND,
	             .key = B("d/a"),
	             .value = B("yz"),
	             .cond = IF_VERSION,
	             .if_version = 1 },
	           { .op = EVENT_INCR, .key = B("n"), .by = -5 },
	           { .op = EVENT_EXPIRE, .key = B("d/a"), .ttl = TTL_SET, .ttl_ms = 100 },
	           { .op = EVENT_RENAME, .key = B("n"), .to = B("d/n") },
	           { .op = EVENT_DEL, .key = B("d/a") }, { .op = EVENT_MKDIR, .key = B("d") }));
	assert_int_equal(rig->feed->nops, 7);
	expect_op(rig, 0, OUTCOME_OK, true, 1, 0);
	expect_op(rig, 1, OUTCOME_OK, false, 1, 0);
	expect_op(rig, 2, OUTCOME_OK, false, 1, 2);
	expect_op(rig, 3, OUTCOME_OK, false, 1, 0);
	expect_op(rig, 4, OUTCOME_OK, false, 1, 0);
	expect_op(rig, 5, OUTCOME_OK, false, 0, 0);
	expect_op(rig, 6, OUTCOME_OK, false, 1, 0);
	assert_int_equal(rig->feed->ino, 0);
	assert_int_equal(rig->feed->version, 0);
	assert_int_equal(rig->feed->number, 0);
	assert_value(rig, "d/n", "2");
	rig_totals(rig, 1, 1, 2 * COST + 3);
}

/* What was done before the operation that failed is undone, totals and proposed
 * inodes too, and the feed tells nothing of it. */
static void test_txn_undone(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added old=1", .op = EVENT_SET, .key = B("old"), .value = B("1"));
	struct store_meta before = rig_meta(rig);
	EXPECT(rig, TXN_FAILED, "",
	       OPS({ .op = EVENT_SET,
	             .key = B("d/a"),
	             .value = B("x"),
	             .ttl = TTL_SET,
	             .ttl_ms = 5 },
	           { .op = EVENT_SETXATTR,
	             .key = B("d"),
	             .name = B("user.default_ttl"),
	             .value = B("1s") },
	           { .op = EVENT_DEL, .key = B("old"), .flags = EVENT_EVICT },
	           { .op = EVENT_INCR, .key = B("d/a"), .by = 1 },
	           { .op = EVENT_SET, .key = B("never") }));
	assert_int_equal(rig->feed->number, 3);
	assert_int_equal(rig->feed->nops, 5);
	for (size_t i = 0; i < 5; i++)
		expect_op(rig, i, i == 3 ? OUTCOME_NOT_NUMBER : OUTCOME_TXN_FAILED, false, 0, 0);
	assert_int_equal(rig->feed->ino, 0);
	struct store_meta after = rig_meta(rig);
	after.applied = before.applied;
	assert_memory_equal(&after, &before, sizeof after);
	/* The first and the last operation. */
	EXPECT(rig, TXN_FAILED, "",
	       OPS({ .op = EVENT_SET, .key = B("old"), .cond = IF_ABSENT },
	           { .op = EVENT_SET, .key = B("new") }));
	expect_op(rig, 0, OUTCOME_EXISTS, false, 0, 0);
	expect_op(rig, 1, OUTCOME_TXN_FAILED, false, 0, 0);
	assert_int_equal(rig->feed->number, 0);
	EXPECT(rig, TXN_FAILED, "",
	       OPS({ .op = EVENT_SET, .key = B("new") },
	           { .op = EVENT_SET, .key = B("old"), .cond = IF_VERSION, .if_version = 9 }));
	expect_op(rig, 1, OUTCOME_VERSION, false, 0, 0);
	assert_int_equal(rig->feed->number, 1);
	assert_null(rig_get(rig, "new"));
}

/* What is due is purged before the transaction and stays purged; what only the
 * transaction found expired comes back with it. */
static void test_txn_and_expiry(void **state)
{
	struct rig *rig = *state;
	char key[32];

	rig->unchecked = true;
	for (int i = 0; i < 256; i++) {
		int n = snprintf(key, sizeof key, "f%d", i);
		struct event ev = {
			.op = EVENT_SET, .key = { key, (size_t)n }, .ttl = TTL_SET, .ttl_ms = 10
		};
		assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	}
	rig->unchecked = false;
	EXPECT(rig, OK, "added late=0@1000011", .op = EVENT_SET, .key = B("late"), .ttl = TTL_SET,
	       .ttl_ms = 11);
	rig->time_ms += 20;
	struct event failing = { OPS({ .op = EVENT_SET, .key = B("late"), .cond = IF_ABSENT },
		                     { .op = EVENT_DEL, .key = B("none") }) };
	assert_int_equal(rig_apply(rig, &failing), OUTCOME_TXN_FAILED);
	assert_int_equal(rig->feed->neffects, 256);
	assert_int_equal(rig->feed->effects[255].kind, FEED_EXPIRED);
	expect_op(rig, 1, OUTCOME_NOT_FOUND, false, 0, 0);
	assert_int_equal(rig_meta(rig).nexpired, 256);
	rig_totals(rig, 1, 0, COST + 4);
	EXPECT(rig, OK, "expired late=0@1000011", .op = EVENT_TICK);
}

static void test_txn_rules(void **state)
{
	struct rig *rig = *state;
	struct event many[EVENT_OPS_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct event){ .op = EVENT_INCR, .key = B("n"), .by = 1 };
	EXPECT(rig, REJECTED, "", .op = EVENT_TXN);
	EXPECT(rig, REJECTED, "", .op = EVENT_TXN, .ops = many, .nops = EVENT_OPS_MAX + 1);
	EXPECT(rig, REJECTED, "", OPS({ .op = EVENT_SET, .key = B("a") }, { .op = EVENT_TICK }));
	EXPECT(rig, REJECTED, "",
	       OPS({ .op = EVENT_TXN, .ops = many, .nops = 1 },
	           { .op = EVENT_SET, .key = B("a") }));
	EXPECT(rig, REJECTED, "", OPS({ .op = EVENT_FORMAT, .name = B("v") }));
	EXPECT(rig, REJECTED, "",
	       OPS({ .op = EVENT_SET, .key = B("a") }, { .op = EVENT_SET, .key = B("..") }));
	assert_int_equal(rig_meta(rig).nrejected, 6);
	assert_int_equal(rig->feed->nops, 0);
	assert_int_equal(
	        rig_apply(rig,
	                  &(struct event){ .op = EVENT_TXN, .ops = many, .nops = EVENT_OPS_MAX }),
	        OUTCOME_OK);
	assert_int_equal(rig->feed->ops[EVENT_OPS_MAX - 1].number, EVENT_OPS_MAX);
	assert_int_equal(rig->feed->neffects, EVENT_OPS_MAX);
	assert_value(rig, "n", "1024");
}

/* --- idempotency --- */

static void test_idempotency(void **state)
{
	struct rig *rig = *state;
	struct event incr = {
		.op = EVENT_INCR, .key = B("n"), .by = 5, .idem = B("one"), .proc = 1, .seq = 1
	};

	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	uint64_t ino = rig_ino(rig, "n");
	assert_int_equal(rig->feed->repeats, 0);
	assert_int_equal(rig->feed->idem.len, 3);
	incr.proc = 2;
	incr.seq = 9;
	for (int i = 0; i < 2; i++) {
		/* Again: the first outcome, nothing done. Even a malformed use of the
		 * key's name for another event gets it. */
		incr.by = 5 + i;
		assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
		assert_int_equal(rig->feed->neffects, 0);
		assert_int_equal(rig->feed->proc, 2);
		assert_int_equal(rig->feed->seq, 9);
		assert_int_equal(rig->feed->ino, ino);
		assert_int_equal(rig->feed->version, 0);
		assert_int_equal(rig->feed->number, 5);
		assert_true(rig->feed->created);
	}
	assert_value(rig, "n", "5");
	/* Another key is another event; none is never the same. */
	EXPECT(rig, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("two"));
	uint64_t two = rig->offset - 1;
	EXPECT(rig, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1);
	EXPECT(rig, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1);
	EXPECT(rig, OK, "", .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("two"));
	assert_int_equal(rig->feed->repeats, two);
	assert_value(rig, "n", "8");
	/* A failure is repeated as well, though it would succeed now. */
	EXPECT(rig, EXISTS, "", .op = EVENT_SET, .key = B("n"), .cond = IF_ABSENT, .idem = B("f"));
	EXPECT(rig, OK, "removed n=1", .op = EVENT_DEL, .key = B("n"));
	EXPECT(rig, EXISTS, "", .op = EVENT_SET, .key = B("n"), .cond = IF_ABSENT, .idem = B("f"));
	assert_null(rig_get(rig, "n"));
}

static void test_idempotent_txn(void **state)
{
	struct rig *rig = *state;
	struct event txn = { OPS({ .op = EVENT_INCR, .key = B("n"), .by = 3 },
		                 { .op = EVENT_MKDIR, .key = B("d") }),
		             .idem = B("t") };
	struct event failing = { OPS({ .op = EVENT_INCR, .key = B("n"), .by = 3 },
		                     { .op = EVENT_DEL, .key = B("d") }),
		                 .idem = B("f") };

	EXPECT(rig, OK, "", .op = EVENT_TICK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_apply(rig, &txn), OUTCOME_OK);
		assert_int_equal(rig->feed->nops, 2);
		expect_op(rig, 0, OUTCOME_OK, true, 1, 3);
		expect_op(rig, 1, OUTCOME_OK, true, 1, 0);
		assert_int_equal(rig->feed->neffects, i ? 0 : 2);
		assert_int_equal(rig->feed->repeats, i ? 1 : 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_apply(rig, &failing), OUTCOME_TXN_FAILED);
		assert_int_equal(rig->feed->number, 1);
		expect_op(rig, 0, OUTCOME_TXN_FAILED, false, 0, 0);
		expect_op(rig, 1, OUTCOME_IS_DIR, false, 0, 0);
	}
	assert_value(rig, "n", "3");
}

/* --- rejection --- */

static void test_rejection(void **state)
{
	struct rig *rig = *state;
	char long_name[257], long_key[4097];

	memset(long_name, 'n', sizeof long_name);
	memset(long_key, 'k', sizeof long_key);
	for (size_t i = 100; i < sizeof long_key; i += 100)
		long_key[i] = '/';
	const struct event bad[] = {
		{ .op = EVENT_SET },
		{ .op = EVENT_SET, .key = B("/a") },
		{ .op = EVENT_SET, .key = B("a/") },
		{ .op = EVENT_SET, .key = B("a//b") },
		{ .op = EVENT_SET, .key = B(".") },
		{ .op = EVENT_SET, .key = B("a/../b") },
		{ .op = EVENT_SET, .key = B("a\0b") },
		{ .op = EVENT_SET, .key = { long_name, 256 } },
		{ .op = EVENT_SET, .key = { long_key, 4097 } },
		{ .op = (enum event_op)EVENT_OP_COUNT, .key = B("a") },
		{ .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET },
		{ .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = -1 },
		{ .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = INT64_MAX },
		{ .op = EVENT_SET, .key = B("a"), .ttl = TTL_UNTIL, .ttl_ms = INT64_MAX },
		{ .op = EVENT_SET, .key = B("a"), .cond = (enum event_if)9 },
		{ .op = EVENT_SET, .key = B("a"), .type = B("a\nb") },
		{ .op = EVENT_WRITE, .key = B("a"), .value = B("x") },
		{ .op = EVENT_TRUNCATE, .key = B("a"), .size = UINT64_MAX },
		{ .op = EVENT_RENAME, .key = B("a") },
		{ .op = EVENT_RENAME, .key = B("a"), .to = B("../a") },
		{ .op = EVENT_FORMAT },
	};

	EXPECT(rig, OK, "added keep=1@1000100", .op = EVENT_SET, .key = B("keep"), .value = B("1"),
	       .ttl = TTL_SET, .ttl_ms = 100);
	rig_apply(rig, NULL);
	assert_int_equal(rig->feed->outcome, OUTCOME_REJECTED);
	assert_int_equal(rig->feed->neffects, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (rig_apply(rig, &bad[i]) != OUTCOME_REJECTED)
			fail_msg("event %zu was not rejected", i);
		assert_int_equal(rig->feed->neffects, 0);
	}
	assert_int_equal(rig_meta(rig).nrejected, 1 + ARRAY_SIZE(bad));
	rig_totals(rig, 1, 0, COST + 5);
	/* A rejected record moves log time and purges, like any other. */
	rig->time_ms += 100;
	rig_apply(rig, NULL);
	assert_string_equal(rig_effects(rig), "expired keep=1@1000100");
	rig_totals(rig, 0, 0, 0);
}

/* A rejected event is known by its id all the same: who waits for it learns. */
static void test_rejected_id(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, REJECTED, "", .op = EVENT_SET, .key = B(".."), .proc = 77, .seq = 5);
	assert_int_equal(rig->feed->proc, 77);
	assert_int_equal(rig->feed->seq, 5);
	assert_int_equal(rig->feed->op, EVENT_SET);
	EXPECT(rig, REJECTED, "", .op = (enum event_op)200, .proc = 78, .seq = 6);
	assert_int_equal(rig->feed->proc, 78);
	assert_true(rig->feed->op < EVENT_OP_COUNT);
}

/* --- the volume, offsets --- */

static void test_format(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "", .op = EVENT_TICK);
	assert_string_equal(rig_meta(rig).volume, "");
	EXPECT(rig, OK, "", .op = EVENT_FORMAT, .name = B("volume-1"));
	assert_string_equal(rig_meta(rig).volume, "volume-1");
	assert_int_equal(rig_meta(rig).volume_offset, 1);
	EXPECT(rig, OK, "", .op = EVENT_FORMAT, .name = B("volume-1"));
	EXPECT(rig, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-2"));
	EXPECT(rig, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-"));
	EXPECT(rig, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-10"));
	assert_string_equal(rig_meta(rig).volume, "volume-1");
	assert_int_equal(rig_meta(rig).volume_offset, 1);
}

static void test_skip(void **state)
{
	struct rig *rig = *state;
	struct store_skipped skipped;
	struct txn *txn;

	EXPECT(rig, OK, "added a=0", .op = EVENT_SET, .key = B("a"));
	/* Of a record that was applied, or is still to come, it changes nothing. */
	EXPECT(rig, REJECTED, "", .op = EVENT_SKIP, .at = 1);
	EXPECT(rig, REJECTED, "", .op = EVENT_SKIP, .at = 100);
	EXPECT(rig, REJECTED, "", .op = EVENT_SKIP);
	assert_int_equal(txn_write(rig->store, &txn), 0);
	for (uint64_t offset = 1; offset <= STORE_SKIPPED_MAX + 1; offset++)
		assert_int_equal(store_skipped_note(txn, offset), 0);
	assert_int_equal(txn_commit(txn), 0);
	EXPECT(rig, OK, "", .op = EVENT_SKIP, .at = 2);
	EXPECT(rig, OK, "", .op = EVENT_SKIP, .at = STORE_SKIPPED_MAX + 1);
	EXPECT(rig, REJECTED, "", .op = EVENT_SKIP, .at = 1); /* forgotten */
	assert_int_equal(txn_read(rig->store, &txn), 0);
	assert_int_equal(store_skipped_get(txn, &skipped), 0);
	txn_abort(txn);
	assert_int_equal(skipped.count, STORE_SKIPPED_MAX + 1);
	assert_int_equal(skipped.newest[0], STORE_SKIPPED_MAX + 1);
	assert_int_equal(rig_meta(rig).nrejected, 4);
}

static void test_offsets(void **state)
{
	struct rig *rig = *state;
	struct event ev = { .op = EVENT_APPEND, .key = B("a"), .value = B("x") };
	struct txn *txn;

	rig->offset = 5; /* a log need not begin at 0 */
	assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	assert_int_equal(txn_write(rig->store, &txn), 0);
	for (uint64_t offset = 0; offset <= 5; offset++)
		assert_int_equal(apply_event(txn, &ev, offset, rig->time_ms + 9999, NULL),
		                 -EALREADY);
	assert_int_equal(txn_meta(txn)->log_time_ms, rig->time_ms);
	assert_int_equal(txn_commit(txn), 0);
	assert_value(rig, "a", "x");
	rig->offset = 100; /* and has gaps */
	assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	rig->offset = UINT64_C(1) << 40;
	assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	assert_int_equal(rig_get(rig, "a")->version, UINT64_C(1) << 40);
	assert_value(rig, "a", "xxx");
}

/* An event that is tried again after the transaction was aborted gives the same. */
static void test_abort_and_again(void **state)
{
	struct rig *rig = *state;
	struct event ev = { .op = EVENT_SET, .key = B("d/a"), .value = B("x"), .idem = B("i") };
	struct txn *txn;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(txn_write(rig->store, &txn), 0);
		assert_int_equal(apply_event(txn, &ev, 0, rig->time_ms, NULL), 0);
		assert_int_equal(txn_meta(txn)->nkeys, 1);
		txn_abort(txn);
		assert_false(rig_meta(rig).started);
		rig_totals(rig, 0, 0, 0);
	}
	EXPECT(rig, OK, "added d/, added d/a=1", .op = EVENT_SET, .key = B("d/a"), .value = B("x"),
	       .idem = B("i"));
	assert_int_equal(rig_ino(rig, "d/a"), 3);
}

/* --- the feed's ring --- */

/* Applies N ticks (the cheapest events) in one transaction. */
static void turn(struct rig *rig, uint64_t n)
{
	struct event tick = { .op = EVENT_TICK };
	struct txn *txn;

	assert_int_equal(txn_write(rig->store, &txn), 0);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(apply_event(txn, &tick, rig->offset++, rig->time_ms, NULL), 0);
	assert_int_equal(txn_commit(txn), 0);
}

static uint64_t first_row(struct rig *rig)
{
	struct txn *txn;
	struct bytes row;
	uint64_t offset;

	assert_int_equal(txn_read(rig->store, &txn), 0);
	assert_int_equal(store_feed_next(txn, 0, &offset, &row), 0);
	txn_abort(txn);
	return offset;
}

/* The feed keeps 65,536 offsets, and the memory of idempotency keys is as long. */
static void test_ring(void **state)
{
	struct rig *rig = *state;
	struct event incr = { .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("once") };

	turn(rig, 10);
	uint64_t once = rig->offset;
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	turn(rig, STORE_FEED_SIZE - 2);
	rig->unchecked = true;
	/* The row of the first is the oldest one of the ring now. */
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, once);
	assert_int_equal(first_row(rig), once);
	/* As the next event is applied it is still known; then it is gone. */
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, once);
	assert_int_equal(first_row(rig), once + 1);
	assert_value(rig, "n", "1");
	uint64_t again = rig->offset;
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, 0);
	assert_value(rig, "n", "2");
	assert_int_equal(first_row(rig), once + 2);
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, again);
	rig_check(rig);
	/* A gap in the offsets empties as much of the ring as it is long. */
	rig->offset += STORE_FEED_SIZE / 2;
	uint64_t offset = rig->offset;
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, again);
	assert_int_equal(first_row(rig), offset - STORE_FEED_SIZE + 1);
	rig->offset += 10 * STORE_FEED_SIZE;
	offset = rig->offset;
	assert_int_equal(rig_apply(rig, NULL), OUTCOME_REJECTED);
	assert_int_equal(first_row(rig), offset);
	assert_int_equal(rig_apply(rig, &incr), OUTCOME_OK);
	assert_int_equal(rig->feed->repeats, 0);
	assert_value(rig, "n", "3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_txn_done),  TEST(test_txn_undone),  TEST(test_txn_and_expiry),
		TEST(test_txn_rules), TEST(test_idempotency), TEST(test_idempotent_txn),
		TEST(test_rejection), TEST(test_rejected_id), TEST(test_format),
		TEST(test_skip),      TEST(test_offsets),     TEST(test_abort_and_again),
		TEST(test_ring),
	};

	return cmocka_run_group_tests_name("apply_event", tests, NULL, NULL);
}
