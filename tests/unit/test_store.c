/* Tests of common/store/: opening, tables, scans. */
#include "tests/unit/cmocka_all.h"

#include "common/base/ttl.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- opening --- */

static void test_a_new_store_has_an_empty_root(void **state)
{
	struct store_fixture *fixture = *state;
	struct entry root;

	assert_string_equal(store_dir(fixture->store), fixture->dir);
	assert_true(store_in_memory(fixture->store));
	assert_true(store_bytes(fixture->store) > 0);
	assert_false(txn_meta(fixture->txn)->started);
	assert_int_equal(txn_meta(fixture->txn)->next_ino, STORE_ROOT_INO + 1);
	assert_int_equal(store_get(fixture->txn, STORE_ROOT_INO, &root), 0);
	assert_int_equal(root.mode, S_IFDIR | 0755);
	assert_int_equal(root.parent, 0);
	assert_int_equal(root.name_len, 0);
}

/* The totals are kept when the store is opened again. */
static void test_reopening_keeps_the_totals(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_meta meta;

	txn_meta(fixture->txn)->started = true;
	txn_meta(fixture->txn)->applied = 41;
	txn_meta(fixture->txn)->used_bytes = 1234567;
	memcpy(txn_meta(fixture->txn)->volume, "local-1", 8);
	meta = *txn_meta(fixture->txn);
	assert_int_equal(txn_commit(fixture->txn), 0);
	for (int i = 0; i < 3; i++) {
		store_close(fixture->store);
		fixture->store = store_fixture_open(fixture->dir);
		fixture->txn = i == 1 ? store_fixture_write(fixture->store) :
		                        store_fixture_read(fixture->store);
		assert_memory_equal(txn_meta(fixture->txn), &meta, sizeof(meta));
		txn_abort(fixture->txn);
	}
	fixture->txn = NULL;
}

static void test_opening_reports_a_bad_path(void **state)
{
	char *dir = temp_dir_new(), path[4200], why[256] = "";
	struct store_config config = { .dir = path };
	struct store *store = NULL;
	FILE *file;

	(void)state;
	/* Missing parents are created. */
	snprintf(path, sizeof(path), "%s/a/b/c", dir);
	assert_int_equal(store_open(&config, &store, why, sizeof(why)), 0);
	store_close(store);
	store = NULL;
	/* A file stands in the place of the directory. */
	snprintf(path, sizeof(path), "%s/file", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(store_open(&config, &store, why, sizeof(why)), -ENOTDIR);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, "Not a directory"));
	snprintf(path, sizeof(path), "%s/file/below", dir);
	assert_int_equal(store_open(&config, &store, NULL, 0), -ENOTDIR);
	path[0] = '\0';
	assert_int_equal(store_open(&config, &store, why, sizeof(why)), -ENAMETOOLONG);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(store_open(&config, &store, why, 10), -ENAMETOOLONG);
	assert_int_equal(strlen(why), 9);
	assert_null(store);
	store_close(NULL);
	temp_dir_remove(dir);
}

/* --- inodes and names --- */

static void test_inodes_are_stored_with_all_fields(void **state)
{
	struct store_fixture *fixture = *state;
	const struct entry samples[] = {
		{ .ino = 2,
		  .version = 1,
		  .parent = 1,
		  .mode = S_IFREG | 0644,
		  .mtime_ns = 5,
		  .ctime_ns = 5,
		  .atime_ns = 5,
		  .name = "a",
		  .name_len = 1,
		  .is_inline = true,
		  .inline_value = "hello",
		  .size = 5 },
		{ .ino = 255,
		  .version = UINT64_MAX,
		  .parent = UINT64_C(1) << 40,
		  .mode = S_IFREG | 07777,
		  .mtime_ns = INT64_MIN,
		  .ctime_ns = INT64_MAX,
		  .atime_ns = -1,
		  .name = "b",
		  .name_len = 1,
		  .size = STORE_VALUE_MAX,
		  .expiry_ms = TTL_MOMENT_MAX_MS,
		  .has_xattrs = true },
		{ .ino = 256,
		  .mode = S_IFDIR,
		  .parent = 255,
		  .name = "dir",
		  .name_len = 3,
		  .nsubdirs = UINT32_MAX,
		  .default_ttl_ms = 7 },
		{ .ino = UINT64_MAX,
		  .mode = S_IFREG,
		  .parent = UINT64_MAX,
		  .mtime_ns = 9,
		  .ctime_ns = 9,
		  .atime_ns = 8,
		  .name = "c",
		  .name_len = 1,
		  .is_inline = true },
	};
	struct entry e;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		assert_int_equal(store_put(fixture->txn, &samples[i]), 0);
	store_fixture_commit(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct entry *s = &samples[i];
		char row[32];

		snprintf(row, sizeof(row), "inode %llu", (unsigned long long)s->ino);
		assert_row_equal(row, store_get(fixture->txn, s->ino, &e), 0);
		assert_row_equal(row, e.ino, s->ino);
		assert_row_equal(row, e.version, s->version);
		assert_row_equal(row, e.parent, s->parent);
		assert_row_equal(row, e.mode, s->mode);
		assert_row_equal(row, e.mtime_ns, s->mtime_ns);
		assert_row_equal(row, e.ctime_ns, s->ctime_ns);
		assert_row_equal(row, e.atime_ns, s->atime_ns);
		assert_row_equal(row, e.expiry_ms, s->expiry_ms);
		assert_row_equal(row, e.default_ttl_ms, s->default_ttl_ms);
		assert_row_equal(row, e.nsubdirs, s->nsubdirs);
		assert_row_equal(row, e.size, s->size);
		assert_row_equal(row, e.has_xattrs, s->has_xattrs);
		assert_row_equal(row, e.is_inline, s->is_inline);
		assert_row_equal(row, e.name_len, s->name_len);
		assert_memory_equal(e.name, s->name, s->name_len);
		if (s->is_inline)
			assert_memory_equal(e.inline_value, s->size ? s->inline_value : "",
			                    s->size);
		assert_row_equal(row, entry_is_dir(&e), S_ISDIR(s->mode));
	}
	assert_int_equal(store_remove(fixture->txn, 255), 0);
	assert_int_equal(store_get(fixture->txn, 255, &e), -ENOENT);
	assert_int_equal(store_remove(fixture->txn, 255), -ENOENT);
	assert_int_equal(store_get(fixture->txn, 256, &e), 0);
	assert_int_equal(store_get(fixture->txn, 0, &e), -ENOENT);
}

/* Numbers on both sides of each limit of length in rows. */
static void test_numbers_of_every_length_are_stored(void **state)
{
	struct store_fixture *fixture = *state;
	const int64_t base_ms = 1769860800000;
	struct entry e;

	txn_meta(fixture->txn)->base_ms = base_ms;
	for (int bits = 0; bits < 62; bits++) {
		for (int side = -1; side <= 1; side++) {
			uint64_t n = (UINT64_C(1) << bits) + (uint64_t)side;
			struct entry s = {
				.ino = n, .version = n + 7, .parent = n, .mode = S_IFREG
			};
			bool dir;
			uint64_t ino;

			if (n <= STORE_ROOT_INO)
				continue;
			s.name = "n";
			s.name_len = 1;
			s.size = n > STORE_INLINE_MAX && n <= STORE_VALUE_MAX ? n : STORE_VALUE_MAX;
			if (bits < 41)
				s.mtime_ns = (base_ms + (int64_t)n - 2) * 1000000 + side / 2;
			s.ctime_ns = s.mtime_ns + (int64_t)n;
			s.atime_ns = s.mtime_ns - (int64_t)n;
			assert_int_equal(store_put(fixture->txn, &s), 0);
			assert_int_equal(store_link(fixture->txn, n, "n", 1, n, n & 1), 0);
			assert_int_equal(store_get(fixture->txn, n, &e), 0);
			assert_true(e.version == s.version && e.parent == n && e.size == s.size);
			assert_true(e.mtime_ns == s.mtime_ns && e.ctime_ns == s.ctime_ns &&
			            e.atime_ns == s.atime_ns);
			assert_int_equal(store_lookup(fixture->txn, n, "n", 1, &ino, &dir), 0);
			assert_true(ino == n && dir == (n & 1));
		}
	}
	/* They are found in order. */
	struct bytes row = { "x", 1 };
	uint64_t offset = 0;
	for (int bits = 1; bits < 64; bits++)
		assert_int_equal(store_feed_put(fixture->txn, UINT64_C(1) << bits, row), 0);
	for (int bits = 1; bits < 64; bits++) {
		assert_int_equal(store_feed_next(fixture->txn, offset + 1, &offset, &row), 0);
		assert_true(offset == UINT64_C(1) << bits);
	}
}

static void test_names_are_linked_and_looked_up(void **state)
{
	struct store_fixture *fixture = *state;
	char longest[255];
	uint64_t ino;
	bool dir;

	memset(longest, 0xff, sizeof(longest));
	assert_int_equal(store_link(fixture->txn, 1, "a", 1, 2, false), 0);
	assert_int_equal(store_link(fixture->txn, 1, "ab", 2, UINT64_C(1) << 61, true), 0);
	assert_int_equal(store_link(fixture->txn, 1, longest, 255, 4, true), 0);
	assert_int_equal(store_link(fixture->txn, 2, "a", 1, 5, false), 0);
	store_fixture_commit(fixture);
	assert_int_equal(store_lookup(fixture->txn, 1, "a", 1, &ino, &dir), 0);
	assert_int_equal(ino, 2);
	assert_false(dir);
	assert_int_equal(store_lookup(fixture->txn, 1, "ab", 2, &ino, &dir), 0);
	assert_int_equal(ino, UINT64_C(1) << 61);
	assert_true(dir);
	assert_int_equal(store_lookup(fixture->txn, 1, longest, 255, &ino, NULL), 0);
	assert_int_equal(ino, 4);
	assert_int_equal(store_lookup(fixture->txn, 1, longest, 254, &ino, NULL), -ENOENT);
	assert_int_equal(store_lookup(fixture->txn, 1, "", 0, &ino, NULL), -ENOENT);
	assert_int_equal(store_lookup(fixture->txn, 3, "a", 1, &ino, NULL), -ENOENT);
	assert_int_equal(store_link(fixture->txn, 1, "a", 1, 9, true),
	                 0); /* Replaces the previous link. */
	assert_int_equal(store_lookup(fixture->txn, 1, "a", 1, &ino, &dir), 0);
	assert_int_equal(ino, 9);
	assert_true(dir);
	assert_int_equal(store_unlink(fixture->txn, 1, "a", 1), 0);
	assert_int_equal(store_unlink(fixture->txn, 1, "a", 1), -ENOENT);
	assert_int_equal(store_lookup(fixture->txn, 2, "a", 1, &ino, NULL), 0);
}

/* Names longer than any can be: not found, and no buffer overflows. */
static void test_names_too_long_are_not_found(void **state)
{
	struct store_fixture *fixture = *state;
	char name[300];
	uint64_t ino;
	struct bytes value;

	memset(name, 'n', sizeof(name));
	assert_int_equal(store_link(fixture->txn, 1, name, 255, 2, false), 0);
	assert_int_equal(store_lookup(fixture->txn, 1, name, 256, &ino, NULL), -ENOENT);
	assert_int_equal(store_lookup(fixture->txn, 1, name, 300, &ino, NULL), -ENOENT);
	assert_int_equal(store_xattr_put(fixture->txn, 1, (struct bytes){ name, 255 },
	                                 (struct bytes){ "v", 1 }),
	                 0);
	assert_int_equal(store_xattr_get(fixture->txn, 1, name, 256, &value), -ENOENT);
}

static void expect_scan(struct txn *txn, uint64_t parent, const char *after, const char *want)
{
	struct scan *scan;
	const char *name;
	size_t len, used = 0;
	uint64_t ino;
	bool dir;
	char got[256] = "";
	int r;

	assert_int_equal(scan_open(txn, parent, after, after ? strlen(after) : 0, &scan), 0);
	while ((r = scan_next(scan, &name, &len, &ino, &dir)) == 0)
		used += (size_t)snprintf(got + used, sizeof(got) - used, "%.*s=%d%s ", (int)len,
		                         name, (int)ino, dir ? "/" : "");
	assert_int_equal(r, -ENOENT);
	scan_close(scan);
	assert_string_equal(got, want);
}

static void test_a_scan_returns_names_in_order(void **state)
{
	struct store_fixture *fixture = *state;
	/* Numbers whose encodings are prefixes of each other. */
	const uint64_t parents[] = { 1, 255, 256, 257, 65535, 65536, UINT64_C(1) << 56 };

	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		uint64_t p = parents[i];
		assert_int_equal(store_link(fixture->txn, p, "b", 1, 10 + i, true), 0);
		assert_int_equal(store_link(fixture->txn, p, "a", 1, 20 + i, false), 0);
		assert_int_equal(store_link(fixture->txn, p, "\xff", 1, 30 + i, false), 0);
		assert_int_equal(store_link(fixture->txn, p, "ab", 2, 40 + i, false), 0);
	}
	store_fixture_commit(fixture);
	expect_scan(fixture->txn, 1, NULL, "a=20 ab=40 b=10/ \xff=30 ");
	expect_scan(fixture->txn, 255, NULL, "a=21 ab=41 b=11/ \xff=31 ");
	expect_scan(fixture->txn, 256, NULL, "a=22 ab=42 b=12/ \xff=32 ");
	expect_scan(fixture->txn, 65536, NULL, "a=25 ab=45 b=15/ \xff=35 ");
	expect_scan(fixture->txn, UINT64_C(1) << 56, NULL, "a=26 ab=46 b=16/ \xff=36 ");
	expect_scan(fixture->txn, 1, "a", "ab=40 b=10/ \xff=30 ");
	expect_scan(fixture->txn, 1, "aa", "ab=40 b=10/ \xff=30 "); /* Removed, or never existed. */
	expect_scan(fixture->txn, 1, "", "a=20 ab=40 b=10/ \xff=30 ");
	expect_scan(fixture->txn, 1, "b", "\xff=30 ");
	expect_scan(fixture->txn, 1, "\xff", "");
	expect_scan(fixture->txn, UINT64_C(1) << 56, "\xff", "");
	expect_scan(fixture->txn, 2, NULL, "");
	expect_scan(fixture->txn, UINT64_MAX, NULL, "");
	expect_scan(fixture->txn, 0, NULL, "");
	scan_close(NULL);
}

/* --- values --- */

static void test_chunks_have_holes_and_can_be_cut(void **state)
{
	struct store_fixture *fixture = *state;
	const size_t size = 3 * STORE_CHUNK_SIZE;
	struct entry e = { .ino = 7, .size = size }, neighbour = { .ino = 0x0701, .size = 4 };
	uint8_t *data = malloc(size), *buf = malloc(size + 10), *zeros = calloc(1, size);

	assert_non_null(data);
	assert_non_null(buf);
	assert_non_null(zeros);
	memset(data, 'x', size);
	assert_int_equal(store_chunks_write(fixture->txn, 0x0701, 0, "next", 4), 0);
	/* Only a hole. */
	assert_int_equal(store_read(fixture->txn, &e, 0, buf, size + 10), size);
	assert_memory_equal(buf, zeros, size);
	/* Across the end of a chunk, with holes before and after. */
	assert_int_equal(store_chunks_write(fixture->txn, 7, STORE_CHUNK_SIZE - 3, data, 6), 0);
	store_fixture_commit(fixture);
	assert_int_equal(store_read(fixture->txn, &e, 0, buf, size), size);
	assert_memory_equal(buf, zeros, STORE_CHUNK_SIZE - 3);
	assert_memory_equal(buf + STORE_CHUNK_SIZE - 3, data, 6);
	assert_memory_equal(buf + STORE_CHUNK_SIZE + 3, zeros, 2 * STORE_CHUNK_SIZE - 3);
	assert_int_equal(store_read(fixture->txn, &e, STORE_CHUNK_SIZE - 4, buf, 3), 3);
	assert_memory_equal(buf, "\0xx", 3);
	assert_int_equal(store_read(fixture->txn, &e, size - 1, buf, 10), 1);
	assert_int_equal(store_read(fixture->txn, &e, size, buf, 10), 0);
	assert_int_equal(store_read(fixture->txn, &e, UINT64_MAX, buf, 10), 0);
	/* Cut inside a chunk, and at its end. */
	assert_int_equal(store_chunks_write(fixture->txn, 7, 0, data, size), 0);
	assert_int_equal(store_chunks_cut(fixture->txn, 7, STORE_CHUNK_SIZE + 10), 0);
	assert_int_equal(store_read(fixture->txn, &e, 0, buf, size), size);
	assert_memory_equal(buf, data, STORE_CHUNK_SIZE + 10);
	assert_memory_equal(buf + STORE_CHUNK_SIZE + 10, zeros, 2 * STORE_CHUNK_SIZE - 10);
	assert_int_equal(store_chunks_cut(fixture->txn, 7, STORE_CHUNK_SIZE), 0);
	assert_int_equal(store_read(fixture->txn, &e, 0, buf, size), size);
	assert_memory_equal(buf, data, STORE_CHUNK_SIZE);
	assert_memory_equal(buf + STORE_CHUNK_SIZE, zeros, 2 * STORE_CHUNK_SIZE);
	assert_int_equal(store_chunks_cut(fixture->txn, 7, size), 0); /* Nothing to cut. */
	assert_int_equal(store_chunks_cut(fixture->txn, 7, 0), 0);
	assert_int_equal(store_read(fixture->txn, &e, 0, buf, size), size);
	assert_memory_equal(buf, zeros, size);
	assert_int_equal(store_chunks_cut(fixture->txn, 7, 0), 0);
	assert_int_equal(store_read(fixture->txn, &neighbour, 0, buf, 4), 4);
	assert_memory_equal(buf, "next", 4);
	free(data);
	free(buf);
	free(zeros);
}

/* --- attributes --- */

struct xattr_list {
	char text[256];
	size_t used;
	int stop_at, n;
};

static int append_xattr(void *arg, struct bytes name, struct bytes value)
{
	struct xattr_list *list = arg;

	list->used += (size_t)snprintf(list->text + list->used, sizeof(list->text) - list->used,
	                               "%.*s=%.*s ", (int)name.len, (const char *)name.data,
	                               (int)value.len, (const char *)value.data);
	return ++list->n == list->stop_at ? 42 : 0;
}

static void put_xattr(struct store_fixture *fixture, uint64_t ino, const char *name,
                      const char *value)
{
	assert_int_equal(store_xattr_put(fixture->txn, ino, (struct bytes){ name, strlen(name) },
	                                 (struct bytes){ value, strlen(value) }),
	                 0);
}

static void test_attributes_belong_to_one_inode(void **state)
{
	struct store_fixture *fixture = *state;
	struct xattr_list list = { .stop_at = -1 };
	struct bytes value;
	uint64_t bytes = 999;

	put_xattr(fixture, 256, "user.b", "2");
	put_xattr(fixture, 256, "user.a", "");
	put_xattr(fixture, 1, "user.other", "1");
	put_xattr(fixture, 257, "user.other", "257");
	assert_int_equal(store_xattr_each(fixture->txn, 256, append_xattr, &list), 0);
	assert_string_equal(list.text, "user.a= user.b=2 ");
	list = (struct xattr_list){ .stop_at = 1 };
	assert_int_equal(store_xattr_each(fixture->txn, 256, append_xattr, &list), 42);
	assert_string_equal(list.text, "user.a= ");
	list = (struct xattr_list){ .stop_at = -1 };
	assert_int_equal(store_xattr_each(fixture->txn, 2, append_xattr, &list), 0);
	assert_string_equal(list.text, "");
	assert_int_equal(store_xattr_get(fixture->txn, 256, "user.b", 6, &value), 0);
	assert_int_equal(value.len, 1);
	assert_int_equal(store_xattr_get(fixture->txn, 256, "user.c", 6, &value), -ENOENT);
	assert_int_equal(store_xattr_del(fixture->txn, 256, (struct bytes){ "user.c", 6 }),
	                 -ENOENT);
	assert_int_equal(store_xattr_del(fixture->txn, 256, (struct bytes){ "user.a", 6 }), 0);
	put_xattr(fixture, 256, "user.c", "three");
	assert_int_equal(store_xattr_clear(fixture->txn, 256, &bytes), 0);
	assert_int_equal(bytes, 6 + 1 + 6 + 5);
	assert_int_equal(store_xattr_clear(fixture->txn, 256, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(store_xattr_get(fixture->txn, 257, "user.other", 10, &value), 0);
	assert_int_equal(store_xattr_get(fixture->txn, 1, "user.other", 10, &value), 0);
}

/* --- expiry, feed, idempotency --- */

static void test_the_first_expiry_is_found(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t expiry = 0;
	uint64_t ino = 0;

	assert_int_equal(store_first_expiry(fixture->txn, &expiry, &ino), -ENOENT);
	assert_int_equal(store_expiry_put(fixture->txn, 1000, 3), 0);
	assert_int_equal(store_expiry_put(fixture->txn, 255, 400), 0);
	assert_int_equal(store_expiry_put(fixture->txn, 255, 5), 0);
	assert_int_equal(store_expiry_put(fixture->txn, TTL_MOMENT_MAX_MS, 2), 0);
	assert_int_equal(store_first_expiry(fixture->txn, &expiry, &ino), 0);
	assert_int_equal(expiry, 255);
	assert_int_equal(ino, 5); /* The order at the same time is fixed. */
	assert_int_equal(store_expiry_del(fixture->txn, 255, 5), 0);
	assert_int_equal(store_expiry_del(fixture->txn, 255, 5), -ENOENT);
	assert_int_equal(store_expiry_del(fixture->txn, 255, 400), 0);
	assert_int_equal(store_first_expiry(fixture->txn, &expiry, &ino), 0);
	assert_int_equal(expiry, 1000);
	assert_int_equal(ino, 3);
	assert_int_equal(store_expiry_del(fixture->txn, 1000, 3), 0);
	assert_int_equal(store_first_expiry(fixture->txn, &expiry, &ino), 0);
	assert_int_equal(expiry, TTL_MOMENT_MAX_MS);
}

/* The cached answer follows every change, including one that is undone. */
static void test_may_expire_follows_every_change(void **state)
{
	struct store_fixture *fixture = *state;
	struct txn *inner;

	assert_false(store_may_expire(fixture->txn, 1000));
	assert_int_equal(store_expiry_put(fixture->txn, 1000, 3), 0);
	assert_true(store_may_expire(fixture->txn, 1000));
	assert_false(store_may_expire(fixture->txn, 999));
	assert_int_equal(txn_nest(fixture->txn, &inner), 0);
	assert_int_equal(store_expiry_put(inner, 500, 4), 0);
	assert_true(store_may_expire(inner, 999));
	txn_abort(inner);
	assert_false(store_may_expire(fixture->txn, 999));
	assert_int_equal(txn_nest(fixture->txn, &inner), 0);
	assert_int_equal(store_expiry_del(inner, 1000, 3), 0);
	assert_false(store_may_expire(inner, 1000));
	txn_abort(inner);
	assert_true(store_may_expire(fixture->txn, 1000));
	assert_int_equal(store_expiry_del(fixture->txn, 1000, 3), 0);
	assert_false(store_may_expire(fixture->txn, 1000));
}

static void test_feed_rows_and_idempotency_keys_are_stored(void **state)
{
	struct store_fixture *fixture = *state;
	uint64_t offset = 99;
	struct bytes row;

	assert_int_equal(store_feed_next(fixture->txn, 0, &offset, &row), -ENOENT);
	assert_int_equal(store_feed_put(fixture->txn, 5, (struct bytes){ "five", 4 }), 0);
	assert_int_equal(store_feed_put(fixture->txn, 256, (struct bytes){ "big", 3 }), 0);
	assert_int_equal(store_feed_next(fixture->txn, 0, &offset, &row), 0);
	assert_int_equal(offset, 5);
	assert_memory_equal(row.data, "five", 4);
	assert_int_equal(store_feed_next(fixture->txn, 6, &offset, &row), 0);
	assert_int_equal(offset, 256);
	assert_int_equal(store_feed_next(fixture->txn, 257, &offset, &row), -ENOENT);
	assert_int_equal(store_feed_del(fixture->txn, 5), 0);
	assert_int_equal(store_feed_del(fixture->txn, 5), -ENOENT);
	assert_int_equal(store_feed_next(fixture->txn, 0, &offset, &row), 0);
	assert_int_equal(offset, 256);

	assert_int_equal(store_idem_get(fixture->txn, (struct bytes){ "k", 1 }, &offset), -ENOENT);
	assert_int_equal(store_idem_put(fixture->txn, (struct bytes){ "k", 1 }, 77), 0);
	assert_int_equal(store_idem_get(fixture->txn, (struct bytes){ "k", 1 }, &offset), 0);
	assert_int_equal(offset, 77);
	assert_int_equal(store_idem_del(fixture->txn, (struct bytes){ "k", 1 }), 0);
	assert_int_equal(store_idem_del(fixture->txn, (struct bytes){ "k", 1 }), -ENOENT);
}

int main(void)
{
#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, store_fixture_set_up, store_fixture_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_new_store_has_an_empty_root),
		TEST(test_reopening_keeps_the_totals),
		cmocka_unit_test(test_opening_reports_a_bad_path),
		TEST(test_inodes_are_stored_with_all_fields),
		TEST(test_numbers_of_every_length_are_stored),
		TEST(test_names_are_linked_and_looked_up),
		TEST(test_names_too_long_are_not_found),
		TEST(test_a_scan_returns_names_in_order),
		TEST(test_chunks_have_holes_and_can_be_cut),
		TEST(test_attributes_belong_to_one_inode),
		TEST(test_the_first_expiry_is_found),
		TEST(test_may_expire_follows_every_change),
		TEST(test_feed_rows_and_idempotency_keys_are_stored),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
