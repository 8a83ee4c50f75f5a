/* Store invariants, checked from the rows. */
#ifndef KEYDIR_TEST_STORE_CHECK_H
#define KEYDIR_TEST_STORE_CHECK_H

#include "common/store/store.h"

/* Read every row that TXN sees and check that the tables agree with each other and
 * with the totals in meta: each name leads to an inode that has that parent and name,
 * and the reverse; every inode is below the root; values, attributes, expiry rows and
 * idempotency keys belong to entries that refer to them; the counters equal the
 * numbers counted here. Return 0; -EPROTO with the first fault found in WHY; or
 * another -errno, explained in WHY too. */
int store_check(struct txn *txn, char *why, size_t why_size);

#endif
