/* Tests of common/store/value.c, compared with plain arrays of bytes: inline and
 * chunked values, at all size limits, by random operations from a fixed seed. */
#include "tests/unit/cmocka_all.h"

#include "common/store/value.h"
#include "tests/unit/prng.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20240817
#define STEPS 6000
#define MAX_SIZE ((size_t)4 * STORE_CHUNK_SIZE + 1000)

/* A value in the store, and its expected bytes. */
struct model {
	uint64_t ino;
	size_t size;
	uint8_t *bytes;
};

struct value_fixture {
	char *dir;
	struct store *store;
	struct txn *txn;
	struct model models[3];
	uint8_t *buf; /* MAX_SIZE bytes */
};

/* Sizes at which the storage of a value changes. */
static const size_t limits[] = {
	0,
	1,
	STORE_INLINE_MAX - 1,
	STORE_INLINE_MAX,
	STORE_INLINE_MAX + 1,
	STORE_CHUNK_SIZE - 1,
	STORE_CHUNK_SIZE,
	STORE_CHUNK_SIZE + 1,
	2 * STORE_CHUNK_SIZE - 1,
	2 * STORE_CHUNK_SIZE,
	2 * STORE_CHUNK_SIZE + 1,
	4 * STORE_CHUNK_SIZE - 1,
	4 * STORE_CHUNK_SIZE,
	4 * STORE_CHUNK_SIZE + 1,
};

static void commit_txn(struct value_fixture *f)
{
	assert_int_equal(txn_commit(f->txn), 0);
	f->txn = store_fixture_write(f->store);
}

static int set_up(void **state)
{
	struct value_fixture *f = calloc(1, sizeof(*f));
	/* Inodes whose encodings are prefixes of each other, and a long one. */
	const uint64_t inos[] = { 2, 0x0201, STORE_PROPOSED_MAX - 1 };

	assert_non_null(f);
	f->dir = temp_dir_new();
	f->store = store_fixture_open(f->dir);
	f->buf = malloc(MAX_SIZE);
	assert_non_null(f->buf);
	f->txn = store_fixture_write(f->store);
	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct entry e = { .ino = inos[i],
			           .parent = STORE_ROOT_INO,
			           .mode = S_IFREG | 0644,
			           .is_inline = true,
			           .inline_value = "",
			           .name = "n",
			           .name_len = 1 };
		assert_int_equal(store_put(f->txn, &e), 0);
		f->models[i].ino = inos[i];
		f->models[i].bytes = calloc(1, MAX_SIZE);
		assert_non_null(f->models[i].bytes);
	}
	commit_txn(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct value_fixture *f = *state;

	txn_abort(f->txn);
	store_close(f->store);
	temp_dir_remove(f->dir);
	for (size_t i = 0; i < ARRAY_SIZE(f->models); i++)
		free(f->models[i].bytes);
	free(f->buf);
	free(f);
	return 0;
}

/* --- the operations, on both --- */

/* A copy of the entry, as apply makes one. */
struct entry_copy {
	struct entry e;
	uint8_t buf[STORE_INLINE_MAX];
};

static void copy_entry(struct value_fixture *f, const struct model *model, struct entry_copy *ret)
{
	assert_int_equal(store_get(f->txn, model->ino, &ret->e), 0);
	if (ret->e.is_inline) {
		memcpy(ret->buf, ret->e.inline_value, ret->e.size);
		ret->e.inline_value = ret->buf;
	}
	ret->e.name = "n";
}

static void set_value(struct value_fixture *f, struct model *model, const uint8_t *data, size_t len)
{
	struct entry_copy copy;

	copy_entry(f, model, &copy);
	assert_int_equal(value_set(f->txn, &copy.e, data, len), 0);
	assert_int_equal(store_put(f->txn, &copy.e), 0);
	memcpy(model->bytes, data, len);
	model->size = len;
}

static void write_at(struct value_fixture *f, struct model *model, size_t off, const uint8_t *data,
                     size_t len)
{
	struct entry_copy copy;

	copy_entry(f, model, &copy);
	assert_int_equal(value_write(f->txn, &copy.e, off, data, len, copy.buf), 0);
	assert_int_equal(store_put(f->txn, &copy.e), 0);
	if (len == 0)
		return;
	if (off > model->size)
		memset(model->bytes + model->size, 0, off - model->size);
	memcpy(model->bytes + off, data, len);
	if (off + len > model->size)
		model->size = off + len;
}

static void resize_value(struct value_fixture *f, struct model *model, size_t size)
{
	struct entry_copy copy;

	copy_entry(f, model, &copy);
	assert_int_equal(value_resize(f->txn, &copy.e, size, copy.buf), 0);
	assert_int_equal(store_put(f->txn, &copy.e), 0);
	if (size > model->size)
		memset(model->bytes + model->size, 0, size - model->size);
	model->size = size;
}

static void compare_value(struct value_fixture *f, const struct model *model, size_t off,
                          size_t len)
{
	struct entry e;
	size_t want = off >= model->size ? 0 : model->size - off < len ? model->size - off : len;

	assert_int_equal(store_get(f->txn, model->ino, &e), 0);
	assert_int_equal(e.size, model->size);
	assert_int_equal(e.is_inline, model->size <= STORE_INLINE_MAX);
	memset(f->buf, 0xa5, len);
	assert_int_equal(store_read(f->txn, &e, off, f->buf, len), want);
	assert_memory_equal(f->buf, model->bytes + off, want);
}

/* --- rows --- */

static int count_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	size_t *n = arg;

	(void)key;
	if (strcmp(table, "values") != 0)
		return 0;
	(*n)++;
	return value.len == 0 || value.len > STORE_CHUNK_SIZE;
}

/* Expect no more chunks than the values need, and none for inline values. */
static void check_rows(struct value_fixture *f)
{
	size_t n = 0, most = 0;

	assert_int_equal(store_each_row(f->txn, count_row, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(f->models); i++) {
		if (f->models[i].size > STORE_INLINE_MAX)
			most += (f->models[i].size + STORE_CHUNK_SIZE - 1) / STORE_CHUNK_SIZE;
	}
	assert_true(n <= most);
}

/* --- tests --- */

/* From every size limit to every other, by each operation. */
static void test_values_cross_every_size_limit(void **state)
{
	struct value_fixture *f = *state;
	struct model *model = &f->models[0];
	struct prng prng = { .seed = SEED };
	uint8_t *data = malloc(MAX_SIZE);

	assert_non_null(data);
	for (size_t i = 0; i < MAX_SIZE; i++)
		data[i] = (uint8_t)(prng_u64(&prng) | 1); /* Never zero. */
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(limits); k++) {
			size_t from = limits[i], to = limits[k];

			set_value(f, model, data, from);
			compare_value(f, model, 0, MAX_SIZE);
			resize_value(f, model, to);
			compare_value(f, model, 0, MAX_SIZE);
			resize_value(f, model,
			             from); /* Bytes that were cut off do not come back. */
			compare_value(f, model, 0, MAX_SIZE);
			set_value(f, model, data + 1, to);
			compare_value(f, model, 0, MAX_SIZE);
			set_value(f, model, data, from);
			write_at(f, model, to, data + 7, 2);
			compare_value(f, model, 0, MAX_SIZE);
			set_value(f, model, data, from);
			write_at(f, model, to ? to - 1 : 0, data + 9, STORE_INLINE_MAX);
			compare_value(f, model, 0, MAX_SIZE);
			check_rows(f);
		}
	}
	set_value(f, model, data, 0);
	check_rows(f);
	free(data);
}

static size_t pick_size(struct prng *prng, size_t max)
{
	size_t n;

	if (prng_one_in(prng, 2))
		n = limits[prng_below(prng, ARRAY_SIZE(limits))];
	else if (prng_one_in(prng, 2))
		n = prng_below(prng, 3 * STORE_INLINE_MAX);
	else
		n = prng_below(prng, (uint32_t)max + 1);
	return n < max ? n : max;
}

static void test_random_changes_match_plain_arrays(void **state)
{
	struct value_fixture *f = *state;
	struct prng prng = { .seed = SEED };
	uint8_t *data = malloc(MAX_SIZE);

	assert_non_null(data);
	print_message("# seed %d, %d steps\n", SEED, STEPS);
	for (int step = 0; step < STEPS; step++) {
		struct model *model = &f->models[prng_below(&prng, ARRAY_SIZE(f->models))];
		size_t size = pick_size(&prng, MAX_SIZE), off;

		memset(data, 1 + step % 255, size < 64 ? size : 64);
		switch (prng_below(&prng, 6)) {
		case 0:
			set_value(f, model, data, size);
			break;
		case 1:
			resize_value(f, model, size);
			break;
		case 2: /* Like an append. */
			size = pick_size(&prng, MAX_SIZE - model->size);
			write_at(f, model, model->size, data, size);
			break;
		default:
			off = pick_size(&prng, MAX_SIZE);
			write_at(f, model, off, data,
			         pick_size(&prng, prng_one_in(&prng, 2) && MAX_SIZE - off > 300 ?
			                                  300 :
			                                  MAX_SIZE - off));
			break;
		}
		off = pick_size(&prng, MAX_SIZE);
		compare_value(f, model, off, pick_size(&prng, MAX_SIZE - off));
		if (prng_one_in(&prng, 20)) {
			for (size_t i = 0; i < ARRAY_SIZE(f->models); i++)
				compare_value(f, &f->models[i], 0, MAX_SIZE);
			check_rows(f);
		}
		if (prng_one_in(&prng, 10))
			commit_txn(f);
	}
	free(data);
}

/* An aborted transaction leaves the value unchanged. */
static void test_an_abort_restores_the_value(void **state)
{
	struct value_fixture *f = *state;
	struct model *model = &f->models[1], before;
	uint8_t *data = calloc(1, MAX_SIZE);

	assert_non_null(data);
	memset(data, 7, MAX_SIZE);
	set_value(f, model, data, 2 * STORE_CHUNK_SIZE + 10);
	commit_txn(f);
	before = *model;
	before.bytes = malloc(MAX_SIZE);
	assert_non_null(before.bytes);
	memcpy(before.bytes, model->bytes, MAX_SIZE);
	memset(data, 8, MAX_SIZE);
	write_at(f, model, STORE_CHUNK_SIZE - 5, data, 10);
	resize_value(f, model, 100);
	write_at(f, model, 3 * STORE_CHUNK_SIZE, data, 10);
	txn_abort(f->txn);
	f->txn = store_fixture_write(f->store);
	compare_value(f, &before, 0, MAX_SIZE);
	memcpy(model->bytes, before.bytes, MAX_SIZE);
	model->size = before.size;
	free(before.bytes);
	free(data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_values_cross_every_size_limit),
		TEST(test_random_changes_match_plain_arrays),
		TEST(test_an_abort_restores_the_value),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
