/* Tests of rows that the store never writes (common/store/, event/feed.c). A store's
 * file may come from another node, so each reader must refuse such rows, and a change
 * of the entry must fail instead of overflowing a buffer. */
#include "tests/unit/cmocka_all.h"

#include "common/apply/apply.h"
#include "common/base/ttl.h"
#include "common/base/varint.h"
#include "common/store/internal.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fill the valid store that each case damages. */
static void fill_store(struct fixture *fixture)
{
	static char big[STORE_CHUNK_SIZE + 1000];

	EXPECT(fixture, OK, "added d/", .op = EVENT_MKDIR, .key = B("d"));
	EXPECT(fixture, OK, "added d/k=5", .op = EVENT_SET, .key = B("d/k"), .value = B("small"));
	EXPECT(fixture, OK, "added big=66520", .op = EVENT_SET, .key = B("big"),
	       .value = { big, sizeof(big) });
	EXPECT(fixture, OK, "attr d/k=5", .op = EVENT_SETXATTR, .key = B("d/k"),
	       .name = B("user.x"), .value = B("y"));
	EXPECT(fixture, OK, "attr d/k=5@1060000", .op = EVENT_EXPIRE, .key = B("d/k"),
	       .ttl = TTL_UNTIL, .ttl_ms = 1060000);
}

static void put_row(struct txn *txn, enum table table, const void *key, size_t key_len,
                    const void *value, size_t len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v = { len, (void *)(uintptr_t)value };

	assert_int_equal(table_put(txn, table, &k, &v, 0), 0);
}

/* --- inodes --- */

/* Impossible inode rows, in the format that the store writes. */
static const struct {
	const char *name;
	struct entry e;
} entries[] = {
	{ "an inline value longer than those are", { .is_inline = true, .size = 513 } },
	{ "an inline value of 60,000 bytes", { .is_inline = true, .size = 60000 } },
	{ "a short value that is not inline", { .size = 512 } },
	{ "an empty value that is not inline", { .size = 0 } },
	{ "a value longer than any", { .size = UINT64_C(1) << 32 } },
	{ "no name", { .is_inline = true, .name = "" } },
	{ "no parent", { .is_inline = true, .parent = UINT64_MAX } },
	{ "neither key, directory nor link", { .is_inline = true, .mode = S_IFCHR | 0644 } },
	{ "no type", { .is_inline = true, .mode = 0644 } },
	{ "a directory with a value", { .is_inline = true, .mode = S_IFDIR, .size = 3 } },
	{ "a directory with an empty value", { .is_inline = true, .mode = S_IFDIR } },
	{ "a directory with a size", { .mode = S_IFDIR, .size = 1000 } },
	{ "a directory that expires", { .mode = S_IFDIR, .expiry_ms = 1 } },
	{ "a negative default TTL", { .mode = S_IFDIR, .default_ttl_ms = -1 } },
	{ "a default TTL beyond a century", { .mode = S_IFDIR, .default_ttl_ms = TTL_MAX_MS + 1 } },
	{ "a key with directories", { .is_inline = true, .nsubdirs = 1 } },
	{ "a key with a default TTL", { .is_inline = true, .default_ttl_ms = 1 } },
	{ "a negative expiry", { .is_inline = true, .expiry_ms = -1 } },
	{ "an expiry after 9999", { .is_inline = true, .expiry_ms = TTL_MOMENT_MAX_MS + 1 } },
};

/* Overwrite the row of INO with E, which store_put() cannot write. */
static void put_entry(struct txn *txn, uint64_t ino, struct entry e)
{
	static uint8_t row[70000];
	struct store_key buf;
	MDB_val key = store_key_num(&buf, ino);
	uint8_t *p = row;
	uint64_t parent = e.parent == UINT64_MAX ? 0 : STORE_ROOT_INO;
	const char *name = e.name ? e.name : "n";
	uint32_t mode = e.mode ? e.mode : S_IFREG | 0644;

	*p++ = (uint8_t)(1 | 8 | (e.is_inline ? 4 : 0)); /* Flags: rare, mode, inline. */
	p += store_num_put(p, parent);
	p = varint_put(p, 1);
	memset(p, 0, 8);
	p += 8;
	*p++ = (uint8_t)mode;
	*p++ = (uint8_t)(mode >> 8);
	*p++ = 4 | 8 | 16; /* Flags: expiry, TTL, directories. */
	p = varint_put(p, (uint64_t)e.expiry_ms);
	p = varint_put(p, (uint64_t)e.default_ttl_ms);
	p = varint_put(p, e.nsubdirs);
	if (!e.is_inline)
		p = varint_put(p, e.size);
	*p++ = (uint8_t)strlen(name);
	memcpy(p, name, strlen(name));
	p += strlen(name);
	if (e.is_inline) {
		memset(p, 'A', e.size);
		p += e.size;
	}
	put_row(txn, INODES, key.mv_data, key.mv_size, row, (size_t)(p - row));
}

/* Apply changes to all entries; each must end with an outcome or a negative errno.
 * Return how many failed. */
static int change_all(struct fixture *fixture, struct txn *txn)
{
	static const struct event events[] = {
		{ .op = EVENT_APPEND, .key = B("d/k"), .value = B("more") },
		{ .op = EVENT_EXPIRE, .key = B("d/k"), .ttl = TTL_SET, .ttl_ms = 1000 },
		{ .op = EVENT_TRUNCATE, .key = B("big"), .size = 70000 },
		{ .op = EVENT_APPEND, .key = B("big"), .value = B("more") },
		{ .op = EVENT_RENAME, .key = B("d"), .to = B("e") },
		{ .op = EVENT_DEL, .key = B("e"), .flags = EVENT_RECURSE },
		{ .op = EVENT_DEL, .key = B("d"), .flags = EVENT_RECURSE },
		{ .op = EVENT_TICK, .time_ms = 2000000 },
	};
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		enum event_outcome outcome;
		int r = apply_event(txn, &events[i], fixture->offset + i,
		                    fixture->time_ms + events[i].time_ms, &outcome);

		assert_true(r <= 0);
		failed += r < 0;
	}
	return failed;
}

static void test_impossible_inodes_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct entry e;

	fill_store(fixture);
	uint64_t ino = fixture_ino(fixture, "d/k");
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct txn *txn;
		struct walk *walk;

		assert_int_equal(txn_write(fixture->store, &txn), 0);
		put_entry(txn, ino, (struct entry){ .is_inline = true, .size = 512 });
		assert_int_equal(store_get(txn, ino, &e), 0); /* The format itself is accepted. */
		put_entry(txn, ino, entries[i].e);
		if (store_get(txn, ino, &e) != -EIO)
			fail_msg("%s is not refused", entries[i].name);
		assert_int_equal(walk_open(txn, &walk), 0);
		assert_int_equal(walk_seek(walk, ino, &e), -EIO);
		walk_close(walk);
		if (!change_all(fixture, txn))
			fail_msg("with %s every change succeeds", entries[i].name);
		txn_abort(txn);
	}
}

static void test_a_root_with_a_parent_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct txn *txn;
	struct entry e;

	fill_store(fixture);
	assert_int_equal(txn_write(fixture->store, &txn), 0);
	put_entry(txn, STORE_ROOT_INO, (struct entry){ .mode = S_IFDIR });
	assert_int_equal(store_get(txn, STORE_ROOT_INO, &e), -EIO); /* A parent and a name. */
	change_all(fixture, txn);
	txn_abort(txn);
}

/* --- other tables --- */

#define DAMAGE_KINDS(X)                                                                            \
	X(NAME_LONG)                                                                               \
	X(NAME_OF_NO_KIND)                                                                         \
	X(NAME_OF_NO_INODE)                                                                        \
	X(CHUNK_LONG)                                                                              \
	X(XATTR_NAME_LONG)                                                                         \
	X(XATTR_LONG)                                                                              \
	X(EXPIRY_SHORT)                                                                            \
	X(EXPIRY_LONG)                                                                             \
	X(EXPIRY_NEVER)                                                                            \
	X(EXPIRY_LATE)                                                                             \
	X(FEED_KEY_LONG)                                                                           \
	X(FEED_NAME_LONG)                                                                          \
	X(FEED_IDEM_LONG)                                                                          \
	X(IDEM_SHORT)

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

static int expect_short_name(void *arg, struct bytes name, struct bytes value)
{
	(void)arg, (void)value;
	assert_true(name.len <= 255);
	return 0;
}

static int read_name(struct txn *txn, uint64_t dir)
{
	struct scan *scan;
	const char *name;
	size_t len;
	uint64_t ino;
	bool is_dir;
	int r;

	assert_int_equal(scan_open(txn, dir, NULL, 0, &scan), 0);
	do
		r = scan_next(scan, &name, &len, &ino, &is_dir);
	while (r == 0);
	scan_close(scan);
	return r;
}

static int read_feed(struct txn *txn, const struct feed_event *ev)
{
	struct feed_event *back;
	struct bytes row;

	(void)txn;
	assert_int_equal(feed_encode(ev, &row), 0);
	int r = feed_decode(ev->offset, row, &back);
	if (r == 0)
		free(back);
	if (ev->idem.len)
		assert_int_equal(feed_decode_idem(row, &(struct bytes){ 0 }), r);
	free((void *)row.data);
	return r;
}

/* Write the row of DAMAGE and return its reader's result. */
static int damage_and_read(struct fixture *fixture, struct txn *txn, enum damage damage)
{
	static char noise[EVENT_XATTR_VALUE_MAX + 1];
	uint64_t dir = fixture_ino(fixture, "d"), key = fixture_ino(fixture, "d/k"),
	         big = fixture_ino(fixture, "big"), n;
	struct feed_effect effect = { .key = { noise, 256 } };
	struct store_key buf;
	struct entry e;
	MDB_val at = store_key_num(&buf, dir);
	uint8_t bytes[510];
	struct bytes ignored;
	int64_t ms;

	memset(noise, 'n', sizeof(noise));
	memset(bytes, 'n', sizeof(bytes));
	memcpy(bytes, at.mv_data, at.mv_size);
	switch (damage) {
	case NAME_LONG:
		put_row(txn, NAMES, bytes, at.mv_size + 256, "\x0c", 1);
		return read_name(txn, dir);
	case NAME_OF_NO_KIND:
		put_row(txn, NAMES, bytes, at.mv_size + 1, "\x0f", 1);
		assert_int_equal(store_lookup(txn, dir, "n", 1, &n, NULL), -EIO);
		return read_name(txn, dir);
	case NAME_OF_NO_INODE:
		put_row(txn, NAMES, bytes, at.mv_size + 1, "\x01", 1);
		return read_name(txn, dir);
	case CHUNK_LONG:
		at = store_key_num(&buf, big);
		put_row(txn, VALUES, at.mv_data, at.mv_size, noise, sizeof(noise));
		assert_int_equal(store_chunks_write(txn, big, 5, "x", 1), -EIO);
		assert_int_equal(store_get(txn, big, &e), 0);
		return (int)store_read(txn, &e, 0, bytes, 10);
	case XATTR_NAME_LONG:
		put_row(txn, XATTRS, bytes, at.mv_size + 256, "x", 1);
		return store_xattr_each(txn, dir, expect_short_name, NULL);
	case XATTR_LONG:
		put_row(txn, XATTRS, bytes, at.mv_size + 1, noise, EVENT_XATTR_VALUE_MAX + 1);
		assert_int_equal(store_xattr_get(txn, dir, "n", 1, &ignored), -EIO);
		return store_xattr_each(txn, dir, expect_short_name, NULL);
	case EXPIRY_SHORT:
		put_row(txn, EXPIRY, "\0\0\0\0\0\0\0\1", 8, "", 0);
		return store_first_expiry(txn, &ms, &n);
	case EXPIRY_LONG:
		put_row(txn, EXPIRY, "\0\0\0\0\0\0\0\1\2\2", 10, "", 0);
		return store_first_expiry(txn, &ms, &n);
	case EXPIRY_NEVER:
		put_row(txn, EXPIRY, "\0\0\0\0\0\0\0\0\2", 9, "", 0);
		return store_first_expiry(txn, &ms, &n);
	case EXPIRY_LATE:
		assert_int_equal(store_expiry_del(txn, 1060000, key), 0);
		put_row(txn, EXPIRY, "\xff\0\0\0\0\0\0\0\2", 9, "", 0);
		return store_first_expiry(txn, &ms, &n);
	case FEED_KEY_LONG:
		for (size_t i = 200; i < 5000; i += 200)
			noise[i] = '/';
		effect.key.len = 4097;
		return read_feed(txn, &(struct feed_event){ .effects = &effect, .neffects = 1 });
	case FEED_NAME_LONG:
		return read_feed(txn, &(struct feed_event){ .effects = &effect, .neffects = 1 });
	case FEED_IDEM_LONG:
		return read_feed(txn, &(struct feed_event){ .idem = { noise, 256 } });
	case IDEM_SHORT:
		put_row(txn, IDEM, "once", 4, "1234567", 7);
		return store_idem_get(txn, (struct bytes)B("once"), &n);
	case DAMAGES:
		break;
	}
	return 0;
}

static void test_impossible_rows_are_refused(void **state)
{
	struct fixture *fixture = *state;

	fill_store(fixture);
	for (int damage = 0; damage < DAMAGES; damage++) {
		struct txn *txn;

		assert_int_equal(txn_write(fixture->store, &txn), 0);
		int r = damage_and_read(fixture, txn, (enum damage)damage);
		if (r != -EIO && r != -EBADMSG)
			fail_msg("%s: %d", damage_names[damage], r);
		change_all(fixture, txn);
		txn_abort(txn);
	}
}

/* Numbers in more bytes than necessary: lookups would not find them. */
static void test_overlong_numbers_are_refused(void **state)
{
	static const struct {
		const char *name;
		struct bytes bytes;
	} numbers[] = {
#define ROW(text) { #text, B(text) }
		ROW("\x80\x01"),
		ROW("\xc0\x00\x7f"),
		ROW("\xff\x00\xff\xff\xff\xff\xff\xff\xff"),
		ROW("\xff\xff"),
		ROW(""),
#undef ROW
	};
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		assert_row_equal(numbers[i].name,
		                 store_num_get(numbers[i].bytes.data, numbers[i].bytes.len, &n), 0);
}

/* --- meta --- */

static void test_impossible_totals_are_refused(void **state)
{
	struct fixture *fixture = *state;
	static const char *const names[] = { "a volume without an end",
		                             "log time before 1970",
		                             "log time too late",
		                             "base time before 1970",
		                             "base time after log time",
		                             "the root's inode as the next",
		                             "a bool of 2" };
	struct store_meta good, bad[ARRAY_SIZE(names)];
	struct txn *txn;

	fill_store(fixture);
	good = fixture_meta(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	memset(bad[0].volume, 'v', sizeof(bad[0].volume));
	bad[1].log_time_ms = -1;
	bad[2].log_time_ms = STORE_TIME_MAX_MS + 1;
	bad[3].base_ms = -1;
	bad[4].base_ms = good.log_time_ms + 1;
	bad[5].next_ino = STORE_ROOT_INO;
	memset(&bad[6].started, 2, 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(txn_write(fixture->store, &txn), 0);
		put_row(txn, META, "meta", 4, &bad[i], sizeof(bad[i]));
		assert_row_equal(names[i], txn_load_meta(txn), -EPROTO);
		put_row(txn, META, "meta", 4, &good, sizeof(good) - 1);
		assert_row_equal(names[i], txn_load_meta(txn), -EPROTO);
		put_row(txn, META, "meta", 4, &good, sizeof(good));
		assert_row_equal(names[i], txn_load_meta(txn), 0);
		txn_abort(txn);
	}
}

/* --- directories below each other --- */

/* Two directories, each the parent of the other: following them up or down must end. */
static void test_a_cycle_of_directories_is_detected(void **state)
{
	struct fixture *fixture = *state;
	static const struct event events[] = {
		{ .op = EVENT_DEL, .key = B("c"), .flags = EVENT_RECURSE },
		{ .op = EVENT_RENAME, .key = B("d"), .to = B("c/d") },
		{ .op = EVENT_SET, .key = B("c/k"), .value = B("x") },
	};
	struct entry e;

	fill_store(fixture);
	EXPECT(fixture, OK, "added a/, added a/b/", .op = EVENT_MKDIR, .key = B("a/b"));
	EXPECT(fixture, OK, "attr d/", .op = EVENT_SETXATTR, .key = B("d"),
	       .name = B("user.default_ttl"), .value = B("60"));
	alarm(300); /* An endless loop fails the test. */
	uint64_t a = fixture_ino(fixture, "a"), b = fixture_ino(fixture, "a/b");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		enum event_outcome outcome;
		struct txn *txn;

		assert_int_equal(txn_write(fixture->store, &txn), 0);
		assert_int_equal(store_get(txn, a, &e), 0);
		e.parent = b;
		assert_int_equal(store_put(txn, &e), 0);
		assert_int_equal(store_link(txn, b, "a", 1, a, true), 0);
		assert_int_equal(store_link(txn, STORE_ROOT_INO, "c", 1, a, true), 0);
		assert_int_equal(
		        apply_event(txn, &events[i], fixture->offset, fixture->time_ms, &outcome),
		        -EIO);
		txn_abort(txn);
	}
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_impossible_inodes_are_refused, fixture_set_up,
		                                fixture_tear_down),
		cmocka_unit_test_setup_teardown(test_a_root_with_a_parent_is_refused,
		                                fixture_set_up, fixture_tear_down),
		cmocka_unit_test_setup_teardown(test_impossible_rows_are_refused, fixture_set_up,
		                                fixture_tear_down),
		cmocka_unit_test(test_overlong_numbers_are_refused),
		cmocka_unit_test_setup_teardown(test_impossible_totals_are_refused, fixture_set_up,
		                                fixture_tear_down),
		cmocka_unit_test_setup_teardown(test_a_cycle_of_directories_is_detected,
		                                fixture_set_up, fixture_tear_down),
	};

	return cmocka_run_group_tests_name("store_rows", tests, NULL, NULL);
}
