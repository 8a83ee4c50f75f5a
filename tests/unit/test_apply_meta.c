/* Tests of common/apply*.c: expiry, attributes, modes, times, default TTLs. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS(ms) ((ms)*INT64_C(1000000))
#define COST STORE_ENTRY_COST

/* --- TTLs --- */

static void test_ttl_kinds(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a=0@1000250", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 250);
	EXPECT(rig, OK, "added b=0@1234567", .op = EVENT_SET, .key = B("b"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1234567);
	EXPECT(rig, OK, "added c=0", .op = EVENT_SET, .key = B("c"), .ttl = TTL_NONE,
	       .ttl_ms = 250);
	EXPECT(rig, OK, "added d=0", .op = EVENT_SET, .key = B("d"), .ttl = TTL_KEEP,
	       .ttl_ms = 250);
	rig->time_ms += 100;
	EXPECT(rig, OK, "data a=0@1000200", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 100);
	EXPECT(rig, OK, "data a=0@1000200", .op = EVENT_SET, .key = B("a"), .ttl = TTL_KEEP);
	EXPECT(rig, OK, "data a=0", .op = EVENT_SET, .key = B("a"));
	/* A moment that is over: it is gone with the next event, whatever that is. */
	EXPECT(rig, OK, "data a=0@1", .op = EVENT_SET, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1);
	EXPECT(rig, OK, "expired a=0@1, added a=0", .op = EVENT_SET, .key = B("a"),
	       .cond = IF_ABSENT);
	assert_int_equal(rig_meta(rig).nexpired, 1);
}

static void test_expire_persist(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a=1", .op = EVENT_SET, .key = B("a"), .value = B("1"),
	       .type = B("t/t"));
	struct entry before = *rig_get(rig, "a");
	rig->time_ms += 10;
	EXPECT(rig, NO_XATTR, "", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(rig, OK, "attr a=1@1000510", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 500);
	assert_int_equal(rig->feed->version, rig->offset - 1);
	assert_int_equal(rig_get(rig, "a")->version, rig->offset - 1);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, before.mtime_ns);
	assert_int_equal(rig_get(rig, "a")->ctime_ns, NS(RIG_START_MS + 10));
	assert_string_equal(rig_xattr(rig, "a", "user.content_type"), "t/t");
	EXPECT(rig, OK, "attr a=1@5000000", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 5000000);
	EXPECT(rig, OK, "attr a=1", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(rig, NO_XATTR, "", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(rig, REJECTED, "", .op = EVENT_EXPIRE, .key = B("a"));
	EXPECT(rig, REJECTED, "", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_KEEP);
	EXPECT(rig, IS_DIR, "", .op = EVENT_EXPIRE, .at = STORE_ROOT_INO, .ttl = TTL_SET,
	       .ttl_ms = 1);
	EXPECT(rig, OK, "attr a=1@1000010", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1000010);
	EXPECT(rig, NOT_FOUND, "expired a=1@1000010", .op = EVENT_PERSIST, .key = B("a"));
	rig_totals(rig, 0, 0, 0);
}

/* The nearest directory above that has a default gives it to new keys, and to
 * those that are replaced without a TTL. */
static void test_default_ttl(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a/, added a/b/, added a/b/c/", .op = EVENT_MKDIR, .key = B("a/b/c"));
	EXPECT(rig, OK, "attr a/", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.default_ttl"), .value = B("500ms"));
	assert_int_equal(rig_get(rig, "a")->default_ttl_ms, 500);
	assert_false(rig_get(rig, "a")->has_xattrs);
	assert_int_equal(rig_meta(rig).ndefault_ttl, 1);
	rig_totals(rig, 0, 3, 3 * COST + 3);
	EXPECT(rig, OK, "added a/b/c/k=0@1000500", .op = EVENT_SET, .key = B("a/b/c/k"));
	EXPECT(rig, OK, "added a/b/c/l=0@1000500", .op = EVENT_APPEND, .key = B("a/b/c/l"));
	EXPECT(rig, OK, "added a/b/c/n=1@1000500", .op = EVENT_INCR, .key = B("a/b/c/n"), .by = 1);
	EXPECT(rig, OK, "added a/b/c/m=0@1000500", .op = EVENT_SET, .key = B("a/b/c/m"),
	       .ttl = TTL_KEEP);
	EXPECT(rig, OK, "added a/new/, added a/new/k=0@1000500", .op = EVENT_SET,
	       .key = B("a/new/k"));
	EXPECT(rig, OK, "added top=0", .op = EVENT_SET, .key = B("top"));
	/* Nearer wins; an own TTL wins over both. */
	EXPECT(rig, OK, "attr a/b/", .op = EVENT_SETXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"), .value = B("1s\n"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 2);
	EXPECT(rig, OK, "added a/b/k=0@1001000", .op = EVENT_SET, .key = B("a/b/k"));
	EXPECT(rig, OK, "added a/b/own=0@1000001", .op = EVENT_SET, .key = B("a/b/own"),
	       .ttl = TTL_SET, .ttl_ms = 1);
	EXPECT(rig, OK, "added a/j=0@1000500", .op = EVENT_SET, .key = B("a/j"));
	/* What exists keeps what it has, but a replaced resource is like a new one. */
	EXPECT(rig, OK, "data a/j=1@1000500", .op = EVENT_APPEND, .key = B("a/j"), .value = B("x"));
	EXPECT(rig, OK, "attr a/j=1", .op = EVENT_PERSIST, .key = B("a/j"));
	EXPECT(rig, OK, "data a/j=2", .op = EVENT_APPEND, .key = B("a/j"), .value = B("x"));
	EXPECT(rig, OK, "data a/j=0", .op = EVENT_SET, .key = B("a/j"), .ttl = TTL_KEEP);
	EXPECT(rig, OK, "data a/j=0@1000500", .op = EVENT_SET, .key = B("a/j"));
	/* A key that moves in keeps its own. */
	EXPECT(rig, OK, "removed top=0, added a/top=0", .op = EVENT_RENAME, .key = B("top"),
	       .to = B("a/top"));
	/* Changed, then gone. */
	EXPECT(rig, OK, "attr a/b/", .op = EVENT_SETXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"), .value = B("1h"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 2);
	EXPECT(rig, OK, "attr a/b/", .op = EVENT_REMOVEXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"));
	EXPECT(rig, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"));
	EXPECT(rig, OK, "added a/b/q=0@1000500", .op = EVENT_SET, .key = B("a/b/q"));
	EXPECT(rig, OK, "attr a/", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.default_ttl"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 0);
	EXPECT(rig, OK, "added a/b/r=0", .op = EVENT_SET, .key = B("a/b/r"));
}

static void test_default_ttl_rules(void **state)
{
	struct rig *rig = *state;
	struct bytes name = B("user.default_ttl");

	/* The root's is for everything. */
	EXPECT(rig, NO_XATTR, "", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("2s"), .flags = EVENT_XATTR_REPLACE);
	EXPECT(rig, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("2s"), .flags = EVENT_XATTR_CREATE);
	EXPECT(rig, XATTR_EXISTS, "", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("3s"), .flags = EVENT_XATTR_CREATE);
	EXPECT(rig, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("3s"), .flags = EVENT_XATTR_REPLACE);
	EXPECT(rig, OK, "added x/, added x/k=0@1003000", .op = EVENT_SET, .key = B("x/k"));
	EXPECT(rig, NOT_DIR, "", .op = EVENT_SETXATTR, .key = B("x/k"), .name = name,
	       .value = B("3s"));
	EXPECT(rig, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("x/k"), .name = name);
	EXPECT(rig, REJECTED, "", .op = EVENT_SETXATTR, .key = B("x"), .name = name,
	       .value = B("soon"));
	EXPECT(rig, REJECTED, "", .op = EVENT_SETXATTR, .key = B("x"), .name = name,
	       .value = B("0"));
	/* A directory that goes takes its default with it. */
	EXPECT(rig, OK, "added y/", .op = EVENT_MKDIR, .key = B("y"));
	EXPECT(rig, OK, "attr y/", .op = EVENT_SETXATTR, .key = B("y"), .name = name,
	       .value = B("9s"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 2);
	EXPECT(rig, OK, "removed y/", .op = EVENT_RMDIR, .key = B("y"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 1);
}

/* --- attributes --- */

static void test_xattrs(void **state)
{
	struct rig *rig = *state;
	struct bytes value = { calloc(1, EVENT_XATTR_VALUE_MAX), EVENT_XATTR_VALUE_MAX };
	char long_name[256] = "user.";

	memset(long_name + 5, 'n', 250);
	assert_non_null(value.data);
	EXPECT(rig, OK, "added a=1@1009000", .op = EVENT_SET, .key = B("a"), .value = B("v"),
	       .ttl = TTL_SET, .ttl_ms = 9000);
	rig->time_ms += 10;
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("one"));
	assert_int_equal(rig_get(rig, "a")->version, rig->offset - 1);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS));
	assert_int_equal(rig_get(rig, "a")->ctime_ns, NS(RIG_START_MS + 10));
	rig_totals(rig, 1, 0, COST + 2 + 6 + 3);
	EXPECT(rig, XATTR_EXISTS, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.x"),
	       .value = B("two"), .flags = EVENT_XATTR_CREATE);
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("longer"), .flags = EVENT_XATTR_REPLACE);
	assert_string_equal(rig_xattr(rig, "a", "user.x"), "longer");
	rig_totals(rig, 1, 0, COST + 2 + 6 + 6);
	EXPECT(rig, NO_XATTR, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.y"),
	       .flags = EVENT_XATTR_REPLACE);
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.y"), .flags = EVENT_XATTR_CREATE);
	assert_string_equal(rig_xattr(rig, "a", "user.y"), "");
	rig_totals(rig, 1, 0, COST + 2 + 6 + 6 + 6);
	/* The longest name and value. */
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = { long_name, 255 }, .value = value);
	rig_totals(rig, 1, 0, COST + 2 + 6 + 6 + 6 + 255 + EVENT_XATTR_VALUE_MAX);
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = { long_name, 255 });
	EXPECT(rig, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("a"), .name = B("user.z"));
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.x"));
	assert_true(rig_get(rig, "a")->has_xattrs);
	EXPECT(rig, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.y"));
	assert_false(rig_get(rig, "a")->has_xattrs);
	rig_totals(rig, 1, 0, COST + 2);
	/* The root has attributes too. */
	EXPECT(rig, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = B("user.r"),
	       .value = B("root"));
	assert_string_equal(rig_xattr(rig, "", "user.r"), "root");
	rig_totals(rig, 1, 0, COST + 2 + 6 + 4);
	/* What expire, persist and versions are for is no attribute. */
	EXPECT(rig, REJECTED, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.ttl"),
	       .value = B("1s"));
	EXPECT(rig, REJECTED, "", .op = EVENT_REMOVEXATTR, .key = B("a"), .name = B("user.ttl"));
	EXPECT(rig, REJECTED, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("trusted.x"));
	free((void *)value.data);
}

/* --- modes and times --- */

static void test_chmod(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added d/, added d/k=0", .op = EVENT_SET, .key = B("d/k"));
	rig->time_ms += 10;
	EXPECT(rig, OK, "attr d/k=0", .op = EVENT_CHMOD, .key = B("d/k"), .mode = 06711,
	       .flags = EVENT_HAS_MODE);
	assert_int_equal(rig_get(rig, "d/k")->mode, S_IFREG | 06711);
	assert_int_equal(rig_get(rig, "d/k")->ctime_ns, NS(RIG_START_MS + 10));
	assert_int_equal(rig_get(rig, "d/k")->mtime_ns, NS(RIG_START_MS));
	EXPECT(rig, OK, "attr d/", .op = EVENT_CHMOD, .key = B("d"), .flags = EVENT_HAS_MODE);
	assert_int_equal(rig_get(rig, "d")->mode, S_IFDIR);
	EXPECT(rig, OK, "attr /", .op = EVENT_CHMOD, .at = STORE_ROOT_INO, .mode = 0700,
	       .flags = EVENT_HAS_MODE);
	assert_int_equal(rig_get(rig, "")->mode, S_IFDIR | 0700);
	EXPECT(rig, REJECTED, "", .op = EVENT_CHMOD, .key = B("d"), .mode = 0700);
	EXPECT(rig, REJECTED, "", .op = EVENT_CHMOD, .key = B("d"), .mode = 010000,
	       .flags = EVENT_HAS_MODE);
}

static void test_touch(void **state)
{
	static const struct {
		unsigned flags;
		int64_t mtime_ns, atime_ns; /* expected; -1: unchanged, 0: now */
	} cases[] = {
		{ 0, 0, 0 },
		{ EVENT_MTIME_NOW, 0, -1 },
		{ EVENT_ATIME_NOW, -1, 0 },
		{ EVENT_MTIME_NOW | EVENT_ATIME_NOW, 0, 0 },
		{ EVENT_HAS_MTIME, 111, -1 },
		{ EVENT_HAS_ATIME, -1, 222 },
		{ EVENT_HAS_MTIME | EVENT_HAS_ATIME, 111, 222 },
		{ EVENT_HAS_MTIME | EVENT_ATIME_NOW, 111, 0 },
		{ EVENT_MTIME_NOW | EVENT_HAS_ATIME, 0, 222 },
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT(rig, OK, i ? "data k=1" : "added k=1", .op = EVENT_SET, .key = B("k"),
		       .value = B("v"));
		int64_t before = NS(rig->time_ms);
		int64_t atime = rig_get(rig, "k")->atime_ns;
		rig->time_ms += 10;
		int64_t now = NS(rig->time_ms);
		EXPECT(rig, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"),
		       .flags = cases[i].flags, .mtime_ns = 111, .atime_ns = 222);
		const struct entry *e = rig_get(rig, "k");
		assert_int_equal(e->mtime_ns, cases[i].mtime_ns == -1 ? before :
		                              cases[i].mtime_ns       ? cases[i].mtime_ns :
		                                                        now);
		assert_int_equal(e->atime_ns, cases[i].atime_ns == -1 ? atime :
		                              cases[i].atime_ns       ? cases[i].atime_ns :
		                                                        now);
		assert_int_equal(e->ctime_ns, now);
		assert_int_equal(e->version, rig->offset - 1);
		EXPECT(rig, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"));
	}
	EXPECT(rig, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"), .mtime_ns = -NS(5),
	       .flags = EVENT_HAS_MTIME);
	assert_int_equal(rig_get(rig, "k")->mtime_ns, -NS(5));
	EXPECT(rig, OK, "attr /", .op = EVENT_TOUCH, .at = STORE_ROOT_INO);
	EXPECT(rig, REJECTED, "", .op = EVENT_TOUCH, .key = B("k"),
	       .flags = EVENT_HAS_MTIME | EVENT_MTIME_NOW);
}

/* --- expiry by log time --- */

static void test_log_time(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a=0@1000100", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 100);
	rig->time_ms = RIG_START_MS + 99;
	EXPECT(rig, OK, "", .op = EVENT_TICK);
	rig->time_ms = RIG_START_MS + 100;
	EXPECT(rig, OK, "expired a=0@1000100", .op = EVENT_TICK);
	assert_int_equal(rig_meta(rig).nexpired, 1);
	/* A record's timestamp that is older than log time changes nothing: all
	 * that is stored or compared is log time. */
	rig->time_ms = RIG_START_MS - 5000;
	EXPECT(rig, OK, "added b=0@1000110", .op = EVENT_SET, .key = B("b"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	assert_int_equal(rig_get(rig, "b")->mtime_ns, NS(RIG_START_MS + 100));
	assert_int_equal(rig_meta(rig).log_time_ms, RIG_START_MS + 100);
	rig->time_ms = RIG_START_MS + 109;
	EXPECT(rig, EXISTS, "", .op = EVENT_SET, .key = B("b"), .cond = IF_ABSENT);
	rig->time_ms = RIG_START_MS + 110;
	EXPECT(rig, OK, "expired b=0@1000110", .op = EVENT_TICK);
	/* Back again: what has expired stays so. */
	rig->time_ms = RIG_START_MS;
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_DEL, .key = B("b"));
	rig->time_ms = INT64_MIN;
	EXPECT(rig, OK, "added c=0@1000120", .op = EVENT_SET, .key = B("c"), .ttl = TTL_SET,
	       .ttl_ms = 10);
}

/* Timestamps that no clock gives: as nanoseconds they would not fit. */
static void test_wild_timestamps(void **state)
{
	struct rig *rig = *state;

	rig->time_ms = -1;
	EXPECT(rig, OK, "added a=0@10", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, 0);
	rig->time_ms = INT64_MAX;
	EXPECT(rig, OK, "expired a=0@10, added b=0", .op = EVENT_SET, .key = B("b"));
	assert_true(rig_get(rig, "b")->mtime_ns > NS(RIG_START_MS));
	assert_true(rig_meta(rig).log_time_ms <= INT64_MAX / 1000000);
	assert_int_equal(rig_get(rig, "b")->mtime_ns, NS(rig_meta(rig).log_time_ms));
	EXPECT(rig, OK, "data b=0@9223373036854", .op = EVENT_SET, .key = B("b"), .ttl = TTL_SET,
	       .ttl_ms = 1000000);
}

/* One event purges 256 entries at most, those first that expired first; the
 * rest are hidden from operations and go with later events. */
static void test_purge_bound(void **state)
{
	struct rig *rig = *state;
	char key[32];

	rig->unchecked = true;
	for (int i = 0; i < 600; i++) {
		int n = snprintf(key, sizeof key, "d/k%03d", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .ttl = TTL_SET,
			            .ttl_ms = 1000 - i };
		assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	}
	rig->unchecked = false;
	rig->time_ms += 1000;
	assert_int_equal(rig_apply(rig, &(struct event){ .op = EVENT_TICK }), OUTCOME_OK);
	assert_int_equal(rig->feed->neffects, 256);
	for (int i = 0; i < 256; i++) {
		const struct feed_effect *e = &rig->feed->effects[i];
		snprintf(key, sizeof key, "d/k%03d", 599 - i);
		assert_int_equal(e->kind, FEED_EXPIRED);
		assert_int_equal(e->key.len, 6);
		assert_memory_equal(e->key.data, key, 6);
		assert_int_equal(e->expiry_ms, RIG_START_MS + 1000 - (599 - i));
	}
	assert_int_equal(rig_meta(rig).nkeys, 344);
	/* k000 is due, but last: found expired by who looks for it. */
	assert_int_equal(rig_apply(rig, &(struct event){ .op = EVENT_SET,
	                                                 .key = B("d/k000"),
	                                                 .cond = IF_ABSENT }),
	                 OUTCOME_OK);
	assert_int_equal(rig->feed->neffects, 256 + 2);
	assert_int_equal(rig->feed->effects[256].kind, FEED_EXPIRED);
	assert_int_equal(rig->feed->effects[257].kind, FEED_ADDED);
	assert_int_equal(rig_meta(rig).nexpired, 513);
	assert_int_equal(rig_apply(rig, &(struct event){ .op = EVENT_TICK }), OUTCOME_OK);
	assert_int_equal(rig->feed->neffects, 87);
	rig_totals(rig, 1, 1, 2 * COST + 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ttl_kinds),       TEST(test_expire_persist),
		TEST(test_default_ttl),     TEST(test_default_ttl_rules),
		TEST(test_xattrs),          TEST(test_chmod),
		TEST(test_touch),           TEST(test_log_time),
		TEST(test_wild_timestamps), TEST(test_purge_bound),
	};

	return cmocka_run_group_tests_name("apply_meta", tests, NULL, NULL);
}
