/* Stores for tests: a fixture with a write transaction, and opening without a fault. */
#ifndef KEYDIR_TEST_STORE_FIXTURE_H
#define KEYDIR_TEST_STORE_FIXTURE_H

#include "common/store/store.h"

struct store_fixture {
	char *dir;
	struct store *store;
	struct txn *txn; /* a write transaction */
};

/* cmocka's setup and teardown: one on a new store. */
int store_fixture_set_up(void **state);
int store_fixture_tear_down(void **state);
/* Commits fixture->txn and begins the next. */
void store_fixture_commit(struct store_fixture *fixture);

/* Opens the store in DIR; fails the test if that does not work. */
struct store *store_fixture_open(const char *dir);
/* Begins a transaction; fails the test if that does not work. */
struct txn *store_fixture_write(struct store *store);
struct txn *store_fixture_read(struct store *store);

#endif
