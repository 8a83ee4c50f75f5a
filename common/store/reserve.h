/* Reserve: allocates pages for a store in memory before LMDB writes to them. Internal to
 * common/store/. */
#ifndef KEYDIR_STORE_RESERVE_H
#define KEYDIR_STORE_RESERVE_H

#include "common/store/table.h"

#define RESERVE_LEAVES 128

/* Upper bounds of the pages that a write transaction has taken. */
struct page_reserve {
	uint64_t begin;       /* first page that no earlier transaction has used */
	uint64_t single, run; /* taken singly, and taken in contiguous runs */
	uint64_t nruns;       /* number of runs */
	uint64_t freed;       /* pages freed, except the originals of copied pages */
	/* Pages that the commit needs to rewrite the free list: taken singly, or as one run. */
	uint64_t list_single, list_row;
	/* Limit of the last count of LMDB's free pages; 0: not counted. */
	size_t counted;
	uint64_t free;             /* free pages that can be taken singly */
	uint64_t free_runs;        /* further free runs, each long enough for a chunk of a value */
	uint64_t free_longest;     /* length of the longest free run */
	bool frees;                /* the transaction may take the last pages */
	MDB_stat tables[TABLES];   /* current statistics; a depth of 0: not known */
	uint64_t uncopied[TABLES]; /* upper bound of the old tree pages not copied yet */
	/* Page numbers of leaves already written, hashed by their last bits. */
	uintptr_t leaves[RESERVE_LEAVES];
};

/* These functions do nothing if the store is not mapped. */
/* Start the accounting of a new write transaction. Returns 0, -ENOSPC or another -errno. */
int reserve_begin(struct txn *txn);
/* Allocate every page that LMDB may need to put a row of TABLE with VAL or, if VAL is NULL,
 * to delete one. Returns 0 and the table's statistics in *RET, or -ENOSPC. */
int reserve_pages(struct txn *txn, enum table table, size_t key_len, const MDB_val *val,
                  MDB_stat *ret);
/* Account for the change of that row. BEFORE is what reserve_pages() returned; CURSOR is at
 * the row that was put. */
void account_pages(struct txn *txn, enum table table, MDB_cursor *cursor, size_t key_len,
                   const MDB_val *val, const MDB_stat *before);

#endif
