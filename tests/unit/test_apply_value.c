/* Tests of common/apply/op_value.c: operations on values (set, append, write,
 * truncate, incr), and their effect on modes, times, totals and the feed. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define NS(ms) ((ms)*INT64_C(1000000))
#define COST STORE_ENTRY_COST

/* Return LEN bytes that differ from each other; the caller frees them. */
static struct bytes make_pattern(size_t len)
{
	uint8_t *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return (struct bytes){ bytes, len };
}

/* --- set --- */

static void test_set_creates_a_key(void **state)
{
	struct fixture *fixture = *state;
	const struct entry *e;

	EXPECT(fixture, OK, "added a=5", .op = EVENT_SET, .key = B("a"), .value = B("hello"));
	assert_true(fixture->feed->created);
	assert_int_equal(fixture->feed->version, 0);
	e = fixture_get(fixture, "a");
	assert_int_equal(e->ino, 2);
	assert_int_equal(fixture->feed->ino, 2);
	assert_int_equal(e->mode, S_IFREG | 0644);
	assert_int_equal(e->version, 0);
	assert_int_equal(e->mtime_ns, NS(FIXTURE_START_MS));
	assert_int_equal(e->ctime_ns, NS(FIXTURE_START_MS));
	assert_int_equal(e->atime_ns, NS(FIXTURE_START_MS));
	assert_int_equal(e->expiry_ms, 0);
	assert_false(e->has_xattrs);
	assert_value(fixture, "a", "hello");
	fixture_totals(fixture, 1, 0, COST + 1 + 5);

	/* Adding a name updates the directory's times. */
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "added b=0", .op = EVENT_SET, .key = B("b"));
	assert_int_equal(fixture_get(fixture, "")->mtime_ns, NS(FIXTURE_START_MS + 10));
	fixture_totals(fixture, 2, 0, 2 * COST + 2 + 5);
	assert_value(fixture, "b", "");
}

static void test_set_creates_missing_directories(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added x/, added x/y/, added x/y/z=1", .op = EVENT_SET,
	       .key = B("x/y/z"), .value = B("1"));
	fixture_totals(fixture, 1, 2, 3 * COST + 3 + 1);
	assert_int_equal(fixture_get(fixture, "x")->mode, S_IFDIR | 0755);
	assert_int_equal(fixture_get(fixture, "x")->nsubdirs, 1);
	assert_int_equal(fixture_get(fixture, "x/y")->nsubdirs, 0);
	assert_int_equal(fixture_get(fixture, "")->nsubdirs, 1);
	EXPECT(fixture, OK, "added x/w/, added x/w/z=1", .op = EVENT_SET, .key = B("x/w/z"),
	       .value = B("1"));
	assert_int_equal(fixture_get(fixture, "x")->nsubdirs, 2);
	/* A key stands in the place of a directory: nothing is created. */
	EXPECT(fixture, NOT_DIR, "", .op = EVENT_SET, .key = B("x/y/z/a"), .value = B("1"));
	EXPECT(fixture, NOT_DIR, "", .op = EVENT_SET, .key = B("x/y/z/a/b/c"), .value = B("1"));
	EXPECT(fixture, IS_DIR, "", .op = EVENT_SET, .key = B("x/y"), .value = B("1"));
	EXPECT(fixture, IS_DIR, "", .op = EVENT_SET, .at = STORE_ROOT_INO, .value = B("1"));
}

/* A proposed inode is used if it is in the range for proposals and free. */
static void test_a_proposed_inode_is_used_if_free(void **state)
{
	struct fixture *fixture = *state;
	uint64_t low = STORE_PROPOSED_MIN, high = STORE_PROPOSED_MAX - 1;

	EXPECT(fixture, OK, "added a=0", .op = EVENT_SET, .key = B("a"), .ino = low);
	assert_int_equal(fixture_ino(fixture, "a"), low);
	EXPECT(fixture, OK, "added b=0", .op = EVENT_SET, .key = B("b"), .ino = high);
	assert_int_equal(fixture_ino(fixture, "b"), high);
	/* One that is in use, and some out of range on either side. */
	EXPECT(fixture, OK, "added c=0", .op = EVENT_SET, .key = B("c"), .ino = low);
	assert_int_equal(fixture_ino(fixture, "c"), 2);
	EXPECT(fixture, OK, "added d=0", .op = EVENT_SET, .key = B("d"), .ino = low - 1);
	assert_int_equal(fixture_ino(fixture, "d"), 3);
	EXPECT(fixture, OK, "added e=0", .op = EVENT_SET, .key = B("e"), .ino = high + 1);
	assert_int_equal(fixture_ino(fixture, "e"), 4);
	EXPECT(fixture, OK, "added f=0", .op = EVENT_SET, .key = B("f"), .ino = 2);
	assert_int_equal(fixture_ino(fixture, "f"), 5);
	EXPECT(fixture, OK, "added g=0", .op = EVENT_SET, .key = B("g"), .ino = UINT64_MAX);
	assert_int_equal(fixture_ino(fixture, "g"), 6);
	/* An existing key keeps its inode; missing directories get one from the
	 * store. */
	EXPECT(fixture, OK, "data g=0", .op = EVENT_SET, .key = B("g"), .ino = low + 1);
	assert_int_equal(fixture_ino(fixture, "g"), 6);
	EXPECT(fixture, OK, "added h/, added h/i=0", .op = EVENT_SET, .key = B("h/i"),
	       .ino = low + 1);
	assert_int_equal(fixture_ino(fixture, "h"), 7);
	assert_int_equal(fixture_ino(fixture, "h/i"), low + 1);
	EXPECT(fixture, OK, "added j/", .op = EVENT_MKDIR, .key = B("j"), .ino = low + 2);
	assert_int_equal(fixture_ino(fixture, "j"), low + 2);
	/* The store does not reuse inodes of deleted entries. */
	EXPECT(fixture, OK, "removed g=0", .op = EVENT_DEL, .key = B("g"));
	EXPECT(fixture, OK, "added g=0", .op = EVENT_SET, .key = B("g"));
	assert_int_equal(fixture_ino(fixture, "g"), 8);
}

/* Without TTL_KEEP, set replaces the resource with its TTL, attributes and type. */
static void test_set_replaces_ttl_attributes_and_type(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a=1@1000500", .op = EVENT_SET, .key = B("a"), .value = B("1"),
	       .ttl = TTL_SET, .ttl_ms = 500, .type = B("text/plain"), .mode = 0600,
	       .flags = EVENT_HAS_MODE);
	EXPECT(fixture, OK, "attr a=1@1000500", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("yes"));
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "text/plain");
	fixture_totals(fixture, 1, 0, COST + 2 + 17 + 10 + 6 + 3);
	fixture->time_ms += 100;
	EXPECT(fixture, OK, "data a=3", .op = EVENT_SET, .key = B("a"), .value = B("two"));
	assert_false(fixture->feed->created);
	assert_null(fixture_xattr(fixture, "a", "user.x"));
	assert_null(fixture_xattr(fixture, "a", "user.content_type"));
	assert_false(fixture_get(fixture, "a")->has_xattrs);
	assert_int_equal(fixture_get(fixture, "a")->expiry_ms, 0);
	assert_int_equal(fixture_get(fixture, "a")->mode, S_IFREG | 0600); /* Kept unless given. */
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS + 100));
	fixture_totals(fixture, 1, 0, COST + 1 + 3);
	EXPECT(fixture, OK, "data a=3", .op = EVENT_SET, .key = B("a"), .value = B("two"),
	       .mode = 04755, .flags = EVENT_HAS_MODE, .type = B("a/b"));
	assert_int_equal(fixture_get(fixture, "a")->mode, S_IFREG | 04755);
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "a/b");
	fixture_totals(fixture, 1, 0, COST + 1 + 3 + 17 + 3);
	/* Another type replaces the first. */
	EXPECT(fixture, OK, "data a=0", .op = EVENT_SET, .key = B("a"), .type = B("image/png"));
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "image/png");
	fixture_totals(fixture, 1, 0, COST + 1 + 17 + 9);
}

static void test_set_can_keep_ttl_and_attributes(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a=1@1000500", .op = EVENT_SET, .key = B("a"), .value = B("1"),
	       .ttl = TTL_SET, .ttl_ms = 500, .type = B("text/plain"));
	EXPECT(fixture, OK, "attr a=1@1000500", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("yes"));
	EXPECT(fixture, OK, "data a=2@1000500", .op = EVENT_SET, .key = B("a"), .value = B("22"),
	       .ttl = TTL_KEEP);
	assert_string_equal(fixture_xattr(fixture, "a", "user.x"), "yes");
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "text/plain");
	EXPECT(fixture, OK, "data a=2@1000500", .op = EVENT_SET, .key = B("a"), .value = B("22"),
	       .ttl = TTL_KEEP, .type = B("a/b"));
	assert_string_equal(fixture_xattr(fixture, "a", "user.x"), "yes");
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "a/b");
	fixture_totals(fixture, 1, 0, COST + 1 + 2 + 17 + 3 + 6 + 3);
	/* A new key has nothing to keep. */
	EXPECT(fixture, OK, "added b=0", .op = EVENT_SET, .key = B("b"), .ttl = TTL_KEEP);
}

/* A link is a key that was set as a link: only its whole value can change. */
static void test_only_the_whole_value_of_a_link_can_change(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added l=6@1000500", .op = EVENT_SET, .key = B("l"),
	       .value = B("target"), .flags = EVENT_SYMLINK | EVENT_HAS_MODE, .mode = 0600,
	       .ttl = TTL_SET, .ttl_ms = 500, .ino = STORE_PROPOSED_MIN);
	assert_int_equal(fixture_get(fixture, "l")->mode, S_IFLNK | 0777);
	assert_int_equal(fixture_ino(fixture, "l"), STORE_PROPOSED_MIN);
	EXPECT(fixture, OK, "data l=5", .op = EVENT_SET, .key = B("l"), .value = B("other"),
	       .flags = EVENT_SYMLINK | EVENT_HAS_MODE, .mode = 0600);
	assert_int_equal(fixture_get(fixture, "l")->mode, S_IFLNK | 0777);
	assert_false(fixture->feed->created);
	EXPECT(fixture, IS_LINK, "", .op = EVENT_APPEND, .key = B("l"), .value = B("x"));
	EXPECT(fixture, NOT_DIR, "", .op = EVENT_SET, .key = B("l/below"));
	fixture_totals(fixture, 1, 0, COST + 1 + 5);
	/* Changing the kind creates a new entry, however the old one is addressed. */
	EXPECT(fixture, OK, "removed l=5, added l=1", .op = EVENT_SET, .key = B("l"),
	       .value = B("k"), .ttl = TTL_KEEP);
	assert_true(fixture->feed->created);
	assert_int_equal(fixture_get(fixture, "l")->mode, S_IFREG | 0644);
	assert_int_not_equal(fixture_ino(fixture, "l"), STORE_PROPOSED_MIN);
	EXPECT(fixture, OK, "removed l=1, added l=2", .op = EVENT_SET,
	       .at = fixture_ino(fixture, "l"), .value = B("to"), .flags = EVENT_SYMLINK);
	EXPECT(fixture, OK, "removed l=2, added l=1", .op = EVENT_SET, .dir = STORE_ROOT_INO,
	       .key = B("stale/l"), .value = B("k"));
	assert_value(fixture, "l", "k");
	fixture_totals(fixture, 1, 0, COST + 1 + 1);
}

/* The sparsest write that is allowed occupies no more of the store than its blocks. A
 * sparser one is rejected, in a transaction too. */
static void test_writes_too_sparse_are_rejected(void **state)
{
	struct fixture *fixture = *state;
	static struct event_range far[EVENT_SPREAD_MIN + 1];
	static struct event ops[EVENT_OPS_MAX];
	static const char zeros[EVENT_SPREAD_MIN + 1];
	static const struct event_range one = { STORE_CHUNK_SIZE - 1, 1 };
	struct event all = { .op = EVENT_TXN, .ops = ops, .nops = EVENT_OPS_MAX };

	for (uint64_t i = 0; i <= EVENT_SPREAD_MIN; i++)
		far[i] = (struct event_range){ (i + 1) * 1000000, 1 };
	EXPECT(fixture, OK, "added a=0", .op = EVENT_SET, .key = B("a"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_WRITE, .key = B("a"),
	       .value = { zeros, EVENT_SPREAD_MIN + 1 }, .ranges = far,
	       .nranges = EVENT_SPREAD_MIN + 1);
	EXPECT(fixture, OK, "data a=256000001", .op = EVENT_WRITE, .key = B("a"),
	       .value = { zeros, EVENT_SPREAD_MIN }, .ranges = far, .nranges = EVENT_SPREAD_MIN);
	assert_in_range(store_bytes(fixture->store), 0, (EVENT_SPREAD_MIN + 2) * 65536);
	for (size_t i = 0; i < EVENT_OPS_MAX; i++)
		ops[i] = (struct event){ .op = EVENT_WRITE,
			                 .key = B("a"),
			                 .value = B("x"),
			                 .ranges = &one,
			                 .nranges = 1 };
	assert_int_equal(fixture_apply(fixture, &all), OUTCOME_OK);
	ops[1].ranges = far;
	ops[1].nranges = EVENT_SPREAD_MIN;
	ops[1].value = (struct bytes){ zeros, EVENT_SPREAD_MIN };
	assert_int_equal(fixture_apply(fixture, &all), OUTCOME_OK);
	ops[2] = ops[1];
	assert_int_equal(fixture_apply(fixture, &all), OUTCOME_REJECTED);
}

/* A value larger than any store is refused before its bytes are read. */
static void test_values_too_large_are_refused_unread(void **state)
{
	struct fixture *fixture = *state;
	size_t len = EVENT_VALUE_MAX + 1;
	void *big = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(big, MAP_FAILED);
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_SET, .key = B("a"), .value = { big, len });
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_APPEND, .key = B("a"), .value = { big, len });
	EXPECT(fixture, OK, "added a=1", .op = EVENT_SET, .key = B("a"), .value = B("1"));
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_APPEND, .key = B("a"),
	       .value = { big, len - 1 });
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_TRUNCATE, .key = B("a"), .size = len);
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_WRITE, .key = B("a"), .size = len);
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_WRITE, .key = B("a"), .value = B("x"),
	       .ranges = &(struct event_range){ EVENT_VALUE_MAX, 1 }, .nranges = 1);
	/* The largest value takes no memory, also after it is cut again. */
	EXPECT(fixture, OK, "data a=1073741824", .op = EVENT_TRUNCATE, .key = B("a"),
	       .size = EVENT_VALUE_MAX);
	EXPECT(fixture, TOO_LARGE, "", .op = EVENT_APPEND, .key = B("a"), .value = B("x"));
	fixture_totals(fixture, 1, 0, COST + 1 + EVENT_VALUE_MAX);
	EXPECT(fixture, OK, "data a=2", .op = EVENT_TRUNCATE, .key = B("a"), .size = 2);
	assert_int_equal(fixture_value(fixture, "a").len, 2);
	assert_memory_equal(fixture_value(fixture, "a").data, "1", 2);
	munmap(big, len);
}

/* --- append --- */

static void test_append_creates_or_extends_a_key(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added d/, added d/log=4@1000700", .op = EVENT_APPEND,
	       .key = B("d/log"), .value = B("one\n"), .ttl = TTL_SET, .ttl_ms = 700, .mode = 0600,
	       .flags = EVENT_HAS_MODE);
	assert_true(fixture->feed->created);
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "data d/log=8@1000700", .op = EVENT_APPEND, .key = B("d/log"),
	       .value = B("two\n"), .mode = 0644, .flags = EVENT_HAS_MODE);
	assert_value(fixture, "d/log", "one\ntwo\n");
	assert_int_equal(fixture_get(fixture, "d/log")->mode,
	                 S_IFREG | 0600); /* Set only on creation. */
	assert_int_equal(fixture_get(fixture, "d/log")->mtime_ns, NS(FIXTURE_START_MS + 10));
	fixture_totals(fixture, 1, 1, 2 * COST + 4 + 8);
	EXPECT(fixture, OK, "data d/log=8@1000700", .op = EVENT_APPEND, .key = B("d/log"));
	EXPECT(fixture, OK, "data d/log=9@1001010", .op = EVENT_APPEND, .key = B("d/log"),
	       .value = B("."), .ttl = TTL_SET, .ttl_ms = 1000);
	EXPECT(fixture, OK, "data d/log=10@2000000", .op = EVENT_APPEND, .key = B("d/log"),
	       .value = B("."), .ttl = TTL_UNTIL, .ttl_ms = 2000000);
	EXPECT(fixture, OK, "added e=0", .op = EVENT_APPEND, .key = B("e"));
	assert_value(fixture, "e", "");
}

/* Grow across the inline limit, and across the end of a chunk. */
static void test_append_crosses_the_inline_and_chunk_limits(void **state)
{
	struct fixture *fixture = *state;
	const size_t total = STORE_CHUNK_SIZE * 2 + 100;
	struct bytes all = make_pattern(total);
	size_t sizes[] = {
		1, STORE_INLINE_MAX - 1, 1, 100, STORE_CHUNK_SIZE - STORE_INLINE_MAX - 102,
		2, STORE_CHUNK_SIZE,     99
	};
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct event ev = { .op = EVENT_APPEND,
			            .key = B("a"),
			            .value = { (const char *)all.data + at, sizes[i] } };
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
		at += sizes[i];
		assert_int_equal(fixture->feed->effects[0].size, at);
		assert_int_equal(fixture_value(fixture, "a").len, at);
		assert_memory_equal(fixture->value.data, all.data, at);
		assert_int_equal(fixture_get(fixture, "a")->is_inline, at <= STORE_INLINE_MAX);
		fixture_totals(fixture, 1, 0, COST + 1 + at);
	}
	assert_int_equal(at, total);
	free((void *)all.data);
}

/* --- write, truncate --- */

static void test_write_replaces_its_ranges(void **state)
{
	struct fixture *fixture = *state;
	const struct event_range two[] = { { 1, 2 }, { 6, 3 } };
	const struct event_range overlap[] = { { 0, 3 }, { 2, 2 }, { 1, 1 } };

	EXPECT(fixture, OK, "added a=5@1000500", .op = EVENT_SET, .key = B("a"),
	       .value = B("abcde"), .ttl = TTL_SET, .ttl_ms = 500, .type = B("t/t"));
	EXPECT(fixture, OK, "data a=9@1000500", .op = EVENT_WRITE, .key = B("a"),
	       .value = B("BCxyz"), .ranges = two, .nranges = 2);
	assert_memory_equal(fixture_value(fixture, "a").data, "aBCde\0xyz", 9);
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "t/t");
	/* Later ranges win. */
	EXPECT(fixture, OK, "data a=9@1000500", .op = EVENT_WRITE, .key = B("a"),
	       .value = B("123456"), .ranges = overlap, .nranges = 3);
	assert_memory_equal(fixture_value(fixture, "a").data, "1645e\0xyz", 9);
	/* The size is a minimum; a write may have no ranges. */
	EXPECT(fixture, OK, "data a=9@1000500", .op = EVENT_WRITE, .key = B("a"), .size = 4);
	EXPECT(fixture, OK, "data a=11@1000500", .op = EVENT_WRITE, .key = B("a"), .size = 11);
	assert_memory_equal(fixture_value(fixture, "a").data, "1645e\0xyz\0\0", 11);
	fixture_totals(fixture, 1, 0, COST + 1 + 11 + 17 + 3);
}

/* A set or write may carry its writer's time; the next event uses log time again. */
static void test_set_and_write_can_set_mtime(void **state)
{
	struct fixture *fixture = *state;
	const struct event_range first = { 0, 1 };

	EXPECT(fixture, OK, "added a=1", .op = EVENT_SET, .key = B("a"), .value = B("1"),
	       .flags = EVENT_HAS_MTIME, .mtime_ns = 111);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, 111);
	assert_int_equal(fixture_get(fixture, "a")->ctime_ns, 111);
	EXPECT(fixture, OK, "data a=1", .op = EVENT_WRITE, .key = B("a"), .value = B("2"),
	       .ranges = &first, .nranges = 1, .flags = EVENT_HAS_MTIME, .mtime_ns = 222);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, 222);
	EXPECT(fixture, OK, "data a=2", .op = EVENT_APPEND, .key = B("a"), .value = B("3"),
	       .flags = EVENT_HAS_MTIME, .mtime_ns = 333);
	assert_true(fixture_get(fixture, "a")->mtime_ns > 333);
	EXPECT(fixture, OK, "added b=1", .op = EVENT_SET, .key = B("b"), .value = B("1"));
	assert_true(fixture_get(fixture, "b")->mtime_ns > 333);
}

/* A write first shortens, then writes, then lengthens: the bytes cut off read as
 * zeros. */
static void test_bytes_cut_off_by_a_write_read_as_zeros(void **state)
{
	struct fixture *fixture = *state;
	const struct event_range at4 = { 4, 1 };

	EXPECT(fixture, OK, "added a=6", .op = EVENT_SET, .key = B("a"), .value = B("abcdef"));
	EXPECT(fixture, OK, "data a=8", .op = EVENT_WRITE, .key = B("a"), .value = B("X"),
	       .ranges = &at4, .nranges = 1, .cut = 2, .size = 8, .flags = EVENT_HAS_CUT);
	assert_memory_equal(fixture_value(fixture, "a").data, "ab\0\0X\0\0\0", 8);
	EXPECT(fixture, OK, "data a=8", .op = EVENT_WRITE, .key = B("a"), .cut = 100,
	       .flags = EVENT_HAS_CUT);
	EXPECT(fixture, OK, "data a=0", .op = EVENT_WRITE, .key = B("a"), .cut = 0,
	       .flags = EVENT_HAS_CUT);
	/* Without the flag there is no cut. */
	EXPECT(fixture, OK, "data a=5", .op = EVENT_WRITE, .key = B("a"), .value = B("Y"),
	       .ranges = &at4, .nranges = 1);
	EXPECT(fixture, OK, "data a=5", .op = EVENT_WRITE, .key = B("a"), .cut = 2);
	fixture_totals(fixture, 1, 0, COST + 1 + 5);
}

static void test_truncate_keeps_the_head_and_adds_zeros(void **state)
{
	struct fixture *fixture = *state;
	const size_t sizes[] = { 10,
		                 3,
		                 STORE_INLINE_MAX,
		                 STORE_INLINE_MAX + 1,
		                 4,
		                 STORE_CHUNK_SIZE + 5,
		                 STORE_CHUNK_SIZE,
		                 STORE_INLINE_MAX,
		                 3 * STORE_CHUNK_SIZE,
		                 STORE_INLINE_MAX + 1,
		                 0 };
	size_t keep = 6;

	EXPECT(fixture, OK, "added a=6@1000500", .op = EVENT_SET, .key = B("a"),
	       .value = B("abcdef"), .ttl = TTL_SET, .ttl_ms = 500);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct event ev = { .op = EVENT_TRUNCATE, .key = B("a"), .size = sizes[i] };
		fixture->time_ms++;
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
		if (sizes[i] < keep)
			keep = sizes[i];
		struct bytes value = fixture_value(fixture, "a");
		const char *p = value.data;
		assert_int_equal(value.len, sizes[i]);
		assert_memory_equal(p, "abcdef", keep);
		for (size_t k = keep; k < value.len; k++) {
			if (p[k])
				fail_msg("byte %zu of %zu is not zero", k, value.len);
		}
		fixture_totals(fixture, 1, 0, COST + 1 + sizes[i]);
		assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(fixture->time_ms));
		assert_int_equal(fixture_get(fixture, "a")->expiry_ms, 1000500);
	}
}

/* --- incr --- */

static void test_incr_takes_decimal_numbers_of_64_bits(void **state)
{
	static const struct {
		const char *before;
		int64_t by;
		const char *after; /* NULL: unchanged. */
		enum event_outcome outcome;
	} cases[] = {
		{ "", 5, "5", OUTCOME_OK },
		{ "1", 1, "2", OUTCOME_OK },
		{ "9", 1, "10", OUTCOME_OK },
		{ "10", -1, "9", OUTCOME_OK },
		{ "5\n", 1, "6\n", OUTCOME_OK },
		{ "99\n", 1, "100\n", OUTCOME_OK },
		{ "0", 0, "0", OUTCOME_OK },
		{ "3", -10, "-7", OUTCOME_OK },
		{ "-7\n", 7, "0\n", OUTCOME_OK },
		{ "-1", 1, "0", OUTCOME_OK },
		{ "007", 1, "8", OUTCOME_OK },
		{ "9223372036854775806", 1, "9223372036854775807", OUTCOME_OK },
		{ "9223372036854775807", 1, NULL, OUTCOME_RANGE },
		{ "9223372036854775807\n", INT64_MAX, NULL, OUTCOME_RANGE },
		{ "-9223372036854775807", -1, "-9223372036854775808", OUTCOME_OK },
		{ "-9223372036854775808", 1, "-9223372036854775807", OUTCOME_OK },
		{ "-9223372036854775808", -1, NULL, OUTCOME_RANGE },
		{ "-9223372036854775808\n", INT64_MIN, NULL, OUTCOME_RANGE },
		{ "0", INT64_MIN, "-9223372036854775808", OUTCOME_OK },
		{ "9223372036854775808", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "-9223372036854775809", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "99999999999999999999", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "18446744073709551616", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "x", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1x", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1 ", 1, NULL, OUTCOME_NOT_NUMBER },
		{ " 1", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "+1", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1.5", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "0x1", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "-", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "-\n", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "--1", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "\n", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1\n\n", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1\r\n", 1, NULL, OUTCOME_NOT_NUMBER },
		{ "1\n2", 1, NULL, OUTCOME_NOT_NUMBER },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct event set = { .op = EVENT_SET,
			             .key = B("n"),
			             .value = { cases[i].before, strlen(cases[i].before) } };
		struct event incr = { .op = EVENT_INCR, .key = B("n"), .by = cases[i].by };
		assert_int_equal(fixture_apply(fixture, &set), OUTCOME_OK);
		enum event_outcome got = fixture_apply(fixture, &incr);
		if (got != cases[i].outcome)
			fail_msg("incr of \"%s\": %s", cases[i].before, event_outcome_text(got));
		assert_value(fixture, "n", cases[i].after ? cases[i].after : cases[i].before);
		assert_int_equal(fixture->feed->number,
		                 cases[i].after ? strtoll(cases[i].after, NULL, 10) : 0);
		fixture_totals(fixture, 1, 0, COST + 1 + fixture_value(fixture, "n").len);
	}
}

static void test_incr_keeps_ttl_and_attributes(void **state)
{
	struct fixture *fixture = *state;
	struct bytes digits = make_pattern(STORE_INLINE_MAX + 1);

	EXPECT(fixture, OK, "added d/, added d/n=3@1000500", .op = EVENT_INCR, .key = B("d/n"),
	       .by = -42, .ttl = TTL_SET, .ttl_ms = 500);
	assert_true(fixture->feed->created);
	assert_int_equal(fixture->feed->number, -42);
	EXPECT(fixture, OK, "attr d/n=3@1000500", .op = EVENT_SETXATTR, .key = B("d/n"),
	       .name = B("user.x"), .value = B("y"));
	EXPECT(fixture, OK, "data d/n=1@1000500", .op = EVENT_INCR, .key = B("d/n"), .by = 42);
	assert_string_equal(fixture_xattr(fixture, "d/n", "user.x"), "y");
	EXPECT(fixture, OK, "data d/n=1@1000900", .op = EVENT_INCR, .key = B("d/n"), .by = 1,
	       .ttl = TTL_SET, .ttl_ms = 900);
	/* A value of more than 20 digits is not a number. */
	memset((void *)digits.data, '1', digits.len);
	EXPECT(fixture, OK, "added long=513", .op = EVENT_SET, .key = B("long"), .value = digits);
	EXPECT(fixture, NOT_NUMBER, "", .op = EVENT_INCR, .key = B("long"), .by = 1);
	EXPECT(fixture, OK, "data long=512", .op = EVENT_SET, .key = B("long"),
	       .value = { digits.data, STORE_INLINE_MAX });
	EXPECT(fixture, NOT_NUMBER, "", .op = EVENT_INCR, .key = B("long"), .by = 1);
	free((void *)digits.data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_set_creates_a_key),
		TEST(test_set_creates_missing_directories),
		TEST(test_a_proposed_inode_is_used_if_free),
		TEST(test_set_replaces_ttl_attributes_and_type),
		TEST(test_set_can_keep_ttl_and_attributes),
		TEST(test_only_the_whole_value_of_a_link_can_change),
		TEST(test_writes_too_sparse_are_rejected),
		TEST(test_values_too_large_are_refused_unread),
		TEST(test_append_creates_or_extends_a_key),
		TEST(test_append_crosses_the_inline_and_chunk_limits),
		TEST(test_write_replaces_its_ranges),
		TEST(test_bytes_cut_off_by_a_write_read_as_zeros),
		TEST(test_set_and_write_can_set_mtime),
		TEST(test_truncate_keeps_the_head_and_adds_zeros),
		TEST(test_incr_takes_decimal_numbers_of_64_bits),
		TEST(test_incr_keeps_ttl_and_attributes),
	};

	return cmocka_run_group_tests_name("apply_value", tests, NULL, NULL);
}
