/* Tests of common/store*.c: opening, tables, snapshots, damage. */
#include "cmocka_all.h"

#include "store.h"
#include "temp_dir.h"

#include <errno.h>
#include <string.h>

static struct store *open_store(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[256] = "";

	if (store_open(&config, &store, why, sizeof why) != 0)
		fail_msg("%s", why);
	return store;
}

static struct txn *begin_write(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_write(store, &txn), 0);
	return txn;
}

static struct txn *begin_read(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_read(store, &txn), 0);
	return txn;
}

/* What was counted is there when the store is opened again, also while another
 * process has it open. */
static void test_reopen_keeps_meta(void **state)
{
	char *dir = temp_dir_new();
	struct store *store = open_store(dir);
	struct txn *txn = begin_write(store);
	struct store_meta meta;

	(void)state;
	assert_int_equal(txn_meta(txn)->next_ino, STORE_ROOT_INO + 1);
	assert_false(txn_meta(txn)->started);
	txn_meta(txn)->started = true;
	txn_meta(txn)->applied = 41;
	txn_meta(txn)->used_bytes = 1234567;
	strcpy(txn_meta(txn)->volume, "local-1");
	meta = *txn_meta(txn);
	assert_int_equal(txn_commit(txn), 0);
	for (int i = 0; i < 3; i++) {
		store_close(store);
		store = open_store(dir);
		txn = i == 1 ? begin_write(store) : begin_read(store);
		assert_memory_equal(txn_meta(txn), &meta, sizeof meta);
		txn_abort(txn);
	}
	store_close(store);
	temp_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reopen_keeps_meta),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
