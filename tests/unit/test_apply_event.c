/* Tests of common/apply/apply.c: transactions, idempotency, rejection, the volume,
 * offsets, the size of the feed. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/store/skipped.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST STORE_ENTRY_COST

/* --- txn --- */

#define OPS(...)                                                                                   \
	.op = EVENT_TXN, .ops = (struct event[]){ __VA_ARGS__ },                                   \
	.nops = sizeof((struct event[]){ __VA_ARGS__ }) / sizeof(struct event)

static void expect_op(struct fixture *fixture, size_t i, enum event_outcome outcome, bool created,
                      uint64_t version, int64_t number)
{
	assert_true(i < fixture->feed->nops);
	assert_int_equal(fixture->feed->ops[i].outcome, outcome);
	assert_int_equal(fixture->feed->ops[i].created, created);
	assert_int_equal(fixture->feed->ops[i].version, version);
	assert_int_equal(fixture->feed->ops[i].number, number);
}

static void test_a_transaction_applies_its_operations_in_order(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added n=1", .op = EVENT_SET, .key = B("n"), .value = B("7"));
	EXPECT(fixture, OK,
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
	assert_int_equal(fixture->feed->nops, 7);
	expect_op(fixture, 0, OUTCOME_OK, true, 1, 0);
	expect_op(fixture, 1, OUTCOME_OK, false, 1, 0);
	expect_op(fixture, 2, OUTCOME_OK, false, 1, 2);
	expect_op(fixture, 3, OUTCOME_OK, false, 1, 0);
	expect_op(fixture, 4, OUTCOME_OK, false, 1, 0);
	expect_op(fixture, 5, OUTCOME_OK, false, 0, 0);
	expect_op(fixture, 6, OUTCOME_OK, false, 1, 0);
	assert_int_equal(fixture->feed->ino, 0);
	assert_int_equal(fixture->feed->version, 0);
	assert_int_equal(fixture->feed->number, 0);
	assert_value(fixture, "d/n", "2");
	fixture_totals(fixture, 1, 1, 2 * COST + 3);
}

/* A failed operation undoes those before it, including totals and proposed inodes,
 * and the feed reports none of them. */
static void test_a_failed_transaction_changes_nothing(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added old=1", .op = EVENT_SET, .key = B("old"), .value = B("1"));
	struct store_meta before = fixture_meta(fixture);
	EXPECT(fixture, TXN_FAILED, "",
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
	assert_int_equal(fixture->feed->number, 3);
	assert_int_equal(fixture->feed->nops, 5);
	for (size_t i = 0; i < 5; i++)
		expect_op(fixture, i, i == 3 ? OUTCOME_NOT_NUMBER : OUTCOME_TXN_FAILED, false, 0,
		          0);
	assert_int_equal(fixture->feed->ino, 0);
	struct store_meta after = fixture_meta(fixture);
	after.applied = before.applied;
	assert_memory_equal(&after, &before, sizeof(after));
	/* The first operation fails, then the last. */
	EXPECT(fixture, TXN_FAILED, "",
	       OPS({ .op = EVENT_SET, .key = B("old"), .cond = IF_ABSENT },
	           { .op = EVENT_SET, .key = B("new") }));
	expect_op(fixture, 0, OUTCOME_EXISTS, false, 0, 0);
	expect_op(fixture, 1, OUTCOME_TXN_FAILED, false, 0, 0);
	assert_int_equal(fixture->feed->number, 0);
	EXPECT(fixture, TXN_FAILED, "",
	       OPS({ .op = EVENT_SET, .key = B("new") },
	           { .op = EVENT_SET, .key = B("old"), .cond = IF_VERSION, .if_version = 9 }));
	expect_op(fixture, 1, OUTCOME_VERSION, false, 0, 0);
	assert_int_equal(fixture->feed->number, 1);
	assert_null(fixture_get(fixture, "new"));
}

/* Entries purged before the transaction stay purged; an expired entry that only the
 * transaction removed is restored with it. */
static void test_entries_purged_before_a_failed_transaction_stay_purged(void **state)
{
	struct fixture *fixture = *state;
	char key[32];

	fixture->unchecked = true;
	for (int i = 0; i < 256; i++) {
		int n = snprintf(key, sizeof(key), "f%d", i);
		struct event ev = {
			.op = EVENT_SET, .key = { key, (size_t)n }, .ttl = TTL_SET, .ttl_ms = 10
		};
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	fixture->unchecked = false;
	EXPECT(fixture, OK, "added late=0@1000011", .op = EVENT_SET, .key = B("late"),
	       .ttl = TTL_SET, .ttl_ms = 11);
	fixture->time_ms += 20;
	struct event failing = { OPS({ .op = EVENT_SET, .key = B("late"), .cond = IF_ABSENT },
		                     { .op = EVENT_DEL, .key = B("none") }) };
	assert_int_equal(fixture_apply(fixture, &failing), OUTCOME_TXN_FAILED);
	assert_int_equal(fixture->feed->neffects, 256);
	assert_int_equal(fixture->feed->effects[255].kind, FEED_EXPIRED);
	expect_op(fixture, 1, OUTCOME_NOT_FOUND, false, 0, 0);
	assert_int_equal(fixture_meta(fixture).nexpired, 256);
	fixture_totals(fixture, 1, 0, COST + 4);
	EXPECT(fixture, OK, "expired late=0@1000011", .op = EVENT_TICK);
}

static void test_invalid_transactions_are_rejected(void **state)
{
	struct fixture *fixture = *state;
	struct event many[EVENT_OPS_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct event){ .op = EVENT_INCR, .key = B("n"), .by = 1 };
	EXPECT(fixture, REJECTED, "", .op = EVENT_TXN);
	EXPECT(fixture, REJECTED, "", .op = EVENT_TXN, .ops = many, .nops = EVENT_OPS_MAX + 1);
	EXPECT(fixture, REJECTED, "",
	       OPS({ .op = EVENT_SET, .key = B("a") }, { .op = EVENT_TICK }));
	EXPECT(fixture, REJECTED, "",
	       OPS({ .op = EVENT_TXN, .ops = many, .nops = 1 },
	           { .op = EVENT_SET, .key = B("a") }));
	EXPECT(fixture, REJECTED, "", OPS({ .op = EVENT_FORMAT, .name = B("v") }));
	EXPECT(fixture, REJECTED, "",
	       OPS({ .op = EVENT_SET, .key = B("a") }, { .op = EVENT_SET, .key = B("..") }));
	assert_int_equal(fixture_meta(fixture).nrejected, 6);
	assert_int_equal(fixture->feed->nops, 0);
	assert_int_equal(fixture_apply(fixture, &(struct event){ .op = EVENT_TXN,
	                                                         .ops = many,
	                                                         .nops = EVENT_OPS_MAX }),
	                 OUTCOME_OK);
	assert_int_equal(fixture->feed->ops[EVENT_OPS_MAX - 1].number, EVENT_OPS_MAX);
	assert_int_equal(fixture->feed->neffects, EVENT_OPS_MAX);
	assert_value(fixture, "n", "1024");
}

/* --- idempotency --- */

static void test_a_repeated_idempotency_key_gets_the_first_outcome(void **state)
{
	struct fixture *fixture = *state;
	struct event incr = {
		.op = EVENT_INCR, .key = B("n"), .by = 5, .idem = B("one"), .proc = 1, .seq = 1
	};

	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	uint64_t ino = fixture_ino(fixture, "n");
	assert_int_equal(fixture->feed->repeats, 0);
	assert_int_equal(fixture->feed->idem.len, 3);
	incr.proc = 2;
	incr.seq = 9;
	for (int i = 0; i < 2; i++) {
		/* A repetition returns the first outcome and changes nothing, even if the
		 * same idempotency key comes with a different event. */
		incr.by = 5 + i;
		assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
		assert_int_equal(fixture->feed->neffects, 0);
		assert_int_equal(fixture->feed->proc, 2);
		assert_int_equal(fixture->feed->seq, 9);
		assert_int_equal(fixture->feed->ino, ino);
		assert_int_equal(fixture->feed->version, 0);
		assert_int_equal(fixture->feed->number, 5);
		assert_true(fixture->feed->created);
	}
	assert_value(fixture, "n", "5");
	/* Another idempotency key is another event; without one, each event is new. */
	EXPECT(fixture, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("two"));
	uint64_t two = fixture->offset - 1;
	EXPECT(fixture, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1);
	EXPECT(fixture, OK, "data n=1", .op = EVENT_INCR, .key = B("n"), .by = 1);
	EXPECT(fixture, OK, "", .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("two"));
	assert_int_equal(fixture->feed->repeats, two);
	assert_value(fixture, "n", "8");
	/* A failure is repeated as well, even if the event would succeed now. */
	EXPECT(fixture, EXISTS, "", .op = EVENT_SET, .key = B("n"), .cond = IF_ABSENT,
	       .idem = B("f"));
	EXPECT(fixture, OK, "removed n=1", .op = EVENT_DEL, .key = B("n"));
	EXPECT(fixture, EXISTS, "", .op = EVENT_SET, .key = B("n"), .cond = IF_ABSENT,
	       .idem = B("f"));
	assert_null(fixture_get(fixture, "n"));
}

static void test_a_repeated_transaction_gets_the_first_outcomes(void **state)
{
	struct fixture *fixture = *state;
	struct event txn = { OPS({ .op = EVENT_INCR, .key = B("n"), .by = 3 },
		                 { .op = EVENT_MKDIR, .key = B("d") }),
		             .idem = B("t") };
	struct event failing = { OPS({ .op = EVENT_INCR, .key = B("n"), .by = 3 },
		                     { .op = EVENT_DEL, .key = B("d") }),
		                 .idem = B("f") };

	EXPECT(fixture, OK, "", .op = EVENT_TICK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_apply(fixture, &txn), OUTCOME_OK);
		assert_int_equal(fixture->feed->nops, 2);
		expect_op(fixture, 0, OUTCOME_OK, true, 1, 3);
		expect_op(fixture, 1, OUTCOME_OK, true, 1, 0);
		assert_int_equal(fixture->feed->neffects, i ? 0 : 2);
		assert_int_equal(fixture->feed->repeats, i ? 1 : 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_apply(fixture, &failing), OUTCOME_TXN_FAILED);
		assert_int_equal(fixture->feed->number, 1);
		expect_op(fixture, 0, OUTCOME_TXN_FAILED, false, 0, 0);
		expect_op(fixture, 1, OUTCOME_IS_DIR, false, 0, 0);
	}
	assert_value(fixture, "n", "3");
}

/* --- rejection --- */

static void test_invalid_events_are_rejected(void **state)
{
	struct fixture *fixture = *state;
	char long_name[257], long_key[4097];

	memset(long_name, 'n', sizeof(long_name));
	memset(long_key, 'k', sizeof(long_key));
	for (size_t i = 100; i < sizeof(long_key); i += 100)
		long_key[i] = '/';
	const struct {
		const char *name;
		struct event ev;
	} bad[] = {
		EVENT_ROW(.op = EVENT_SET),
		EVENT_ROW(.op = EVENT_SET, .key = B("/a")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a/")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a//b")),
		EVENT_ROW(.op = EVENT_SET, .key = B(".")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a/../b")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a\0b")),
		EVENT_ROW(.op = EVENT_SET, .key = { long_name, 256 }),
		EVENT_ROW(.op = EVENT_SET, .key = { long_key, 4097 }),
		EVENT_ROW(.op = (enum event_op)EVENT_OP_COUNT, .key = B("a")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .ttl = TTL_SET),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = -1),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .ttl = TTL_SET, .ttl_ms = INT64_MAX),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .ttl = TTL_UNTIL, .ttl_ms = INT64_MAX),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .cond = (enum event_if)9),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .type = B("a\nb")),
		EVENT_ROW(.op = EVENT_WRITE, .key = B("a"), .value = B("x")),
		EVENT_ROW(.op = EVENT_TRUNCATE, .key = B("a"), .size = UINT64_MAX),
		EVENT_ROW(.op = EVENT_RENAME, .key = B("a")),
		EVENT_ROW(.op = EVENT_RENAME, .key = B("a"), .to = B("../a")),
		EVENT_ROW(.op = EVENT_FORMAT),
	};

	EXPECT(fixture, OK, "added keep=1@1000100", .op = EVENT_SET, .key = B("keep"),
	       .value = B("1"), .ttl = TTL_SET, .ttl_ms = 100);
	fixture_apply(fixture, NULL);
	assert_int_equal(fixture->feed->outcome, OUTCOME_REJECTED);
	assert_int_equal(fixture->feed->neffects, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (fixture_apply(fixture, &bad[i].ev) != OUTCOME_REJECTED)
			fail_msg("%s: not rejected", bad[i].name);
		assert_int_equal(fixture->feed->neffects, 0);
	}
	assert_int_equal(fixture_meta(fixture).nrejected, 1 + ARRAY_SIZE(bad));
	fixture_totals(fixture, 1, 0, COST + 5);
	/* A rejected record advances log time and purges, like any other. */
	fixture->time_ms += 100;
	fixture_apply(fixture, NULL);
	assert_string_equal(fixture_effects(fixture), "expired keep=1@1000100");
	fixture_totals(fixture, 0, 0, 0);
}

/* A rejected event is reported with its id, so that its submitter learns the outcome. */
static void test_a_rejected_event_is_reported_with_its_id(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, REJECTED, "", .op = EVENT_SET, .key = B(".."), .proc = 77, .seq = 5);
	assert_int_equal(fixture->feed->proc, 77);
	assert_int_equal(fixture->feed->seq, 5);
	assert_int_equal(fixture->feed->op, EVENT_SET);
	EXPECT(fixture, REJECTED, "", .op = (enum event_op)200, .proc = 78, .seq = 6);
	assert_int_equal(fixture->feed->proc, 78);
	assert_true(fixture->feed->op < EVENT_OP_COUNT);
}

/* --- the volume, offsets --- */

static void test_the_first_format_names_the_volume(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "", .op = EVENT_TICK);
	assert_string_equal(fixture_meta(fixture).volume, "");
	EXPECT(fixture, OK, "", .op = EVENT_FORMAT, .name = B("volume-1"));
	assert_string_equal(fixture_meta(fixture).volume, "volume-1");
	assert_int_equal(fixture_meta(fixture).volume_offset, 1);
	EXPECT(fixture, OK, "", .op = EVENT_FORMAT, .name = B("volume-1"));
	EXPECT(fixture, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-2"));
	EXPECT(fixture, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-"));
	EXPECT(fixture, EXISTS, "", .op = EVENT_FORMAT, .name = B("volume-10"));
	assert_string_equal(fixture_meta(fixture).volume, "volume-1");
	assert_int_equal(fixture_meta(fixture).volume_offset, 1);
}

static void test_only_a_skipped_record_can_be_confirmed(void **state)
{
	struct fixture *fixture = *state;
	struct store_skipped skipped;
	struct txn *txn;

	EXPECT(fixture, OK, "added a=0", .op = EVENT_SET, .key = B("a"));
	/* Skipping a record that was applied, or is still to come, changes nothing. */
	EXPECT(fixture, REJECTED, "", .op = EVENT_SKIP, .at = 1);
	EXPECT(fixture, REJECTED, "", .op = EVENT_SKIP, .at = 100);
	EXPECT(fixture, REJECTED, "", .op = EVENT_SKIP);
	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (uint64_t offset = 1; offset <= STORE_SKIPPED_MAX + 1; offset++)
		assert_int_equal(store_skipped_note(txn, offset), 0);
	assert_int_equal(txn_commit(txn), 0);
	EXPECT(fixture, OK, "", .op = EVENT_SKIP, .at = 2);
	EXPECT(fixture, OK, "", .op = EVENT_SKIP, .at = STORE_SKIPPED_MAX + 1);
	EXPECT(fixture, REJECTED, "", .op = EVENT_SKIP, .at = 1); /* No longer remembered. */
	assert_int_equal(txn_read(fixture->store, &txn), 0);
	assert_int_equal(store_skipped_get(txn, &skipped), 0);
	txn_abort(txn);
	assert_int_equal(skipped.count, STORE_SKIPPED_MAX + 1);
	assert_int_equal(skipped.newest[0], STORE_SKIPPED_MAX + 1);
	assert_int_equal(fixture_meta(fixture).nrejected, 4);
}

static void test_offsets_may_have_gaps_and_never_repeat(void **state)
{
	struct fixture *fixture = *state;
	struct event ev = { .op = EVENT_APPEND, .key = B("a"), .value = B("x") };
	struct txn *txn;

	fixture->offset = 5; /* A log need not begin at 0. */
	assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (uint64_t offset = 0; offset <= 5; offset++)
		assert_int_equal(apply_event(txn, &ev, offset, fixture->time_ms + 9999, NULL),
		                 -EALREADY);
	assert_int_equal(txn_meta(txn)->log_time_ms, fixture->time_ms);
	assert_int_equal(txn_commit(txn), 0);
	assert_value(fixture, "a", "x");
	fixture->offset = 100; /* A log may have gaps. */
	assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	fixture->offset = UINT64_C(1) << 40;
	assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	assert_int_equal(fixture_get(fixture, "a")->version, UINT64_C(1) << 40);
	assert_value(fixture, "a", "xxx");
}

/* An event that is applied again after its transaction was aborted has the same
 * effect. */
static void test_an_aborted_event_can_be_applied_again(void **state)
{
	struct fixture *fixture = *state;
	struct event ev = { .op = EVENT_SET, .key = B("d/a"), .value = B("x"), .idem = B("i") };
	struct txn *txn;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(txn_write(fixture->store, &txn), 0);
		assert_int_equal(apply_event(txn, &ev, 0, fixture->time_ms, NULL), 0);
		assert_int_equal(txn_meta(txn)->nkeys, 1);
		txn_abort(txn);
		assert_false(fixture_meta(fixture).started);
		fixture_totals(fixture, 0, 0, 0);
	}
	EXPECT(fixture, OK, "added d/, added d/a=1", .op = EVENT_SET, .key = B("d/a"),
	       .value = B("x"), .idem = B("i"));
	assert_int_equal(fixture_ino(fixture, "d/a"), 3);
}

/* --- the size of the feed --- */

/* Apply N ticks, the cheapest events, in one transaction. */
static void apply_ticks(struct fixture *fixture, uint64_t n)
{
	struct event tick = { .op = EVENT_TICK };
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(apply_event(txn, &tick, fixture->offset++, fixture->time_ms, NULL),
		                 0);
	assert_int_equal(txn_commit(txn), 0);
}

static uint64_t first_row(struct fixture *fixture)
{
	struct txn *txn;
	struct bytes row;
	uint64_t offset;

	assert_int_equal(txn_read(fixture->store, &txn), 0);
	assert_int_equal(store_feed_next(txn, 0, &offset, &row), 0);
	txn_abort(txn);
	return offset;
}

/* The feed and the idempotency keys are kept for 65,536 offsets. */
static void test_feed_and_idempotency_keys_last_65536_offsets(void **state)
{
	struct fixture *fixture = *state;
	struct event incr = { .op = EVENT_INCR, .key = B("n"), .by = 1, .idem = B("once") };

	apply_ticks(fixture, 10);
	uint64_t once = fixture->offset;
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	apply_ticks(fixture, STORE_FEED_SIZE - 2);
	fixture->unchecked = true;
	/* Now the row of the first event is the oldest one. */
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, once);
	assert_int_equal(first_row(fixture), once);
	/* The next event still finds it; the one after that does not. */
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, once);
	assert_int_equal(first_row(fixture), once + 1);
	assert_value(fixture, "n", "1");
	uint64_t again = fixture->offset;
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, 0);
	assert_value(fixture, "n", "2");
	assert_int_equal(first_row(fixture), once + 2);
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, again);
	fixture_check(fixture);
	/* A gap in the offsets removes rows as if it had been filled with events. */
	fixture->offset += STORE_FEED_SIZE / 2;
	uint64_t offset = fixture->offset;
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, again);
	assert_int_equal(first_row(fixture), offset - STORE_FEED_SIZE + 1);
	fixture->offset += 10 * STORE_FEED_SIZE;
	offset = fixture->offset;
	assert_int_equal(fixture_apply(fixture, NULL), OUTCOME_REJECTED);
	assert_int_equal(first_row(fixture), offset);
	assert_int_equal(fixture_apply(fixture, &incr), OUTCOME_OK);
	assert_int_equal(fixture->feed->repeats, 0);
	assert_value(fixture, "n", "3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_transaction_applies_its_operations_in_order),
		TEST(test_a_failed_transaction_changes_nothing),
		TEST(test_entries_purged_before_a_failed_transaction_stay_purged),
		TEST(test_invalid_transactions_are_rejected),
		TEST(test_a_repeated_idempotency_key_gets_the_first_outcome),
		TEST(test_a_repeated_transaction_gets_the_first_outcomes),
		TEST(test_invalid_events_are_rejected),
		TEST(test_a_rejected_event_is_reported_with_its_id),
		TEST(test_the_first_format_names_the_volume),
		TEST(test_only_a_skipped_record_can_be_confirmed),
		TEST(test_offsets_may_have_gaps_and_never_repeat),
		TEST(test_an_aborted_event_can_be_applied_again),
		TEST(test_feed_and_idempotency_keys_last_65536_offsets),
	};

	return cmocka_run_group_tests_name("apply_event", tests, NULL, NULL);
}
