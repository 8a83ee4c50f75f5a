/* Tests of the feed's rows (common/event/feed.c).
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/unit/cmocka_all.h"

#include "common/event/feed.h"
#include "tests/unit/fault.h"
#include "tests/unit/prng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void assert_same_bytes(struct bytes a, struct bytes b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
}

static void assert_same(const struct feed_event *a, const struct feed_event *b)
{
	assert_true(a->offset == b->offset);
	assert_true(a->proc == b->proc && a->seq == b->seq);
	assert_true(a->time_ms == b->time_ms);
	assert_int_equal(a->op, b->op);
	assert_int_equal(a->outcome, b->outcome);
	assert_true(a->ino == b->ino && a->version == b->version);
	assert_true(a->number == b->number && a->repeats == b->repeats);
	assert_int_equal(a->created, b->created);
	assert_same_bytes(a->idem, b->idem);
	assert_int_equal(a->neffects, b->neffects);
	for (size_t i = 0; i < a->neffects; i++) {
		const struct feed_effect *x = &a->effects[i], *y = &b->effects[i];

		assert_int_equal(x->kind, y->kind);
		assert_int_equal(x->dir, y->dir);
		assert_true(x->ino == y->ino && x->parent == y->parent);
		assert_true(x->size == y->size && x->expiry_ms == y->expiry_ms);
		assert_same_bytes(x->key, y->key);
	}
	assert_int_equal(a->nops, b->nops);
	for (size_t i = 0; i < a->nops; i++) {
		assert_int_equal(a->ops[i].outcome, b->ops[i].outcome);
		assert_int_equal(a->ops[i].created, b->ops[i].created);
		assert_true(a->ops[i].version == b->ops[i].version);
		assert_true(a->ops[i].number == b->ops[i].number);
	}
}

static void assert_round_trip(const struct feed_event *ev)
{
	struct feed_event *back = NULL;
	struct bytes row, idem;

	assert_int_equal(feed_encode(ev, &row), 0);
	assert_int_equal(feed_decode(ev->offset, row, &back), 0);
	assert_same(ev, back);
	assert_int_equal(feed_decode_idem(row, &idem), 0);
	assert_same_bytes(idem, ev->idem);
	/* The event does not refer to the row. */
	memset((void *)row.data, 0xa5, row.len);
	assert_same(ev, back);
	free((void *)row.data);
	free(back);
}

static struct feed_effect effects[] = {
	{ FEED_ADDED, UINT64_MAX, UINT64_MAX, B("a/b"), UINT64_MAX, INT64_MAX, true },
	{ FEED_EVICTED, 0, 0, { "", 0 }, 0, INT64_MIN, false },
	{ FEED_EXPIRED, 127, 128, B("\xff/\n"), 16383, 1, false },
};

static struct feed_op ops[] = {
	{ OUTCOME_TXN_FAILED, false, 0, INT64_MIN },
	{ OUTCOME_OK, true, UINT64_MAX, INT64_MAX },
};

static const struct feed_event extremes = {
	.offset = UINT64_MAX,
	.proc = UINT64_MAX,
	.seq = UINT64_MAX,
	.time_ms = INT64_MIN,
	.op = EVENT_FORMAT,
	.outcome = OUTCOME_REJECTED,
	.ino = UINT64_MAX,
	.version = UINT64_MAX,
	.number = INT64_MIN,
	.repeats = UINT64_MAX,
	.created = true,
	.idem = B("once\n"),
	.effects = effects,
	.neffects = 3,
	.ops = ops,
	.nops = 2,
};

static void test_extreme_values_survive_encoding(void **state)
{
	const struct feed_event nothing = { 0 };

	(void)state;
	assert_round_trip(&extremes);
	assert_round_trip(&nothing);
}

static void test_random_events_survive_encoding(void **state)
{
	struct prng prng = { .seed = 7 };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		static char key[4096];
		static struct feed_effect some[20];
		static struct feed_op few[20];
		struct feed_event ev = { .effects = some, .ops = few };

		for (size_t k = 0; k < sizeof(key); k++)
			key[k] = k % 200 == 199 ? '/' : 'k';
		ev.offset = prng_u64(&prng);
		ev.proc = prng_u64(&prng) >> prng_below(&prng, 64);
		ev.seq = prng_u64(&prng) >> prng_below(&prng, 64);
		ev.time_ms = (int64_t)prng_u64(&prng) >> prng_below(&prng, 64);
		ev.number = (int64_t)prng_u64(&prng) >> prng_below(&prng, 64);
		ev.op = (enum event_op)prng_below(&prng, EVENT_OP_COUNT);
		ev.outcome = (enum event_outcome)prng_below(&prng, OUTCOME_COUNT);
		ev.idem = (struct bytes){ key, prng_below(&prng, 3) * 100 };
		ev.neffects = prng_below(&prng, 20);
		ev.nops = prng_below(&prng, 20);
		for (size_t k = 0; k < ev.neffects; k++) {
			size_t len = prng_below(&prng, sizeof(key) + 1);

			len -= len && key[len - 1] == '/';
			some[k] = (struct feed_effect){
				.kind = (enum feed_effect_kind)prng_below(&prng, FEED_EVICTED + 1),
				.ino = prng_u64(&prng) >> prng_below(&prng, 64),
				.parent = prng_u64(&prng) >> prng_below(&prng, 64),
				.key = { key, len },
				.size = prng_u64(&prng) >> prng_below(&prng, 64),
				.expiry_ms = (int64_t)prng_u64(&prng),
				.dir = prng_one_in(&prng, 2),
			};
		}
		for (size_t k = 0; k < ev.nops; k++)
			few[k] = (struct feed_op){
				.outcome = (enum event_outcome)prng_below(&prng, OUTCOME_COUNT),
				.created = prng_one_in(&prng, 2),
				.version = prng_u64(&prng),
				.number = (int64_t)prng_u64(&prng),
			};
		assert_round_trip(&ev);
	}
}

/* Every truncated row is refused without reading past its end. */
static void test_truncated_rows_are_refused(void **state)
{
	struct feed_event *ev = NULL;
	struct bytes row;

	(void)state;
	assert_int_equal(feed_encode(&extremes, &row), 0);
	for (size_t len = 0; len < row.len; len++) {
		char *copy = malloc(len ? len : 1);

		assert_non_null(copy);
		memcpy(copy, row.data, len);
		assert_int_equal(feed_decode(1, (struct bytes){ copy, len }, &ev), -EBADMSG);
		assert_null(ev);
		free(copy);
	}
	free((void *)row.data);
}

static void test_malformed_rows_are_refused(void **state)
{
	/* The bytes are operation, outcome, flags, five numbers, the number of
	 * effects. Before the effects, flag 2 adds a number and flag 4 an idempotency
	 * key; flag 8 adds operations at the end. */
	static const struct {
		const char *name;
		struct bytes row;
		int want;
	} rows[] = {
		{ "fine", B("\0\0\0\0\0\0\0\0\0"), 0 },
		{ "one byte more", B("\0\0\0\0\0\0\0\0\0\0"), -EBADMSG },
		{ "operation", B("\x40\0\0\0\0\0\0\0\0"), -EBADMSG },
		{ "outcome", B("\0\x40\0\0\0\0\0\0\0"), -EBADMSG },
		{ "has more than is known", B("\0\0\x10\0\0\0\0\0\0"), -EBADMSG },
		{ "number without end",
		  B("\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0"), -EBADMSG },
		{ "a number", B("\0\0\x02\0\0\0\0\0\x05\0"), 0 },
		{ "idem", B("\0\0\x04\0\0\0\0\0\0\x02zz\0"), 0 },
		{ "idem too long", B("\0\0\x04\0\0\0\0\0\0\x03zz"), -EBADMSG },
		{ "idem huge", B("\0\0\x04\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0"),
		  -EBADMSG },
		{ "effects huge", B("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		  -EBADMSG },
		{ "ops huge", B("\0\0\x08\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		  -EBADMSG },
		{ "effect's kind", B("\0\0\0\0\0\0\0\0\x01\x06\0\0\0\0\0"), -EBADMSG },
		{ "an effect", B("\0\0\0\0\0\0\0\0\x01\x05\0\0\0\0\0"), 0 },
		{ "an op's outcome", B("\0\0\x08\0\0\0\0\0\0\x01\x40\0\0\0"), -EBADMSG },
		{ "an op", B("\0\0\x08\0\0\0\0\0\0\x01\x05\0\0\0"), 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct feed_event *ev = NULL;
		int r = feed_decode(1, rows[i].row, &ev);

		if (r != rows[i].want)
			fail_msg("%s: %d", rows[i].name, r);
		assert_true((ev != NULL) == (r == 0));
		free(ev);
	}
}

static void test_failed_allocations_are_reported(void **state)
{
	struct feed_event *ev = NULL;
	struct bytes row, none = { NULL, 0 };

	(void)state;
	fault_alloc(1);
	assert_int_equal(feed_encode(&extremes, &none), -ENOMEM);
	assert_int_equal(fault_end(), 1);
	assert_null(none.data);
	assert_int_equal(feed_encode(&extremes, &row), 0);
	fault_alloc(1);
	assert_int_equal(feed_decode(1, row, &ev), -ENOMEM);
	assert_int_equal(fault_end(), 1);
	assert_null(ev);
	free((void *)row.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extreme_values_survive_encoding),
		cmocka_unit_test(test_random_events_survive_encoding),
		cmocka_unit_test(test_truncated_rows_are_refused),
		cmocka_unit_test(test_malformed_rows_are_refused),
		cmocka_unit_test(test_failed_allocations_are_reported),
	};

	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
