/* Tests of common/apply/: every operation with every precondition, on every state of
 * its target, which is addressed in each of the three ways. Three small rules and one
 * row per operation give the expected outcome. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* State of the target when the event is applied. */
enum state {
	ABSENT,
	KEY,
	DIR,
	LINK,    /* a symbolic link */
	EXPIRED, /* expired, and among the first to be purged, so gone before the operation */
	LATE, /* expired, but not purged first: too many others are due, and the operation finds it */
	NO_PARENT,  /* its directory is missing too */
	KEY_PARENT, /* its parent is a key instead of a directory */
	STATES
};
static const char *const state_names[STATES] = {
	"absent", "key", "directory", "link", "expired", "late", "no parent", "key parent",
};

enum way { BY_PATH, BY_DIR, BY_AT, WAYS };
static const char *const way_names[WAYS] = { "path", "dir", "at" };

enum cond { NONE, IS_ABSENT, IS_PRESENT, RIGHT_VERSION, WRONG_VERSION, CONDS };
static const char *const cond_names[CONDS] = { "no condition", "if absent", "if present",
	                                       "right version", "wrong version" };

/* An operation, and its outcome for each state without a condition. */
static const struct row {
	struct event ev;
	enum event_outcome absent, key, dir, link;
	bool removes; /* the name is gone afterwards */
} rows[] = {
#define ROW(absent, key, dir, link, removes, ...)                                                  \
	{                                                                                          \
		{ __VA_ARGS__ }, OUTCOME_##absent, OUTCOME_##key, OUTCOME_##dir, OUTCOME_##link,   \
		        removes                                                                    \
	}
	ROW(OK, OK, IS_DIR, OK, false, .op = EVENT_SET, .value = B("v")),
	ROW(OK, OK, IS_DIR, IS_LINK, false, .op = EVENT_APPEND, .value = B("v")),
	ROW(OK, OK, IS_DIR, IS_LINK, false, .op = EVENT_INCR, .by = 3),
	ROW(NOT_FOUND, OK, IS_DIR, IS_LINK, false, .op = EVENT_WRITE, .value = B("v"),
	    .ranges = &(struct event_range){ 1, 1 }, .nranges = 1),
	ROW(NOT_FOUND, OK, IS_DIR, IS_LINK, false, .op = EVENT_TRUNCATE, .size = 3),
	ROW(NOT_FOUND, OK, IS_DIR, OK, true, .op = EVENT_DEL),
	ROW(NOT_FOUND, OK, OK, OK, true, .op = EVENT_DEL, .flags = EVENT_RECURSE),
	ROW(NOT_FOUND, OK, IS_DIR, OK, true, .op = EVENT_DEL, .flags = EVENT_EVICT),
	ROW(OK, EXISTS, OK, EXISTS, false, .op = EVENT_MKDIR),
	ROW(NOT_FOUND, NOT_DIR, OK, NOT_DIR, true, .op = EVENT_RMDIR),
	ROW(NOT_FOUND, OK, OK, OK, true, .op = EVENT_RENAME, .to = B("p/to")),
	ROW(NOT_FOUND, OK, OK, OK, true, .op = EVENT_RENAME, .to = B("new/to")),
	ROW(NOT_FOUND, OK, IS_DIR, OK, false, .op = EVENT_EXPIRE, .ttl = TTL_SET, .ttl_ms = 5),
	ROW(NOT_FOUND, OK, IS_DIR, OK, false, .op = EVENT_PERSIST),
	ROW(NOT_FOUND, OK, OK, OK, false, .op = EVENT_SETXATTR, .name = B("user.b"),
	    .value = B("v")),
	ROW(NOT_FOUND, OK, OK, OK, false, .op = EVENT_REMOVEXATTR, .name = B("user.a")),
	ROW(NOT_FOUND, OK, OK, OK, false, .op = EVENT_CHMOD, .mode = 0600, .flags = EVENT_HAS_MODE),
	ROW(NOT_FOUND, OK, OK, OK, false, .op = EVENT_TOUCH),
};

#define HOUR_MS 3600000
#define SOON_MS (FIXTURE_START_MS + 10)
#define LATE_MS (FIXTURE_START_MS + 2000)
#define NPURGED 256 /* as many as one event purges: p/expired and the fillers */

static void set_up(struct fixture *fixture)
{
	fixture_init(fixture);
	EXPECT(fixture, OK, "added p/", .op = EVENT_MKDIR, .key = B("p"));
	EXPECT(fixture, OK, "added k=1", .op = EVENT_SET, .key = B("k"), .value = B("x"));
	EXPECT(fixture, OK, "added p/key=1@4600000", .op = EVENT_SET, .key = B("p/key"),
	       .value = B("5"), .ttl = TTL_SET, .ttl_ms = HOUR_MS);
	EXPECT(fixture, OK, "added p/dir/", .op = EVENT_MKDIR, .key = B("p/dir"));
	EXPECT(fixture, OK, "attr p/key=1@4600000", .op = EVENT_SETXATTR, .key = B("p/key"),
	       .name = B("user.a"), .value = B("a"));
	EXPECT(fixture, OK, "attr p/dir/", .op = EVENT_SETXATTR, .key = B("p/dir"),
	       .name = B("user.a"), .value = B("a"));
	EXPECT(fixture, OK, "added p/link=1@4600000", .op = EVENT_SET, .key = B("p/link"),
	       .value = B("t"), .ttl = TTL_SET, .ttl_ms = HOUR_MS, .flags = EVENT_SYMLINK);
	EXPECT(fixture, OK, "attr p/link=1@4600000", .op = EVENT_SETXATTR, .key = B("p/link"),
	       .name = B("user.a"), .value = B("a"));
	EXPECT(fixture, OK, "added p/expired=1@1000010", .op = EVENT_SET, .key = B("p/expired"),
	       .value = B("5"), .ttl = TTL_UNTIL, .ttl_ms = SOON_MS);
	EXPECT(fixture, OK, "added p/late=1@1002001", .op = EVENT_SET, .key = B("p/late"),
	       .value = B("5"), .ttl = TTL_UNTIL, .ttl_ms = LATE_MS + 1);
	fixture->unchecked = true;
	for (int i = 0; i < NPURGED - 1; i++) {
		char key[32];
		int n = snprintf(key, sizeof(key), "filler%d", i);
		struct event ev = { .op = EVENT_SET,
			            .key = { key, (size_t)n },
			            .ttl = TTL_UNTIL,
			            .ttl_ms = LATE_MS };
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
	}
}

/* Key and inodes of the target in some state. */
struct target {
	const char *key;
	uint64_t ino, dir;
	uint64_t version;
};

static struct target find_target(struct fixture *fixture, enum state state)
{
	static const char *const keys[STATES] = { "p/absent",  "p/key",  "p/dir", "p/link",
		                                  "p/expired", "p/late", "q/x",   "k/x" };
	struct target target = { .key = keys[state],
		                 .dir = fixture_ino(fixture, "p"),
		                 .ino = 999999 };
	const struct entry *e = fixture_get(fixture, target.key);

	if (e) {
		target.ino = e->ino;
		target.version = e->version;
	}
	if (state == NO_PARENT)
		target.dir = 999999;
	if (state == KEY_PARENT)
		target.dir = fixture_ino(fixture, "k");
	return target;
}

static bool is_there(enum state state)
{
	return state == KEY || state == DIR || state == LINK;
}

static enum event_outcome expected_outcome(const struct row *row, enum cond cond, enum state state,
                                           enum way way)
{
	bool creates = row->absent == OUTCOME_OK, found = is_there(state);

	/* 1. Finding the target. */
	if (state == KEY_PARENT)
		return OUTCOME_NOT_DIR;
	if (state == NO_PARENT && (way == BY_DIR || !creates))
		return OUTCOME_NOT_FOUND;
	if (way == BY_AT && !found)
		return OUTCOME_NOT_FOUND;
	/* 2. The condition. */
	if (cond == IS_ABSENT && found)
		return OUTCOME_EXISTS;
	if (cond == IS_PRESENT && !found)
		return OUTCOME_NOT_FOUND;
	if (cond == WRONG_VERSION || (cond == RIGHT_VERSION && !found))
		return OUTCOME_VERSION;
	/* 3. The operation. */
	return state == KEY  ? row->key :
	       state == DIR  ? row->dir :
	       state == LINK ? row->link :
	                       row->absent;
}

static bool target_exists(struct txn *txn, const struct target *target, enum state state)
{
	const char *slash = strchr(target->key, '/');
	uint64_t dir = target->dir, ino;

	if (state == NO_PARENT && store_lookup(txn, STORE_ROOT_INO, target->key,
	                                       (size_t)(slash - target->key), &dir, NULL) != 0)
		return false;
	return store_lookup(txn, dir, slash + 1, strlen(slash + 1), &ino, NULL) == 0;
}

/* Return the number of effects of a kind. */
static size_t count_effects(const struct feed_event *feed, enum feed_effect_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < feed->neffects; i++)
		n += feed->effects[i].kind == kind;
	return n;
}

static char case_name[128]; /* the running case, printed if it fails */

static void check_case(struct fixture *fixture, const struct row *row, enum cond cond,
                       enum state state, enum way way)
{
	struct target target = find_target(fixture, state);
	enum event_outcome want = expected_outcome(row, cond, state, way), got = OUTCOME_COUNT;
	struct event ev = row->ev;
	struct feed_event *feed;
	struct bytes bytes;
	uint64_t offset = fixture->offset, found;
	struct txn *txn;
	char why[256];

	ev.key = (struct bytes){ target.key, strlen(target.key) };
	ev.dir = way == BY_DIR ? target.dir : 0;
	ev.at = way == BY_AT ? target.ino : 0;
	ev.cond = cond == NONE       ? IF_NONE :
	          cond == IS_ABSENT  ? IF_ABSENT :
	          cond == IS_PRESENT ? IF_PRESENT :
	                               IF_VERSION;
	ev.if_version = cond == RIGHT_VERSION ? target.version : target.version + 1;

	/* Nothing is committed, so every case starts from the same store. */
	assert_int_equal(txn_write(fixture->store, &txn), 0);
	assert_int_equal(apply_event(txn, &ev, offset,
	                             state == LATE ? LATE_MS + 1000 : SOON_MS + 1000, &got),
	                 0);
	if (got != want)
		fail_msg("%s is \"%s\", not \"%s\"", event_op_text(ev.op), event_outcome_text(got),
		         event_outcome_text(want));
	assert_int_equal(store_feed_next(txn, offset, &found, &bytes), 0);
	assert_int_equal(feed_decode(found, bytes, &feed), 0);
	if (store_check(txn, why, sizeof(why)) != 0)
		fail_msg("%s", why);

	bool is = is_there(state), done = got == OUTCOME_OK;
	/* A key never becomes a link, nor the reverse: a new entry takes the name. */
	bool same = is && !(ev.op == EVENT_SET && state == LINK);
	assert_int_equal(feed->op, ev.op);
	assert_int_equal(feed->created, done && !same);
	if (done && row->removes && ev.op != EVENT_RENAME)
		assert_int_equal(feed->version, 0);
	else if (done && !(ev.op == EVENT_MKDIR && is))
		assert_int_equal(feed->version, offset);
	if (done && same)
		assert_int_equal(feed->ino, target.ino);
	assert_int_equal(target_exists(txn, &target, state), done ? !row->removes : is);
	/* The entries that the event itself purged, and the late one that the
	 * operation found. */
	assert_int_equal(count_effects(feed, FEED_EXPIRED), state == LATE ? NPURGED + 1 : 1);
	free(feed);
	txn_abort(txn);
}

static void test_every_operation_follows_the_rules_in_every_state(void **state)
{
	struct fixture fixture;
	size_t n = 0;

	(void)state;
	set_up(&fixture);
	for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
		for (int c = 0; c < CONDS; c++) {
			for (int s = 0; s < STATES; s++) {
				for (int w = 0; w < WAYS; w++) {
					if (w == BY_AT && (s == NO_PARENT || s == KEY_PARENT))
						continue;
					snprintf(case_name, sizeof(case_name), "%s, %s, %s, by %s",
					         event_op_text(rows[r].ev.op), cond_names[c],
					         state_names[s], way_names[w]);
					check_case(&fixture, &rows[r], c, s, w);
					n++;
				}
			}
		}
	}
	assert_int_equal(n, ARRAY_SIZE(rows) * CONDS * (STATES * WAYS - 2));
	case_name[0] = '\0';
	fixture_free(&fixture);
}

static int print_case(void **state)
{
	(void)state;
	if (case_name[0])
		print_error("in the case: %s\n", case_name);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_every_operation_follows_the_rules_in_every_state,
		                          print_case),
	};

	return cmocka_run_group_tests_name("apply_matrix", tests, NULL, NULL);
}
