/* Tests of fs/file.c: the tables of a mount's files, and the states of one file. */
#include "tests/unit/cmocka_all.h"

#include "fs/file.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int set_up(void **state)
{
	struct files *files = malloc(sizeof(*files));

	assert_non_null(files);
	assert_int_equal(files_init(files), 0);
	*state = files;
	return 0;
}

/* Check that the test released every reference it took. */
static int tear_down(void **state)
{
	struct files *files = *state;

	assert_int_equal(files->nfiles, 0);
	assert_int_equal(files->nnamed, 0);
	files_close(files);
	free(files);
	return 0;
}

static struct file *create_file(struct files *files, uint64_t ino, uint64_t parent,
                                const char *name)
{
	struct file *f;

	assert_int_equal(files_create(files, ino, parent, name, S_IFREG | 0640, 5, &f), 0);
	return f;
}

static void test_an_inode_has_one_file(void **state)
{
	struct files *files = *state;

	assert_null(files_find(files, 7));
	struct file *f = files_get(files, 7);
	assert_non_null(f);
	assert_ptr_equal(files_get(files, 7), f);
	assert_ptr_equal(files_find(files, 7), f);
	assert_ptr_not_equal(files_find(files, 8), f);
	assert_int_equal(f->creation, FILE_LOGGED);
	assert_int_equal(f->real, 7);
	files_unref(files, f);
	files_unref(files, f);
	assert_ptr_equal(files_find(files, 7), f);
	files_unref(files, f);
	files_unref(files, f);
	assert_null(files_find(files, 7));
}

static void test_a_new_file_is_found_by_its_name(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new"), *other;

	assert_int_equal(f->creation, FILE_UNLOGGED);
	assert_true(file_is_dirty(f));
	assert_true(file_is_private(f));
	assert_ptr_equal(files_find_name(files, 1, "new"), f);
	assert_null(files_find_name(files, 2, "new"));
	assert_null(files_find_name(files, 1, "ne"));
	assert_null(files_find_name(files, 1, "newer"));
	assert_int_equal(files_create(files, 101, 1, "new", S_IFREG, 5, &other), -EEXIST);
	assert_null(files_find(files, 101));
	struct file *same_name = create_file(files, 102, 2, "new");
	assert_ptr_equal(files_find_name(files, 2, "new"), same_name);
	files_unref(files, same_name);
	files_unref(files, same_name);
	files_unref(files, f);
	files_unref(files, f);
	assert_null(files_find_name(files, 1, "new"));
}

static void test_a_name_too_long_is_not_found(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");
	char name[400];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(files_find_name(files, 1, name));
	files_unref(files, f);
}

static int count_names(void *arg, struct file *f)
{
	unsigned *n = arg;

	assert_int_equal(f->parent, 1);
	return ++*n == 2 ? 42 : 0;
}

static void test_only_names_in_the_directory_are_listed(void **state)
{
	struct files *files = *state;
	struct file *a = create_file(files, 100, 1, "a");
	struct file *b = create_file(files, 101, 2, "b");
	struct file *c = create_file(files, 102, 1, "c");
	unsigned n = 0;

	assert_int_equal(files_each_name(files, 1, count_names, &n), 42);
	assert_int_equal(n, 2);
	files_unref(files, c);
	n = 0;
	assert_int_equal(files_each_name(files, 1, count_names, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(files_each_name(files, 3, count_names, &n), 0);
	files_unref(files, a);
	files_unref(files, b);
}

static void test_a_logged_file_leaves_the_table_of_names(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");

	files_add_lookup(files, f);
	assert_int_equal(files_resolve(files, f, 100), 0);
	assert_null(files_find_name(files, 1, "new"));
	assert_int_equal(files_real(files, 100), 100);
	assert_int_equal(files_alias(files, 100, 0), 0);
	files_forget(files, 100, 1);
	files_unref(files, f);
}

/* Another writer created the name: the kernel's inode number leads to that entry for
 * as long as the kernel uses it. */
static void test_an_alias_lives_as_long_as_the_kernel_uses_it(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");

	files_add_lookup(files, f);
	files_add_lookup(files, f);
	assert_int_equal(files_resolve(files, f, 55), 0);
	assert_int_equal(files_real(files, 100), 55);
	assert_int_equal(files_alias(files, 55, 0), 100);
	assert_int_equal(files_alias(files, 55, 1), 0);
	assert_int_equal(files_alias(files, 56, 0), 0);
	files_unref(files, f);
	/* A later open of the number finds the entry as well. */
	f = files_get(files, 100);
	assert_int_equal(f->real, 55);
	files_add_lookup(files, f);
	files_unref(files, f);
	files_forget(files, 100, 2);
	assert_int_equal(files_real(files, 100), 55);
	files_forget(files, 100, 1);
	assert_int_equal(files_real(files, 100), 100);
	assert_int_equal(files->naliases, 0);
}

static void test_a_forgotten_inode_needs_no_alias(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");

	files_add_lookup(files, f);
	files_forget(files, 100, 1);
	assert_int_equal(files_resolve(files, f, 55), 0);
	assert_int_equal(files->naliases, 0);
	/* Forgetting more lookups than there were is the same as forgetting all. */
	files_forget(files, 100, 9);
	files_unref(files, f);
}

/* The entry was replaced while it was being opened. */
static void test_a_replaced_file_is_redirected_until_closed(void **state)
{
	struct files *files = *state;
	struct file *f = files_get(files, 100);

	f->gone = true;
	assert_int_equal(files_redirect(files, f, 55), 0);
	assert_false(f->gone);
	assert_int_equal(f->real, 55);
	assert_int_equal(files_real(files, 100), 55);
	assert_int_equal(files_alias(files, 55, 0), 100);
	/* The second entry is replaced too. */
	f->gone = true;
	assert_int_equal(files_redirect(files, f, 56), 0);
	assert_int_equal(files_real(files, 100), 56);
	assert_int_equal(files_alias(files, 55, 0), 0);
	files_forget(files, 100, 9);
	assert_int_equal(files_real(files, 100), 56);
	files_unref(files, f);
	assert_int_equal(files_real(files, 100), 100);
	assert_int_equal(files->naliases, 0);
}

static void test_a_file_with_an_alias_can_be_redirected(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");

	files_add_lookup(files, f);
	assert_int_equal(files_resolve(files, f, 55), 0);
	assert_int_equal(files_redirect(files, f, 56), 0);
	assert_int_equal(files_real(files, 100), 56);
	/* The kernel still knows the number. */
	files_unref(files, f);
	assert_int_equal(files_real(files, 100), 56);
	files_forget(files, 100, 1);
	assert_int_equal(files->naliases, 0);
}

/* --- one file -------------------------------------------------------------- */

static void load_file(struct fixture *fixture, struct file *f, bool with_value)
{
	struct view view;

	assert_int_equal(view_open(fixture->store, &view), 0);
	assert_int_equal(file_load(f, &view, with_value), 0);
	view_close(&view);
}

static void expect_content(struct file *f, const char *text)
{
	struct content *content = file_content(f);

	assert_non_null(content);
	assert_int_equal(content->size, strlen(text));
	assert_memory_equal(content->bytes, text, content->size);
	content_unref(content);
}

static void test_content_follows_the_store_and_outlives_the_entry(void **state)
{
	struct files *files = *state;
	struct fixture fixture;

	fixture_init(&fixture);
	EXPECT(&fixture, OK, "added k=3", .op = EVENT_SET, .key = B("k"), .value = B("one"));
	struct file *f = files_get(files, fixture_ino(&fixture, "k"));
	load_file(&fixture, f, false);
	assert_null(f->content);
	assert_int_equal(f->last.size, 3);
	load_file(&fixture, f, true);
	expect_content(f, "one");
	const struct content *first = f->content;
	load_file(&fixture, f, true);
	assert_ptr_equal(f->content, first);

	EXPECT(&fixture, OK, "data k=5", .op = EVENT_SET, .key = B("k"), .value = B("three"));
	load_file(&fixture, f, true);
	expect_content(f, "three");
	EXPECT(&fixture, OK, "removed k=5", .op = EVENT_DEL, .key = B("k"));
	load_file(&fixture, f, true);
	assert_true(f->gone);
	expect_content(f, "three");
	assert_int_equal(f->last.size, 5);
	/* A new key of the same name is another entry. */
	EXPECT(&fixture, OK, "added k=1", .op = EVENT_SET, .key = B("k"), .value = B("x"));
	load_file(&fixture, f, true);
	expect_content(f, "three");
	files_unref(files, f);
	fixture_free(&fixture);
}

static void test_readers_do_not_see_a_private_copy(void **state)
{
	struct files *files = *state;
	struct fixture fixture;

	fixture_init(&fixture);
	EXPECT(&fixture, OK, "added k=3", .op = EVENT_SET, .key = B("k"), .value = B("one"));
	struct file *f = files_get(files, fixture_ino(&fixture, "k"));
	load_file(&fixture, f, true);
	struct content *reader = file_content(f);
	assert_int_equal(file_make_private(f, false), 0);
	assert_int_equal(f->base_size, 3);
	assert_false(file_is_dirty(f));
	assert_int_equal(buffer_write(f->buffer, 0, "O", 1), 0);
	assert_true(file_is_dirty(f));
	assert_memory_equal(reader->bytes, "one", 3);
	assert_memory_equal(f->buffer->bytes, "One", 3);
	content_unref(reader);
	files_unref(files, f);
	fixture_free(&fixture);
}

static void test_a_logged_buffer_becomes_the_content(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");
	struct event ev = { 0 };
	void *owned;

	assert_int_equal(buffer_write(f->buffer, 0, "text", 4), 0);
	assert_int_equal(buffer_take(f->buffer, &ev, &owned), 0);
	free(owned);
	file_settle_buffer(f, 9);
	assert_false(file_is_private(f));
	expect_content(f, "text");
	assert_int_equal(f->content->version, 9);
	/* No reader is left: the next private copy takes over the bytes. */
	const unsigned char *bytes = f->content->bytes;
	assert_int_equal(file_make_private(f, false), 0);
	assert_ptr_equal(f->buffer->bytes, bytes);
	assert_null(f->content);
	file_drop_buffer(f);
	assert_false(file_is_private(f));
	files_unref(files, f);
}

static void test_a_removed_or_failed_file_is_not_dirty(void **state)
{
	struct files *files = *state;
	struct file *f = create_file(files, 100, 1, "new");

	assert_true(file_is_dirty(f));
	f->gone = true;
	assert_false(file_is_dirty(f));
	f->gone = false;
	f->lost = OUTCOME_NO_SPACE;
	assert_false(file_is_dirty(f));
	f->error = ENOSPC;
	assert_int_equal(file_take_error(files, f), ENOSPC);
	assert_int_equal(file_take_error(files, f), 0);
	files_unref(files, f);
}

/* --- threads --------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 3000

static _Atomic unsigned next_ino = 1000; /* the node never returns a number twice */

static void *use_files(void *arg)
{
	struct files *files = arg;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct file *f = files_get(files, i % 5 + 1), *made;

		assert_non_null(f);
		uint64_t ino = atomic_fetch_add(&next_ino, 1);
		if (files_create(files, ino, 1, "shared", S_IFREG, 0, &made) == 0) {
			files_add_lookup(files, made);
			files_resolve(files, made, 55);
			files_forget(files, ino, 1);
			files_unref(files, made);
		}
		files_unref(files, files_find(files, i % 5 + 2));
		files_unref(files, files_find_name(files, 1, "shared"));
		files_unref(files, f);
	}
	return NULL;
}

static void test_the_tables_are_thread_safe(void **state)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_files, *state), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void test_a_file_is_kept_until_its_error_is_taken(void **state)
{
	struct files *files = *state;
	struct file *f = files_get(files, 77);

	f->error = EIO;
	files_keep(files, f);
	files_keep(files, f);
	files_unref(files, f);
	struct file *again = files_find(files, 77);
	assert_ptr_equal(again, f);
	assert_int_equal(file_take_error(files, again), EIO);
	assert_int_equal(file_take_error(files, again), 0);
	files_unref(files, again);
	assert_null(files_find(files, 77));
	assert_int_equal(files->nkept, 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_an_inode_has_one_file),
		TEST(test_a_new_file_is_found_by_its_name),
		TEST(test_a_name_too_long_is_not_found),
		TEST(test_only_names_in_the_directory_are_listed),
		TEST(test_a_logged_file_leaves_the_table_of_names),
		TEST(test_an_alias_lives_as_long_as_the_kernel_uses_it),
		TEST(test_a_forgotten_inode_needs_no_alias),
		TEST(test_a_replaced_file_is_redirected_until_closed),
		TEST(test_a_file_with_an_alias_can_be_redirected),
		TEST(test_content_follows_the_store_and_outlives_the_entry),
		TEST(test_readers_do_not_see_a_private_copy),
		TEST(test_a_logged_buffer_becomes_the_content),
		TEST(test_a_removed_or_failed_file_is_not_dirty),
		TEST(test_the_tables_are_thread_safe),
		TEST(test_a_file_is_kept_until_its_error_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
