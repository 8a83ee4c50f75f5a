/* Tests of fs/kernel_cache.c: which version of a value the kernel is given. */
#include "tests/unit/cmocka_all.h"

#include "fs/kernel_cache.h"
#include "tests/unit/fixture.h"

#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(5000)

/* A store with the key "k" of value "one", and its file. */
struct shown_fixture {
	struct fixture fixture;
	struct files files;
	struct file *f;
};

static int set_up(void **state)
{
	struct shown_fixture *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fixture_init(&s->fixture);
	assert_int_equal(files_init(&s->files), 0);
	EXPECT(&s->fixture, OK, "added k=3", .op = EVENT_SET, .key = B("k"), .value = B("one"));
	s->f = files_get(&s->files, fixture_ino(&s->fixture, "k"));
	assert_non_null(s->f);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct shown_fixture *s = *state;

	files_unref(&s->files, s->f);
	assert_int_equal(s->files.nfiles, 0);
	files_close(&s->files);
	fixture_free(&s->fixture);
	free(s);
	return 0;
}

static void load_at(struct shown_fixture *s, int64_t now_ms)
{
	struct view view;

	assert_int_equal(view_open(s->fixture.store, &view), 0);
	assert_int_equal(kernel_cache_load(s->f, &view, now_ms), 0);
	view_close(&view);
}

static void expect_shown(struct shown_fixture *s, const char *text)
{
	struct content *content = kernel_cache_content(s->f);

	assert_non_null(content);
	assert_int_equal(content->size, strlen(text));
	assert_memory_equal(content->bytes, text, content->size);
	content_unref(content);
}

static void set_key(struct shown_fixture *s, const char *text)
{
	struct event ev = { .op = EVENT_SET, .key = B("k"), .value = { text, strlen(text) } };

	assert_int_equal(fixture_apply(&s->fixture, &ev), OUTCOME_OK);
}

static void test_one_version_is_shown_until_the_kernel_is_notified(void **state)
{
	struct shown_fixture *s = *state;

	load_at(s, NOW);
	expect_shown(s, "one");
	set_key(s, "three");
	load_at(s, NOW);
	expect_shown(s, "one");
	/* The other attributes are those of the store. */
	assert_int_equal(s->f->last.size, 5);
	set_key(s, "four");
	load_at(s, NOW + KERNEL_CACHE_MAX_MS - 1);
	expect_shown(s, "one");
	kernel_cache_invalidate(&s->files, s->f->ino);
	load_at(s, NOW + KERNEL_CACHE_MAX_MS - 1);
	expect_shown(s, "four");
}

static void test_uncached_reads_get_the_newest_version(void **state)
{
	struct shown_fixture *s = *state;
	struct view view;

	load_at(s, NOW);
	set_key(s, "three");
	assert_int_equal(view_open(s->fixture.store, &view), 0);
	assert_int_equal(file_load(s->f, &view, true), 0);
	view_close(&view);
	assert_memory_equal(s->f->content->bytes, "three", 5);
	load_at(s, NOW);
	expect_shown(s, "one");
}

static void test_an_old_version_is_shown_for_a_limited_time(void **state)
{
	struct shown_fixture *s = *state;

	load_at(s, NOW);
	set_key(s, "three");
	load_at(s, NOW + 10 * KERNEL_CACHE_MAX_MS); /* Only now found to be outdated. */
	expect_shown(s, "one");
	load_at(s, NOW + 11 * KERNEL_CACHE_MAX_MS - 1);
	expect_shown(s, "one");
	load_at(s, NOW + 11 * KERNEL_CACHE_MAX_MS);
	expect_shown(s, "three");
	/* The time starts again for the next version. */
	set_key(s, "four");
	load_at(s, NOW + 11 * KERNEL_CACHE_MAX_MS);
	expect_shown(s, "three");
	kernel_cache_invalidate(&s->files, s->f->ino);
	load_at(s, NOW + 11 * KERNEL_CACHE_MAX_MS);
	set_key(s, "five");
	load_at(s, NOW + 12 * KERNEL_CACHE_MAX_MS);
	expect_shown(s, "four");
}

static void test_changes_of_this_mount_are_shown_at_once(void **state)
{
	struct shown_fixture *s = *state;
	struct op *nothing = NULL;

	load_at(s, NOW);
	set_key(s, "three");
	/* A change is in flight: no old version is kept. */
	s->f->flight = (struct op *)&nothing;
	load_at(s, NOW);
	expect_shown(s, "three");
	assert_null(s->f->kernel_content);
	set_key(s, "four");
	load_at(s, NOW);
	expect_shown(s, "four");
	s->f->flight = NULL;
	load_at(s, NOW);
	assert_non_null(s->f->kernel_content);
	/* Changed through another number of the same inode. */
	set_key(s, "five");
	kernel_cache_changed(&s->files, s->f->ino);
	load_at(s, NOW);
	expect_shown(s, "five");
	assert_int_equal(file_make_private(s->f, false), 0);
	assert_null(s->f->kernel_content);
	load_at(s, NOW);
	assert_null(s->f->kernel_content);
}

static void test_an_older_view_does_not_replace_a_newer_version(void **state)
{
	struct shown_fixture *s = *state;
	struct view old;

	assert_int_equal(view_open(s->fixture.store, &old), 0);
	set_key(s, "three");
	load_at(s, NOW);
	assert_int_equal(kernel_cache_load(s->f, &old, NOW), 0);
	expect_shown(s, "three");
	kernel_cache_drop(s->f);
	assert_int_equal(kernel_cache_load(s->f, &old, NOW), 0);
	expect_shown(s, "three");
	view_close(&old);
}

static void test_a_removed_file_keeps_its_shown_version(void **state)
{
	struct shown_fixture *s = *state;

	load_at(s, NOW);
	EXPECT(&s->fixture, OK, "removed k=3", .op = EVENT_DEL, .key = B("k"));
	load_at(s, NOW);
	assert_true(s->f->gone);
	load_at(s, NOW + 2 * KERNEL_CACHE_MAX_MS);
	expect_shown(s, "one");
	kernel_cache_invalidate(&s->files, s->f->ino);
	load_at(s, NOW);
	expect_shown(s, "one");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_version_is_shown_until_the_kernel_is_notified),
		TEST(test_uncached_reads_get_the_newest_version),
		TEST(test_an_old_version_is_shown_for_a_limited_time),
		TEST(test_changes_of_this_mount_are_shown_at_once),
		TEST(test_an_older_view_does_not_replace_a_newer_version),
		TEST(test_a_removed_file_keeps_its_shown_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
