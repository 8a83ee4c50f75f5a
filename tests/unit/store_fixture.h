/* Store fixture: stores for tests, with an open write transaction. */
#ifndef KEYDIR_TEST_STORE_FIXTURE_H
#define KEYDIR_TEST_STORE_FIXTURE_H

#include "common/store/store.h"

struct store_fixture {
	char *dir;
	struct store *store;
	struct txn *txn; /* the current write transaction */
};

/* Setup and teardown functions for cmocka, on a new store. */
int store_fixture_set_up(void **state);
int store_fixture_tear_down(void **state);
/* Commit fixture->txn and begin the next transaction. */
void store_fixture_commit(struct store_fixture *fixture);

/* Open the store in DIR; fail the test on an error. */
struct store *store_fixture_open(const char *dir);
/* Begin a transaction; fail the test on an error. */
struct txn *store_fixture_write(struct store *store);
struct txn *store_fixture_read(struct store *store);

#endif
