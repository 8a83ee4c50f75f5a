/* Tests of common/apply/: expiry, attributes, modes, times, default TTLs. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS(ms) ((ms)*INT64_C(1000000))
#define COST STORE_ENTRY_COST

/* --- TTLs --- */

static void test_each_kind_of_ttl_sets_its_expiry(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a=0@1000250", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 250);
	EXPECT(fixture, OK, "added b=0@1234567", .op = EVENT_SET, .key = B("b"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1234567);
	EXPECT(fixture, OK, "added c=0", .op = EVENT_SET, .key = B("c"), .ttl = TTL_NONE,
	       .ttl_ms = 250);
	EXPECT(fixture, OK, "added d=0", .op = EVENT_SET, .key = B("d"), .ttl = TTL_KEEP,
	       .ttl_ms = 250);
	fixture->time_ms += 100;
	EXPECT(fixture, OK, "data a=0@1000200", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 100);
	EXPECT(fixture, OK, "data a=0@1000200", .op = EVENT_SET, .key = B("a"), .ttl = TTL_KEEP);
	EXPECT(fixture, OK, "data a=0", .op = EVENT_SET, .key = B("a"));
	/* A time in the past: the next event purges the key, whatever the event is. */
	EXPECT(fixture, OK, "data a=0@1", .op = EVENT_SET, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1);
	EXPECT(fixture, OK, "expired a=0@1, added a=0", .op = EVENT_SET, .key = B("a"),
	       .cond = IF_ABSENT);
	assert_int_equal(fixture_meta(fixture).nexpired, 1);
}

static void test_expire_and_persist_change_only_the_expiry(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a=1", .op = EVENT_SET, .key = B("a"), .value = B("1"),
	       .type = B("t/t"));
	struct entry before = *fixture_get(fixture, "a");
	fixture->time_ms += 10;
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(fixture, OK, "attr a=1@1000510", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 500);
	assert_int_equal(fixture->feed->version, fixture->offset - 1);
	assert_int_equal(fixture_get(fixture, "a")->version, fixture->offset - 1);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, before.mtime_ns);
	assert_int_equal(fixture_get(fixture, "a")->ctime_ns, NS(FIXTURE_START_MS + 10));
	assert_string_equal(fixture_xattr(fixture, "a", "user.content_type"), "t/t");
	EXPECT(fixture, OK, "attr a=1@5000000", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 5000000);
	EXPECT(fixture, OK, "attr a=1", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_PERSIST, .key = B("a"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_EXPIRE, .key = B("a"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_KEEP);
	EXPECT(fixture, IS_DIR, "", .op = EVENT_EXPIRE, .at = STORE_ROOT_INO, .ttl = TTL_SET,
	       .ttl_ms = 1);
	EXPECT(fixture, OK, "attr a=1@1000010", .op = EVENT_EXPIRE, .key = B("a"), .ttl = TTL_UNTIL,
	       .ttl_ms = 1000010);
	EXPECT(fixture, NOT_FOUND, "expired a=1@1000010", .op = EVENT_PERSIST, .key = B("a"));
	fixture_totals(fixture, 0, 0, 0);
}

/* The nearest ancestor with a default TTL gives it to new keys, and to keys that are
 * replaced without a TTL. */
static void test_the_nearest_default_ttl_applies_to_new_keys(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a/, added a/b/, added a/b/c/", .op = EVENT_MKDIR,
	       .key = B("a/b/c"));
	EXPECT(fixture, OK, "attr a/", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.default_ttl"), .value = B("500ms"));
	assert_int_equal(fixture_get(fixture, "a")->default_ttl_ms, 500);
	assert_false(fixture_get(fixture, "a")->has_xattrs);
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 1);
	fixture_totals(fixture, 0, 3, 3 * COST + 3);
	EXPECT(fixture, OK, "added a/b/c/k=0@1000500", .op = EVENT_SET, .key = B("a/b/c/k"));
	EXPECT(fixture, OK, "added a/b/c/l=0@1000500", .op = EVENT_APPEND, .key = B("a/b/c/l"));
	EXPECT(fixture, OK, "added a/b/c/n=1@1000500", .op = EVENT_INCR, .key = B("a/b/c/n"),
	       .by = 1);
	EXPECT(fixture, OK, "added a/b/c/m=0@1000500", .op = EVENT_SET, .key = B("a/b/c/m"),
	       .ttl = TTL_KEEP);
	EXPECT(fixture, OK, "added a/new/, added a/new/k=0@1000500", .op = EVENT_SET,
	       .key = B("a/new/k"));
	EXPECT(fixture, OK, "added top=0", .op = EVENT_SET, .key = B("top"));
	/* The nearest directory wins; an explicit TTL overrides both. */
	EXPECT(fixture, OK, "attr a/b/", .op = EVENT_SETXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"), .value = B("1s\n"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 2);
	EXPECT(fixture, OK, "added a/b/k=0@1001000", .op = EVENT_SET, .key = B("a/b/k"));
	EXPECT(fixture, OK, "added a/b/own=0@1000001", .op = EVENT_SET, .key = B("a/b/own"),
	       .ttl = TTL_SET, .ttl_ms = 1);
	EXPECT(fixture, OK, "added a/j=0@1000500", .op = EVENT_SET, .key = B("a/j"));
	/* An existing key keeps its TTL, but a replaced one is treated as new. */
	EXPECT(fixture, OK, "data a/j=1@1000500", .op = EVENT_APPEND, .key = B("a/j"),
	       .value = B("x"));
	EXPECT(fixture, OK, "attr a/j=1", .op = EVENT_PERSIST, .key = B("a/j"));
	EXPECT(fixture, OK, "data a/j=2", .op = EVENT_APPEND, .key = B("a/j"), .value = B("x"));
	EXPECT(fixture, OK, "data a/j=0", .op = EVENT_SET, .key = B("a/j"), .ttl = TTL_KEEP);
	EXPECT(fixture, OK, "data a/j=0@1000500", .op = EVENT_SET, .key = B("a/j"));
	/* A key that is moved into the directory keeps its own TTL. */
	EXPECT(fixture, OK, "removed top=0, added a/top=0", .op = EVENT_RENAME, .key = B("top"),
	       .to = B("a/top"));
	/* The default is changed, then removed. */
	EXPECT(fixture, OK, "attr a/b/", .op = EVENT_SETXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"), .value = B("1h"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 2);
	EXPECT(fixture, OK, "attr a/b/", .op = EVENT_REMOVEXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"));
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("a/b"),
	       .name = B("user.default_ttl"));
	EXPECT(fixture, OK, "added a/b/q=0@1000500", .op = EVENT_SET, .key = B("a/b/q"));
	EXPECT(fixture, OK, "attr a/", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.default_ttl"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 0);
	EXPECT(fixture, OK, "added a/b/r=0", .op = EVENT_SET, .key = B("a/b/r"));
}

static void test_only_directories_have_a_default_ttl(void **state)
{
	struct fixture *fixture = *state;
	struct bytes name = B("user.default_ttl");

	/* The root's default applies to everything. */
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("2s"), .flags = EVENT_XATTR_REPLACE);
	EXPECT(fixture, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("2s"), .flags = EVENT_XATTR_CREATE);
	EXPECT(fixture, XATTR_EXISTS, "", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("3s"), .flags = EVENT_XATTR_CREATE);
	EXPECT(fixture, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO, .name = name,
	       .value = B("3s"), .flags = EVENT_XATTR_REPLACE);
	EXPECT(fixture, OK, "added x/, added x/k=0@1003000", .op = EVENT_SET, .key = B("x/k"));
	EXPECT(fixture, NOT_DIR, "", .op = EVENT_SETXATTR, .key = B("x/k"), .name = name,
	       .value = B("3s"));
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("x/k"), .name = name);
	EXPECT(fixture, REJECTED, "", .op = EVENT_SETXATTR, .key = B("x"), .name = name,
	       .value = B("soon"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_SETXATTR, .key = B("x"), .name = name,
	       .value = B("0"));
	/* Removing a directory removes its default. */
	EXPECT(fixture, OK, "added y/", .op = EVENT_MKDIR, .key = B("y"));
	EXPECT(fixture, OK, "attr y/", .op = EVENT_SETXATTR, .key = B("y"), .name = name,
	       .value = B("9s"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 2);
	EXPECT(fixture, OK, "removed y/", .op = EVENT_RMDIR, .key = B("y"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 1);
}

/* --- attributes --- */

static void test_attributes_are_set_replaced_and_removed(void **state)
{
	struct fixture *fixture = *state;
	struct bytes value = { calloc(1, EVENT_XATTR_VALUE_MAX), EVENT_XATTR_VALUE_MAX };
	char long_name[256] = "user.";

	memset(long_name + 5, 'n', 250);
	assert_non_null(value.data);
	EXPECT(fixture, OK, "added a=1@1009000", .op = EVENT_SET, .key = B("a"), .value = B("v"),
	       .ttl = TTL_SET, .ttl_ms = 9000);
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("one"));
	assert_int_equal(fixture_get(fixture, "a")->version, fixture->offset - 1);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS));
	assert_int_equal(fixture_get(fixture, "a")->ctime_ns, NS(FIXTURE_START_MS + 10));
	fixture_totals(fixture, 1, 0, COST + 2 + 6 + 3);
	EXPECT(fixture, XATTR_EXISTS, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.x"),
	       .value = B("two"), .flags = EVENT_XATTR_CREATE);
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.x"), .value = B("longer"), .flags = EVENT_XATTR_REPLACE);
	assert_string_equal(fixture_xattr(fixture, "a", "user.x"), "longer");
	fixture_totals(fixture, 1, 0, COST + 2 + 6 + 6);
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.y"),
	       .flags = EVENT_XATTR_REPLACE);
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = B("user.y"), .flags = EVENT_XATTR_CREATE);
	assert_string_equal(fixture_xattr(fixture, "a", "user.y"), "");
	fixture_totals(fixture, 1, 0, COST + 2 + 6 + 6 + 6);
	/* The longest name and value. */
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_SETXATTR, .key = B("a"),
	       .name = { long_name, 255 }, .value = value);
	fixture_totals(fixture, 1, 0, COST + 2 + 6 + 6 + 6 + 255 + EVENT_XATTR_VALUE_MAX);
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = { long_name, 255 });
	EXPECT(fixture, NO_XATTR, "", .op = EVENT_REMOVEXATTR, .key = B("a"), .name = B("user.z"));
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.x"));
	assert_true(fixture_get(fixture, "a")->has_xattrs);
	EXPECT(fixture, OK, "attr a=1@1009000", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.y"));
	assert_false(fixture_get(fixture, "a")->has_xattrs);
	fixture_totals(fixture, 1, 0, COST + 2);
	/* The root has attributes too. */
	EXPECT(fixture, OK, "attr /", .op = EVENT_SETXATTR, .at = STORE_ROOT_INO,
	       .name = B("user.r"), .value = B("root"));
	assert_string_equal(fixture_xattr(fixture, "", "user.r"), "root");
	fixture_totals(fixture, 1, 0, COST + 2 + 6 + 4);
	/* The names of expiry and version cannot be set as attributes. */
	EXPECT(fixture, REJECTED, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("user.ttl"),
	       .value = B("1s"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_REMOVEXATTR, .key = B("a"),
	       .name = B("user.ttl"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_SETXATTR, .key = B("a"), .name = B("trusted.x"));
	free((void *)value.data);
}

/* --- modes and times --- */

static void test_chmod_changes_mode_and_ctime_only(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added d/, added d/k=0", .op = EVENT_SET, .key = B("d/k"));
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "attr d/k=0", .op = EVENT_CHMOD, .key = B("d/k"), .mode = 06711,
	       .flags = EVENT_HAS_MODE);
	assert_int_equal(fixture_get(fixture, "d/k")->mode, S_IFREG | 06711);
	assert_int_equal(fixture_get(fixture, "d/k")->ctime_ns, NS(FIXTURE_START_MS + 10));
	assert_int_equal(fixture_get(fixture, "d/k")->mtime_ns, NS(FIXTURE_START_MS));
	EXPECT(fixture, OK, "attr d/", .op = EVENT_CHMOD, .key = B("d"), .flags = EVENT_HAS_MODE);
	assert_int_equal(fixture_get(fixture, "d")->mode, S_IFDIR);
	EXPECT(fixture, OK, "attr /", .op = EVENT_CHMOD, .at = STORE_ROOT_INO, .mode = 0700,
	       .flags = EVENT_HAS_MODE);
	assert_int_equal(fixture_get(fixture, "")->mode, S_IFDIR | 0700);
	EXPECT(fixture, REJECTED, "", .op = EVENT_CHMOD, .key = B("d"), .mode = 0700);
	EXPECT(fixture, REJECTED, "", .op = EVENT_CHMOD, .key = B("d"), .mode = 010000,
	       .flags = EVENT_HAS_MODE);
}

static void test_touch_sets_the_requested_times(void **state)
{
	static const struct {
		const char *name;
		unsigned flags;
		int64_t mtime_ns, atime_ns; /* Expected; -1: unchanged, 0: now. */
	} cases[] = {
		{ "no flag", 0, 0, 0 },
		{ "mtime now", EVENT_MTIME_NOW, 0, -1 },
		{ "atime now", EVENT_ATIME_NOW, -1, 0 },
		{ "both now", EVENT_MTIME_NOW | EVENT_ATIME_NOW, 0, 0 },
		{ "mtime given", EVENT_HAS_MTIME, 111, -1 },
		{ "atime given", EVENT_HAS_ATIME, -1, 222 },
		{ "both given", EVENT_HAS_MTIME | EVENT_HAS_ATIME, 111, 222 },
		{ "mtime given, atime now", EVENT_HAS_MTIME | EVENT_ATIME_NOW, 111, 0 },
		{ "mtime now, atime given", EVENT_MTIME_NOW | EVENT_HAS_ATIME, 0, 222 },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT(fixture, OK, i ? "data k=1" : "added k=1", .op = EVENT_SET, .key = B("k"),
		       .value = B("v"));
		int64_t before = NS(fixture->time_ms);
		int64_t atime = fixture_get(fixture, "k")->atime_ns;
		fixture->time_ms += 10;
		int64_t now = NS(fixture->time_ms);
		EXPECT(fixture, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"),
		       .flags = cases[i].flags, .mtime_ns = 111, .atime_ns = 222);
		const struct entry *e = fixture_get(fixture, "k");
		int64_t want_mtime = cases[i].mtime_ns == -1 ? before :
		                     cases[i].mtime_ns       ? cases[i].mtime_ns :
		                                               now;
		int64_t want_atime = cases[i].atime_ns == -1 ? atime :
		                     cases[i].atime_ns       ? cases[i].atime_ns :
		                                               now;
		if (e->mtime_ns != want_mtime || e->atime_ns != want_atime)
			fail_msg("%s: mtime %lld, atime %lld", cases[i].name,
			         (long long)e->mtime_ns, (long long)e->atime_ns);
		assert_int_equal(e->ctime_ns, now);
		assert_int_equal(e->version, fixture->offset - 1);
		EXPECT(fixture, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"));
	}
	EXPECT(fixture, OK, "attr k=1", .op = EVENT_TOUCH, .key = B("k"), .mtime_ns = -NS(5),
	       .flags = EVENT_HAS_MTIME);
	assert_int_equal(fixture_get(fixture, "k")->mtime_ns, -NS(5));
	EXPECT(fixture, OK, "attr /", .op = EVENT_TOUCH, .at = STORE_ROOT_INO);
	EXPECT(fixture, REJECTED, "", .op = EVENT_TOUCH, .key = B("k"),
	       .flags = EVENT_HAS_MTIME | EVENT_MTIME_NOW);
}

/* --- expiry by log time --- */

static void test_log_time_never_goes_back(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a=0@1000100", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 100);
	fixture->time_ms = FIXTURE_START_MS + 99;
	EXPECT(fixture, OK, "", .op = EVENT_TICK);
	fixture->time_ms = FIXTURE_START_MS + 100;
	EXPECT(fixture, OK, "expired a=0@1000100", .op = EVENT_TICK);
	assert_int_equal(fixture_meta(fixture).nexpired, 1);
	/* A timestamp older than log time has no effect: only log time is stored and
	 * compared. */
	fixture->time_ms = FIXTURE_START_MS - 5000;
	EXPECT(fixture, OK, "added b=0@1000110", .op = EVENT_SET, .key = B("b"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	assert_int_equal(fixture_get(fixture, "b")->mtime_ns, NS(FIXTURE_START_MS + 100));
	assert_int_equal(fixture_meta(fixture).log_time_ms, FIXTURE_START_MS + 100);
	fixture->time_ms = FIXTURE_START_MS + 109;
	EXPECT(fixture, EXISTS, "", .op = EVENT_SET, .key = B("b"), .cond = IF_ABSENT);
	fixture->time_ms = FIXTURE_START_MS + 110;
	EXPECT(fixture, OK, "expired b=0@1000110", .op = EVENT_TICK);
	/* The clock steps back, but an expired key stays expired. */
	fixture->time_ms = FIXTURE_START_MS;
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_DEL, .key = B("b"));
	fixture->time_ms = INT64_MIN;
	EXPECT(fixture, OK, "added c=0@1000120", .op = EVENT_SET, .key = B("c"), .ttl = TTL_SET,
	       .ttl_ms = 10);
}

/* Timestamps that no clock returns: they do not fit as nanoseconds. */
static void test_timestamps_are_clamped_to_fit_nanoseconds(void **state)
{
	struct fixture *fixture = *state;

	fixture->time_ms = -1;
	EXPECT(fixture, OK, "added a=0@10", .op = EVENT_SET, .key = B("a"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, 0);
	fixture->time_ms = INT64_MAX;
	EXPECT(fixture, OK, "expired a=0@10, added b=0", .op = EVENT_SET, .key = B("b"));
	assert_true(fixture_get(fixture, "b")->mtime_ns > NS(FIXTURE_START_MS));
	assert_true(fixture_meta(fixture).log_time_ms <= INT64_MAX / 1000000);
	assert_int_equal(fixture_get(fixture, "b")->mtime_ns,
	                 NS(fixture_meta(fixture).log_time_ms));
	EXPECT(fixture, OK, "data b=0@9223373036854", .op = EVENT_SET, .key = B("b"),
	       .ttl = TTL_SET, .ttl_ms = 1000000);
}

/* One event purges at most 256 entries, the earliest expired ones first. Operations
 * ignore the others, and later events purge them. */
static void test_an_event_purges_at_most_256_entries(void **state)
{
	struct fixture *fixture = *state;
	char key[32];

	fixture->unchecked = true;
	for (int i = 0; i < 600; i++) {
		int n = snprintf(key, sizeof(key), "d/k%03d", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .ttl = TTL_SET,
			            .ttl_ms = 1000 - i };
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	fixture->unchecked = false;
	fixture->time_ms += 1000;
	assert_int_equal(fixture_apply(fixture, &(struct event){ .op = EVENT_TICK }), OUTCOME_OK);
	assert_int_equal(fixture->feed->neffects, 256);
	for (int i = 0; i < 256; i++) {
		const struct feed_effect *e = &fixture->feed->effects[i];
		snprintf(key, sizeof(key), "d/k%03d", 599 - i);
		assert_int_equal(e->kind, FEED_EXPIRED);
		assert_int_equal(e->key.len, 6);
		assert_memory_equal(e->key.data, key, 6);
		assert_int_equal(e->expiry_ms, FIXTURE_START_MS + 1000 - (599 - i));
	}
	assert_int_equal(fixture_meta(fixture).nkeys, 344);
	/* The key k000 is due last: it is not purged, but the operation finds it expired. */
	assert_int_equal(fixture_apply(fixture, &(struct event){ .op = EVENT_SET,
	                                                         .key = B("d/k000"),
	                                                         .cond = IF_ABSENT }),
	                 OUTCOME_OK);
	assert_int_equal(fixture->feed->neffects, 256 + 2);
	assert_int_equal(fixture->feed->effects[256].kind, FEED_EXPIRED);
	assert_int_equal(fixture->feed->effects[257].kind, FEED_ADDED);
	assert_int_equal(fixture_meta(fixture).nexpired, 513);
	assert_int_equal(fixture_apply(fixture, &(struct event){ .op = EVENT_TICK }), OUTCOME_OK);
	assert_int_equal(fixture->feed->neffects, 87);
	fixture_totals(fixture, 1, 1, 2 * COST + 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind_of_ttl_sets_its_expiry),
		TEST(test_expire_and_persist_change_only_the_expiry),
		TEST(test_the_nearest_default_ttl_applies_to_new_keys),
		TEST(test_only_directories_have_a_default_ttl),
		TEST(test_attributes_are_set_replaced_and_removed),
		TEST(test_chmod_changes_mode_and_ctime_only),
		TEST(test_touch_sets_the_requested_times),
		TEST(test_log_time_never_goes_back),
		TEST(test_timestamps_are_clamped_to_fit_nanoseconds),
		TEST(test_an_event_purges_at_most_256_entries),
	};

	return cmocka_run_group_tests_name("apply_meta", tests, NULL, NULL);
}
