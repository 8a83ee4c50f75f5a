/* Tests of the names by which keys were looked up: which are known, and for how long. */
#include "tests/unit/cmocka_all.h"

#include "fs/recall.h"

#include <string.h>

#define NOW 1000000

static struct recall recall;
static struct recalled found;

static int set_up(void **state)
{
	(void)state;
	recall_init(&recall);
	return 0;
}

static void expect_name(uint64_t ino, int64_t now_ms, uint64_t parent, const char *name)
{
	assert_true(recall_name(&recall, ino, now_ms, &found));
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
	assert_false(recall_name(&recall, 7, NOW, &found));
	recall_note(&recall, 7, 1, "key", NOW);
	recall_note(&recall, 8, 2, longest, NOW);
	expect_name(7, NOW, 1, "key");
	expect_name(7, NOW + RECALL_MS, 1, "key");
	expect_name(8, NOW, 2, longest);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS + 1, &found));
	recall_note(&recall, 7, 1, "key", NOW + RECALL_MS + 1);
	expect_name(7, NOW + 2 * RECALL_MS, 1, "key");
}

static void test_another_key_can_take_the_slot(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "key", NOW);
	recall_note(&recall, 7 + RECALL_SLOTS, 1, "other", NOW);
	assert_false(recall_name(&recall, 7, NOW, &found));
	expect_name(7 + RECALL_SLOTS, NOW, 1, "other");
}

static void test_a_key_with_two_names_is_unknown(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "old", NOW);
	recall_note(&recall, 7, 1, "new", NOW + 10);
	assert_false(recall_name(&recall, 7, NOW + 10, &found));
	/* Looking it up again does not make the old name certain. */
	recall_note(&recall, 7, 1, "new", NOW + RECALL_MS);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS, &found));
	recall_note(&recall, 7, 1, "new", NOW + RECALL_MS + 11);
	expect_name(7, NOW + RECALL_MS + 11, 1, "new");
	/* The same name in another directory is another name; one looked up long ago
	 * does not count. */
	recall_note(&recall, 7, 2, "new", NOW + RECALL_MS + 12);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS + 12, &found));
	recall_note(&recall, 7, 1, "old", NOW + 3 * RECALL_MS);
	expect_name(7, NOW + 3 * RECALL_MS, 1, "old");
}

static void test_a_rename_forgets_the_old_name(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "key", NOW);
	recall_note(&recall, 8, 2, "key", NOW);
	recall_note(&recall, 9, 1, "keys", NOW);
	recall_renamed(&recall, 1, "key", 3);
	assert_false(recall_name(&recall, 7, NOW, &found));
	expect_name(8, NOW, 2, "key");
	expect_name(9, NOW, 1, "keys");
	recall_note(&recall, 7, 1, "other", NOW);
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
