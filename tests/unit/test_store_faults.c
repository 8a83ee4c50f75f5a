/* Tests of common/store/: several processes, killed ones, full file systems, damaged
 * files, copies. */
#include "tests/unit/cmocka_all.h"

#include "common/store/store.h"
#include "common/store/verify.h"
#include "tests/unit/child.h"
#include "tests/unit/prng.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEED 7

/* Expect that the store in DIR is refused with ERR and a message that contains TEXT. */
static void expect_refused_with(const char *dir, int err, const char *text)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[4200] = "";

	assert_int_equal(store_open(&config, &store, why, sizeof(why)), err);
	assert_non_null(strstr(why, dir));
	if (!strstr(why, text))
		fail_msg("\"%s\" is not in: %s", text, why);
	if (err == -EOPNOTSUPP && (strstr(why, "damaged") || strstr(why, "remove")))
		fail_msg("a whole store is called damaged: %s", why);
}

static void expect_refused(const char *dir, int err)
{
	expect_refused_with(dir, err, "");
}

/* Add a name, an inode and a value of VALUE_SIZE bytes, and update the totals. Return
 * 0 or the error of a step. */
static int add_one(struct store *store, size_t value_size)
{
	static uint8_t value[3 * STORE_CHUNK_SIZE];
	struct txn *txn;
	char name[32];

	int r = txn_write(store, &txn);
	if (r < 0)
		return r;
	struct store_meta *meta = txn_meta(txn);
	struct entry e = { .ino = meta->next_ino++,
		           .parent = STORE_ROOT_INO,
		           .mode = S_IFREG | 0644,
		           .name = name,
		           .is_inline = value_size <= STORE_INLINE_MAX,
		           .inline_value = value,
		           .size = value_size };
	e.name_len = (size_t)snprintf(name, sizeof(name), "n%llu", (unsigned long long)e.ino);
	memset(value, (int)(e.ino & 0xff), value_size);
	r = store_link(txn, STORE_ROOT_INO, name, e.name_len, e.ino, false);
	if (r == 0)
		r = store_put(txn, &e);
	if (r == 0 && !e.is_inline)
		r = store_chunks_write(txn, e.ino, 0, value, value_size);
	meta->nkeys++;
	meta->used_bytes += STORE_ENTRY_COST + e.name_len + e.size;
	if (r < 0) {
		txn_abort(txn);
		return r;
	}
	return txn_commit(txn);
}

/* Read all of these. Return their number, or -1 if something is wrong. */
static int64_t count_all(struct store *store)
{
	static uint8_t value[3 * STORE_CHUNK_SIZE];
	struct txn *txn;
	struct scan *scan;
	const char *name;
	size_t len;
	uint64_t ino;
	bool dir;
	int64_t n = 0;
	int r;

	if (txn_read(store, &txn) < 0)
		return -1;
	if (scan_open(txn, STORE_ROOT_INO, NULL, 0, &scan) < 0)
		n = -1;
	while (n >= 0 && (r = scan_next(scan, &name, &len, &ino, &dir)) == 0) {
		struct entry e;

		n++;
		if (store_get(txn, ino, &e) < 0 ||
		    store_read(txn, &e, 0, value, sizeof(value)) != (int64_t)e.size)
			n = -1;
		for (size_t i = 0; n >= 0 && i < e.size; i++) {
			if (value[i] != (ino & 0xff))
				n = -1;
		}
	}
	if (n >= 0 && (r != -ENOENT || (uint64_t)n != txn_meta(txn)->nkeys))
		n = -1;
	if (n >= 0)
		scan_close(scan);
	txn_abort(txn);
	return n;
}

/* --- processes --- */

struct shared {
	char dir[4096];
	_Atomic uint64_t written;
	_Atomic int go;
};

static struct shared *share_dir(const char *dir)
{
	struct shared *shared = child_share(sizeof(*shared));

	assert_true((size_t)snprintf(shared->dir, sizeof(shared->dir), "%s", dir) <
	            sizeof(shared->dir));
	return shared;
}

static void write_forever(void *arg)
{
	struct shared *shared = arg;
	struct store_config config = { .dir = shared->dir };
	struct store *store;

	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	for (;;) {
		CHILD_CHECK(add_one(store, 70000) == 0);
		atomic_fetch_add(&shared->written, 1);
	}
}

/* A writer killed at any moment leaves the store whole: everything that it had
 * committed is there, and the next writer can continue. */
static void test_a_killed_writer_leaves_the_store_whole(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_dir(dir);
	struct prng prng = { .seed = SEED };
	struct store *store = NULL;
	uint64_t own = 0;

	(void)state;
	print_message("# seed %d\n", SEED);
	for (int round = 0; round < 12; round++) {
		uint64_t from = atomic_load(&shared->written);
		pid_t pid = child_start(write_forever, shared);

		UNTIL(atomic_load(&shared->written) > from);
		usleep(prng_below(&prng, 5000));
		child_kill(pid);
		if (!store)
			store = store_fixture_open(dir);
		assert_int_equal(add_one(store, 100), 0);
		own++;
		int64_t n = count_all(store);
		assert_true(n >= (int64_t)(atomic_load(&shared->written) + own));
		/* A kill may come between the commit and counting it. */
		assert_true(n <= (int64_t)(atomic_load(&shared->written) + own) + round + 1);
	}
	store_close(store);
	temp_dir_remove(dir);
}

#define EACH 300

static void write_some(void *arg)
{
	struct shared *shared = arg;
	struct store_config config = { .dir = shared->dir };
	struct store *store;

	while (!atomic_load(&shared->go))
		;
	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	for (int i = 0; i < EACH; i++) {
		CHILD_CHECK(add_one(store, 10) == 0);
		if (i % 50 == 0)
			CHILD_CHECK(count_all(store) > i);
	}
	store_close(store);
}

/* Several processes open a new store and write at the same time: nothing is lost. */
static void test_concurrent_writers_lose_nothing(void **state)
{
	char *dir = temp_dir_new(), below[4100];
	snprintf(below, sizeof(below), "%s/new", dir);
	struct shared *shared = share_dir(below);
	pid_t pids[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = child_start(write_some, shared);
	atomic_store(&shared->go, 1);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		child_join(pids[i]);
	struct store *store = store_fixture_open(below);
	assert_int_equal(count_all(store), EACH * ARRAY_SIZE(pids));
	store_close(store);
	temp_dir_remove(dir);
}

#define MANY 900

static void read_forever(void *arg)
{
	struct shared *shared = arg;
	struct store_config config = { .dir = shared->dir };
	struct store *store;
	struct txn *txn;

	CHILD_CHECK(store_open(&config, &store, NULL, 0) == 0);
	for (int i = 0; i < MANY; i++)
		CHILD_CHECK(txn_read(store, &txn) == 0);
	atomic_store(&shared->written, 1);
	for (;;)
		pause();
}

/* Reader slots of a killed process are freed when they are needed. */
static void test_reader_slots_of_killed_processes_are_reused(void **state)
{
	char *dir = temp_dir_new();
	struct shared *shared = share_dir(dir);
	struct txn *txns[MANY], *one;
	pid_t pid = child_start(read_forever, shared);
	int n = 0;

	(void)state;
	UNTIL(atomic_load(&shared->written));
	struct store *store = store_fixture_open(dir);
	while (n < MANY && txn_read(store, &txns[n]) == 0)
		n++;
	assert_in_range(n, 1, MANY - 1); /* The other process lives, so there are no more slots. */
	assert_int_equal(txn_read(store, &one), -EAGAIN);
	child_kill(pid);
	while (n < MANY && txn_read(store, &txns[n]) == 0)
		n++;
	assert_int_equal(n, MANY);
	while (n)
		txn_abort(txns[--n]);
	store_close(store);
	temp_dir_remove(dir);
}

/* --- a full file system --- */

/* Fill the store until there is no space. Return the number of entries. */
static int64_t fill_store(struct store *store, size_t value_size)
{
	int r;

	while ((r = add_one(store, value_size)) == 0)
		;
	assert_int_equal(r, -ENOSPC);
	return count_all(store);
}

static void test_a_full_store_stays_whole(void **state)
{
	char *dir = temp_dir_small(2 << 20);
	if (!dir)
		skip();
	struct store *store = store_fixture_open(dir);
	const size_t sizes[] = { 10, 700, 5000, 3 * STORE_CHUNK_SIZE };

	(void)state;
	assert_true(store_in_memory(store));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int64_t before = count_all(store), n = fill_store(store, sizes[i]);

		assert_true(n >= before);
		/* The store is still full and whole, also when it is opened again. */
		for (int k = 0; k < 3; k++)
			assert_int_equal(add_one(store, 3 * STORE_CHUNK_SIZE), -ENOSPC);
		assert_int_equal(count_all(store), n);
		store_close(store);
		store = store_fixture_open(dir);
		assert_int_equal(count_all(store), n);
		temp_dir_resize(dir, (size_t)(3 + i) << 20);
		assert_int_equal(add_one(store, sizes[i]), 0);
		assert_int_equal(count_all(store), n + 1);
	}
	store_close(store);
	temp_dir_remove(dir);
}

/* Without space for a new store, or for the pages that opening needs, an error is
 * returned instead of a signal. */
static void test_opening_on_a_full_file_system_fails(void **state)
{
	char *dir = temp_dir_small(2 << 20), path[4200];
	(void)state;
	if (!dir) {
		skip();
		return;
	}
	temp_dir_fill(dir);
	expect_refused(dir, -ENOSPC);
	snprintf(path, sizeof(path), "%s/fill", dir);
	for (int pages = 1; pages < 60; pages++) {
		struct store_config config = { .dir = dir };
		struct store *store = NULL;

		assert_int_equal(truncate(path, (2 << 20) - pages * 4096), 0);
		int r = store_open(&config, &store, NULL, 0);
		if (r == 0) {
			/* All reader slots are available, full or not. */
			static struct txn *txns[1024];
			size_t n = 0;

			temp_dir_fill(dir);
			while (n < ARRAY_SIZE(txns) && txn_read(store, &txns[n]) == 0)
				n++;
			assert_true(n > 500);
			while (n)
				txn_abort(txns[--n]);
			store_close(store);
			temp_dir_remove(dir);
			return;
		}
		assert_int_equal(r, -ENOSPC);
	}
	fail_msg("60 pages are not enough");
}

/* --- damage --- */

static void data_path(char *path, size_t size, const char *dir)
{
	snprintf(path, size, "%s/data.mdb", dir);
}

/* Overwrite the first N bytes of the file with C. */
static void overwrite_start(const char *dir, int c, size_t n)
{
	char path[4200], bytes[8192];

	data_path(path, sizeof(path), dir);
	memset(bytes, c, sizeof(bytes));
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, 0), n);
	close(fd);
}

static void test_damaged_files_are_refused(void **state)
{
	const int bytes[] = { 0x00, 0xff, 0x5a };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		char *dir = temp_dir_new();
		struct store *store = store_fixture_open(dir);

		assert_int_equal(add_one(store, 70000), 0);
		store_close(store);
		overwrite_start(dir, bytes[i], 8192); /* Both meta pages. */
		expect_refused(dir, -EPROTO);
		temp_dir_remove(dir);

		/* A file with other contents, of any size. */
		for (size_t size = 1; size <= 8192; size *= 2) {
			dir = temp_dir_new();
			overwrite_start(dir, bytes[i], size);
			expect_refused(dir, -EPROTO);
			temp_dir_remove(dir);
		}
	}
}

static void expect_damaged(const char *dir)
{
	char why[256] = "";

	assert_int_equal(store_file_check(dir, NULL, why, sizeof(why)), -EPROTO);
	assert_non_null(strstr(why, "damaged"));
}

/* A truncated copy is refused by the check. */
static void test_truncated_copies_are_refused(void **state)
{
	char *dir = temp_dir_new(), *to = temp_dir_new(), path[4200];
	struct store *store = store_fixture_open(dir);
	struct stat st;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(add_one(store, 70000), 0);
	data_path(path, sizeof(path), to);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_copy_fd(store, fd), 0);
	close(fd);
	store_close(store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 4096), 0);
	expect_damaged(to);
	assert_int_equal(truncate(path, 3 * 4096), 0);
	expect_damaged(to);
	assert_int_equal(truncate(path, 100), 0);
	expect_damaged(to);
	expect_refused(to, -EPROTO);
	temp_dir_remove(dir);
	temp_dir_remove(to);
}

/* Write a row of the table meta directly with LMDB. */
static void put_meta(const char *dir, const char *key, const void *data, size_t len)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = { strlen(key), (void *)key }, v = { len, (void *)data };

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* Let the store in DIR look as if processes had it open, so that its file is not checked. */
static void pretend_in_use(const char *dir)
{
	char path[4200], text[128];
	struct stat st;

	data_path(path, sizeof(path), dir);
	assert_int_equal(stat(path, &st), 0);
	int len = snprintf(text, sizeof(text), "open %ju %ju", (uintmax_t)st.st_dev,
	                   (uintmax_t)st.st_ino);
	snprintf(path, sizeof(path), "%s/state", dir);
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)len), len);
	close(fd);
}

#define NEWER_FORMAT                                                                               \
	"the store has format 999, and keydir " KEYDIR_VERSION                                     \
	" reads format 2 only: use a newer version"
#define OLDER_FORMAT                                                                               \
	"the store has format 1, and keydir " KEYDIR_VERSION                                       \
	" reads format 2 only: use the older version"

static void test_other_formats_are_refused(void **state)
{
	char *dir = temp_dir_new(), why[256] = "";
	uint32_t format = 999;

	(void)state;
	store_close(store_fixture_open(dir));
	store_close(store_fixture_open(dir));
	put_meta(dir, "format", &format, sizeof(format));
	/* First by the check of a file that this version did not close, then without it. */
	expect_refused_with(dir, -EOPNOTSUPP, NEWER_FORMAT);
	assert_int_equal(store_file_check(dir, NULL, why, sizeof(why)), -EOPNOTSUPP);
	assert_non_null(strstr(why, NEWER_FORMAT));
	pretend_in_use(dir);
	expect_refused_with(dir, -EOPNOTSUPP, NEWER_FORMAT);
	format = 1;
	put_meta(dir, "format", &format, sizeof(format));
	expect_refused_with(dir, -EOPNOTSUPP, OLDER_FORMAT);
	put_meta(dir, "format", "1", 1);
	expect_refused(dir, -EPROTO);
	temp_dir_remove(dir);
	/* A store whose other tables are unknown here. */
	dir = temp_dir_new();
	format = 3;
	put_meta(dir, "format", &format, sizeof(format));
	expect_refused_with(dir, -EOPNOTSUPP, "the store has format 3");
	temp_dir_remove(dir);
	/* A row of totals with a wrong size. */
	dir = temp_dir_new();
	store_close(store_fixture_open(dir));
	put_meta(dir, "meta", "short", 5);
	expect_refused(dir, -EPROTO);
	temp_dir_remove(dir);
}

/* The version of LMDB's own format, in both meta pages (struct MDB_meta). */
static void test_another_lmdb_is_named(void **state)
{
	char *dir = temp_dir_new(), path[4200];
	const uint32_t lmdb_format = 999;

	(void)state;
	store_close(store_fixture_open(dir));
	data_path(path, sizeof(path), dir);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (int page = 0; page < 2; page++)
		assert_int_equal(pwrite(fd, &lmdb_format, 4, page * 4096 + 16 + 4), 4);
	close(fd);
	expect_refused_with(dir, -EOPNOTSUPP, "another LMDB than this program's");
	pretend_in_use(dir);
	expect_refused_with(dir, -EOPNOTSUPP, "another LMDB than this program's");
	temp_dir_remove(dir);
}

/* --- copies --- */

static void test_a_copy_is_a_whole_store(void **state)
{
	char *dir = temp_dir_new(), *to = temp_dir_new(), path[4200];
	struct store *store = store_fixture_open(dir);

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(add_one(store, 70000), 0);
	data_path(path, sizeof(path), to);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(store_copy_fd(store, fd), 0);
	close(fd);
	assert_int_equal(add_one(store, 70000), 0);
	struct store_config config = { .dir = to };
	struct store *copy;
	char why[256] = "";
	if (store_open(&config, &copy, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(count_all(copy), 20);
	assert_int_equal(add_one(copy, 70000), 0);
	assert_int_equal(count_all(copy), 21);
	store_close(copy);
	/* Without a reader of the pipe: an error instead of a signal. */
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	close(pipes[0]);
	assert_int_equal(store_copy_fd(store, pipes[1]), -EPIPE);
	close(pipes[1]);
	fd = open("/dev/full", O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(store_copy_fd(store, fd), -ENOSPC);
	close(fd);
	assert_int_equal(count_all(store), 21);
	store_close(store);
	temp_dir_remove(dir);
	temp_dir_remove(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_killed_writer_leaves_the_store_whole),
		cmocka_unit_test(test_concurrent_writers_lose_nothing),
		cmocka_unit_test(test_reader_slots_of_killed_processes_are_reused),
		cmocka_unit_test(test_a_full_store_stays_whole),
		cmocka_unit_test(test_opening_on_a_full_file_system_fails),
		cmocka_unit_test(test_damaged_files_are_refused),
		cmocka_unit_test(test_truncated_copies_are_refused),
		cmocka_unit_test(test_other_formats_are_refused),
		cmocka_unit_test(test_another_lmdb_is_named),
		cmocka_unit_test(test_a_copy_is_a_whole_store),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
