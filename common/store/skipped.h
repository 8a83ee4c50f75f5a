/* The offsets of records that the operator had all nodes skip. */
#ifndef KEYDIR_STORE_SKIPPED_H
#define KEYDIR_STORE_SKIPPED_H

#include "common/store/txn.h"

#define STORE_SKIPPED_MAX 64 /* offsets remembered */

struct store_skipped {
	uint64_t count;                     /* of all records skipped */
	uint64_t newest[STORE_SKIPPED_MAX]; /* their offsets, the newest first; 0: none */
};

/* Read what was skipped. 0 (also if nothing was: all zero), or -EIO. */
int store_skipped_get(struct txn *txn, struct store_skipped *ret);
/* Return 1 if the record at OFFSET is one of those remembered, 0 if not, or -EIO. */
int store_skipped_has(struct txn *txn, uint64_t offset);
/* Remember that the record at OFFSET (from 1) was skipped. In write transactions: 0,
 * -ENOSPC, -EIO. */
int store_skipped_note(struct txn *txn, uint64_t offset);

#endif
