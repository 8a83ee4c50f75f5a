/* Tests of common/store/state.c: when a store's file is checked before it is opened,
 * and that a damaged file is refused. */
#include "tests/unit/cmocka_all.h"

#include "common/store/state.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096

/* Damage every table page of the store in DIR. The file keeps its inode and
 * modification time, as if it had been left clean. */
static void damage_pages(const char *dir)
{
	static const char zeros[PAGE_BYTES];
	char path[4200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t page = 2; page < 40; page++)
		assert_int_equal(pwrite(fd, zeros, PAGE_BYTES, page * PAGE_BYTES), PAGE_BYTES);
	assert_int_equal(ftruncate(fd, st.st_size), 0);
	assert_int_equal(futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }), 0);
	close(fd);
}

static void add_keys(const char *dir)
{
	struct fixture fixture = { .dir = (char *)dir, .time_ms = FIXTURE_START_MS };
	char key[20];

	fixture.store = store_fixture_open(dir);
	fixture.unchecked = true;
	for (int i = 0; i < 500; i++) {
		int len = snprintf(key, sizeof(key), "key%d", i);
		fixture_apply(&fixture, &(struct event){ .op = EVENT_SET,
		                                         .key = { key, (size_t)len },
		                                         .value = B("value") });
	}
	free(fixture.feed);
	store_close(fixture.store);
}

/* Shared with a child that has the store open. */
struct opened {
	const char *dir;
	atomic_bool is_open;
};

static void open_and_wait(void *arg)
{
	struct opened *opened = arg;
	struct store_config config = { .dir = opened->dir };
	struct store *store;

	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	atomic_store(&opened->is_open, true);
	for (;;)
		pause();
}

/* Return the result of store_state_begin() for DIR. */
static int begin_state(const char *dir, bool on_disk)
{
	struct store_state state;
	char why[4400] = "";
	int r = store_state_begin(dir, on_disk, &state, why, sizeof(why));

	if (r == 0)
		store_state_end(&state, dir, false);
	else
		assert_non_null(strstr(why, dir));
	return r;
}

static void test_a_store_left_clean_is_not_checked(void **state)
{
	char *dir = temp_dir_new();

	(void)state;
	add_keys(dir);
	damage_pages(dir);
	/* It was left clean and is the same file, so it is not checked. */
	assert_int_equal(begin_state(dir, true), 0);
	assert_int_equal(begin_state(dir, false), 0);
	temp_dir_remove(dir);
}

static void test_a_store_on_disk_is_checked_after_a_kill(void **state)
{
	char *dir = temp_dir_new();

	(void)state;
	add_keys(dir);
	struct opened *opened = child_share(sizeof(*opened));
	opened->dir = dir;
	pid_t pid = child_start(open_and_wait, opened);
	UNTIL(atomic_load(&opened->is_open));
	child_kill(pid);
	assert_int_equal(begin_state(dir, true), 0); /* The store is sound. */
	damage_pages(dir);
	assert_int_equal(begin_state(dir, false), 0); /* In memory, a kill does no damage. */
	assert_int_equal(begin_state(dir, true), -EPROTO);
	temp_dir_remove(dir);
}

/* A file that was put there from elsewhere. */
static void test_a_replaced_file_is_checked(void **state)
{
	char *dir = temp_dir_new(), *to = temp_dir_new(), path[4200], moved[4200];
	struct store *store;
	struct store_config config = { .dir = to };

	(void)state;
	add_keys(dir);
	snprintf(path, sizeof(path), "%s/data.mdb", to);
	store = store_fixture_open(dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_copy_fd(store, fd), 0);
	close(fd);
	store_close(store);
	assert_int_equal(begin_state(to, false), 0);
	store_close(store_fixture_open(to));
	/* In the place of a store that was left clean. */
	snprintf(moved, sizeof(moved), "%s/data.mdb", dir);
	damage_pages(dir);
	assert_int_equal(rename(moved, path), 0);
	assert_int_equal(begin_state(to, false), -EPROTO);
	assert_int_equal(begin_state(to, true), -EPROTO);
	char why[4400] = "";
	assert_int_equal(store_open(&config, &store, why, sizeof(why)), -EPROTO);
	assert_non_null(strstr(why, "is damaged"));
	assert_int_equal(store_open(&config, &store, NULL, 0), -EPROTO);
	temp_dir_remove(dir);
	temp_dir_remove(to);
}

/* While another process has the store open there is nothing to check. */
static void test_a_store_in_use_is_not_checked(void **state)
{
	char *dir = temp_dir_new();
	struct store_state hold;
	char why[200];

	(void)state;
	add_keys(dir);
	assert_int_equal(store_state_begin(dir, true, &hold, why, sizeof(why)), 0);
	store_state_opened(&hold, dir);
	damage_pages(dir);
	assert_int_equal(begin_state(dir, true), 0);
	store_state_end(&hold, dir, false);
	assert_int_equal(begin_state(dir, true), -EPROTO);
	temp_dir_remove(dir);
}

/* A file left by a process that was killed while creating the store is ignored. */
static void test_an_unfinished_new_store_is_ignored(void **state)
{
	char *dir = temp_dir_new(), path[4200];

	(void)state;
	assert_int_equal(begin_state(dir, true), 0);
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(begin_state(dir, true), 0);
	store_close(store_fixture_open(dir));
	temp_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_store_left_clean_is_not_checked),
		cmocka_unit_test(test_a_store_on_disk_is_checked_after_a_kill),
		cmocka_unit_test(test_a_replaced_file_is_checked),
		cmocka_unit_test(test_a_store_in_use_is_not_checked),
		cmocka_unit_test(test_an_unfinished_new_store_is_ignored),
	};

	return cmocka_run_group_tests_name("store_state", tests, NULL, NULL);
}
