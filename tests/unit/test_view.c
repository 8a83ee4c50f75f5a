/* Tests of common/store/view.c: which entries readers see, and which are hidden from
 * them. */
#include "tests/unit/cmocka_all.h"

#include "common/base/clock.h"
#include "common/base/key.h"
#include "common/store/view.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct view_fixture {
	struct fixture fixture;
	struct view view;
};

static int set_up(void **state)
{
	struct view_fixture *f = malloc(sizeof(*f));

	assert_non_null(f);
	fixture_init(&f->fixture);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct view_fixture *f = *state;

	fixture_free(&f->fixture);
	free(f);
	return 0;
}

/* Open a view that is read at NOW_MS. */
static const struct view *open_view_at(struct view_fixture *f, int64_t now_ms)
{
	assert_int_equal(view_open(f->fixture.store, &f->view), 0);
	assert_true(f->view.now_ms >= fixture_meta(&f->fixture).log_time_ms);
	f->view.now_ms = now_ms;
	return &f->view;
}

static int find_key(const struct view *view, const char *key)
{
	struct entry e;

	return view_key(view, key, strlen(key), &e);
}

static void test_expired_keys_are_hidden(void **state)
{
	struct view_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	struct entry e = { .ino = 77 };

	EXPECT(fixture, OK, "added d/, added d/k=1@1000100", .op = EVENT_SET, .key = B("d/k"),
	       .value = B("v"), .ttl = TTL_SET, .ttl_ms = 100);
	uint64_t k = fixture_ino(fixture, "d/k"), d = fixture_ino(fixture, "d");

	const struct view *view = open_view_at(f, FIXTURE_START_MS + 99);
	assert_int_equal(find_key(view, "d/k"), 0);
	assert_int_equal(view_inode(view, k, &e), 0);
	assert_int_equal(view_ttl_ms(view, &e), 1);
	assert_int_equal(view_name(view, d, "k", 1, &e), 0);
	assert_int_equal(find_key(view, "d/k/below"), -ENOTDIR);
	assert_int_equal(find_key(view, "d/k/far/below"), -ENOTDIR);
	assert_int_equal(view_offset(view), 0);
	view_close(&f->view);

	/* Expired but not purged: the same as removed. */
	view = open_view_at(f, FIXTURE_START_MS + 100);
	e.ino = 77;
	assert_int_equal(find_key(view, "d/k"), -ENOENT);
	assert_int_equal(view_inode(view, k, &e), -ENOENT);
	assert_int_equal(view_name(view, d, "k", 1, &e), -ENOENT);
	assert_int_equal(e.ino, 77);
	assert_int_equal(find_key(view, "d/k/below"), -ENOENT);
	assert_int_equal(find_key(view, "d/k/far/below"), -ENOENT);
	assert_int_equal(find_key(view, "d"), 0);
	view_close(&f->view);

	/* The wall clock is far past the expiry. */
	assert_int_equal(view_open(fixture->store, &f->view), 0);
	assert_true(f->view.now_ms <= clock_wall_ms());
	assert_int_equal(find_key(&f->view, "d/k"), -ENOENT);
	view_close(&f->view);
}

/* A reader whose clock is slower than log time does not see expired keys again. */
static void test_a_slow_clock_shows_no_expired_key(void **state)
{
	struct view_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	int64_t ahead = clock_wall_ms() + 3600 * 1000;
	const struct event expired = {
		.op = EVENT_SET, .key = B("k"), .ttl = TTL_UNTIL, .ttl_ms = ahead - 1000
	};

	fixture->time_ms = ahead;
	assert_int_equal(fixture_apply(fixture, &expired), OUTCOME_OK);
	assert_int_equal(view_open(fixture->store, &f->view), 0);
	assert_int_equal(f->view.now_ms, ahead);
	assert_int_equal(find_key(&f->view, "k"), -ENOENT);
	view_close(&f->view);
}

static void test_entries_are_found_by_key_name_and_inode(void **state)
{
	struct view_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	char name[300];
	struct entry e;

	EXPECT(fixture, OK, "added a/, added a/b/, added a/b/c=0", .op = EVENT_SET,
	       .key = B("a/b/c"));
	const struct view *view = open_view_at(f, FIXTURE_START_MS);
	assert_int_equal(view_key(view, "", 0, &e), 0);
	assert_int_equal(e.ino, STORE_ROOT_INO);
	assert_int_equal(view_key(view, "a/b/c", 5, &e), 0);
	assert_int_equal(view_ttl_ms(view, &e), -1);
	assert_int_equal(view_key(view, "a/b", 3, &e), 0);
	assert_true(entry_is_dir(&e));
	assert_int_equal(find_key(view, "a/x"), -ENOENT);
	assert_int_equal(find_key(view, "x/b/c"), -ENOENT);
	assert_int_equal(find_key(view, "a/b/c/d"), -ENOTDIR);
	assert_int_equal(view_inode(view, 999, &e), -ENOENT);
	assert_int_equal(view_name(view, 999, "a", 1, &e), -ENOENT);
	memset(name, 'n', sizeof(name));
	assert_int_equal(view_name(view, STORE_ROOT_INO, name, sizeof(name), &e), -ENOENT);
	view_close(&f->view);
	view_close(&(struct view){ .txn = NULL });
}

static void test_the_path_of_an_inode_is_found(void **state)
{
	struct view_fixture *f = *state;
	struct fixture *fixture = &f->fixture;
	char buf[KEY_MAX], name[255];
	uint64_t dir = STORE_ROOT_INO;

	EXPECT(fixture, OK, "added a/, added a/bc/, added a/bc/d=0", .op = EVENT_SET,
	       .key = B("a/bc/d"));
	uint64_t d = fixture_ino(fixture, "a/bc/d");
	const struct view *view = open_view_at(f, FIXTURE_START_MS);
	assert_int_equal(view_path(view, STORE_ROOT_INO, buf, sizeof(buf)), 0);
	assert_int_equal(view_path(view, d, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "a/bc/d", 6);
	assert_int_equal(view_path(view, d, buf, 6), 6);
	assert_memory_equal(buf, "a/bc/d", 6);
	assert_int_equal(view_path(view, d, buf, 5), -ENAMETOOLONG);
	assert_int_equal(view_path(view, d, buf, 1), -ENAMETOOLONG);
	assert_int_equal(view_path(view, d, buf, 0), -ENAMETOOLONG);
	assert_int_equal(view_path(view, 999, buf, sizeof(buf)), -ENOENT);
	view_close(&f->view);

	/* 16 names of 255 bytes and 15 slashes are 4095 bytes; one more is too long. */
	memset(name, 'n', sizeof(name));
	for (int i = 0; i < 17; i++) {
		struct event ev = { .op = EVENT_MKDIR, .dir = dir, .key = { name, 255 } };
		assert_int_equal(fixture_apply(fixture, &ev), OUTCOME_OK);
		dir = fixture->feed->ino;
		view = open_view_at(f, FIXTURE_START_MS);
		assert_int_equal(view_path(view, dir, buf, sizeof(buf)),
		                 i < 16 ? (i + 1) * 256 - 1 : -ENAMETOOLONG);
		view_close(&f->view);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_expired_keys_are_hidden),
		TEST(test_a_slow_clock_shows_no_expired_key),
		TEST(test_entries_are_found_by_key_name_and_inode),
		TEST(test_the_path_of_an_inode_is_found),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
