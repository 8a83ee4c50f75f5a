/* The store's invariants, checked from its rows. */
#ifndef KEYDIR_TEST_STORE_CHECK_H
#define KEYDIR_TEST_STORE_CHECK_H

#include "common/store/store.h"

/* Reads every row that TXN sees and checks that the tables agree with each
 * other and with the totals in meta: each name leads to an inode that has that
 * parent and name, and back; the tree hangs together at the root; values,
 * attributes, expiry rows and idempotency keys belong to entries as these say;
 * counters equal what is counted here. Returns 0; -EPROTO with the first fault
 * found in WHY; or another -errno, said in WHY too. */
int store_check(struct txn *txn, char *why, size_t why_size);

#endif
