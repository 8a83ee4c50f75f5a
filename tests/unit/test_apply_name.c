/* Tests of common/apply/op_name.c and apply/tree.c: operations on names (mkdir,
 * rmdir, del, rename). */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/base/key.h"
#include "tests/unit/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS(ms) ((ms)*INT64_C(1000000))
#define COST STORE_ENTRY_COST

static void create_entry(struct fixture *fixture, const char *key)
{
	size_t len = strlen(key);
	bool dir = key[len - 1] == '/';
	struct event ev = { .op = dir ? EVENT_MKDIR : EVENT_SET, .key = { key, len - dir } };

	if (!dir)
		ev.value = (struct bytes){ key, len };
	assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
}

/* --- mkdir, rmdir --- */

static void test_mkdir_creates_missing_parents(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a/, added a/b/", .op = EVENT_MKDIR, .key = B("a/b"),
	       .mode = 01700, .flags = EVENT_HAS_MODE);
	assert_true(fixture->feed->created);
	assert_int_equal(fixture_get(fixture, "a")->mode, S_IFDIR | 0755);
	assert_int_equal(fixture_get(fixture, "a/b")->mode, S_IFDIR | 01700);
	fixture_totals(fixture, 0, 2, 2 * COST + 2);
	/* The directory exists already: no error, unless the condition forbids it. */
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "", .op = EVENT_MKDIR, .key = B("a/b"), .mode = 0700,
	       .flags = EVENT_HAS_MODE);
	assert_false(fixture->feed->created);
	assert_int_equal(fixture->feed->ino, fixture_ino(fixture, "a/b"));
	assert_int_equal(fixture_get(fixture, "a/b")->mode, S_IFDIR | 01700);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS));
	EXPECT(fixture, EXISTS, "", .op = EVENT_MKDIR, .key = B("a/b"), .cond = IF_ABSENT);
	EXPECT(fixture, OK, "", .op = EVENT_MKDIR, .at = STORE_ROOT_INO);
	EXPECT(fixture, EXISTS, "", .op = EVENT_MKDIR, .at = STORE_ROOT_INO, .cond = IF_ABSENT);
	EXPECT(fixture, OK, "added a/c/", .op = EVENT_MKDIR, .key = B("what/ever/c"),
	       .dir = fixture_ino(fixture, "a"));
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS + 10));
	assert_int_equal(fixture_get(fixture, "a")->nsubdirs, 2);
}

static void test_rmdir_removes_only_empty_directories(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a/b/c/");
	create_entry(fixture, "a/b/k");
	EXPECT(fixture, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("a/b"));
	EXPECT(fixture, OK, "removed a/b/c/", .op = EVENT_RMDIR, .key = B("a/b/c"));
	EXPECT(fixture, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("a/b"));
	EXPECT(fixture, OK, "removed a/b/k=5", .op = EVENT_DEL, .key = B("a/b/k"));
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "removed a/b/", .op = EVENT_RMDIR, .key = B("a/b"));
	assert_int_equal(fixture_get(fixture, "a")->nsubdirs, 0);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS + 10));
	fixture_totals(fixture, 0, 1, COST + 1);
	EXPECT(fixture, REJECTED, "", .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	EXPECT(fixture, OK, "removed a/", .op = EVENT_RMDIR, .key = B("a"));
	EXPECT(fixture, REJECTED, "", .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	fixture_totals(fixture, 0, 0, 0);
}

/* A directory whose children have all expired is empty, however many there are; one
 * live child keeps the directory. */
static void test_a_directory_of_expired_keys_is_empty(void **state)
{
	struct fixture *fixture = *state;
	struct bytes k = B("k");
	char key[32];

	create_entry(fixture, "d/");
	fixture->unchecked = true;
	for (int i = 0; i < 600; i++) {
		struct event ev = { .op = EVENT_SET, .value = k, .ttl = TTL_SET, .ttl_ms = 50 };
		int n = snprintf(key, sizeof(key), "d/%d", i);
		ev.key = (struct bytes){ key, (size_t)n };
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
	fixture->unchecked = false;
	create_entry(fixture, "d/z");
	fixture->time_ms += 50;
	assert_int_equal(
	        fixture_apply(fixture, &(struct event){ .op = EVENT_RMDIR, .key = B("d") }),
	        OUTCOME_NOT_EMPTY);
	assert_int_equal(fixture_meta(fixture).nexpired, 600);
	assert_int_equal(fixture->feed->neffects, 600);
	fixture_totals(fixture, 1, 1, 2 * COST + 2 + 3);

	EXPECT(fixture, OK, "added d/y=0@1000060", .op = EVENT_SET, .key = B("d/y"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	EXPECT(fixture, OK, "removed d/z=3", .op = EVENT_DEL, .key = B("d/z"));
	EXPECT(fixture, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("d"));
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "expired d/y=0@1000060, removed d/", .op = EVENT_RMDIR, .key = B("d"));
	fixture_totals(fixture, 0, 0, 0);
	assert_int_equal(fixture_meta(fixture).nexpired, 601);
}

/* --- del --- */

static void test_del_removes_keys_only(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a/k");
	uint64_t ino = fixture_ino(fixture, "a/k");
	EXPECT(fixture, IS_DIR, "", .op = EVENT_DEL, .key = B("a"));
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "removed a/k=3", .op = EVENT_DEL, .key = B("a/k"));
	assert_int_equal(fixture->feed->ino, ino);
	assert_int_equal(fixture->feed->version, 0);
	assert_int_equal(fixture->feed->effects[0].ino, ino);
	assert_int_equal(fixture->feed->effects[0].parent, fixture_ino(fixture, "a"));
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS + 10));
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_DEL, .key = B("a/k"));
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_DEL, .at = ino);
	fixture_totals(fixture, 0, 1, COST + 1);
}

static void test_recursive_del_removes_the_whole_tree(void **state)
{
	struct fixture *fixture = *state;
	struct bytes big = { calloc(1, 3 * STORE_CHUNK_SIZE), 3 * STORE_CHUNK_SIZE };

	assert_non_null(big.data);
	create_entry(fixture, "keep/a");
	fixture_totals(fixture, 1, 1, 2 * COST + 5 + 6);
	create_entry(fixture, "t/a/b/c/d");
	create_entry(fixture, "t/a/b/e/");
	create_entry(fixture, "t/a/f");
	create_entry(fixture, "t/g/");
	create_entry(fixture, "t/h");
	EXPECT(fixture, OK, "added t/a/big=196560", .op = EVENT_SET, .key = B("t/a/big"),
	       .value = big);
	EXPECT(fixture, OK, "data t/a/b/c/d=0@1000100", .op = EVENT_SET, .key = B("t/a/b/c/d"),
	       .ttl = TTL_SET, .ttl_ms = 100, .type = B("x/y"));
	EXPECT(fixture, OK, "attr t/a/b/", .op = EVENT_SETXATTR, .key = B("t/a/b"),
	       .name = B("user.default_ttl"), .value = B("60"));
	EXPECT(fixture, OK, "attr t/a/b/", .op = EVENT_SETXATTR, .key = B("t/a/b"),
	       .name = B("user.x"), .value = B("60"));
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 1);
	assert_int_equal(fixture_get(fixture, "")->nsubdirs, 2);
	EXPECT(fixture, OK, "removed t/", .op = EVENT_DEL, .key = B("t"), .flags = EVENT_RECURSE);
	assert_true(fixture->feed->effects[0].dir);
	fixture_totals(fixture, 1, 1, 2 * COST + 5 + 6);
	assert_int_equal(fixture_meta(fixture).ndefault_ttl, 0);
	assert_int_equal(fixture_get(fixture, "")->nsubdirs, 1);
	/* Keys and empty directories can be removed in the same way. */
	EXPECT(fixture, OK, "removed keep/a=6", .op = EVENT_DEL, .key = B("keep/a"),
	       .flags = EVENT_RECURSE);
	EXPECT(fixture, OK, "removed keep/", .op = EVENT_DEL, .key = B("keep"),
	       .flags = EVENT_RECURSE);
	fixture_totals(fixture, 0, 0, 0);
	free((void *)big.data);
}

/* The root cannot be removed, and trying to does not stop the node. */
static void test_the_root_cannot_be_removed_or_renamed(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a/k");
	EXPECT(fixture, IS_DIR, "", .op = EVENT_DEL, .at = STORE_ROOT_INO);
	EXPECT(fixture, REJECTED, "", .op = EVENT_DEL, .at = STORE_ROOT_INO,
	       .flags = EVENT_RECURSE);
	EXPECT(fixture, REJECTED, "", .op = EVENT_RENAME, .at = STORE_ROOT_INO, .to = B("b"));
	assert_int_equal(fixture_meta(fixture).nrejected, 2);
	assert_value(fixture, "a/k", "a/k");
}

static void test_eviction_is_counted(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a");
	EXPECT(fixture, VERSION, "", .op = EVENT_DEL, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = 7);
	assert_int_equal(fixture_meta(fixture).nevicted, 0);
	EXPECT(fixture, OK, "evicted a=1", .op = EVENT_DEL, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = 0);
	assert_int_equal(fixture_meta(fixture).nevicted, 1);
}

/* Evict by inode and version, whatever its name is now; a newer version stays. */
static void test_eviction_spares_a_newer_version(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a");
	uint64_t ino = fixture_ino(fixture, "a"), version = fixture_get(fixture, "a")->version;
	EXPECT(fixture, OK, "data a=5", .op = EVENT_SET, .key = B("a"), .value = B("newer"));
	EXPECT(fixture, VERSION, "", .op = EVENT_DEL, .at = ino, .key = B("a"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	assert_value(fixture, "a", "newer");
	version = fixture_get(fixture, "a")->version;
	EXPECT(fixture, OK, "evicted a=5", .op = EVENT_DEL, .at = ino, .key = B("a"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	/* Two nodes may choose the same entry: the second event does nothing. */
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_DEL, .at = ino, .key = B("a"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	EXPECT(fixture, OK, "added a=4", .op = EVENT_SET, .key = B("a"), .value = B("anew"));
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_DEL, .at = ino, .key = B("a"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	assert_value(fixture, "a", "anew");
	assert_int_equal(fixture_meta(fixture).nevicted, 1);
}

/* Evict a directory only while it is empty. */
static void test_eviction_removes_only_empty_directories(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "d/a");
	uint64_t ino = fixture_ino(fixture, "d"), version = fixture_get(fixture, "d")->version;
	EXPECT(fixture, NOT_EMPTY, "", .op = EVENT_RMDIR, .at = ino, .key = B("d"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	EXPECT(fixture, OK, "removed d/a=3", .op = EVENT_DEL, .key = B("d/a"));
	EXPECT(fixture, OK, "evicted d/", .op = EVENT_RMDIR, .at = ino, .key = B("d"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	assert_int_equal(fixture_meta(fixture).nevicted, 1);
	EXPECT(fixture, OK, "added d/", .op = EVENT_MKDIR, .key = B("d"));
	EXPECT(fixture, OK, "removed d/", .op = EVENT_RMDIR, .key = B("d"));
	assert_int_equal(fixture_meta(fixture).nevicted, 1);
}

/* A tree far deeper than recursion on the stack would allow, built by inodes. */
static void test_a_tree_may_be_thousands_of_levels_deep(void **state)
{
	struct fixture *fixture = *state;
	uint64_t dir = STORE_ROOT_INO;

	fixture->unchecked = true;
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(fixture_apply(fixture, &(struct event){ .op = EVENT_MKDIR,
		                                                         .dir = dir,
		                                                         .key = B("d"),
		                                                         .cond = IF_ABSENT }),
		                 OUTCOME_OK);
		dir = fixture->feed->ino;
	}
	/* The full key would be too long to report; the feed reports the last name
	 * instead. */
	fixture->unchecked = false;
	EXPECT(fixture, OK, "added k=0", .op = EVENT_SET, .dir = dir, .key = B("k"));
	EXPECT(fixture, INTO_ITSELF, "", .op = EVENT_RENAME, .key = B("d"), .to_dir = dir,
	       .to = B("x"));
	fixture_totals(fixture, 1, 3000, 3001 * COST + 3001);
	EXPECT(fixture, OK, "removed d/", .op = EVENT_DEL, .key = B("d"), .flags = EVENT_RECURSE);
	fixture_totals(fixture, 0, 0, 0);
}

/* --- rename --- */

static void test_rename_of_each_kind_onto_each_kind(void **state)
{
	static const struct {
		const char *from, *to;
		unsigned flags;
		enum event_outcome outcome;
		const char *effects;
	} cases[] = {
#define R EVENT_NOREPLACE
#define X EVENT_EXCHANGE
		/* Keys. */
		{ "k", "new", 0, OUTCOME_OK, "removed k=1, added new=1" },
		{ "k", "new", R, OUTCOME_OK, "removed k=1, added new=1" },
		{ "k", "new", X, OUTCOME_NOT_FOUND, "" },
		{ "k", "k2", 0, OUTCOME_OK, "removed k2=2, removed k=1, added k2=1" },
		{ "k", "k2", R, OUTCOME_EXISTS, "" },
		{ "k", "k2", X, OUTCOME_OK, "removed k=1, removed k2=2, added k=2, added k2=1" },
		{ "k", "k", 0, OUTCOME_OK, "" },
		{ "k", "k", R, OUTCOME_EXISTS, "" },
		{ "k", "k", X, OUTCOME_OK, "" },
		{ "k", "empty", 0, OUTCOME_IS_DIR, "" },
		{ "k", "empty", R, OUTCOME_EXISTS, "" },
		{ "k", "full", 0, OUTCOME_IS_DIR, "" },
		{ "k", "full", X, OUTCOME_OK,
		  "removed k=1, removed full/, added k/, added full=1" },
		{ "k", "full/k", 0, OUTCOME_OK, "removed full/k=6, removed k=1, added full/k=1" },
		{ "k", "full/new", 0, OUTCOME_OK, "removed k=1, added full/new=1" },
		{ "k", "a/b/c", 0, OUTCOME_OK, "added a/, added a/b/, removed k=1, added a/b/c=1" },
		{ "k", "a/b/c", R, OUTCOME_OK, "added a/, added a/b/, removed k=1, added a/b/c=1" },
		{ "k", "a/b/c", X, OUTCOME_NOT_FOUND, "" },
		{ "k", "k/below", 0, OUTCOME_NOT_DIR, "" },
		{ "k", "k2/below", 0, OUTCOME_NOT_DIR, "" },
		{ "k", "k2/below/more", 0, OUTCOME_NOT_DIR, "" },
		{ "full/k", "k", 0, OUTCOME_OK, "removed k=1, removed full/k=6, added k=6" },
		{ "full/k", "full", 0, OUTCOME_IS_DIR, "" },
		{ "full/k", "full", X, OUTCOME_INTO_ITSELF, "" },
		{ "none", "new", 0, OUTCOME_NOT_FOUND, "" },
		{ "none/none", "new", 0, OUTCOME_NOT_FOUND, "" },
		{ "k2/none", "new", 0, OUTCOME_NOT_DIR, "" },
		/* Directories. */
		{ "full", "new", 0, OUTCOME_OK, "removed full/, added new/" },
		{ "full", "k", 0, OUTCOME_NOT_DIR, "" },
		{ "full", "k", R, OUTCOME_EXISTS, "" },
		{ "full", "k", X, OUTCOME_OK,
		  "removed full/, removed k=1, added full=1, added k/" },
		{ "full", "empty", 0, OUTCOME_OK, "removed empty/, removed full/, added empty/" },
		{ "full", "empty", X, OUTCOME_OK,
		  "removed full/, removed empty/, added full/, added empty/" },
		{ "full", "deep", 0, OUTCOME_NOT_EMPTY, "" },
		{ "full", "deep/dir", 0, OUTCOME_OK,
		  "removed deep/dir/, removed full/, added deep/dir/" },
		{ "full", "full", 0, OUTCOME_OK, "" },
		{ "full", "full/new", 0, OUTCOME_INTO_ITSELF, "" },
		{ "full", "full/a/b/c", 0, OUTCOME_INTO_ITSELF, "" },
		{ "full", "full/k", 0, OUTCOME_INTO_ITSELF, "" },
		{ "full", "full/k", X, OUTCOME_INTO_ITSELF, "" },
		{ "deep", "deep/dir", 0, OUTCOME_INTO_ITSELF, "" },
		{ "deep", "deep/dir", X, OUTCOME_INTO_ITSELF, "" },
		{ "deep/dir", "deep", 0, OUTCOME_NOT_EMPTY, "" },
		{ "deep/dir", "deep", X, OUTCOME_INTO_ITSELF, "" },
		{ "deep/dir", "dir", 0, OUTCOME_OK, "removed deep/dir/, added dir/" },
		{ "deep/dir", "a/b", 0, OUTCOME_OK, "added a/, removed deep/dir/, added a/b/" },
		{ "deep/dir", "k", X, OUTCOME_OK,
		  "removed deep/dir/, removed k=1, added deep/dir=1, added k/" },
		{ "deep/dir", "empty", X, OUTCOME_OK,
		  "removed deep/dir/, removed empty/, added deep/dir/, added empty/" },
		{ "empty", "deep/dir", 0, OUTCOME_OK,
		  "removed deep/dir/, removed empty/, added deep/dir/" },
		{ "empty", "a/b/c", 0, OUTCOME_OK,
		  "added a/, added a/b/, removed empty/, added a/b/c/" },
#undef R
#undef X
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		fixture_init(&fixture);
		create_entry(&fixture, "k");
		create_entry(&fixture, "k2");
		create_entry(&fixture, "empty/");
		create_entry(&fixture, "full/k");
		create_entry(&fixture, "deep/dir/");
		struct event ev = { .op = EVENT_RENAME,
			            .key = { cases[i].from, strlen(cases[i].from) },
			            .to = { cases[i].to, strlen(cases[i].to) },
			            .flags = cases[i].flags };
		const struct entry *e = fixture_get(&fixture, cases[i].from);
		uint64_t ino = e ? e->ino : 0;
		enum event_outcome got = fixture_apply(&fixture, &ev);
		if (got != cases[i].outcome ||
		    strcmp(fixture_effects(&fixture), cases[i].effects) != 0)
			fail_msg("%s to %s, flags %x: %s [%s]", cases[i].from, cases[i].to,
			         cases[i].flags, event_outcome_text(got), fixture.text);
		if (got == OUTCOME_OK) {
			assert_int_equal(fixture_ino(&fixture, cases[i].to), ino);
			assert_int_equal(fixture.feed->ino, ino);
			assert_false(fixture.feed->created);
		}
		if (got == OUTCOME_OK && fixture.feed->neffects)
			assert_int_equal(fixture_get(&fixture, cases[i].to)->version,
			                 fixture.offset - 1);
		fixture_free(&fixture);
	}
}

/* The entry keeps its inode and properties; the times of both directories change. */
static void test_a_renamed_entry_keeps_its_properties(void **state)
{
	struct fixture *fixture = *state;

	EXPECT(fixture, OK, "added a/, added a/x=3@1000500", .op = EVENT_SET, .key = B("a/x"),
	       .value = B("abc"), .ttl = TTL_SET, .ttl_ms = 500, .type = B("t/t"), .mode = 0600,
	       .flags = EVENT_HAS_MODE);
	create_entry(fixture, "b/");
	struct entry before = *fixture_get(fixture, "a/x");
	uint64_t used = fixture_meta(fixture).used_bytes;
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "removed a/x=3@1000500, added b/longer=3@1000500", .op = EVENT_RENAME,
	       .key = B("a/x"), .to = B("b/longer"), .cond = IF_VERSION, .if_version = 0);
	const struct entry *e = fixture_get(fixture, "b/longer");
	assert_int_equal(e->ino, before.ino);
	assert_int_equal(e->mode, before.mode);
	assert_int_equal(e->expiry_ms, 1000500);
	assert_int_equal(e->mtime_ns, before.mtime_ns);
	assert_int_equal(e->ctime_ns, NS(FIXTURE_START_MS + 10));
	assert_string_equal(fixture_xattr(fixture, "b/longer", "user.content_type"), "t/t");
	assert_value(fixture, "b/longer", "abc");
	assert_int_equal(fixture_meta(fixture).used_bytes, used + 5);
	assert_int_equal(fixture_get(fixture, "a")->mtime_ns, NS(FIXTURE_START_MS + 10));
	assert_int_equal(fixture_get(fixture, "b")->mtime_ns, NS(FIXTURE_START_MS + 10));
	/* It expires under its new name. */
	fixture->time_ms += 1000;
	EXPECT(fixture, OK, "expired b/longer=3@1000500", .op = EVENT_TICK);
}

static void test_rename_treats_expired_entries_as_absent(void **state)
{
	struct fixture *fixture = *state;
	struct event old = { .op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = 10 };

	create_entry(fixture, "k");
	create_entry(fixture, "d/x/");
	create_entry(fixture, "full/");
	old.key = (struct bytes)B("t");
	assert_int_equal(fixture_apply(fixture, &old), OUTCOME_OK);
	old.key = (struct bytes)B("full/t");
	assert_int_equal(fixture_apply(fixture, &old), OUTCOME_OK);
	fixture->time_ms += 10;
	/* An expired target counts as absent, for NOREPLACE and EXCHANGE too, and a
	 * directory may take its name. */
	EXPECT(fixture, NOT_FOUND, "expired t=0@1000010, expired full/t=0@1000010",
	       .op = EVENT_RENAME, .key = B("k"), .to = B("t"), .flags = EVENT_EXCHANGE);
	old.key = (struct bytes)B("full/t");
	assert_int_equal(fixture_apply(fixture, &old), OUTCOME_OK);
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "expired full/t=0@1000020, removed full/, removed d/x/, added full/",
	       .op = EVENT_RENAME, .key = B("d/x"), .to = B("full"));
	old.key = (struct bytes)B("t");
	assert_int_equal(fixture_apply(fixture, &old), OUTCOME_OK);
	fixture->time_ms += 10;
	EXPECT(fixture, OK, "expired t=0@1000030, added t/, removed k=1, added t/k=1",
	       .op = EVENT_RENAME, .key = B("k"), .to = B("t/k"), .flags = EVENT_NOREPLACE);
	/* An expired source counts as absent. */
	old.key = (struct bytes)B("s");
	assert_int_equal(fixture_apply(fixture, &old), OUTCOME_OK);
	fixture->time_ms += 10;
	EXPECT(fixture, NOT_FOUND, "expired s=0@1000040", .op = EVENT_RENAME, .key = B("s"),
	       .to = B("new"));
}

static void test_rename_finds_source_and_target_by_inode(void **state)
{
	struct fixture *fixture = *state;

	create_entry(fixture, "a/k");
	create_entry(fixture, "b/");
	uint64_t a = fixture_ino(fixture, "a"), b = fixture_ino(fixture, "b"),
	         k = fixture_ino(fixture, "a/k");
	EXPECT(fixture, OK, "removed a/k=3, added b/l=3", .op = EVENT_RENAME, .dir = a,
	       .key = B("stale/k"), .to_dir = b, .to = B("stale/l"));
	assert_int_equal(fixture_ino(fixture, "b/l"), k);
	EXPECT(fixture, OK, "removed b/l=3, added top=3", .op = EVENT_RENAME, .at = k,
	       .key = B("stale"), .to = B("top"));
	EXPECT(fixture, NOT_FOUND, "", .op = EVENT_RENAME, .at = k, .key = B("top"),
	       .to_dir = 999999, .to = B("x"));
	EXPECT(fixture, NOT_DIR, "", .op = EVENT_RENAME, .at = b, .key = B("b"), .to_dir = k,
	       .to = B("x"));
	EXPECT(fixture, OK, "removed b/, added a/b/", .op = EVENT_RENAME, .at = b, .to_dir = a,
	       .to = B("b"));
	EXPECT(fixture, OK, "removed a/, added c/", .op = EVENT_RENAME, .at = a, .to = B("c"));
	create_entry(fixture, "c/b/deep");
	assert_int_equal(fixture_get(fixture, "c")->nsubdirs, 1);
	fixture_totals(fixture, 2, 2, 4 * COST + 3 + 3 + 1 + 1 + 4 + 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_mkdir_creates_missing_parents),
		TEST(test_rmdir_removes_only_empty_directories),
		TEST(test_a_directory_of_expired_keys_is_empty),
		TEST(test_del_removes_keys_only),
		TEST(test_recursive_del_removes_the_whole_tree),
		TEST(test_the_root_cannot_be_removed_or_renamed),
		TEST(test_eviction_is_counted),
		TEST(test_eviction_spares_a_newer_version),
		TEST(test_eviction_removes_only_empty_directories),
		TEST(test_a_tree_may_be_thousands_of_levels_deep),
		cmocka_unit_test(test_rename_of_each_kind_onto_each_kind),
		TEST(test_a_renamed_entry_keeps_its_properties),
		TEST(test_rename_treats_expired_entries_as_absent),
		TEST(test_rename_finds_source_and_target_by_inode),
	};

	return cmocka_run_group_tests_name("apply_name", tests, NULL, NULL);
}
