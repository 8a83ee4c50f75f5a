/* Tests of fs/frozen.c: when a file stays on an older version, and when that ends. */
#include "tests/unit/cmocka_all.h"

#include "fs/frozen.h"
#include "fs/kernel_cache.h"
#include "tests/unit/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1000000

struct frozen_fixture {
	struct fixture fixture;
	struct files files;
	struct file *f; /* file of the key "k", which is open for reading */
};

static int load_at(struct frozen_fixture *s, int64_t now_ms)
{
	struct view view;
	int r = view_open(s->fixture.store, &view);

	assert_int_equal(r, 0);
	r = kernel_cache_load(s->f, &view, now_ms);
	view_close(&view);
	return r;
}

static void set_key(struct frozen_fixture *s, const char *text)
{
	struct event ev = { .op = EVENT_SET, .key = B("k"), .value = { text, strlen(text) } };

	assert_int_equal(fixture_apply(&s->fixture, &ev), OUTCOME_OK);
}

static int set_up(void **state)
{
	struct frozen_fixture *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fixture_init(&s->fixture);
	assert_int_equal(files_init(&s->files), 0);
	set_key(s, "none"); /* Version 0 means an unknown version. */
	set_key(s, "one");
	s->f = files_get(&s->files, fixture_ino(&s->fixture, "k"));
	assert_non_null(s->f);
	assert_int_equal(load_at(s, NOW), 0);
	s->f->nopen = 1;
	s->f->active_ms = NOW;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct frozen_fixture *s = *state;

	files_unref(&s->files, s->f);
	assert_int_equal(s->files.nfiles, 0);
	assert_int_equal(s->files.nfrozen, 0);
	assert_int_equal(s->files.frozen_bytes, 0);
	files_close(&s->files);
	fixture_free(&s->fixture);
	free(s);
	return 0;
}

static bool try_at(struct frozen_fixture *s, struct file *f, int64_t now_ms)
{
	struct view view;

	assert_int_equal(view_open(s->fixture.store, &view), 0);
	bool frozen = frozen_try(&s->files, f, &view, now_ms);
	view_close(&view);
	return frozen;
}

static void thaw_file(struct frozen_fixture *s, struct file *f)
{
	struct view view;

	assert_int_equal(view_open(s->fixture.store, &view), 0);
	assert_int_equal(frozen_thaw(f, &view), 0);
	view_close(&view);
}

static void expect_shown(struct file *f, const char *text)
{
	struct content *content = kernel_cache_content(f);

	assert_non_null(content);
	assert_int_equal(content->size, strlen(text));
	assert_memory_equal(content->bytes, text, content->size);
	content_unref(content);
}

static void test_readers_keep_their_version_and_names_lead_to_the_new_one(void **state)
{
	struct frozen_fixture *s = *state;
	uint64_t real = s->f->ino;

	assert_int_equal(files_number(&s->files, real, 0), real);
	assert_false(try_at(s, s->f, NOW));
	set_key(s, "two");
	assert_true(try_at(s, s->f, NOW));
	assert_true(s->f->stale_name);
	/* Neither time nor a notification to the kernel changes that. */
	set_key(s, "three");
	kernel_cache_invalidate(&s->files, real);
	kernel_cache_changed(&s->files, real);
	assert_int_equal(load_at(s, NOW + 10 * KERNEL_CACHE_MAX_MS), 0);
	expect_shown(s->f, "one");
	assert_false(try_at(s, s->f, NOW));

	assert_int_equal(files_number(&s->files, real, 0), 0);
	assert_int_equal(files_number(&s->files, real, 77), 77);
	assert_int_equal(files_number(&s->files, real, 78), 77);
	assert_int_equal(files_current(&s->files, real), 77);
	assert_int_equal(files_real(&s->files, 77), real);
	assert_int_equal(files_st_ino(&s->files, 77), real);
	assert_int_equal(files_alias(&s->files, real, 0), 77);

	/* The same happens to readers that opened the new number. */
	struct file *second = files_get(&s->files, 77);
	assert_int_equal(second->real, real);
	assert_int_equal(second->st_ino, real);
	struct view view;
	assert_int_equal(view_open(s->fixture.store, &view), 0);
	assert_int_equal(kernel_cache_load(second, &view, NOW), 0);
	view_close(&view);
	second->nopen = 1;
	second->active_ms = NOW;
	set_key(s, "four");
	assert_true(try_at(s, second, NOW));
	expect_shown(second, "three");
	expect_shown(s->f, "one");
	assert_int_equal(files_current(&s->files, real), real);
	assert_int_equal(files_number(&s->files, real, 79), 79);

	/* A number that the kernel has forgotten is not used any more. */
	files_forget(&s->files, 77, 2);
	assert_int_equal(files_real(&s->files, 77), 77);
	files_forget(&s->files, 79, 1);
	assert_int_equal(files_number(&s->files, real, 0), 0);
	files_unref(&s->files, second);
	thaw_file(s, s->f);
	frozen_end(&s->files, s->f);
	assert_int_equal(files_number(&s->files, real, 0), real);
}

static void test_only_active_readers_keep_their_version(void **state)
{
	struct frozen_fixture *s = *state;
	struct file *f = s->f;
	int nothing;

	set_key(s, "two");
	f->nwriting = 1;
	assert_false(try_at(s, f, NOW));
	f->nwriting = 0;
	f->nopen = 0;
	assert_false(try_at(s, f, NOW));
	f->nopen = 1;
	assert_false(try_at(s, f, NOW + FROZEN_ACTIVE_MS));
	f->follows = true;
	assert_false(try_at(s, f, NOW));
	f->follows = false;
	f->flight = (struct op *)&nothing;
	assert_false(try_at(s, f, NOW));
	f->flight = NULL;
	/* Another reader has read the new value already. */
	f->direct_version = f->kernel_content->version + 1;
	assert_false(try_at(s, f, NOW));
	f->direct_version = 0;
	assert_true(try_at(s, f, NOW + FROZEN_ACTIVE_MS - 1));
}

static void test_a_value_that_only_grows_is_not_a_new_version(void **state)
{
	struct frozen_fixture *s = *state;

	set_key(s, "one, two");
	assert_false(try_at(s, s->f, NOW));
	set_key(s, "ona, two");
	assert_true(try_at(s, s->f, NOW));
	expect_shown(s->f, "one");
}

static void test_long_values_are_compared_to_their_end(void **state)
{
	struct frozen_fixture *s = *state;
	char text[10001];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	set_key(s, text);
	kernel_cache_invalidate(&s->files, s->f->ino);
	assert_int_equal(load_at(s, NOW), 0);
	text[9999] = 'y';
	set_key(s, text);
	assert_true(try_at(s, s->f, NOW));
}

static void test_a_reader_that_asks_again_gets_the_new_value(void **state)
{
	struct frozen_fixture *s = *state;
	struct file *f = s->f;

	assert_false(frozen_size_requested(f, NOW));
	set_key(s, "two");
	assert_true(try_at(s, f, NOW));
	assert_false(frozen_size_requested(f, NOW + 5));
	assert_false(frozen_size_requested(f, NOW + 5 + FROZEN_REQUESTS_MS - 1));
	assert_true(frozen_size_requested(f, NOW + 5 + FROZEN_REQUESTS_MS));
	thaw_file(s, f);
	/* Until the kernel has dropped its pages, names do not lead to this file. */
	assert_int_equal(files_number(&s->files, f->ino, 0), 0);
	assert_int_equal(load_at(s, NOW), 0);
	expect_shown(f, "two");
	frozen_end(&s->files, f);
	/* From now on it follows the store, separately from readers that open the
	 * name. */
	assert_int_equal(files_number(&s->files, f->ino, 0), 0);
	assert_int_equal(s->files.frozen_bytes, 0);
	set_key(s, "three");
	assert_false(try_at(s, f, NOW));
	f->nopen = 0;
	assert_false(frozen_closed(&s->files, f));
	assert_int_equal(files_number(&s->files, f->ino, 0), f->ino);
}

static void test_freezing_ends_when_idle_and_with_the_last_handle(void **state)
{
	struct frozen_fixture *s = *state;
	struct file *f = s->f;

	set_key(s, "two");
	assert_true(try_at(s, f, NOW));
	assert_false(frozen_expired(f, NOW + FROZEN_ACTIVE_MS - 1));
	f->active_ms = NOW + 10;
	assert_false(frozen_expired(f, NOW + FROZEN_ACTIVE_MS));
	assert_true(frozen_expired(f, NOW + 10 + FROZEN_ACTIVE_MS));
	f->nopen = 0;
	assert_true(frozen_closed(&s->files, f));
	thaw_file(s, f);
	frozen_end(&s->files, f);
	assert_int_equal(files_number(&s->files, f->ino, 0), f->ino);
}

static void test_a_removed_file_keeps_its_version(void **state)
{
	struct frozen_fixture *s = *state;

	set_key(s, "two");
	assert_true(try_at(s, s->f, NOW));
	EXPECT(&s->fixture, OK, "removed k=3", .op = EVENT_DEL, .key = B("k"));
	thaw_file(s, s->f);
	frozen_end(&s->files, s->f);
	assert_true(s->f->gone);
	expect_shown(s->f, "one");
}

static void test_all_numbers_of_a_file_share_one_value(void **state)
{
	struct frozen_fixture *s = *state;
	struct view view;

	set_key(s, "two");
	assert_true(try_at(s, s->f, NOW));
	assert_int_equal(files_number(&s->files, s->f->ino, 77), 77);
	struct file *second = files_get(&s->files, 77);
	assert_int_equal(view_open(s->fixture.store, &view), 0);
	assert_int_equal(file_load(second, &view, true), 0);
	assert_int_equal(file_load(s->f, &view, true), 0);
	view_close(&view);
	assert_ptr_equal(second->content, s->f->content);
	files_unref(&s->files, second);
}

static void test_the_memory_for_old_versions_is_limited(void **state)
{
	struct frozen_fixture *s = *state;

	assert_int_equal(files_freeze(&s->files, s->f, FILES_FROZEN_BYTES_MAX + 1), -ENOSPC);
	struct file *others[FILES_FROZEN_MAX];
	for (size_t i = 0; i < FILES_FROZEN_MAX; i++) {
		others[i] = files_get(&s->files, 1000000 + i);
		assert_int_equal(files_freeze(&s->files, others[i], 1), 0);
	}
	set_key(s, "two");
	assert_false(try_at(s, s->f, NOW));
	files_thaw(&s->files, others[0], false);
	assert_true(try_at(s, s->f, NOW));
	struct file *list[FILES_FROZEN_MAX];
	assert_int_equal(files_list_frozen(&s->files, list), FILES_FROZEN_MAX);
	for (size_t i = 0; i < FILES_FROZEN_MAX; i++) {
		files_unref(&s->files, list[i]);
		files_unref(&s->files, others[i]);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_readers_keep_their_version_and_names_lead_to_the_new_one),
		TEST(test_only_active_readers_keep_their_version),
		TEST(test_a_value_that_only_grows_is_not_a_new_version),
		TEST(test_long_values_are_compared_to_their_end),
		TEST(test_a_reader_that_asks_again_gets_the_new_value),
		TEST(test_freezing_ends_when_idle_and_with_the_last_handle),
		TEST(test_a_removed_file_keeps_its_version),
		TEST(test_all_numbers_of_a_file_share_one_value),
		TEST(test_the_memory_for_old_versions_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
