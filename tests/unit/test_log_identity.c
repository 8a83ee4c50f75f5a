/* Tests of common/log/identity.c: which differences between two log records are
 * detected, and which records a store remembers. */
#include "tests/unit/cmocka_all.h"

#include "common/log/identity.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <string.h>

#define TIME_MS INT64_C(1700000000000)

static uint64_t sum_of(const struct event *ev)
{
	return log_identity_sum(ev, TIME_MS, ev->value.len);
}

static void test_records_that_differ_have_different_sums(void **state)
{
	static const struct {
		const char *name;
		struct event ev;
	} rows[] = {
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .value = B("1")),
		EVENT_ROW(.op = EVENT_APPEND, .key = B("a"), .value = B("1")),
		EVENT_ROW(.op = EVENT_SET, .key = B("b"), .value = B("1")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a1")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .value = B("2")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .value = B("1\0")),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .value = B("1"), .proc = 1),
		EVENT_ROW(.op = EVENT_SET, .key = B("a"), .value = B("1"), .seq = 1),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct event *ev = &rows[i].ev;
		uint64_t sum = sum_of(ev);

		assert_row(rows[i].name, sum == sum_of(ev));
		assert_row(rows[i].name, sum != log_identity_sum(ev, TIME_MS + 1, ev->value.len));
		assert_row(rows[i].name, sum != log_identity_sum(NULL, TIME_MS, ev->value.len));
		for (size_t k = 0; k < i; k++)
			assert_row(rows[i].name, sum != sum_of(&rows[k].ev));
	}
	/* A malformed record is identified by its time and length. */
	assert_true(log_identity_sum(NULL, TIME_MS, 1) != log_identity_sum(NULL, TIME_MS, 2));
}

static void test_both_ends_of_a_large_value_change_the_sum(void **state)
{
	char value[1000] = { 0 };
	struct event ev = { .op = EVENT_SET, .key = B("a"), .value = { value, sizeof(value) } };
	uint64_t sum = sum_of(&ev);
	const size_t ends[] = { 0, 31, sizeof(value) - 32, sizeof(value) - 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		value[ends[i]] = 1;
		assert_true(sum != sum_of(&ev));
		value[ends[i]] = 0;
	}
	ev.value.len--;
	assert_true(sum != sum_of(&ev));
}

static void test_equality_covers_offset_time_and_sum(void **state)
{
	const struct log_identity id = { .offset = 7, .time_ms = TIME_MS, .sum = 5 };
	struct log_identity other = id;

	(void)state;
	assert_true(log_identity_equal(&id, &other));
	other.offset++;
	assert_false(log_identity_equal(&id, &other));
	other = id;
	other.time_ms++;
	assert_false(log_identity_equal(&id, &other));
	other = id;
	other.sum++;
	assert_false(log_identity_equal(&id, &other));
}

static void note_record(struct fixture *fixture, uint64_t offset)
{
	struct log_identity id = { .offset = offset, .time_ms = TIME_MS, .sum = offset };
	struct log_identity sure = { .offset = offset / 2 };
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	assert_int_equal(log_identity_note(txn, &id, &sure), 0);
	assert_int_equal(txn_commit(txn), 0);
}

static int load_identities(struct fixture *fixture, struct log_identities *ret)
{
	struct txn *txn;

	assert_int_equal(txn_read(fixture->store, &txn), 0);
	int r = log_identity_load(txn, ret);
	txn_abort(txn);
	return r;
}

static void test_a_store_remembers_the_first_record_after_each_power_of_two(void **state)
{
	struct fixture *fixture = *state;
	struct log_identities all;

	assert_int_equal(load_identities(fixture, &all), -ENOENT);
	for (uint64_t offset = 3; offset <= 300; offset++) {
		note_record(fixture, offset);
		assert_int_equal(load_identities(fixture, &all), 0);
		assert_int_equal(all.sure.offset, offset / 2);
		for (int level = 0; level < LOG_IDENTITY_LEVELS; level++) {
			uint64_t multiple = offset >> level << level;

			assert_int_equal(all.at[level].offset, multiple < 3 ? 3 : multiple);
			assert_int_equal(all.at[level].sum, all.at[level].offset);
		}
	}
	/* A commit of many records ends long after the previous one. */
	note_record(fixture, 5000);
	assert_int_equal(load_identities(fixture, &all), 0);
	assert_int_equal(all.at[0].offset, 5000);
	assert_int_equal(all.at[12].offset, 5000);
	assert_int_equal(all.at[13].offset, 3);
}

static void test_a_row_of_another_size_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct log_identities all;
	struct log_identity id = { .offset = 1 };
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	assert_int_equal(store_log_put(txn, (struct bytes)B("short")), 0);
	assert_int_equal(log_identity_load(txn, &all), -EIO);
	assert_int_equal(log_identity_note(txn, &id, &id), -EIO);
	txn_abort(txn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_that_differ_have_different_sums),
		cmocka_unit_test(test_both_ends_of_a_large_value_change_the_sum),
		cmocka_unit_test(test_equality_covers_offset_time_and_sum),
		TEST(test_a_store_remembers_the_first_record_after_each_power_of_two),
		TEST(test_a_row_of_another_size_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
