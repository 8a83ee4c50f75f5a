/* Audit: checks that the rows of a store agree with each other. */
#ifndef KEYDIR_STORE_AUDIT_H
#define KEYDIR_STORE_AUDIT_H

#include "common/store/txn.h"

#include <stddef.h>

/* Read every row in the snapshot TXN and check that each can be decoded, each name leads to
 * the entry that has it, each directory lies below the root, each value, attribute and
 * expiry belongs to an entry that has one, the feed can be read, and the totals match meta.
 * Returns 0; -EPROTO with a sentence in WHY; -EIO; or -ENOMEM. Takes about 1 us per row and
 * 32 bytes of memory per directory. */
int store_audit(struct txn *txn, char *why, size_t why_size);

#endif
