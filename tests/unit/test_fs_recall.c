/* Tests of the names by which keys were looked up: which are known, and for how long. */
#include "tests/unit/cmocka_all.h"

#include "fs/recall.h"

#include <string.h>

#define NOW 1000000

static struct recall recall;
static struct recalled found;

static int setup(void **state)
{
	(void)state;
	recall_init(&recall);
	return 0;
}

static void expect(uint64_t ino, int64_t now_ms, uint64_t parent, const char *name)
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
	expect(7, NOW, 1, "key");
	expect(7, NOW + RECALL_MS, 1, "key");
	expect(8, NOW, 2, longest);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS + 1, &found));
	recall_note(&recall, 7, 1, "key", NOW + RECALL_MS + 1);
	expect(7, NOW + 2 * RECALL_MS, 1, "key");
}

static void test_another_key_may_take_its_place(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "key", NOW);
	recall_note(&recall, 7 + RECALL_SLOTS, 1, "other", NOW);
	assert_false(recall_name(&recall, 7, NOW, &found));
	expect(7 + RECALL_SLOTS, NOW, 1, "other");
}

static void test_of_two_names_none_is_known(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "old", NOW);
	recall_note(&recall, 7, 1, "new", NOW + 10);
	assert_false(recall_name(&recall, 7, NOW + 10, &found));
	/* Looking it up again does not make the old one certain. */
	recall_note(&recall, 7, 1, "new", NOW + RECALL_MS);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS, &found));
	recall_note(&recall, 7, 1, "new", NOW + RECALL_MS + 11);
	expect(7, NOW + RECALL_MS + 11, 1, "new");
	/* The same name elsewhere is another one; one long ago does not count. */
	recall_note(&recall, 7, 2, "new", NOW + RECALL_MS + 12);
	assert_false(recall_name(&recall, 7, NOW + RECALL_MS + 12, &found));
	recall_note(&recall, 7, 1, "old", NOW + 3 * RECALL_MS);
	expect(7, NOW + 3 * RECALL_MS, 1, "old");
}

static void test_a_renamed_key_is_not_known_by_its_old_name(void **state)
{
	(void)state;
	recall_note(&recall, 7, 1, "key", NOW);
	recall_note(&recall, 8, 2, "key", NOW);
	recall_note(&recall, 9, 1, "keys", NOW);
	recall_renamed(&recall, 1, "key", 3);
	assert_false(recall_name(&recall, 7, NOW, &found));
	expect(8, NOW, 2, "key");
	expect(9, NOW, 1, "keys");
	recall_note(&recall, 7, 1, "other", NOW);
	expect(7, NOW, 1, "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_name_is_known_for_a_while, setup),
		cmocka_unit_test_setup(test_another_key_may_take_its_place, setup),
		cmocka_unit_test_setup(test_of_two_names_none_is_known, setup),
		cmocka_unit_test_setup(test_a_renamed_key_is_not_known_by_its_old_name, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
