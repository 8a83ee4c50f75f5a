/* Tests of common/apply/op_name.c and apply/tree.c: operations on names (mkdir,
 * rmdir, del, rename). */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/base/key.h"
#include "tests/unit/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS(ms) ((ms)*INT64_C(1000000))
#define COST STORE_ENTRY_COST

static void make(struct rig *rig, const char *key)
{
	size_t len = strlen(key);
	bool dir = key[len - 1] == '/';
	struct event ev = { .op = dir ? EVENT_MKDIR : EVENT_SET, .key = { key, len - dir } };

	if (!dir)
		ev.value = (struct bytes){ key, len };
	assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
}

/* --- mkdir, rmdir --- */

static void test_mkdir(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a/, added a/b/", .op = EVENT_MKDIR, .key = B("a/b"), .mode = 01700,
	       .flags = EVENT_HAS_MODE);
	assert_true(rig->feed->created);
	assert_int_equal(rig_get(rig, "a")->mode, S_IFDIR | 0755);
	assert_int_equal(rig_get(rig, "a/b")->mode, S_IFDIR | 01700);
	rig_totals(rig, 0, 2, 2 * COST + 2);
	/* There already: fine, unless the condition says otherwise. */
	rig->time_ms += 10;
	EXPECT(rig, OK, "", .op = EVENT_MKDIR, .key = B("a/b"), .mode = 0700,
	       .flags = EVENT_HAS_MODE);
	assert_false(rig->feed->created);
	assert_int_equal(rig->feed->ino, rig_ino(rig, "a/b"));
	assert_int_equal(rig_get(rig, "a/b")->mode, S_IFDIR | 01700);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS));
	EXPECT(rig, EXISTS, "", .op = EVENT_MKDIR, .key = B("a/b"), .cond = IF_ABSENT);
	EXPECT(rig, OK, "", .op = EVENT_MKDIR, .at = STORE_ROOT_INO);
	EXPECT(rig, EXISTS, "", .op = EVENT_MKDIR, .at = STORE_ROOT_INO, .cond = IF_ABSENT);
	EXPECT(rig, OK, "added a/c/", .op = EVENT_MKDIR, .key = B("what/ever/c"),
	       .dir = rig_ino(rig, "a"));
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS + 10));
	assert_int_equal(rig_get(rig, "a")->nsubdirs, 2);
}

static void test_rmdir(void **state)
{
	struct rig *rig = *state;

	make(rig, "a/b/c/");
	make(rig, "a/b/k");
	EXPECT(rig, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("a/b"));
	EXPECT(rig, OK, "removed a/b/c/", .op = EVENT_RMDIR, .key = B("a/b/c"));
	EXPECT(rig, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("a/b"));
	EXPECT(rig, OK, "removed a/b/k=5", .op = EVENT_DEL, .key = B("a/b/k"));
	rig->time_ms += 10;
	EXPECT(rig, OK, "removed a/b/", .op = EVENT_RMDIR, .key = B("a/b"));
	assert_int_equal(rig_get(rig, "a")->nsubdirs, 0);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS + 10));
	rig_totals(rig, 0, 1, COST + 1);
	EXPECT(rig, REJECTED, "", .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	EXPECT(rig, OK, "removed a/", .op = EVENT_RMDIR, .key = B("a"));
	EXPECT(rig, REJECTED, "", .op = EVENT_RMDIR, .at = STORE_ROOT_INO);
	rig_totals(rig, 0, 0, 0);
}

/* A directory whose children have all expired is empty, however many they are;
 * one that lives keeps it. */
static void test_rmdir_with_expired_children(void **state)
{
	struct rig *rig = *state;
	struct bytes k = B("k");
	char key[32];

	make(rig, "d/");
	rig->unchecked = true;
	for (int i = 0; i < 600; i++) {
		struct event ev = { .op = EVENT_SET, .value = k, .ttl = TTL_SET, .ttl_ms = 50 };
		int n = snprintf(key, sizeof key, "d/%d", i);
		ev.key = (struct bytes){ key, (size_t)n };
		assert_int_equal(rig_apply(rig, &ev), OUTCOME_OK);
	}
	rig->unchecked = false;
	make(rig, "d/z");
	rig->time_ms += 50;
	assert_int_equal(rig_apply(rig, &(struct event){ .op = EVENT_RMDIR, .key = B("d") }),
	                 OUTCOME_NOT_EMPTY);
	assert_int_equal(rig_meta(rig).nexpired, 600);
	assert_int_equal(rig->feed->neffects, 600);
	rig_totals(rig, 1, 1, 2 * COST + 2 + 3);

	EXPECT(rig, OK, "added d/y=0@1000060", .op = EVENT_SET, .key = B("d/y"), .ttl = TTL_SET,
	       .ttl_ms = 10);
	EXPECT(rig, OK, "removed d/z=3", .op = EVENT_DEL, .key = B("d/z"));
	EXPECT(rig, NOT_EMPTY, "", .op = EVENT_RMDIR, .key = B("d"));
	rig->time_ms += 10;
	EXPECT(rig, OK, "expired d/y=0@1000060, removed d/", .op = EVENT_RMDIR, .key = B("d"));
	rig_totals(rig, 0, 0, 0);
	assert_int_equal(rig_meta(rig).nexpired, 601);
}

/* --- del --- */

static void test_del(void **state)
{
	struct rig *rig = *state;

	make(rig, "a/k");
	uint64_t ino = rig_ino(rig, "a/k");
	EXPECT(rig, IS_DIR, "", .op = EVENT_DEL, .key = B("a"));
	rig->time_ms += 10;
	EXPECT(rig, OK, "removed a/k=3", .op = EVENT_DEL, .key = B("a/k"));
	assert_int_equal(rig->feed->ino, ino);
	assert_int_equal(rig->feed->version, 0);
	assert_int_equal(rig->feed->effects[0].ino, ino);
	assert_int_equal(rig->feed->effects[0].parent, rig_ino(rig, "a"));
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS + 10));
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_DEL, .key = B("a/k"));
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_DEL, .at = ino);
	rig_totals(rig, 0, 1, COST + 1);
}

static void test_del_recursive(void **state)
{
	struct rig *rig = *state;
	struct bytes big = { calloc(1, 3 * STORE_CHUNK_SIZE), 3 * STORE_CHUNK_SIZE };

	assert_non_null(big.data);
	make(rig, "keep/a");
	rig_totals(rig, 1, 1, 2 * COST + 5 + 6);
	make(rig, "t/a/b/c/d");
	make(rig, "t/a/b/e/");
	make(rig, "t/a/f");
	make(rig, "t/g/");
	make(rig, "t/h");
	EXPECT(rig, OK, "added t/a/big=196560", .op = EVENT_SET, .key = B("t/a/big"), .value = big);
	EXPECT(rig, OK, "data t/a/b/c/d=0@1000100", .op = EVENT_SET, .key = B("t/a/b/c/d"),
	       .ttl = TTL_SET, .ttl_ms = 100, .type = B("x/y"));
	EXPECT(rig, OK, "attr t/a/b/", .op = EVENT_SETXATTR, .key = B("t/a/b"),
	       .name = B("user.default_ttl"), .value = B("60"));
	EXPECT(rig, OK, "attr t/a/b/", .op = EVENT_SETXATTR, .key = B("t/a/b"), .name = B("user.x"),
	       .value = B("60"));
	assert_int_equal(rig_meta(rig).ndefault_ttl, 1);
	assert_int_equal(rig_get(rig, "")->nsubdirs, 2);
	EXPECT(rig, OK, "removed t/", .op = EVENT_DEL, .key = B("t"), .flags = EVENT_RECURSE);
	assert_true(rig->feed->effects[0].dir);
	rig_totals(rig, 1, 1, 2 * COST + 5 + 6);
	assert_int_equal(rig_meta(rig).ndefault_ttl, 0);
	assert_int_equal(rig_get(rig, "")->nsubdirs, 1);
	/* A key too; and an empty directory. */
	EXPECT(rig, OK, "removed keep/a=6", .op = EVENT_DEL, .key = B("keep/a"),
	       .flags = EVENT_RECURSE);
	EXPECT(rig, OK, "removed keep/", .op = EVENT_DEL, .key = B("keep"), .flags = EVENT_RECURSE);
	rig_totals(rig, 0, 0, 0);
	free((void *)big.data);
}

/* The root cannot be removed, and trying does not stop the node. */
static void test_del_root(void **state)
{
	struct rig *rig = *state;

	make(rig, "a/k");
	EXPECT(rig, IS_DIR, "", .op = EVENT_DEL, .at = STORE_ROOT_INO);
	EXPECT(rig, REJECTED, "", .op = EVENT_DEL, .at = STORE_ROOT_INO, .flags = EVENT_RECURSE);
	EXPECT(rig, REJECTED, "", .op = EVENT_RENAME, .at = STORE_ROOT_INO, .to = B("b"));
	assert_int_equal(rig_meta(rig).nrejected, 2);
	assert_value(rig, "a/k", "a/k");
}

static void test_evict(void **state)
{
	struct rig *rig = *state;

	make(rig, "a");
	EXPECT(rig, VERSION, "", .op = EVENT_DEL, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = 7);
	assert_int_equal(rig_meta(rig).nevicted, 0);
	EXPECT(rig, OK, "evicted a=1", .op = EVENT_DEL, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = 0);
	assert_int_equal(rig_meta(rig).nevicted, 1);
}

/* By inode and version, wherever it is now; what is newer stays. */
static void test_evict_version(void **state)
{
	struct rig *rig = *state;

	make(rig, "a");
	uint64_t ino = rig_ino(rig, "a"), version = rig_get(rig, "a")->version;
	EXPECT(rig, OK, "data a=5", .op = EVENT_SET, .key = B("a"), .value = B("newer"));
	EXPECT(rig, VERSION, "", .op = EVENT_DEL, .at = ino, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = version);
	assert_value(rig, "a", "newer");
	version = rig_get(rig, "a")->version;
	EXPECT(rig, OK, "evicted a=5", .op = EVENT_DEL, .at = ino, .key = B("a"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	/* Twice, as when two nodes choose the same: the second does nothing. */
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_DEL, .at = ino, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = version);
	EXPECT(rig, OK, "added a=4", .op = EVENT_SET, .key = B("a"), .value = B("anew"));
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_DEL, .at = ino, .key = B("a"), .flags = EVENT_EVICT,
	       .cond = IF_VERSION, .if_version = version);
	assert_value(rig, "a", "anew");
	assert_int_equal(rig_meta(rig).nevicted, 1);
}

/* A directory only while it is empty. */
static void test_evict_directory(void **state)
{
	struct rig *rig = *state;

	make(rig, "d/a");
	uint64_t ino = rig_ino(rig, "d"), version = rig_get(rig, "d")->version;
	EXPECT(rig, NOT_EMPTY, "", .op = EVENT_RMDIR, .at = ino, .key = B("d"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	EXPECT(rig, OK, "removed d/a=3", .op = EVENT_DEL, .key = B("d/a"));
	EXPECT(rig, OK, "evicted d/", .op = EVENT_RMDIR, .at = ino, .key = B("d"),
	       .flags = EVENT_EVICT, .cond = IF_VERSION, .if_version = version);
	assert_int_equal(rig_meta(rig).nevicted, 1);
	EXPECT(rig, OK, "added d/", .op = EVENT_MKDIR, .key = B("d"));
	EXPECT(rig, OK, "removed d/", .op = EVENT_RMDIR, .key = B("d"));
	assert_int_equal(rig_meta(rig).nevicted, 1);
}

/* Far deeper than a stack would bear, by way of inodes. */
static void test_deep_tree(void **state)
{
	struct rig *rig = *state;
	uint64_t dir = STORE_ROOT_INO;

	rig->unchecked = true;
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(rig_apply(rig, &(struct event){ .op = EVENT_MKDIR,
		                                                 .dir = dir,
		                                                 .key = B("d"),
		                                                 .cond = IF_ABSENT }),
		                 OUTCOME_OK);
		dir = rig->feed->ino;
	}
	/* Its key would be too long to say: the last name stands for it. */
	rig->unchecked = false;
	EXPECT(rig, OK, "added k=0", .op = EVENT_SET, .dir = dir, .key = B("k"));
	EXPECT(rig, INTO_ITSELF, "", .op = EVENT_RENAME, .key = B("d"), .to_dir = dir,
	       .to = B("x"));
	rig_totals(rig, 1, 3000, 3001 * COST + 3001);
	EXPECT(rig, OK, "removed d/", .op = EVENT_DEL, .key = B("d"), .flags = EVENT_RECURSE);
	rig_totals(rig, 0, 0, 0);
}

/* --- rename --- */

static void test_rename_table(void **state)
{
	static const struct {
		const char *from, *to;
		unsigned flags;
		enum event_outcome outcome;
		const char *effects;
	} cases[] = {
#define R EVENT_NOREPLACE
#define X EVENT_EXCHANGE
		/* a key */
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
		/* a directory */
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
		struct rig rig;
		rig_init(&rig);
		make(&rig, "k");
		make(&rig, "k2");
		make(&rig, "empty/");
		make(&rig, "full/k");
		make(&rig, "deep/dir/");
		struct event ev = { .op = EVENT_RENAME,
			            .key = { cases[i].from, strlen(cases[i].from) },
			            .to = { cases[i].to, strlen(cases[i].to) },
			            .flags = cases[i].flags };
		const struct entry *e = rig_get(&rig, cases[i].from);
		uint64_t ino = e ? e->ino : 0;
		enum event_outcome got = rig_apply(&rig, &ev);
		if (got != cases[i].outcome || strcmp(rig_effects(&rig), cases[i].effects) != 0)
			fail_msg("%s to %s, flags %x: %s [%s]", cases[i].from, cases[i].to,
			         cases[i].flags, event_outcome_text(got), rig.text);
		if (got == OUTCOME_OK) {
			assert_int_equal(rig_ino(&rig, cases[i].to), ino);
			assert_int_equal(rig.feed->ino, ino);
			assert_false(rig.feed->created);
		}
		if (got == OUTCOME_OK && rig.feed->neffects)
			assert_int_equal(rig_get(&rig, cases[i].to)->version, rig.offset - 1);
		rig_free(&rig);
	}
}

/* What an entry is and has goes with it; its directories' times change. */
static void test_rename_keeps(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, OK, "added a/, added a/x=3@1000500", .op = EVENT_SET, .key = B("a/x"),
	       .value = B("abc"), .ttl = TTL_SET, .ttl_ms = 500, .type = B("t/t"), .mode = 0600,
	       .flags = EVENT_HAS_MODE);
	make(rig, "b/");
	struct entry before = *rig_get(rig, "a/x");
	uint64_t used = rig_meta(rig).used_bytes;
	rig->time_ms += 10;
	EXPECT(rig, OK, "removed a/x=3@1000500, added b/longer=3@1000500", .op = EVENT_RENAME,
	       .key = B("a/x"), .to = B("b/longer"), .cond = IF_VERSION, .if_version = 0);
	const struct entry *e = rig_get(rig, "b/longer");
	assert_int_equal(e->ino, before.ino);
	assert_int_equal(e->mode, before.mode);
	assert_int_equal(e->expiry_ms, 1000500);
	assert_int_equal(e->mtime_ns, before.mtime_ns);
	assert_int_equal(e->ctime_ns, NS(RIG_START_MS + 10));
	assert_string_equal(rig_xattr(rig, "b/longer", "user.content_type"), "t/t");
	assert_value(rig, "b/longer", "abc");
	assert_int_equal(rig_meta(rig).used_bytes, used + 5);
	assert_int_equal(rig_get(rig, "a")->mtime_ns, NS(RIG_START_MS + 10));
	assert_int_equal(rig_get(rig, "b")->mtime_ns, NS(RIG_START_MS + 10));
	/* It expires under its new name. */
	rig->time_ms += 1000;
	EXPECT(rig, OK, "expired b/longer=3@1000500", .op = EVENT_TICK);
}

static void test_rename_expired(void **state)
{
	struct rig *rig = *state;
	struct event old = { .op = EVENT_SET, .ttl = TTL_SET, .ttl_ms = 10 };

	make(rig, "k");
	make(rig, "d/x/");
	make(rig, "full/");
	old.key = (struct bytes)B("t");
	assert_int_equal(rig_apply(rig, &old), OUTCOME_OK);
	old.key = (struct bytes)B("full/t");
	assert_int_equal(rig_apply(rig, &old), OUTCOME_OK);
	rig->time_ms += 10;
	/* An expired target is none, also for NOREPLACE and EXCHANGE; its name
	 * can become a directory's. */
	EXPECT(rig, NOT_FOUND, "expired t=0@1000010, expired full/t=0@1000010", .op = EVENT_RENAME,
	       .key = B("k"), .to = B("t"), .flags = EVENT_EXCHANGE);
	old.key = (struct bytes)B("full/t");
	assert_int_equal(rig_apply(rig, &old), OUTCOME_OK);
	rig->time_ms += 10;
	EXPECT(rig, OK, "expired full/t=0@1000020, removed full/, removed d/x/, added full/",
	       .op = EVENT_RENAME, .key = B("d/x"), .to = B("full"));
	old.key = (struct bytes)B("t");
	assert_int_equal(rig_apply(rig, &old), OUTCOME_OK);
	rig->time_ms += 10;
	EXPECT(rig, OK, "expired t=0@1000030, added t/, removed k=1, added t/k=1",
	       .op = EVENT_RENAME, .key = B("k"), .to = B("t/k"), .flags = EVENT_NOREPLACE);
	/* An expired source is none. */
	old.key = (struct bytes)B("s");
	assert_int_equal(rig_apply(rig, &old), OUTCOME_OK);
	rig->time_ms += 10;
	EXPECT(rig, NOT_FOUND, "expired s=0@1000040", .op = EVENT_RENAME, .key = B("s"),
	       .to = B("new"));
}

static void test_rename_addressing(void **state)
{
	struct rig *rig = *state;

	make(rig, "a/k");
	make(rig, "b/");
	uint64_t a = rig_ino(rig, "a"), b = rig_ino(rig, "b"), k = rig_ino(rig, "a/k");
	EXPECT(rig, OK, "removed a/k=3, added b/l=3", .op = EVENT_RENAME, .dir = a,
	       .key = B("stale/k"), .to_dir = b, .to = B("stale/l"));
	assert_int_equal(rig_ino(rig, "b/l"), k);
	EXPECT(rig, OK, "removed b/l=3, added top=3", .op = EVENT_RENAME, .at = k,
	       .key = B("stale"), .to = B("top"));
	EXPECT(rig, NOT_FOUND, "", .op = EVENT_RENAME, .at = k, .key = B("top"), .to_dir = 999999,
	       .to = B("x"));
	EXPECT(rig, NOT_DIR, "", .op = EVENT_RENAME, .at = b, .key = B("b"), .to_dir = k,
	       .to = B("x"));
	EXPECT(rig, OK, "removed b/, added a/b/", .op = EVENT_RENAME, .at = b, .to_dir = a,
	       .to = B("b"));
	EXPECT(rig, OK, "removed a/, added c/", .op = EVENT_RENAME, .at = a, .to = B("c"));
	make(rig, "c/b/deep");
	assert_int_equal(rig_get(rig, "c")->nsubdirs, 1);
	rig_totals(rig, 2, 2, 4 * COST + 3 + 3 + 1 + 1 + 4 + 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_mkdir),
		TEST(test_rmdir),
		TEST(test_rmdir_with_expired_children),
		TEST(test_del),
		TEST(test_del_recursive),
		TEST(test_del_root),
		TEST(test_evict),
		TEST(test_evict_version),
		TEST(test_evict_directory),
		TEST(test_deep_tree),
		cmocka_unit_test(test_rename_table),
		TEST(test_rename_keeps),
		TEST(test_rename_expired),
		TEST(test_rename_addressing),
	};

	return cmocka_run_group_tests_name("apply_name", tests, NULL, NULL);
}
