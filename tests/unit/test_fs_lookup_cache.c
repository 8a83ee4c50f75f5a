/* Tests of the names by which keys were looked up: which are known, and for how long. */
#include "tests/unit/cmocka_all.h"

#include "fs/lookup_cache.h"

#include <string.h>

#define NOW 1000000

static struct lookup_cache cache;
static struct lookup_name found;

static int set_up(void **state)
{
	(void)state;
	lookup_cache_init(&cache);
	return 0;
}

static void expect_name(uint64_t ino, int64_t now_ms, uint64_t parent, const char *name)
{
	assert_true(lookup_cache_find(&cache, ino, now_ms, &found));
	assert_int_equal(found.parent, parent);
	assert_string_equal(found.name, name);
	assert_int_equal(found.len, strlen(name));
}

static void test_a_name_is_known_for_a_while(void **state)
{
	char longest[KEY_NAME_MAX + 1];

	(void)state;
	memset(longest, 'n', KEY_NAME_MAX);
	longest[KEY_NAME_MAX] = '\0';
	assert_false(lookup_cache_find(&cache, 7, NOW, &found));
	lookup_cache_add(&cache, 7, 1, "key", NOW);
	lookup_cache_add(&cache, 8, 2, longest, NOW);
	expect_name(7, NOW, 1, "key");
	expect_name(7, NOW + LOOKUP_CACHE_MS, 1, "key");
	expect_name(8, NOW, 2, longest);
	assert_false(lookup_cache_find(&cache, 7, NOW + LOOKUP_CACHE_MS + 1, &found));
	lookup_cache_add(&cache, 7, 1, "key", NOW + LOOKUP_CACHE_MS + 1);
	expect_name(7, NOW + 2 * LOOKUP_CACHE_MS, 1, "key");
}

static void test_another_key_can_take_the_slot(void **state)
{
	(void)state;
	lookup_cache_add(&cache, 7, 1, "key", NOW);
	lookup_cache_add(&cache, 7 + LOOKUP_CACHE_SLOTS, 1, "other", NOW);
	assert_false(lookup_cache_find(&cache, 7, NOW, &found));
	expect_name(7 + LOOKUP_CACHE_SLOTS, NOW, 1, "other");
}

static void test_a_key_with_two_names_is_unknown(void **state)
{
	(void)state;
	lookup_cache_add(&cache, 7, 1, "old", NOW);
	lookup_cache_add(&cache, 7, 1, "new", NOW + 10);
	assert_false(lookup_cache_find(&cache, 7, NOW + 10, &found));
	/* Looking it up again does not make the old name certain. */
	lookup_cache_add(&cache, 7, 1, "new", NOW + LOOKUP_CACHE_MS);
	assert_false(lookup_cache_find(&cache, 7, NOW + LOOKUP_CACHE_MS, &found));
	lookup_cache_add(&cache, 7, 1, "new", NOW + LOOKUP_CACHE_MS + 11);
	expect_name(7, NOW + LOOKUP_CACHE_MS + 11, 1, "new");
	/* The same name in another directory is another name; one looked up long ago
	 * does not count. */
	lookup_cache_add(&cache, 7, 2, "new", NOW + LOOKUP_CACHE_MS + 12);
	assert_false(lookup_cache_find(&cache, 7, NOW + LOOKUP_CACHE_MS + 12, &found));
	lookup_cache_add(&cache, 7, 1, "old", NOW + 3 * LOOKUP_CACHE_MS);
	expect_name(7, NOW + 3 * LOOKUP_CACHE_MS, 1, "old");
}

static void test_a_rename_forgets_the_old_name(void **state)
{
	(void)state;
	lookup_cache_add(&cache, 7, 1, "key", NOW);
	lookup_cache_add(&cache, 8, 2, "key", NOW);
	lookup_cache_add(&cache, 9, 1, "keys", NOW);
	lookup_cache_renamed(&cache, 1, "key", 3);
	assert_false(lookup_cache_find(&cache, 7, NOW, &found));
	expect_name(8, NOW, 2, "key");
	expect_name(9, NOW, 1, "keys");
	lookup_cache_add(&cache, 7, 1, "other", NOW);
	expect_name(7, NOW, 1, "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_name_is_known_for_a_while, set_up),
		cmocka_unit_test_setup(test_another_key_can_take_the_slot, set_up),
		cmocka_unit_test_setup(test_a_key_with_two_names_is_unknown, set_up),
		cmocka_unit_test_setup(test_a_rename_forgets_the_old_name, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
