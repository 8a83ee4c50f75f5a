/* Skipped: the offsets of records that the operator made all nodes skip. */
#ifndef KEYDIR_STORE_SKIPPED_H
#define KEYDIR_STORE_SKIPPED_H

#include "common/store/txn.h"

#define STORE_SKIPPED_MAX 64 /* offsets remembered */

struct store_skipped {
	uint64_t count;                     /* number of all records skipped */
	uint64_t newest[STORE_SKIPPED_MAX]; /* their offsets, the newest first; 0: none */
};

/* Read the skipped records. Returns 0 (all zero if none was skipped) or -EIO. */
int store_skipped_get(struct txn *txn, struct store_skipped *ret);
/* Return 1 if the record at OFFSET is one of those remembered, 0 if not, or -EIO. */
int store_skipped_has(struct txn *txn, uint64_t offset);
/* Remember, in a write transaction, that the record at OFFSET (not 0) was skipped. Returns
 * 0, -ENOSPC or -EIO. */
int store_skipped_note(struct txn *txn, uint64_t offset);

#endif
