/* The audit of a store: whether its rows agree with each other. */
#ifndef KEYDIR_STORE_AUDIT_H
#define KEYDIR_STORE_AUDIT_H

#include "common/store/txn.h"

#include <stddef.h>

/* Read every row that TXN, a snapshot, sees: each can be decoded, each name leads to the
 * entry that has it, each directory lies below the root, each value, attribute and expiry
 * belongs to an entry that has one, the feed can be read, and the totals are those of
 * meta. 0, or -EPROTO with a sentence in WHY, -EIO, -ENOMEM. Takes about 1 us a row and
 * 32 bytes of memory a directory. */
int store_audit(struct txn *txn, char *why, size_t why_size);

#endif
