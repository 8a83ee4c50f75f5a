/* Tests of fs/pending.c: operations in flight for which no request waits: limits,
 * order, errors. */
#include "tests/unit/cmocka_all.h"

#include "fs/op.h"

#include <errno.h>
#include <stdlib.h>

struct waiter {
	struct pending_wait wait;
	int runs;
};

static void count_run(struct pending_wait *wait)
{
	((struct waiter *)wait)->runs++;
}

static struct op *new_op(uint64_t bytes)
{
	struct op *op = calloc(1, sizeof(*op));

	assert_non_null(op);
	op->ev.value.len = bytes;
	return op;
}

static void test_the_number_of_operations_is_bounded(void **state)
{
	struct pending pending;
	struct op *ops[PENDING_MAX + 1];

	(void)state;
	pending_init(&pending);
	for (int i = 0; i < PENDING_MAX; i++) {
		ops[i] = new_op(1);
		assert_true(pending_add(&pending, ops[i], false));
	}
	ops[PENDING_MAX] = new_op(1);
	assert_false(pending_add(&pending, ops[PENDING_MAX], false));
	assert_int_equal(ops[PENDING_MAX]->pending_seq, 0);
	pending_done(&pending, ops[7], 0);
	assert_true(pending_add(&pending, ops[PENDING_MAX], false));
	for (int i = 0; i <= PENDING_MAX; i++) {
		if (i != 7)
			pending_done(&pending, ops[i], 0);
		free(ops[i]);
	}
	assert_int_equal(pending.count, 0);
	assert_int_equal(pending.bytes, 0);
}

static void test_the_bytes_are_bounded_unless_forced(void **state)
{
	struct pending pending;
	struct op *all = new_op(PENDING_BYTES_MAX), *more = new_op(1);

	(void)state;
	pending_init(&pending);
	assert_true(pending_add(&pending, all, false));
	assert_false(pending_add(&pending, more, false));
	assert_true(pending_add(&pending, more, true));
	pending_done(&pending, all, 0);
	pending_done(&pending, more, 0);
	free(all);
	free(more);
}

static void test_a_wait_covers_earlier_operations_only(void **state)
{
	struct pending pending;
	struct waiter first = { .wait.run = count_run }, second = { .wait.run = count_run };
	struct op *ops[4];

	(void)state;
	pending_init(&pending);
	assert_false(pending_wait(&pending, &first.wait));
	for (int i = 0; i < 4; i++)
		ops[i] = new_op(1);
	assert_true(pending_add(&pending, ops[0], false));
	assert_true(pending_add(&pending, ops[1], false));
	assert_true(pending_wait(&pending, &first.wait));
	assert_true(pending_add(&pending, ops[2], false));
	assert_true(pending_wait(&pending, &second.wait));
	assert_true(pending_add(&pending, ops[3], false));
	/* They complete in any order. */
	pending_done(&pending, ops[2], 0);
	pending_done(&pending, ops[1], 0);
	assert_int_equal(first.runs, 0);
	assert_int_equal(second.runs, 0);
	pending_done(&pending, ops[0], 0);
	assert_int_equal(first.runs, 1);
	assert_int_equal(second.runs, 1);
	pending_done(&pending, ops[3], 0);
	for (int i = 0; i < 4; i++)
		free(ops[i]);
}

static void test_the_first_error_is_reported_once(void **state)
{
	struct pending pending;
	struct op *ops[3];

	(void)state;
	pending_init(&pending);
	for (int i = 0; i < 3; i++) {
		ops[i] = new_op(1);
		assert_true(pending_add(&pending, ops[i], false));
	}
	assert_int_equal(pending_take_error(&pending), 0);
	pending_done(&pending, ops[0], EIO);
	pending_done(&pending, ops[1], ENOSPC);
	pending_done(&pending, ops[2], 0);
	assert_int_equal(pending_take_error(&pending), EIO);
	assert_int_equal(pending_take_error(&pending), 0);
	for (int i = 0; i < 3; i++)
		free(ops[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_number_of_operations_is_bounded),
		cmocka_unit_test(test_the_bytes_are_bounded_unless_forced),
		cmocka_unit_test(test_a_wait_covers_earlier_operations_only),
		cmocka_unit_test(test_the_first_error_is_reported_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
