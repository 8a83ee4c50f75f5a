/* Stores for tests: a fixture with a write transaction, and opening without a fault. */
#ifndef KEYDIR_TEST_STORE_RIG_H
#define KEYDIR_TEST_STORE_RIG_H

#include "common/store/store.h"

struct store_rig {
	char *dir;
	struct store *store;
	struct txn *txn; /* a write transaction */
};

/* cmocka's setup and teardown: one on a new store. */
int store_rig_set_up(void **state);
int store_rig_tear_down(void **state);
/* Commits rig->txn and begins the next. */
void store_rig_commit(struct store_rig *rig);

/* Opens the store in DIR; fails the test if that does not work. */
struct store *store_rig_open(const char *dir);
/* Begins a transaction; fails the test if that does not work. */
struct txn *store_rig_write(struct store *store);
struct txn *store_rig_read(struct store *store);

#endif
