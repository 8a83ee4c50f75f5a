/* Room for a store in memory. Internal to store*.c. */
#ifndef KEYDIR_STORE_ROOM_H
#define KEYDIR_STORE_ROOM_H

#include "store_table.h"

#define ROOM_LEAVES 128

/* Pages that a write transaction may have taken, counted from above. */
struct room {
	uint64_t begin;       /* the first page that no transaction before has used */
	uint64_t single, run; /* taken one by one, and several in a row ... */
	uint64_t nruns;       /* ... so many times */
	uint64_t commit;      /* needed at the end */
	uint64_t free;        /* LMDB's own, once counted ... */
	uint64_t free_runs;   /* ... and rows of RUN_PAGES beside those */
	bool counted;
	bool frees;                    /* may take the last */
	MDB_stat tables[TABLES];       /* as they are now; a depth of 0: not known */
	uintptr_t leaves[ROOM_LEAVES]; /* page numbers in memory, by their last bits */
};

/* All do nothing if the store is not mapped. */
/* A write transaction begins. 0, -ENOSPC ... */
int room_begin(struct txn *txn);
/* Before a row is put (or, without VAL, deleted): 0 if there is room whatever
 * LMDB will need, -ENOSPC. And after it, with what *RET was before. */
int room_for(struct txn *txn, enum table table, size_t key_len, const MDB_val *val, MDB_stat *ret);
void room_used(struct txn *txn, enum table table, MDB_cursor *cursor, size_t key_len,
               const MDB_val *val, const MDB_stat *before);

#endif
