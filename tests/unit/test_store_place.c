/* Tests of common/store/place.c: a store is refused where another user could change
 * it, two processes do not create it at the same time, and its removal is detected. */
#include "tests/unit/cmocka_all.h"

#include "common/store/store.h"
#include "tests/unit/capture.h"
#include "tests/unit/child.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define STRANGER 65534

static const char *const files[] = { "data.mdb", "lock.mdb",      "bell",
	                             "recency",  "consumer.lock", "start.lock" };

/* Return the path of NAME below DIR, in one of four buffers. */
static const char *path_below(const char *dir, const char *name)
{
	static char paths[4][PATH_BYTES];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_BYTES, "%s/%s", dir, name);
	return path;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

/* Expect that the store in DIR is refused with a sentence that contains TEXT and
 * NAME. */
static void expect_refused(const char *dir, const char *name, const char *text)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[512] = "";

	assert_int_equal(store_open(&config, &store, why, sizeof(why)), -EPERM);
	if (!strstr(why, name) || !strstr(why, text) || !strstr(why, dir))
		fail_msg("\"%s\" or \"%s\" is missing in: %s", name, text, why);
}

/* Create something else in the place of a file of the store. */
static void make_link(const char *path, const char *secret)
{
	assert_int_equal(symlink(secret, path), 0);
}

static void make_hard_link(const char *path, const char *secret)
{
	assert_int_equal(link(secret, path), 0);
}

static void make_fifo(const char *path, const char *secret)
{
	(void)secret;
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_writable(const char *path, const char *secret)
{
	(void)secret;
	write_file(path, "");
	assert_int_equal(chmod(path, 0620), 0);
}

static void make_strangers(const char *path, const char *secret)
{
	(void)secret;
	write_file(path, "");
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
}

static void test_unsafe_files_are_refused(void **state)
{
	static const struct {
		void (*make)(const char *path, const char *secret);
		const char *text;
		bool as_root;
	} faults[] = {
		{ make_link, "symbolic link", false },
		{ make_hard_link, "2 names", false },
		{ make_fifo, "not a regular file", false },
		{ make_writable, "mode 0620", false },
		{ make_strangers, "belongs to user 65534", true },
	};
	char *dir = temp_dir_new(), text[32] = "";
	const char *secret = strdup(path_below(dir, "secret"));

	(void)state;
	assert_non_null(secret);
	write_file(secret, "as it was");
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
			if (faults[i].as_root && geteuid() != 0)
				continue;
			char *store = strdup(path_below(dir, "store"));
			assert_non_null(store);
			assert_int_equal(mkdir(store, 0700), 0);
			faults[i].make(path_below(store, files[k]), secret);
			expect_refused(store, files[k], faults[i].text);
			/* Opening a single file refuses it as well. */
			assert_int_equal(store_place_file_in(store, files[k], O_RDWR | O_CREAT),
			                 -EPERM);
			assert_int_equal(unlink(path_below(store, files[k])), 0);
			rmdir(store);
			free(store);
		}
	}
	FILE *file = fopen(secret, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "as it was");
	fclose(file);
	free((char *)secret);
	temp_dir_remove(dir);
}

static void test_unsafe_directories_are_refused(void **state)
{
	char *dir = temp_dir_new();
	const char *store = strdup(path_below(dir, "store")),
	           *link = strdup(path_below(dir, "link"));
	struct store_place *place;

	(void)state;
	assert_int_equal(mkdir(store, 0700), 0);
	assert_int_equal(chmod(store, 0777), 0);
	expect_refused(store, "store", "mode 0777");
	assert_int_equal(chmod(store, 0770), 0);
	expect_refused(store, "store", "chmod go-w");
	assert_int_equal(chmod(store, 0755), 0);
	assert_int_equal(symlink(store, link), 0);
	expect_refused(link, "link", "symbolic link");
	/* A slash at the end would follow the link. */
	char *slashes = strdup(path_below(dir, "link//"));
	assert_non_null(slashes);
	assert_int_equal(store_place_open(slashes, &place, NULL, 0), -EPERM);
	free(slashes);
	if (geteuid() == 0) {
		assert_int_equal(chown(store, STRANGER, STRANGER), 0);
		expect_refused(store, "store", "belongs to user 65534");
		assert_int_equal(chown(store, 0, 0), 0);
	}
	assert_int_equal(store_place_open(store, &place, NULL, 0), 0);
	store_place_close(place);
	free((char *)store);
	free((char *)link);
	temp_dir_remove(dir);
}

/* Return whether a program accepts DIR as it is for its store. */
static bool is_accepted(const char *dir)
{
	struct store_place *place;
	int r = store_place_begin(dir, &place, NULL, 0);

	if (r == 0)
		store_place_close(place);
	return r == 0;
}

static void begin_as_stranger(void *arg)
{
	CHILD_CHECK(setuid(STRANGER) == 0);
	CHILD_CHECK(!is_accepted(arg));
}

/* A tmpfs is mounted with mode 1777: other users can create files, but not remove
 * ours. */
static void test_a_sticky_directory_is_accepted_with_a_warning(void **state)
{
	char *dir = temp_dir_new(), *logged, text[32] = "";
	size_t logged_len;
	const char *secret = strdup(path_below(dir, "secret")),
	           *store = strdup(path_below(dir, "store"));
	struct store_config config = { .dir = store };
	struct store *opened;
	struct store_place *place;

	(void)state;
	assert_non_null(secret);
	assert_non_null(store);
	write_file(secret, "as it was");
	assert_int_equal(mkdir(store, 0700), 0);
	assert_int_equal(chmod(store, 01777), 0);
	stderr_begin();
	bool used = is_accepted(store);
	logged = stderr_end(&logged_len);
	assert_true(used);
	assert_non_null(strstr(logged, "mode 1777"));
	free(logged);
	/* A file created after the check is not opened either. */
	assert_int_equal(store_place_open(store, &place, NULL, 0), 0);
	for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
		struct stat st;
		const char *file = strdup(path_below(store, files[k]));
		unlink(file);
		make_link(file, secret);
		assert_int_equal(store_place_stat(place, files[k], &st), -EPERM);
		assert_int_equal(store_place_file(place, files[k], O_RDWR | O_CREAT), -EPERM);
		expect_refused(store, files[k], "symbolic link");
		assert_int_equal(unlink(file), 0);
		assert_int_equal(store_place_stat(place, files[k], &st), -ENOENT);
		free((char *)file);
	}
	store_place_close(place);
	assert_int_equal(store_open(&config, &opened, NULL, 0), 0);
	store_close(opened);
	FILE *file = fopen(secret, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "as it was");
	fclose(file);
	if (geteuid() == 0) {
		/* A directory of root is not safe for another user. */
		assert_int_equal(chmod(dir, 0755), 0);
		child_join(child_start(begin_as_stranger, (void *)store));
		make_strangers(path_below(store, "recency"), secret);
		expect_refused(store, "recency", "belongs to user 65534");
		assert_int_equal(unlink(path_below(store, "recency")), 0);
	}
	free((char *)store);
	free((char *)secret);
	temp_dir_remove(dir);
}

static void default_of_stranger(void *arg)
{
	(void)arg;
	CHILD_CHECK(setuid(STRANGER) == 0);
	CHILD_CHECK(strcmp(store_place_default(), "/dev/shm/keydir-65534") == 0);
}

static void test_the_default_depends_on_the_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	child_join(child_start(default_of_stranger, NULL));
	assert_string_equal(store_place_default(), "/dev/shm/keydir");
}

/* --- starting --- */

struct start {
	const char *dir;
	atomic_bool locked; /* the first process has the lock */
	atomic_bool waits;
};

/* Begin as the second process. Started before the first begins: a fork would share
 * its lock. */
static struct store_place *begin_second(struct start *start)
{
	struct store_place *place;

	while (!atomic_load(&start->locked))
		usleep(1000);
	atomic_store(&start->waits, true);
	CHILD_CHECK(store_place_begin(start->dir, &place, NULL, 0) == 0);
	return place;
}

static void start_second(void *arg)
{
	struct store_place *place = begin_second(arg);

	CHILD_CHECK(store_place_has_store(place));
	store_place_close(place);
}

static void test_a_second_process_uses_the_store_of_the_first(void **state)
{
	struct start *start = child_share(sizeof(*start));
	char *dir = temp_dir_new();
	struct store_place *place;

	(void)state;
	start->dir = dir;
	pid_t child = child_start(start_second, start);
	assert_int_equal(store_place_begin(dir, &place, NULL, 0), 0);
	assert_false(store_place_has_store(place));
	/* A file left by a process that was killed while creating the store does not
	 * count. */
	write_file(path_below(dir, "data.mdb"), "");
	assert_false(store_place_has_store(place));
	atomic_store(&start->locked, true);
	UNTIL(atomic_load(&start->waits));
	write_file(path_below(dir, "data.mdb"), "made");
	store_place_close(place);
	child_join(child);
	temp_dir_remove(dir);
}

static void start_in_new_directory(void *arg)
{
	struct start *start = arg;
	struct store_place *place = begin_second(start);

	CHILD_CHECK(!store_place_has_store(place));
	/* It is the directory that other processes will find. */
	int fd = store_place_file_in(start->dir, "bell", O_RDWR | O_CREAT);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(faccessat(store_place_fd(place), "bell", F_OK, 0) == 0);
}

/* The directory is removed while a process waits for its lock. */
static void test_a_directory_removed_while_waiting_is_replaced(void **state)
{
	struct start *start = child_share(sizeof(*start));
	char *parent = temp_dir_new();
	const char *dir = strdup(path_below(parent, "store"));
	struct store_place *place;

	(void)state;
	start->dir = dir;
	pid_t child = child_start(start_in_new_directory, start);
	assert_int_equal(store_place_begin(dir, &place, NULL, 0), 0);
	atomic_store(&start->locked, true);
	UNTIL(atomic_load(&start->waits));
	write_file(path_below(dir, "data.mdb"), "of the old one");
	assert_int_equal(rename(dir, path_below(parent, "elsewhere")), 0);
	store_place_close(place);
	child_join(child);
	free((char *)dir);
	temp_dir_remove(parent);
}

static void keep_removing(void *arg)
{
	struct start *start = arg;
	char *elsewhere = strdup(path_below(start->dir, "../elsewhere"));

	CHILD_CHECK(elsewhere);
	while (!atomic_load(&start->locked)) {
		rename(start->dir, elsewhere);
		unlink(path_below(elsewhere, "start.lock"));
		rmdir(elsewhere);
		usleep(rand() % 100);
	}
	free(elsewhere);
}

/* Whichever step of a start the removal falls into, the start creates a new directory. */
static void test_a_directory_removed_at_any_moment_is_replaced(void **state)
{
	struct start *start = child_share(sizeof(*start));
	char *parent = temp_dir_new();
	char *dir = strdup(path_below(parent, "store"));
	struct store_place *place;

	(void)state;
	start->dir = dir;
	pid_t child = child_start(keep_removing, start);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(store_place_begin(dir, &place, NULL, 0), 0);
		store_place_close(place);
	}
	atomic_store(&start->locked, true);
	child_join(child);
	free(dir);
	temp_dir_remove(parent);
}

/* --- a store that is removed --- */

static struct store *open_store(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;

	assert_int_equal(store_open(&config, &store, NULL, 0), 0);
	assert_int_equal(store_place_check(store_place(store), NULL, 0), 0);
	return store;
}

/* Expect that STORE is lost, with a sentence that contains NAME and TEXT. */
static void expect_lost(struct store *store, const char *name, const char *text)
{
	char why[512] = "";

	assert_int_equal(store_place_check(store_place(store), why, sizeof(why)), -ESTALE);
	if (!strstr(why, name) || !strstr(why, text))
		fail_msg("\"%s\" or \"%s\" is missing in: %s", name, text, why);
}

static void test_a_removed_store_is_detected(void **state)
{
	char *parent = temp_dir_new();
	const char *dir = strdup(path_below(parent, "store"));

	(void)state;
	struct store *store = open_store(dir);
	assert_int_equal(unlink(path_below(dir, "lock.mdb")), 0);
	expect_lost(store, "lock.mdb", "removed");
	store_close(store);

	store = open_store(dir);
	assert_int_equal(rename(dir, path_below(parent, "old")), 0);
	expect_lost(store, "data.mdb", "removed");
	/* Another process creates a new store in its place. */
	struct store *other = open_store(dir);
	expect_lost(store, "data.mdb", "replaced");
	assert_int_equal(store_place_check(store_place(other), NULL, 0), 0);
	store_close(other);
	store_close(store);
	free((char *)dir);
	temp_dir_remove(parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsafe_files_are_refused),
		cmocka_unit_test(test_unsafe_directories_are_refused),
		cmocka_unit_test(test_a_sticky_directory_is_accepted_with_a_warning),
		cmocka_unit_test(test_the_default_depends_on_the_user),
		cmocka_unit_test(test_a_second_process_uses_the_store_of_the_first),
		cmocka_unit_test(test_a_directory_removed_while_waiting_is_replaced),
		cmocka_unit_test(test_a_directory_removed_at_any_moment_is_replaced),
		cmocka_unit_test(test_a_removed_store_is_detected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
