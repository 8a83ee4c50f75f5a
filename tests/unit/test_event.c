/* Tests of common/event/event.c.
 * LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "tests/unit/cmocka_all.h"

#include "common/base/ttl.h"
#include "common/event/event.h"
#include "tests/unit/event_equal.h"
#include "tests/unit/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 40)
#define MOMENT_LIMIT_MS INT64_C(253402300799999)

/* --- texts --- */

static void test_operation_names_are_parsed_exactly(void **state)
{
	enum event_op op;

	(void)state;
	for (int i = 0; i < EVENT_OP_COUNT; i++) {
		const char *text = event_op_text((enum event_op)i);

		op = EVENT_OP_COUNT;
		assert_int_equal(event_op_parse(text, strlen(text), &op), 0);
		assert_int_equal(op, i);
	}
	op = EVENT_TICK;
	assert_int_equal(event_op_parse("", 0, &op), -ENOENT);
	assert_int_equal(event_op_parse("se", 2, &op), -ENOENT);
	assert_int_equal(event_op_parse("sets", 4, &op), -ENOENT);
	assert_int_equal(event_op_parse("set", 2, &op), -ENOENT);
	assert_int_equal(event_op_parse("SET", 3, &op), -ENOENT);
	assert_int_equal(event_op_parse("set\0", 4, &op), -ENOENT);
	assert_int_equal(op, EVENT_TICK);
	assert_int_equal(event_op_parse("setxattr", 3, &op), 0);
	assert_int_equal(op, EVENT_SET);
	assert_string_equal(event_op_text(EVENT_REMOVEXATTR), "removexattr");
	assert_string_equal(event_op_text((enum event_op)99), "unknown");
}

/* The numbers of operations and outcomes are stored in logs: they must never change. */
static void test_stored_numbers_never_change(void **state)
{
	(void)state;
	assert_int_equal(EVENT_SET, 0);
	assert_int_equal(EVENT_TRUNCATE, 3);
	assert_int_equal(EVENT_RENAME, 7);
	assert_int_equal(EVENT_CHMOD, 12);
	assert_int_equal(EVENT_FORMAT, 17);
	assert_int_equal(EVENT_SKIP, 18);
	assert_int_equal(OUTCOME_OK, 0);
	assert_int_equal(OUTCOME_VERSION, 3);
	assert_int_equal(OUTCOME_NOT_NUMBER, 8);
	assert_int_equal(OUTCOME_REJECTED, 14);
}

static void test_every_outcome_has_a_text_and_an_errno(void **state)
{
	(void)state;
	assert_int_equal(event_outcome_errno(OUTCOME_OK), 0);
	assert_int_equal(event_outcome_errno(OUTCOME_EXISTS), EEXIST);
	assert_int_equal(event_outcome_errno(OUTCOME_NO_MEMORY), ENOMEM);
	assert_int_equal(event_outcome_errno((enum event_outcome)OUTCOME_COUNT), EIO);
	for (int i = 0; i < OUTCOME_COUNT; i++) {
		assert_true(strlen(event_outcome_text((enum event_outcome)i)) > 3);
		assert_true(event_outcome_errno((enum event_outcome)i) >= 0);
		assert_int_equal(event_outcome_errno((enum event_outcome)i) == 0, i == OUTCOME_OK);
	}
	assert_string_equal(event_outcome_text((enum event_outcome)OUTCOME_COUNT),
	                    "unknown outcome");
}

/* --- copies --- */

static const struct event_range two_ranges[] = { { 0, 3 }, { 100, 2 } };

/* An event that uses every field. */
static const struct event full = {
	.op = EVENT_WRITE,
	.cond = IF_VERSION,
	.ttl = TTL_SET,
	.flags = EVENT_HAS_CUT | EVENT_HAS_MODE | EVENT_HAS_MTIME | EVENT_HAS_ATIME,
	.if_version = 7,
	.ttl_ms = 60000,
	.proc = UINT64_C(0xfedcba9876543210),
	.seq = UINT64_MAX,
	.ino = 11,
	.at = 12,
	.dir = 13,
	.to_dir = 14,
	.size = 15,
	.cut = 16,
	.by = -17,
	.mtime_ns = -18,
	.atime_ns = 19,
	.mode = 0640,
	.time_ms = 20,
	.key = B("dir/key"),
	.value = B("hello"),
	.to = B("other"),
	.name = B("user.n"),
	.type = B("text/plain"),
	.idem = B("once"),
	.ranges = two_ranges,
	.nranges = 2,
};

static bool points_into(const void *p, const void *block, size_t size)
{
	return (const char *)p >= (const char *)block &&
	       (const char *)p < (const char *)block + size;
}

static void test_a_copy_is_one_independent_block(void **state)
{
	struct event ops[] = {
		full,
		{ .op = EVENT_DEL, .key = B("x") },
		full,
	};
	struct event txn = { .op = EVENT_TXN, .idem = B("again"), .ops = ops, .nops = 3 };
	struct event *copy;

	(void)state;
	copy = event_dup(&full);
	assert_non_null(copy);
	assert_null(event_differs(&full, copy));
	assert_true(copy->key.data != full.key.data);
	assert_true(copy->ranges != full.ranges);
	event_free(copy);

	/* One allocation, whatever the event contains. */
	fault_alloc(0);
	copy = event_dup(&txn);
	assert_int_equal(fault_end(), 1);
	assert_non_null(copy);
	assert_null(event_differs(&txn, copy));
	assert_true(points_into(copy->ops, copy, 8192));
	assert_true(points_into(copy->ops[2].ranges, copy, 8192));
	assert_int_equal((uintptr_t)copy->ops % _Alignof(struct event), 0);
	assert_int_equal((uintptr_t)copy->ops[2].ranges % _Alignof(struct event_range), 0);
	/* The copy does not change with the original. */
	ops[0].op = EVENT_SET;
	ops[2].nranges = 0;
	assert_int_equal(copy->ops[0].op, EVENT_WRITE);
	assert_int_equal(copy->ops[2].nranges, 2);
	event_free(copy);
	event_free(NULL);
}

static void test_a_copy_has_no_null_strings(void **state)
{
	struct event tick = { .op = EVENT_TICK };
	struct event *copy = event_dup(&tick);

	(void)state;
	assert_non_null(copy);
	assert_null(event_differs(&tick, copy));
	assert_null(copy->ranges);
	assert_null(copy->ops);
	/* Empty strings can be passed to memcpy() and the like. */
	assert_non_null(copy->key.data);
	assert_non_null(copy->value.data);
	event_free(copy);
}

static void test_copying_without_memory_fails(void **state)
{
	(void)state;
	fault_alloc(1);
	assert_null(event_dup(&full));
	assert_int_equal(fault_end(), 1);
}

/* --- checks --- */

static char long_name[257];
static char long_text[300];
static char key_4096[4096];
static char key_4097[4097];
static char xattr_max[EVENT_XATTR_VALUE_MAX + 1];

static int fill_texts(void **state)
{
	(void)state;
	memset(long_name, 'n', sizeof(long_name));
	memcpy(long_name, "user.", 5);
	memset(long_text, 't', sizeof(long_text));
	memset(key_4096, 'k', sizeof(key_4096));
	memset(key_4097, 'k', sizeof(key_4097));
	for (size_t i = 100; i < sizeof(key_4096); i += 101)
		key_4096[i] = key_4097[i] = '/';
	return 0;
}

/* An event, named by its initializer, and a part of the text that event_check() returns
 * for it, or NULL if it is valid. Its key is "k" unless given. */
struct row {
	const char *name;
	struct event ev;
	const char *want;
};
#define BAD(text, ...)                                                                             \
	{                                                                                          \
		.name = #__VA_ARGS__, .ev = { __VA_ARGS__ }, .want = text                          \
	}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct event ev = rows[i].ev;
		const char *why;

		if (!ev.key.data)
			ev.key = (struct bytes)B("k");
		why = event_check(&ev);
		if (!rows[i].want && why)
			fail_msg("%s: \"%s\"", rows[i].name, why);
		if (rows[i].want && (!why || !strstr(why, rows[i].want)))
			fail_msg("%s: \"%s\" instead of \"%s\"", rows[i].name, why ? why : "fine",
			         rows[i].want);
	}
}

static void test_check_covers_keys_expiry_modes_and_types(void **state)
{
	const struct row rows[] = {
		EVENT_ROW(.op = EVENT_SET),
		EVENT_ROW(.op = EVENT_APPEND),
		EVENT_ROW(.op = EVENT_DEL, .flags = EVENT_RECURSE | EVENT_EVICT),
		EVENT_ROW(.op = EVENT_MKDIR),
		EVENT_ROW(.op = EVENT_RMDIR),
		EVENT_ROW(.op = EVENT_PERSIST),
		EVENT_ROW(.op = EVENT_INCR, .by = INT64_MIN),
		EVENT_ROW(.op = EVENT_TICK, .key = { "", 0 }),
		BAD("operation is unknown", .op = EVENT_OP_COUNT),
		BAD("operation is unknown", .op = (enum event_op) - 1),
		BAD("precondition is unknown", .op = EVENT_SET, .cond = (enum event_if)4),
		BAD("precondition is unknown", .op = EVENT_SET, .cond = (enum event_if) - 1),
		EVENT_ROW(.op = EVENT_SET, .cond = IF_VERSION, .if_version = UINT64_MAX),
		/* Keys. */
		BAD("key is empty", .op = EVENT_SET, .key = { "", 0 }),
		BAD("slash", .op = EVENT_SET, .key = B("/k")),
		BAD("\"..\"", .op = EVENT_DEL, .key = B("a/..")),
		EVENT_ROW(.op = EVENT_SET, .key = { key_4096, 4096 }),
		BAD("4096", .op = EVENT_SET, .key = { key_4097, 4097 }),
		EVENT_ROW(.op = EVENT_CHMOD, .key = { "", 0 }, .at = 1, .flags = EVENT_HAS_MODE),
		BAD("slash", .op = EVENT_SET, .key = B("a//b"), .at = 5),
		BAD("key is empty", .op = EVENT_SET, .key = { "", 0 }, .dir = 5),
		/* Expiry. */
		EVENT_ROW(.op = EVENT_SET, .ttl = TTL_KEEP, .ttl_ms = -1),
		EVENT_ROW(.op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = 1),
		EVENT_ROW(.op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = TTL_MAX_MS),
		BAD("TTL is not between", .op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = 0),
		BAD("TTL is not between", .op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = -1),
		BAD("TTL is not between", .op = EVENT_DEL, .ttl = TTL_SET,
		    .ttl_ms = TTL_MAX_MS + 1),
		EVENT_ROW(.op = EVENT_SET, .ttl = TTL_UNTIL, .ttl_ms = 1),
		EVENT_ROW(.op = EVENT_SET, .ttl = TTL_UNTIL, .ttl_ms = MOMENT_LIMIT_MS),
		BAD("1970 and 9999", .op = EVENT_SET, .ttl = TTL_UNTIL,
		    .ttl_ms = MOMENT_LIMIT_MS + 1),
		BAD("1970 and 9999", .op = EVENT_SET, .ttl = TTL_UNTIL, .ttl_ms = 0),
		BAD("kind of TTL", .op = EVENT_SET, .ttl = (enum event_ttl)4),
		EVENT_ROW(.op = EVENT_EXPIRE, .ttl = TTL_SET, .ttl_ms = 5),
		EVENT_ROW(.op = EVENT_EXPIRE, .ttl = TTL_UNTIL, .ttl_ms = 5),
		BAD("expiry is missing", .op = EVENT_EXPIRE),
		BAD("expiry is missing", .op = EVENT_EXPIRE, .ttl = TTL_KEEP),
		/* Mode, type, idempotency key. */
		EVENT_ROW(.op = EVENT_SET, .flags = EVENT_HAS_MODE, .mode = 07777),
		BAD("7777", .op = EVENT_SET, .flags = EVENT_HAS_MODE, .mode = 010000),
		EVENT_ROW(.op = EVENT_SET, .mode = 010000),
		BAD("mode is missing", .op = EVENT_CHMOD),
		EVENT_ROW(.op = EVENT_CHMOD, .flags = EVENT_HAS_MODE, .mode = 0),
		EVENT_ROW(.op = EVENT_SET, .type = { long_text, EVENT_TYPE_MAX }),
		BAD("content type", .op = EVENT_SET, .type = { long_text, EVENT_TYPE_MAX + 1 }),
		BAD("content type", .op = EVENT_SET, .type = B("text/plain\r\nX: y")),
		BAD("content type", .op = EVENT_SET, .type = B("text/\xc3\xa4")),
		BAD("content type", .op = EVENT_SET, .type = B("a\x7f")),
		EVENT_ROW(.op = EVENT_SET, .idem = { long_text, EVENT_IDEM_MAX }),
		BAD("idempotency", .op = EVENT_SET, .idem = { long_text, EVENT_IDEM_MAX + 1 }),
		/* Links. */
		EVENT_ROW(.op = EVENT_SET, .flags = EVENT_SYMLINK, .value = B("../a")),
		EVENT_ROW(.op = EVENT_SET, .flags = EVENT_SYMLINK,
		          .value = { key_4096, EVENT_TARGET_MAX }),
		BAD("symbolic link", .op = EVENT_SET, .flags = EVENT_SYMLINK,
		    .value = { key_4096, EVENT_TARGET_MAX + 1 }),
		BAD("symbolic link", .op = EVENT_SET, .flags = EVENT_SYMLINK),
		BAD("NUL", .op = EVENT_SET, .flags = EVENT_SYMLINK, .value = B("a\0b")),
		/* Fields that belong to other operations. */
		BAD("only a write", .op = EVENT_SET, .value = B("hello"), .ranges = two_ranges,
		    .nranges = 2),
		BAD("only a transaction", .op = EVENT_SET, .ops = &full, .nops = 1),
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_check_covers_ranges_and_sizes(void **state)
{
	static const struct event_range overlap[] = { { 4, 2 }, { 0, 5 }, { 5, 1 } };
	static const struct event_range empty[] = { { 4, 2 }, { 0, 0 } };
	static const struct event_range last[] = { { SIZE_LIMIT - 5, 5 } };
	static const struct event_range beyond[] = { { SIZE_LIMIT - 4, 5 } };
	static const struct event_range wrapping[] = { { UINT64_MAX, 5 } };
	static const struct event_range huge[] = { { 0, UINT64_MAX }, { 0, 6 } };
	static struct event_range many[EVENT_RANGES_MAX + 1];
	static struct event_range far[EVENT_SPREAD_MIN + 1], near[EVENT_RANGES_MAX];
	for (uint64_t i = 0; i <= EVENT_SPREAD_MIN; i++)
		far[i] = (struct event_range){ i * EVENT_BLOCK + 5, 1 };
	/* The maximum number of ranges, 16 bytes each, spread evenly over 16 MiB. */
	for (uint64_t i = 0; i < EVENT_RANGES_MAX; i++)
		near[i] = (struct event_range){ i * (EVENT_BLOCK / 16), 16 };
	const struct row rows[] = {
		EVENT_ROW(.op = EVENT_WRITE, .value = { xattr_max, EVENT_SPREAD_MIN },
		          .ranges = far, .nranges = EVENT_SPREAD_MIN),
		BAD("too far apart", .op = EVENT_WRITE,
		    .value = { xattr_max, EVENT_SPREAD_MIN + 1 }, .ranges = far,
		    .nranges = EVENT_SPREAD_MIN + 1),
		EVENT_ROW(.op = EVENT_WRITE, .value = { xattr_max, EVENT_RANGES_MAX * 16 },
		          .ranges = near, .nranges = EVENT_RANGES_MAX),
		EVENT_ROW(.op = EVENT_WRITE, .value = B("hello"), .ranges = two_ranges,
		          .nranges = 2),
		EVENT_ROW(.op = EVENT_WRITE, .value = B("12345678"), .ranges = overlap,
		          .nranges = 3),
		EVENT_ROW(.op = EVENT_WRITE, .size = 4),
		EVENT_ROW(.op = EVENT_WRITE, .flags = EVENT_HAS_CUT, .cut = 0),
		EVENT_ROW(.op = EVENT_WRITE, .value = B("hello"), .ranges = last, .nranges = 1),
		BAD("beyond", .op = EVENT_WRITE, .value = B("hello"), .ranges = beyond,
		    .nranges = 1),
		BAD("beyond", .op = EVENT_WRITE, .value = B("hello"), .ranges = wrapping,
		    .nranges = 1),
		BAD("beyond", .op = EVENT_WRITE, .value = B("hello"), .ranges = huge, .nranges = 2),
		BAD("is empty", .op = EVENT_WRITE, .value = B("hi"), .ranges = empty, .nranges = 2),
		BAD("do not add up", .op = EVENT_WRITE, .value = B("hell"), .ranges = two_ranges,
		    .nranges = 2),
		BAD("do not add up", .op = EVENT_WRITE, .value = B("hello!"), .ranges = two_ranges,
		    .nranges = 2),
		BAD("do not add up", .op = EVENT_WRITE, .value = B("hello")),
		EVENT_ROW(.op = EVENT_WRITE, .size = SIZE_LIMIT),
		BAD("size is beyond", .op = EVENT_WRITE, .size = SIZE_LIMIT + 1),
		EVENT_ROW(.op = EVENT_WRITE, .flags = EVENT_HAS_CUT, .cut = SIZE_LIMIT),
		BAD("cut is beyond", .op = EVENT_WRITE, .flags = EVENT_HAS_CUT, .cut = UINT64_MAX),
		EVENT_ROW(.op = EVENT_WRITE, .cut = UINT64_MAX),
		EVENT_ROW(.op = EVENT_WRITE, .value = { xattr_max, EVENT_RANGES_MAX },
		          .ranges = many, .nranges = EVENT_RANGES_MAX),
		BAD("too many ranges", .op = EVENT_WRITE,
		    .value = { xattr_max, EVENT_RANGES_MAX + 1 }, .ranges = many,
		    .nranges = EVENT_RANGES_MAX + 1),
		EVENT_ROW(.op = EVENT_TRUNCATE, .size = 0),
		EVENT_ROW(.op = EVENT_TRUNCATE, .size = SIZE_LIMIT),
		BAD("size is beyond", .op = EVENT_TRUNCATE, .size = SIZE_LIMIT + 1),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct event_range){ i, 1 };
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_check_covers_attributes(void **state)
{
	const struct row rows[] = {
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.a"), .value = B("v")),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.a")),
		EVENT_ROW(.op = EVENT_REMOVEXATTR, .name = B("user.a")),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = { long_name, 255 }),
		BAD("longer than 255", .op = EVENT_SETXATTR, .name = { long_name, 256 }),
		BAD("user.", .op = EVENT_SETXATTR, .name = { "", 0 }),
		BAD("user.", .op = EVENT_SETXATTR, .name = B("user.")),
		BAD("user.", .op = EVENT_SETXATTR, .name = B("trusted.a")),
		BAD("user.", .op = EVENT_REMOVEXATTR, .name = B("security.capability")),
		BAD("NUL", .op = EVENT_SETXATTR, .name = B("user.a\0b")),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.a"), .flags = EVENT_XATTR_CREATE),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.a"), .flags = EVENT_XATTR_REPLACE),
		BAD("both new", .op = EVENT_SETXATTR, .name = B("user.a"),
		    .flags = EVENT_XATTR_CREATE | EVENT_XATTR_REPLACE),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.a"),
		          .value = { xattr_max, EVENT_XATTR_VALUE_MAX }),
		BAD("65536", .op = EVENT_SETXATTR, .name = B("user.a"),
		    .value = { xattr_max, EVENT_XATTR_VALUE_MAX + 1 }),
		BAD("expire", .op = EVENT_SETXATTR, .name = B("user.ttl"), .value = B("60")),
		BAD("persist", .op = EVENT_REMOVEXATTR, .name = B("user.ttl")),
		BAD("expire", .op = EVENT_SETXATTR, .name = B("user.expires")),
		BAD("version", .op = EVENT_SETXATTR, .name = B("user.version")),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.default_ttl"), .value = B("90s\n")),
		BAD("default TTL", .op = EVENT_SETXATTR, .name = B("user.default_ttl"),
		    .value = B("soon")),
		BAD("default TTL", .op = EVENT_SETXATTR, .name = B("user.default_ttl")),
		EVENT_ROW(.op = EVENT_REMOVEXATTR, .name = B("user.default_ttl")),
		EVENT_ROW(.op = EVENT_SETXATTR, .name = B("user.content_type"),
		          .value = B("application/json")),
		BAD("content type", .op = EVENT_SETXATTR, .name = B("user.content_type"),
		    .value = B("a\nb")),
		BAD("content type", .op = EVENT_SETXATTR, .name = B("user.content_type"),
		    .value = { long_text, 256 }),
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_check_covers_rename_touch_format_and_skip(void **state)
{
	const struct row rows[] = {
		EVENT_ROW(.op = EVENT_RENAME, .to = B("t")),
		EVENT_ROW(.op = EVENT_RENAME, .to = B("t"), .flags = EVENT_NOREPLACE),
		EVENT_ROW(.op = EVENT_RENAME, .to = B("t"), .flags = EVENT_EXCHANGE),
		BAD("both exchange", .op = EVENT_RENAME, .to = B("t"),
		    .flags = EVENT_EXCHANGE | EVENT_NOREPLACE),
		BAD("no target", .op = EVENT_RENAME),
		BAD("no target", .op = EVENT_RENAME, .to_dir = 3),
		BAD("slash", .op = EVENT_RENAME, .to = B("t/")),
		EVENT_ROW(.op = EVENT_TOUCH),
		EVENT_ROW(.op = EVENT_TOUCH, .flags = EVENT_HAS_MTIME | EVENT_ATIME_NOW,
		          .mtime_ns = INT64_MIN),
		BAD("mtime", .op = EVENT_TOUCH, .flags = EVENT_HAS_MTIME | EVENT_MTIME_NOW),
		BAD("atime", .op = EVENT_TOUCH, .flags = EVENT_HAS_ATIME | EVENT_ATIME_NOW),
		EVENT_ROW(.op = EVENT_FORMAT, .name = B("3f2a-b_c.D9")),
		EVENT_ROW(.op = EVENT_FORMAT, .name = { long_text, 39 }),
		BAD("volume id", .op = EVENT_FORMAT, .name = { long_text, 40 }),
		BAD("volume id", .op = EVENT_FORMAT),
		EVENT_ROW(.op = EVENT_SKIP, .at = 7),
		BAD("offset", .op = EVENT_SKIP),
		BAD("volume id", .op = EVENT_FORMAT, .name = B("a b")),
		BAD("volume id", .op = EVENT_FORMAT, .name = B("a\0")),
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_check_covers_transactions(void **state)
{
	static struct event many[EVENT_OPS_MAX + 1];
	static const struct event bad_key[] = { { .op = EVENT_DEL, .key = B("k") },
		                                { .op = EVENT_SET, .key = B("/") } };
	static const struct event nested[] = { { .op = EVENT_TXN, .ops = bad_key, .nops = 1 } };
	static const struct event tick[] = { { .op = EVENT_TICK } };
	static struct event deep[EVENT_NAMES_MAX / 2048 + 1];
	static char names[2048 * 2 - 1];
	static const struct event format[] = { { .op = EVENT_FORMAT, .name = B("v") } };
	static const struct event skip[] = { { .op = EVENT_SKIP, .at = 1 } };
	const struct row rows[] = {
		EVENT_ROW(.op = EVENT_TXN, .key = { "", 0 }, .ops = many, .nops = 1),
		EVENT_ROW(.op = EVENT_TXN, .ops = many, .nops = EVENT_OPS_MAX),
		BAD("more than 1024", .op = EVENT_TXN, .ops = many, .nops = EVENT_OPS_MAX + 1),
		BAD("no operation", .op = EVENT_TXN),
		BAD("slash", .op = EVENT_TXN, .ops = bad_key, .nops = 2),
		EVENT_ROW(.op = EVENT_TXN, .ops = deep, .nops = ARRAY_SIZE(deep) - 1),
		BAD("more than 16384 names", .op = EVENT_TXN, .ops = deep,
		    .nops = ARRAY_SIZE(deep)),
		BAD("cannot be part", .op = EVENT_TXN, .ops = nested, .nops = 1),
		BAD("cannot be part", .op = EVENT_TXN, .ops = tick, .nops = 1),
		BAD("cannot be part", .op = EVENT_TXN, .ops = format, .nops = 1),
		BAD("cannot be part", .op = EVENT_TXN, .ops = skip, .nops = 1),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct event){ .op = EVENT_DEL, .key = B("k") };
	for (size_t i = 0; i < sizeof(names); i++)
		names[i] = i % 2 ? '/' : 'd';
	for (size_t i = 0; i < ARRAY_SIZE(deep); i++)
		deep[i] = (struct event){ .op = EVENT_MKDIR, .key = { names, sizeof(names) } };
	check_rows(rows, ARRAY_SIZE(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operation_names_are_parsed_exactly),
		cmocka_unit_test(test_stored_numbers_never_change),
		cmocka_unit_test(test_every_outcome_has_a_text_and_an_errno),
		cmocka_unit_test(test_a_copy_is_one_independent_block),
		cmocka_unit_test(test_a_copy_has_no_null_strings),
		cmocka_unit_test(test_copying_without_memory_fails),
		cmocka_unit_test(test_check_covers_keys_expiry_modes_and_types),
		cmocka_unit_test(test_check_covers_ranges_and_sizes),
		cmocka_unit_test(test_check_covers_attributes),
		cmocka_unit_test(test_check_covers_rename_touch_format_and_skip),
		cmocka_unit_test(test_check_covers_transactions),
	};

	return cmocka_run_group_tests_name("event", tests, fill_texts, NULL);
}
