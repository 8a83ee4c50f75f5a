/* Tests of fs/buffer.c: the event that a flush logs produces the value that the mount
 * read. */
#include "tests/unit/cmocka_all.h"

#include "fs/buffer.h"
#include "tests/unit/fixture.h"
#include "tests/unit/prng.h"

#include <stdlib.h>
#include <string.h>

#include <errno.h>

/* Take the changes of BUF that are to be logged. */
static struct event take_changes(struct buffer *buf, void **ret_owned)
{
	struct event ev = { 0 };

	assert_int_equal(buffer_take(buf, &ev, ret_owned), 0);
	assert_non_null(*ret_owned);
	assert_false(buf->changed);
	return ev;
}

static void test_a_new_buffer_has_nothing_to_log(void **state)
{
	struct buffer buf;
	char text[8];
	(void)state;

	assert_int_equal(buffer_init(&buf, "value", 5), 0);
	assert_false(buf.changed);
	assert_int_equal(buffer_read(&buf, 0, text, sizeof(text)), 5);
	assert_memory_equal(text, "value", 5);
	assert_int_equal(buffer_read(&buf, 3, text, 1), 1);
	assert_memory_equal(text, "u", 1);
	assert_int_equal(buffer_read(&buf, 5, text, 1), 0);
	assert_int_equal(buffer_read(&buf, 99, text, 1), 0);
	buffer_close(&buf);
	assert_int_equal(buffer_init(&buf, NULL, 0), 0);
	assert_int_equal(buffer_read(&buf, 0, text, 1), 0);
	buffer_close(&buf);
}

static void test_writing_nothing_changes_nothing(void **state)
{
	struct buffer buf;
	(void)state;

	assert_int_equal(buffer_init(&buf, "value", 5), 0);
	assert_int_equal(buffer_write(&buf, 100, "", 0), 0);
	assert_int_equal(buffer_truncate(&buf, 5), 0);
	assert_false(buf.changed);
	assert_int_equal(buf.size, 5);
	buffer_close(&buf);
}

static void test_only_written_ranges_are_logged(void **state)
{
	struct buffer buf;
	void *owned;
	(void)state;

	assert_int_equal(buffer_init(&buf, "0123456789", 10), 0);
	assert_int_equal(buffer_write(&buf, 2, "AB", 2), 0);
	assert_int_equal(buffer_write(&buf, 7, "C", 1), 0);
	struct event ev = take_changes(&buf, &owned);
	assert_int_equal(ev.op, EVENT_WRITE);
	assert_int_equal(ev.nranges, 2);
	assert_int_equal(ev.ranges[0].off, 2);
	assert_int_equal(ev.ranges[0].len, 2);
	assert_int_equal(ev.ranges[1].off, 7);
	assert_int_equal(ev.ranges[1].len, 1);
	assert_int_equal(ev.value.len, 3);
	assert_memory_equal(ev.value.data, "ABC", 3);
	assert_int_equal(ev.size, 0);
	assert_int_equal(ev.flags & EVENT_HAS_CUT, 0);
	free(owned);
	/* The value stays readable. */
	char text[10];
	assert_int_equal(buffer_read(&buf, 0, text, 10), 10);
	assert_memory_equal(text, "01AB456C89", 10);
	buffer_close(&buf);
}

static void expect_ranges(const char *name, const struct buffer *buf,
                          const struct event_range *want, size_t n)
{
	assert_row_equal(name, buf->nranges, n);
	for (size_t i = 0; i < n; i++) {
		assert_row_equal(name, buf->ranges[i].off, want[i].off);
		assert_row_equal(name, buf->ranges[i].len, want[i].len);
	}
}

static void test_ranges_that_touch_or_overlap_become_one(void **state)
{
	static const struct {
		const char *name;
		struct event_range writes[4];
		size_t nwrites;
		struct event_range want[4];
		size_t nwant;
	} rows[] = {
		{ "end to start", { { 0, 2 }, { 2, 2 } }, 2, { { 0, 4 } }, 1 },
		{ "start to end", { { 2, 2 }, { 0, 2 } }, 2, { { 0, 4 } }, 1 },
		{ "a gap after", { { 0, 2 }, { 3, 2 } }, 2, { { 0, 2 }, { 3, 2 } }, 2 },
		{ "a gap before", { { 3, 2 }, { 0, 2 } }, 2, { { 0, 2 }, { 3, 2 } }, 2 },
		{ "inside", { { 0, 5 }, { 1, 2 } }, 2, { { 0, 5 } }, 1 },
		{ "around", { { 1, 2 }, { 0, 5 } }, 2, { { 0, 5 } }, 1 },
		{ "over three", { { 0, 2 }, { 4, 2 }, { 8, 2 }, { 1, 8 } }, 4, { { 0, 10 } }, 1 },
		{ "between two",
		  { { 0, 2 }, { 4, 2 }, { 8, 2 }, { 2, 2 } },
		  4,
		  { { 0, 6 }, { 8, 2 } },
		  2 },
		{ "before the third",
		  { { 0, 2 }, { 4, 2 }, { 8, 2 }, { 6, 2 } },
		  4,
		  { { 0, 2 }, { 4, 6 } },
		  2 },
		{ "four apart",
		  { { 0, 1 }, { 4, 1 }, { 8, 1 }, { 2, 1 } },
		  4,
		  { { 0, 1 }, { 2, 1 }, { 4, 1 }, { 8, 1 } },
		  4 },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buffer buf;

		assert_int_equal(buffer_init(&buf, "..........", 10), 0);
		for (size_t k = 0; k < rows[i].nwrites; k++)
			assert_int_equal(buffer_write(&buf, rows[i].writes[k].off, "xxxxxxxxxx",
			                              rows[i].writes[k].len),
			                 0);
		expect_ranges(rows[i].name, &buf, rows[i].want, rows[i].nwant);
		buffer_close(&buf);
	}
}

static void test_emptying_logs_the_whole_value(void **state)
{
	struct buffer buf;
	void *owned;
	(void)state;

	assert_int_equal(buffer_init(&buf, "0123456789", 10), 0);
	assert_int_equal(buffer_write(&buf, 2, "AB", 2), 0);
	assert_int_equal(buffer_truncate(&buf, 0), 0);
	assert_int_equal(buffer_write(&buf, 1, "new", 3), 0);
	struct event ev = take_changes(&buf, &owned);
	assert_int_equal(ev.op, EVENT_SET);
	assert_int_equal(ev.ttl, TTL_KEEP);
	assert_int_equal(ev.nranges, 0);
	assert_int_equal(ev.value.len, 4);
	assert_memory_equal(ev.value.data, "\0new", 4);
	free(owned);
	/* After that, only changes are logged again. */
	assert_int_equal(buffer_write(&buf, 0, "X", 1), 0);
	ev = take_changes(&buf, &owned);
	assert_int_equal(ev.op, EVENT_WRITE);
	assert_int_equal(ev.value.len, 1);
	free(owned);
	buffer_close(&buf);
}

static void test_cut_and_size_are_logged(void **state)
{
	struct buffer buf;
	void *owned;
	(void)state;

	assert_int_equal(buffer_init(&buf, "0123456789", 10), 0);
	assert_int_equal(buffer_write(&buf, 3, "ABCDE", 5), 0);
	assert_int_equal(buffer_truncate(&buf, 5), 0);
	assert_int_equal(buffer_truncate(&buf, 20), 0);
	struct event ev = take_changes(&buf, &owned);
	assert_int_equal(ev.op, EVENT_WRITE);
	assert_true(ev.flags & EVENT_HAS_CUT);
	assert_int_equal(ev.cut, 5);
	assert_int_equal(ev.size, 20);
	assert_int_equal(ev.nranges, 1);
	assert_int_equal(ev.ranges[0].off, 3);
	assert_int_equal(ev.ranges[0].len, 2);
	free(owned);
	buffer_close(&buf);
}

static void test_one_range_too_many_is_refused_and_changes_nothing(void **state)
{
	struct buffer buf;
	void *owned;
	(void)state;

	assert_int_equal(buffer_init(&buf, NULL, 0), 0);
	assert_int_equal(buffer_truncate(&buf, 1), 0);
	for (uint64_t i = 0; i < EVENT_RANGES_MAX; i++)
		assert_int_equal(buffer_write(&buf, 2 * i + 10, "x", 1), 0);
	uint64_t size = buf.size;
	assert_int_equal(buffer_write(&buf, size + 10, "x", 1), -ENOBUFS);
	assert_int_equal(buf.size, size);
	/* A write that joins others is accepted. */
	assert_int_equal(buffer_write(&buf, 11, "x", 1), 0);
	struct event ev = take_changes(&buf, &owned);
	assert_int_equal(ev.nranges, EVENT_RANGES_MAX - 1);
	ev.key = (struct bytes)B("k");
	assert_null(event_check(&ev));
	free(owned);
	assert_int_equal(buffer_write(&buf, size + 10, "x", 1), 0);
	buffer_close(&buf);
}

/* After writes of any size at any offset, the event taken is valid. */
static void test_ranges_too_far_apart_are_refused(void **state)
{
	struct prng prng = { .seed = 1 };
	struct buffer buf;
	static const char zeros[70000];
	int taken = 0;
	(void)state;

	assert_int_equal(buffer_init(&buf, NULL, 0), 0);
	assert_int_equal(buffer_truncate(&buf, 64 << 20), 0);
	for (int i = 0; i < 4000; i++) {
		static const uint32_t sizes[] = { 1, 3, 500, 4096 };
		size_t len = prng_one_in(&prng, 100) ? 70000 : sizes[prng_below(&prng, 4)];
		/* Half of them cross the end of a block. */
		uint64_t off = prng_below(&prng, 1000) * (uint64_t)EVENT_BLOCK;
		off += prng_one_in(&prng, 2) ? EVENT_BLOCK - 1 : prng_below(&prng, EVENT_BLOCK);
		int r = buffer_write(&buf, off, zeros, len);
		if (r == 0 && i < 3999)
			continue;
		assert_true(r == 0 || r == -ENOBUFS);
		void *owned;
		struct event ev = take_changes(&buf, &owned);
		ev.key = (struct bytes)B("k");
		assert_null(event_check(&ev));
		free(owned);
		taken++;
	}
	assert_in_range(taken, 5, 100);
	buffer_close(&buf);
}

/* --- against the store ----------------------------------------------------- */

#define ROUNDS 400
#define STEPS_MAX 12
#define SIZE_MAX_USED 3000

static void random_step(struct prng *prng, struct buffer *buf)
{
	char data[700];
	uint64_t off = prng_below(prng, SIZE_MAX_USED - sizeof(data));
	size_t len = prng_below(prng, sizeof(data));

	if (prng_one_in(prng, 4)) {
		assert_int_equal(buffer_truncate(buf, prng_below(prng, SIZE_MAX_USED)), 0);
	} else if (prng_one_in(prng, 30)) {
		assert_int_equal(buffer_truncate(buf, 0), 0);
	} else {
		memset(data, (int)('a' + prng_below(prng, 26)), sizeof(data));
		assert_int_equal(buffer_write(buf, off, data, len), 0);
	}
}

static void test_a_failed_write_is_noted_until_it_is_repaired(void **state)
{
	struct buffer buf;

	(void)state;
	assert_int_equal(buffer_init(&buf, "0123456789", 10), 0);
	buffer_fail(&buf, 12, 4, ENOSPC);
	buffer_fail(&buf, 20, 5, EFBIG);
	assert_int_equal(buf.error, EFBIG);
	/* Neither writing elsewhere nor writing a part of the range repairs it. */
	assert_int_equal(buffer_write(&buf, 0, "abcdefghijkl", 12), 0);
	assert_int_equal(buf.error, EFBIG);
	assert_int_equal(buffer_write(&buf, 12, "12345678", 8), 0);
	assert_int_equal(buf.error, EFBIG);
	assert_int_equal(buffer_write(&buf, 19, "123456", 6), 0);
	assert_int_equal(buf.error, 0);

	buffer_fail(&buf, 25, 1, EFBIG);
	assert_int_equal(buffer_truncate(&buf, 26), 0);
	assert_int_equal(buf.error, EFBIG);
	assert_int_equal(buffer_truncate(&buf, 25), 0);
	assert_int_equal(buf.error, 0);
	buffer_close(&buf);
}

static void test_the_event_stores_the_bytes_of_the_buffer(void **state)
{
	struct prng prng = { .seed = 20261123 };
	struct fixture fixture;
	(void)state;

	fixture_init(&fixture);
	fixture.unchecked = true;
	EXPECT(&fixture, OK, "added k=3", .op = EVENT_SET, .key = B("k"), .value = B("abc"));
	for (int round = 0; round < ROUNDS; round++) {
		struct bytes value = fixture_value(&fixture, "k");
		struct buffer buf;
		void *owned;

		assert_int_equal(buffer_init(&buf, value.data, value.len), 0);
		for (uint32_t n = prng_below(&prng, STEPS_MAX); n; n--)
			random_step(&prng, &buf);
		if (buf.changed) {
			struct event ev = take_changes(&buf, &owned);

			ev.key = (struct bytes)B("k");
			assert_int_equal(fixture_apply(&fixture, &ev), OUTCOME_OK);
			free(owned);
		}
		value = fixture_value(&fixture, "k");
		assert_int_equal(value.len, buf.size);
		if (value.len)
			assert_memory_equal(value.data, buf.bytes, value.len);
		buffer_close(&buf);
	}
	fixture_free(&fixture);
}

/* Two writers of different ranges, each with its own copy, lose nothing. */
static void test_writers_of_different_ranges_lose_nothing(void **state)
{
	struct buffer one, two;
	struct fixture fixture;
	void *owned;
	(void)state;

	fixture_init(&fixture);
	EXPECT(&fixture, OK, "added k=10", .op = EVENT_SET, .key = B("k"),
	       .value = B("0123456789"));
	assert_int_equal(buffer_init(&one, "0123456789", 10), 0);
	assert_int_equal(buffer_init(&two, "0123456789", 10), 0);
	assert_int_equal(buffer_write(&one, 1, "AA", 2), 0);
	assert_int_equal(buffer_write(&two, 6, "BB", 2), 0);
	struct event ev = take_changes(&one, &owned);
	ev.key = (struct bytes)B("k");
	assert_int_equal(fixture_apply(&fixture, &ev), OUTCOME_OK);
	free(owned);
	ev = take_changes(&two, &owned);
	ev.key = (struct bytes)B("k");
	assert_int_equal(fixture_apply(&fixture, &ev), OUTCOME_OK);
	free(owned);
	assert_value(&fixture, "k", "0AA345BB89");
	buffer_close(&one);
	buffer_close(&two);
	fixture_free(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_buffer_has_nothing_to_log),
		cmocka_unit_test(test_writing_nothing_changes_nothing),
		cmocka_unit_test(test_only_written_ranges_are_logged),
		cmocka_unit_test(test_ranges_that_touch_or_overlap_become_one),
		cmocka_unit_test(test_emptying_logs_the_whole_value),
		cmocka_unit_test(test_cut_and_size_are_logged),
		cmocka_unit_test(test_one_range_too_many_is_refused_and_changes_nothing),
		cmocka_unit_test(test_ranges_too_far_apart_are_refused),
		cmocka_unit_test(test_a_failed_write_is_noted_until_it_is_repaired),
		cmocka_unit_test(test_the_event_stores_the_bytes_of_the_buffer),
		cmocka_unit_test(test_writers_of_different_ranges_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
