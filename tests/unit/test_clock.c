/* Tests of common/base/clock.c: jumps of the wall clock.
 * LINK: -Wl,--wrap=clock_gettime */
#include "tests/unit/cmocka_all.h"

#include "common/base/clock.h"

#define YEAR_MS (INT64_C(366) * 24 * 3600 * 1000)
#define START_MS INT64_C(1769860800000)

/* The time that the wrapped clock_gettime() returns. */
static int64_t real_ms = START_MS, boot_ms = 5000;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int64_t ms = clock == CLOCK_REALTIME ? real_ms : boot_ms;

	*ret = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	return 0;
}

static void advance(int64_t ms)
{
	real_ms += ms;
	boot_ms += ms;
}

/* A wall clock that jumps to another century and back has no effect, neither then nor
 * later. */
static void test_a_jump_that_is_undone_has_no_effect(void **state)
{
	(void)state;
	int64_t before = clock_wall_ms();

	assert_int_equal(before, real_ms);
	real_ms += 74 * YEAR_MS;
	for (int i = 0; i < 5; i++) {
		advance(10000);
		before += 10000;
		assert_int_equal(clock_wall_ms(), before);
		assert_int_equal(clock_jump_ms(), 74 * YEAR_MS);
	}
	real_ms -= 74 * YEAR_MS;
	assert_int_equal(clock_wall_ms(), before);
	assert_int_equal(clock_jump_ms(), 0);
	/* A later jump starts a new waiting time. */
	advance(100000);
	real_ms += YEAR_MS;
	assert_int_equal(clock_wall_ms(), real_ms - YEAR_MS);
	real_ms -= YEAR_MS;
	assert_int_equal(clock_wall_ms(), real_ms);
}

/* A jump that persists takes effect after CLOCK_BELIEVE_MS: the clock was corrected. */
static void test_a_jump_that_persists_takes_effect_later(void **state)
{
	(void)state;
	clock_wall_ms();
	real_ms += YEAR_MS;
	assert_int_equal(clock_wall_ms(), real_ms - YEAR_MS);
	advance(CLOCK_BELIEVE_MS - 1);
	assert_int_equal(clock_wall_ms(), real_ms - YEAR_MS);
	advance(1);
	assert_int_equal(clock_wall_ms(), real_ms);
	assert_int_equal(clock_jump_ms(), 0);
	advance(1);
	assert_int_equal(clock_wall_ms(), real_ms);
}

/* Small steps, steps back and long idle times take effect at once. */
static void test_small_steps_and_idle_times_take_effect_at_once(void **state)
{
	(void)state;
	clock_wall_ms();
	for (int i = 0; i < 100; i++) {
		advance(1000);
		real_ms += CLOCK_JUMP_MS / 2;
		assert_int_equal(clock_wall_ms(), real_ms);
	}
	real_ms -= YEAR_MS;
	assert_int_equal(clock_wall_ms(), real_ms);
	advance(30 * YEAR_MS);
	assert_int_equal(clock_wall_ms(), real_ms);
	assert_int_equal(clock_jump_ms(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_jump_that_is_undone_has_no_effect),
		cmocka_unit_test(test_a_jump_that_persists_takes_effect_later),
		cmocka_unit_test(test_small_steps_and_idle_times_take_effect_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
