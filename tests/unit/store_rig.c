/* Stores for tests. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/store_rig.h"

#include "tests/unit/temp_dir.h"

#include <stdlib.h>

struct store *store_rig_open(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[256] = "";

	if (store_open(&config, &store, why, sizeof why) != 0)
		fail_msg("%s", why);
	return store;
}

struct txn *store_rig_write(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_write(store, &txn), 0);
	return txn;
}

struct txn *store_rig_read(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_read(store, &txn), 0);
	return txn;
}

int store_rig_set_up(void **state)
{
	struct store_rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	rig->dir = temp_dir_new();
	rig->store = store_rig_open(rig->dir);
	rig->txn = store_rig_write(rig->store);
	*state = rig;
	return 0;
}

int store_rig_tear_down(void **state)
{
	struct store_rig *rig = *state;

	txn_abort(rig->txn);
	store_close(rig->store);
	temp_dir_remove(rig->dir);
	free(rig);
	return 0;
}

void store_rig_commit(struct store_rig *rig)
{
	assert_int_equal(txn_commit(rig->txn), 0);
	rig->txn = store_rig_write(rig->store);
}
