/* Room for a store in memory. Internal to store*.c. */
#ifndef KEYDIR_STORE_RESERVE_H
#define KEYDIR_STORE_RESERVE_H

#include "common/store/table.h"

#define RESERVE_LEAVES 128

/* Pages that a write transaction may have taken, counted from above. */
struct page_reserve {
	uint64_t begin;       /* the first page that no transaction before has used */
	uint64_t single, run; /* taken one by one, and several in a row ... */
	uint64_t nruns;       /* ... so many times */
	uint64_t freed;       /* freed, the originals of copies excluded */
	/* Pages that the commit needs to rewrite the free list: single, or contiguous. */
	uint64_t list_single, list_row;
	size_t counted;            /* up to how many LMDB's own free pages were counted */
	uint64_t free;             /* so many are taken one by one, ... */
	uint64_t free_runs;        /* ... beside those are rows for a chunk of a value, ... */
	uint64_t free_longest;     /* ... and a row of so many */
	bool frees;                /* may take the last */
	MDB_stat tables[TABLES];   /* as they are now; a depth of 0: not known */
	uint64_t uncopied[TABLES]; /* old pages of the tree not copied yet, at most */
	uintptr_t leaves[RESERVE_LEAVES]; /* page numbers in memory, by their last bits */
};

/* All do nothing if the store is not mapped. */
/* A write transaction begins. 0, -ENOSPC ... */
int reserve_begin(struct txn *txn);
/* Before a row is put (or, without VAL, deleted): 0 if there is room whatever
 * LMDB will need, -ENOSPC. And after it, with what *RET was before. */
int reserve_pages(struct txn *txn, enum table table, size_t key_len, const MDB_val *val,
                  MDB_stat *ret);
void account_pages(struct txn *txn, enum table table, MDB_cursor *cursor, size_t key_len,
                   const MDB_val *val, const MDB_stat *before);

#endif
