/* Tests of httpd/answer_memory.c: the limit is never exceeded, and all memory is
 * returned. */
#include "tests/unit/cmocka_all.h"

#include "httpd/answer_memory.h"
#include "httpd/json_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 10000

static int set_limit(void **state)
{
	(void)state;
	answer_memory_limit(LIMIT);
	return 0;
}

/* Check that the whole limit is available again. */
static void assert_all_free(void)
{
	assert_int_equal(answer_memory_take(LIMIT), 0);
	assert_int_equal(answer_memory_take(1), -EBUSY);
	answer_memory_give(LIMIT);
}

static void test_memory_is_granted_up_to_the_limit(void **state)
{
	(void)state;
	assert_int_equal(answer_memory_take(LIMIT + 1), -EBUSY);
	assert_int_equal(answer_memory_take(UINT64_MAX), -EBUSY);
	assert_int_equal(answer_memory_take(LIMIT - 1), 0);
	assert_true(answer_memory_is_short());
	assert_int_equal(answer_memory_take(2), -EBUSY);
	answer_memory_give(LIMIT - 1);
	assert_false(answer_memory_is_short());
	assert_all_free();
}

static void test_a_resized_block_keeps_its_bytes(void **state)
{
	void *block = NULL;
	(void)state;
	assert_int_equal(answer_memory_resize(&block, 100), 0);
	memset(block, 'x', 100);
	assert_int_equal(answer_memory_resize(&block, LIMIT), 0);
	assert_int_equal(((char *)block)[99], 'x');
	void *before = block;
	assert_int_equal(answer_memory_resize(&block, LIMIT + 1), -EBUSY);
	assert_int_equal(answer_memory_resize(&block, SIZE_MAX), -ENOMEM);
	assert_ptr_equal(block, before);
	assert_int_equal(answer_memory_resize(&block, 10), 0);
	assert_int_equal(answer_memory_take(LIMIT - 10), 0);
	answer_memory_give(LIMIT - 10);
	answer_memory_free(block);
	answer_memory_free(NULL);
	assert_all_free();
}

static void test_values_take_at_most_half(void **state)
{
	void *value;
	(void)state;
	assert_int_equal(answer_memory_value(&value, LIMIT / 2 + 1), -EBUSY);
	assert_int_equal(answer_memory_value(&value, LIMIT / 2), 0);
	void *more;
	assert_int_equal(answer_memory_value(&more, 1), -EBUSY);
	assert_int_equal(answer_memory_take(LIMIT / 2), 0);
	answer_memory_give(LIMIT / 2);
	answer_memory_free(value);
	assert_all_free();
}

static void test_text_stops_growing_at_the_limit(void **state)
{
	struct json_text t = { .counted = true };
	(void)state;
	for (int i = 0; i < LIMIT && !t.failed; i++)
		json_text_raw(&t, "0123456789");
	assert_int_equal(t.failed, -EBUSY);
	assert_true(t.cap <= LIMIT);
	json_text_clear(&t);
	assert_int_equal(t.failed, 0);
	assert_all_free();
	t.most = 25;
	for (int i = 0; i < 3; i++)
		json_text_raw(&t, "0123456789");
	assert_int_equal(t.failed, -E2BIG);
	assert_int_equal(t.len, 20);
	json_text_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_granted_up_to_the_limit),
		cmocka_unit_test(test_a_resized_block_keeps_its_bytes),
		cmocka_unit_test(test_values_take_at_most_half),
		cmocka_unit_test(test_text_stops_growing_at_the_limit),
	};
	return cmocka_run_group_tests(tests, set_limit, NULL);
}
