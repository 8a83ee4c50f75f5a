/* Tests of common/store/value.c against plain arrays of bytes: inline and chunked
 * values, at all borders, by random operations from a fixed seed. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/prng.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"
#include "common/store/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20240817
#define STEPS 6000
#define MAX_SIZE ((size_t)4 * STORE_CHUNK_SIZE + 1000)

/* A value in the store, and what it must be. */
struct model {
	uint64_t ino;
	size_t size;
	uint8_t *bytes;
};

struct bench {
	char *dir;
	struct store *store;
	struct txn *txn;
	struct model models[3];
	uint8_t *buf; /* MAX_SIZE bytes */
};

/* Where something changes how a value is stored. */
static const size_t borders[] = {
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

static void commit(struct bench *bench)
{
	assert_int_equal(txn_commit(bench->txn), 0);
	bench->txn = store_fixture_write(bench->store);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	/* Inodes of which one's number begins like the other's, and a long one. */
	const uint64_t inos[] = { 2, 0x0201, STORE_PROPOSED_MAX - 1 };

	assert_non_null(bench);
	bench->dir = temp_dir_new();
	bench->store = store_fixture_open(bench->dir);
	bench->buf = malloc(MAX_SIZE);
	assert_non_null(bench->buf);
	bench->txn = store_fixture_write(bench->store);
	for (size_t i = 0; i < ARRAY_SIZE(inos); i++) {
		struct entry e = { .ino = inos[i],
			           .parent = STORE_ROOT_INO,
			           .mode = S_IFREG | 0644,
			           .is_inline = true,
			           .inline_value = "",
			           .name = "n",
			           .name_len = 1 };
		assert_int_equal(store_put(bench->txn, &e), 0);
		bench->models[i].ino = inos[i];
		bench->models[i].bytes = calloc(1, MAX_SIZE);
		assert_non_null(bench->models[i].bytes);
	}
	commit(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	txn_abort(bench->txn);
	store_close(bench->store);
	temp_dir_remove(bench->dir);
	for (size_t i = 0; i < ARRAY_SIZE(bench->models); i++)
		free(bench->models[i].bytes);
	free(bench->buf);
	free(bench);
	return 0;
}

/* --- the operations, on both --- */

/* The entry, held as applying holds it. */
struct held {
	struct entry e;
	uint8_t buf[STORE_INLINE_MAX];
};

static void hold(struct bench *bench, const struct model *model, struct held *ret)
{
	assert_int_equal(store_get(bench->txn, model->ino, &ret->e), 0);
	if (ret->e.is_inline) {
		memcpy(ret->buf, ret->e.inline_value, ret->e.size);
		ret->e.inline_value = ret->buf;
	}
	ret->e.name = "n";
}

static void set(struct bench *bench, struct model *model, const uint8_t *data, size_t len)
{
	struct held held;

	hold(bench, model, &held);
	assert_int_equal(value_set(bench->txn, &held.e, data, len), 0);
	assert_int_equal(store_put(bench->txn, &held.e), 0);
	memcpy(model->bytes, data, len);
	model->size = len;
}

static void write_at(struct bench *bench, struct model *model, size_t off, const uint8_t *data,
                     size_t len)
{
	struct held held;

	hold(bench, model, &held);
	assert_int_equal(value_write(bench->txn, &held.e, off, data, len, held.buf), 0);
	assert_int_equal(store_put(bench->txn, &held.e), 0);
	if (len == 0)
		return;
	if (off > model->size)
		memset(model->bytes + model->size, 0, off - model->size);
	memcpy(model->bytes + off, data, len);
	if (off + len > model->size)
		model->size = off + len;
}

static void resize(struct bench *bench, struct model *model, size_t size)
{
	struct held held;

	hold(bench, model, &held);
	assert_int_equal(value_resize(bench->txn, &held.e, size, held.buf), 0);
	assert_int_equal(store_put(bench->txn, &held.e), 0);
	if (size > model->size)
		memset(model->bytes + model->size, 0, size - model->size);
	model->size = size;
}

static void compare(struct bench *bench, const struct model *model, size_t off, size_t len)
{
	struct entry e;
	size_t want = off >= model->size ? 0 : model->size - off < len ? model->size - off : len;

	assert_int_equal(store_get(bench->txn, model->ino, &e), 0);
	assert_int_equal(e.size, model->size);
	assert_int_equal(e.is_inline, model->size <= STORE_INLINE_MAX);
	memset(bench->buf, 0xa5, len);
	assert_int_equal(store_read(bench->txn, &e, off, bench->buf, len), want);
	assert_memory_equal(bench->buf, model->bytes + off, want);
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

/* No more chunks than the values need, and none for those that are inline. */
static void check_rows(struct bench *bench)
{
	size_t n = 0, most = 0;

	assert_int_equal(store_each_row(bench->txn, count_row, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bench->models); i++) {
		if (bench->models[i].size > STORE_INLINE_MAX)
			most += (bench->models[i].size + STORE_CHUNK_SIZE - 1) / STORE_CHUNK_SIZE;
	}
	assert_true(n <= most);
}

/* --- tests --- */

/* From every border to every border, by each operation. */
static void test_borders(void **state)
{
	struct bench *bench = *state;
	struct model *model = &bench->models[0];
	struct prng prng = { .seed = SEED };
	uint8_t *data = malloc(MAX_SIZE);

	assert_non_null(data);
	for (size_t i = 0; i < MAX_SIZE; i++)
		data[i] = (uint8_t)(prng_u64(&prng) | 1); /* never zero */
	for (size_t i = 0; i < ARRAY_SIZE(borders); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(borders); k++) {
			size_t from = borders[i], to = borders[k];

			set(bench, model, data, from);
			compare(bench, model, 0, MAX_SIZE);
			resize(bench, model, to);
			compare(bench, model, 0, MAX_SIZE);
			resize(bench, model, from); /* cut bytes do not come back */
			compare(bench, model, 0, MAX_SIZE);
			set(bench, model, data + 1, to);
			compare(bench, model, 0, MAX_SIZE);
			set(bench, model, data, from);
			write_at(bench, model, to, data + 7, 2);
			compare(bench, model, 0, MAX_SIZE);
			set(bench, model, data, from);
			write_at(bench, model, to ? to - 1 : 0, data + 9, STORE_INLINE_MAX);
			compare(bench, model, 0, MAX_SIZE);
			check_rows(bench);
		}
	}
	set(bench, model, data, 0);
	check_rows(bench);
	free(data);
}

static size_t pick_size(struct prng *prng, size_t max)
{
	size_t n;

	if (prng_one_in(prng, 2))
		n = borders[prng_below(prng, ARRAY_SIZE(borders))];
	else if (prng_one_in(prng, 2))
		n = prng_below(prng, 3 * STORE_INLINE_MAX);
	else
		n = prng_below(prng, (uint32_t)max + 1);
	return n < max ? n : max;
}

static void test_random(void **state)
{
	struct bench *bench = *state;
	struct prng prng = { .seed = SEED };
	uint8_t *data = malloc(MAX_SIZE);

	assert_non_null(data);
	print_message("# seed %d, %d steps\n", SEED, STEPS);
	for (int step = 0; step < STEPS; step++) {
		struct model *model = &bench->models[prng_below(&prng, ARRAY_SIZE(bench->models))];
		size_t size = pick_size(&prng, MAX_SIZE), off;

		memset(data, 1 + step % 255, size < 64 ? size : 64);
		switch (prng_below(&prng, 6)) {
		case 0:
			set(bench, model, data, size);
			break;
		case 1:
			resize(bench, model, size);
			break;
		case 2: /* as an append does it */
			size = pick_size(&prng, MAX_SIZE - model->size);
			write_at(bench, model, model->size, data, size);
			break;
		default:
			off = pick_size(&prng, MAX_SIZE);
			write_at(bench, model, off, data,
			         pick_size(&prng, prng_one_in(&prng, 2) && MAX_SIZE - off > 300 ?
			                                  300 :
			                                  MAX_SIZE - off));
			break;
		}
		off = pick_size(&prng, MAX_SIZE);
		compare(bench, model, off, pick_size(&prng, MAX_SIZE - off));
		if (prng_one_in(&prng, 20)) {
			for (size_t i = 0; i < ARRAY_SIZE(bench->models); i++)
				compare(bench, &bench->models[i], 0, MAX_SIZE);
			check_rows(bench);
		}
		if (prng_one_in(&prng, 10))
			commit(bench);
	}
	free(data);
}

/* An aborted transaction leaves the value as it was. */
static void test_abort(void **state)
{
	struct bench *bench = *state;
	struct model *model = &bench->models[1], before;
	uint8_t *data = calloc(1, MAX_SIZE);

	assert_non_null(data);
	memset(data, 7, MAX_SIZE);
	set(bench, model, data, 2 * STORE_CHUNK_SIZE + 10);
	commit(bench);
	before = *model;
	before.bytes = malloc(MAX_SIZE);
	assert_non_null(before.bytes);
	memcpy(before.bytes, model->bytes, MAX_SIZE);
	memset(data, 8, MAX_SIZE);
	write_at(bench, model, STORE_CHUNK_SIZE - 5, data, 10);
	resize(bench, model, 100);
	write_at(bench, model, 3 * STORE_CHUNK_SIZE, data, 10);
	txn_abort(bench->txn);
	bench->txn = store_fixture_write(bench->store);
	compare(bench, &before, 0, MAX_SIZE);
	memcpy(model->bytes, before.bytes, MAX_SIZE);
	model->size = before.size;
	free(before.bytes);
	free(data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_borders),
		TEST(test_random),
		TEST(test_abort),
	};

	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
