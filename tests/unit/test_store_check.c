/* Tests of the store's invariants after random events, and of the check itself: it
 * must detect each kind of damage. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/store/audit.h"
#include "tests/unit/event_random.h"
#include "tests/unit/store_check.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define START_MS INT64_C(1769860800000)

struct place {
	char *dir;
	struct store *store;
};

static int open_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct store_config config = { .sync = STORE_SYNC_OFF };
	char why[200] = "";

	assert_non_null(place);
	place->dir = temp_dir_new();
	config.dir = place->dir;
	if (store_open(&config, &place->store, why, sizeof(why)) != 0)
		fail_msg("cannot open a store: %s", why);
	*state = place;
	return 0;
}

static int close_place(void **state)
{
	struct place *place = *state;

	store_close(place->store);
	temp_dir_remove(place->dir);
	free(place);
	return 0;
}

static void assert_sound(struct txn *txn)
{
	char why[200];

	if (store_check(txn, why, sizeof(why)) != 0 || store_audit(txn, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

/* Several sequences, in batches of various sizes, with a check after each batch. */
static void test_random_events_keep_the_invariants(void **state)
{
	struct place *place = *state;
	static struct event_space space;
	uint64_t offset = 0;
	int64_t time_ms = START_MS;
	unsigned counts[OUTCOME_COUNT] = { 0 };

	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct prng prng = { .seed = seed };

		for (int batch = 0; batch < 60; batch++) {
			struct txn *txn;
			uint32_t n = 1 + prng_below(&prng, 60);

			assert_int_equal(txn_write(place->store, &txn), 0);
			for (uint32_t i = 0; i < n; i++) {
				struct event ev = { .time_ms = time_ms };
				enum event_outcome outcome;
				bool bad = prng_one_in(&prng, 50);
				int r;

				time_ms = event_random_time(&prng, time_ms);
				ev.time_ms = time_ms;
				event_random(&prng, &space, &ev);
				r = apply_event(txn, bad ? NULL : &ev, offset++, time_ms, &outcome);
				if (r)
					fail_msg("seed %" PRIu64 ", offset %" PRIu64 ", %s: %d",
					         seed, offset - 1, event_op_text(ev.op), r);
				counts[outcome]++;
			}
			assert_sound(txn);
			assert_int_equal(txn_commit(txn), 0);
		}
	}
	/* Prove that the sequence is varied: every possible outcome occurred. */
	for (int i = 0; i <= OUTCOME_REJECTED; i++) {
		if (!counts[i])
			fail_msg("no event had the outcome \"%s\"",
			         event_outcome_text((enum event_outcome)i));
	}
}

/* Fill a store with at least one row of each kind. */
static void fill_store(struct txn *txn)
{
	static char large[2 * STORE_CHUNK_SIZE];
	const struct event events[] = {
		{ .op = EVENT_SET,
		  .key = B("dir/small"),
		  .value = B("hello"),
		  .ttl = TTL_SET,
		  .ttl_ms = 60000 },
		{ .op = EVENT_SET,
		  .key = B("large"),
		  .value = { large, sizeof(large) },
		  .type = B("text/plain"),
		  .idem = B("once") },
		{ .op = EVENT_MKDIR, .key = B("dir/sub/deep") },
		{ .op = EVENT_SETXATTR,
		  .key = B("dir"),
		  .name = B("user.default_ttl"),
		  .value = B("1h") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		enum event_outcome outcome;

		assert_int_equal(apply_event(txn, &events[i], i, START_MS, &outcome), 0);
		assert_int_equal(outcome, OUTCOME_OK);
	}
}

static uint64_t inode_of(struct txn *txn, uint64_t parent, const char *name)
{
	uint64_t ino;

	assert_int_equal(store_lookup(txn, parent, name, strlen(name), &ino, NULL), 0);
	return ino;
}

/* Kinds of damage. Each changes one row, except LOOP. */
#define DAMAGE_KINDS(X)                                                                            \
	X(NONE)                                                                                    \
	X(NAME_GONE)                                                                               \
	X(NAME_TWICE)                                                                              \
	X(NAME_OF_NOTHING)                                                                         \
	X(NAME_OTHER_KIND)                                                                         \
	X(INODE_GONE)                                                                              \
	X(INODE_OTHER_NAME)                                                                        \
	X(INODE_OTHER_SIZE)                                                                        \
	X(INODE_FUTURE)                                                                            \
	X(INODE_SUBDIRS)                                                                           \
	X(INODE_EXPIRY)                                                                            \
	X(LOOP)                                                                                    \
	X(CHUNK_OF_NOTHING)                                                                        \
	X(CHUNK_BEYOND)                                                                            \
	X(XATTR_EXTRA)                                                                             \
	X(XATTR_GONE)                                                                              \
	X(EXPIRY_GONE)                                                                             \
	X(EXPIRY_EXTRA)                                                                            \
	X(FEED_GONE)                                                                               \
	X(FEED_UNREADABLE)                                                                         \
	X(IDEM_GONE)                                                                               \
	X(IDEM_EXTRA)                                                                              \
	X(META_KEYS)                                                                               \
	X(META_DIRS)                                                                               \
	X(META_USED)                                                                               \
	X(META_DEFAULT_TTL)

enum damage {
#define X(name) name,
	DAMAGE_KINDS(X) DAMAGES
#undef X
};

static const char *const damage_names[] = {
#define X(name) #name,
	DAMAGE_KINDS(X)
#undef X
};

static int change_entry(struct txn *txn, uint64_t ino, void (*change)(struct entry *))
{
	struct entry e;
	char name[256];

	assert_int_equal(store_get(txn, ino, &e), 0);
	memcpy(name, e.name, e.name_len);
	e.name = name;
	if (e.is_inline)
		e.inline_value = "12345";
	change(&e);
	return store_put(txn, &e);
}

static void other_name(struct entry *e)
{
	e->name = "other";
	e->name_len = 5;
}

static void other_size(struct entry *e)
{
	e->size--;
}

static void set_future_version(struct entry *e)
{
	e->version = 99;
}

static void more_subdirs(struct entry *e)
{
	e->nsubdirs++;
}

static void no_expiry(struct entry *e)
{
	e->expiry_ms = 0;
}

static int damage_store(struct txn *txn, enum damage damage)
{
	uint64_t dir = inode_of(txn, STORE_ROOT_INO, "dir");
	uint64_t small = inode_of(txn, dir, "small");
	uint64_t large = inode_of(txn, STORE_ROOT_INO, "large");
	uint64_t sub = inode_of(txn, dir, "sub");
	uint64_t deep = inode_of(txn, sub, "deep");
	struct store_meta *meta = txn_meta(txn);
	const int64_t expiry_ms = START_MS + 60000;

	switch (damage) {
	case NONE:
	case DAMAGES:
		return 0;
	case NAME_GONE:
		return store_unlink(txn, dir, "small", 5);
	case NAME_TWICE:
		return store_link(txn, STORE_ROOT_INO, "small", 5, small, false);
	case NAME_OF_NOTHING:
		return store_link(txn, dir, "x", 1, 4242, false);
	case NAME_OTHER_KIND:
		return store_link(txn, dir, "small", 5, small, true);
	case INODE_GONE:
		return store_remove(txn, deep);
	case INODE_OTHER_NAME:
		return change_entry(txn, small, other_name);
	case INODE_OTHER_SIZE:
		return change_entry(txn, large, other_size);
	case INODE_FUTURE:
		return change_entry(txn, small, set_future_version);
	case INODE_SUBDIRS:
		return change_entry(txn, sub, more_subdirs);
	case INODE_EXPIRY:
		return change_entry(txn, small, no_expiry);
	case LOOP: {
		struct entry e;

		/* Move sub below deep: each is linked, but neither from the root. */
		assert_int_equal(store_unlink(txn, dir, "sub", 3), 0);
		assert_int_equal(store_link(txn, deep, "sub", 3, sub, true), 0);
		assert_int_equal(store_get(txn, sub, &e), 0);
		e.name = "sub";
		e.parent = deep;
		assert_int_equal(store_put(txn, &e), 0);
		assert_int_equal(change_entry(txn, deep, more_subdirs), 0);
		assert_int_equal(store_get(txn, dir, &e), 0);
		e.name = "dir";
		e.nsubdirs--;
		return store_put(txn, &e);
	}
	case CHUNK_OF_NOTHING:
		return store_chunks_write(txn, small, 0, "x", 1);
	case CHUNK_BEYOND:
		return store_chunks_write(txn, large, 2 * STORE_CHUNK_SIZE, "x", 1);
	case XATTR_EXTRA:
		return store_xattr_put(txn, small, (struct bytes)B("user.x"), (struct bytes)B("x"));
	case XATTR_GONE:
		return store_xattr_del(txn, large, (struct bytes)B("user.content_type"));
	case EXPIRY_GONE:
		return store_expiry_del(txn, expiry_ms, small);
	case EXPIRY_EXTRA:
		return store_expiry_put(txn, expiry_ms, large);
	case FEED_GONE:
		return store_feed_del(txn, 3);
	case FEED_UNREADABLE:
		return store_feed_put(txn, 4, (struct bytes)B("\xff"));
	case IDEM_GONE:
		return store_idem_del(txn, (struct bytes)B("once"));
	case IDEM_EXTRA:
		return store_idem_put(txn, (struct bytes)B("twice"), 1);
	case META_KEYS:
		meta->nkeys++;
		return 0;
	case META_DIRS:
		meta->ndirs--;
		return 0;
	case META_USED:
		meta->used_bytes++;
		return 0;
	case META_DEFAULT_TTL:
		meta->ndefault_ttl = 0;
		return 0;
	}
	return -EINVAL;
}

static void test_every_kind_of_damage_is_detected(void **state)
{
	struct place *place = *state;

	for (int damage = NONE; damage < DAMAGES; damage++) {
		struct txn *txn;
		char why[200];
		int r;

		assert_int_equal(txn_write(place->store, &txn), 0);
		fill_store(txn);
		assert_int_equal(damage_store(txn, (enum damage)damage), 0);
		r = store_check(txn, why, sizeof(why));
		if (r != (damage == NONE ? 0 : -EPROTO) || (damage != NONE && !why[0]))
			fail_msg("%s: %d, %s", damage_names[damage], r, why);
		r = store_audit(txn, why, sizeof(why));
		if (r != (damage == NONE ? 0 : -EPROTO))
			fail_msg("audit of %s: %d, %s", damage_names[damage], r, why);
		txn_abort(txn);
	}
}

static void test_a_new_store_passes_the_check(void **state)
{
	struct place *place = *state;
	struct txn *txn;

	assert_int_equal(txn_read(place->store, &txn), 0);
	assert_sound(txn);
	txn_abort(txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_new_store_passes_the_check, open_place,
		                                close_place),
		cmocka_unit_test_setup_teardown(test_every_kind_of_damage_is_detected, open_place,
		                                close_place),
		cmocka_unit_test_setup_teardown(test_random_events_keep_the_invariants, open_place,
		                                close_place),
	};

	return cmocka_run_group_tests_name("store_check", tests, NULL, NULL);
}
