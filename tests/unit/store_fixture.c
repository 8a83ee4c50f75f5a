/* Stores for tests. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/store_fixture.h"

#include "tests/unit/temp_dir.h"

#include <stdlib.h>

struct store *store_fixture_open(const char *dir)
{
	struct store_config config = { .dir = dir };
	struct store *store;
	char why[256] = "";

	if (store_open(&config, &store, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return store;
}

struct txn *store_fixture_write(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_write(store, &txn), 0);
	return txn;
}

struct txn *store_fixture_read(struct store *store)
{
	struct txn *txn;

	assert_int_equal(txn_read(store, &txn), 0);
	return txn;
}

int store_fixture_set_up(void **state)
{
	struct store_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->dir = temp_dir_new();
	fixture->store = store_fixture_open(fixture->dir);
	fixture->txn = store_fixture_write(fixture->store);
	*state = fixture;
	return 0;
}

int store_fixture_tear_down(void **state)
{
	struct store_fixture *fixture = *state;

	txn_abort(fixture->txn);
	store_close(fixture->store);
	temp_dir_remove(fixture->dir);
	free(fixture);
	return 0;
}

void store_fixture_commit(struct store_fixture *fixture)
{
	assert_int_equal(txn_commit(fixture->txn), 0);
	fixture->txn = store_fixture_write(fixture->store);
}
