/* Internal declarations that the files of common/store/ share. */
#ifndef KEYDIR_STORE_INTERNAL_H
#define KEYDIR_STORE_INTERNAL_H

#include "common/store/env.h"
#include "common/store/place.h"
#include "common/store/reserve.h"
#include "common/store/rowkey.h"
#include "common/store/state.h"
#include "common/store/store.h"
#include "common/store/table.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

/* An idle snapshot that is taken and put back without a lock. It has a cache line of its
 * own, so that threads on different processors do not contend for one. */
struct idle_slot {
	_Alignas(64) _Atomic(struct txn *) txn;
};
#define STORE_IDLE_SLOTS 16 /* more threads than this share slots */

struct store {
	MDB_env *env;
	MDB_dbi dbi[TABLES];
	struct store_place *place;
	bool in_memory;
	bool mapped;  /* LMDB writes through the map; see store/reserve.c */
	bool on_disk; /* a crash of the machine loses changes that were not synced */
	struct store_state state;
	int fd; /* of the data file; owned by LMDB */
	/* Size of a page, fixed when the file was created: 4 KiB to 64 KiB. */
	uint64_t page_bytes;
	/* Pages before this one are allocated; used by the writer only. */
	uint64_t allocated_end;
	struct page_reserve reserve;                   /* of the only write transaction */
	struct idle_slot idle_slots[STORE_IDLE_SLOTS]; /* idle snapshots, one slot per thread */
	pthread_mutex_t idle_lock;
	struct txn *idle; /* further idle snapshots; protected by idle_lock */
	uint8_t *scratch; /* STORE_CHUNK_SIZE bytes for the writer */
	/* For txn_writes(): */
	atomic_uint writes_waiting;
	_Atomic uint64_t writes_begun;
};

struct txn {
	struct store *store;
	MDB_txn *mdb;       /* a nested transaction has that of its parent */
	struct txn *parent; /* set in a nested transaction */
	struct txn *next_idle;
	bool write;
	int broken;                   /* -errno if a nested transaction could not be undone */
	MDB_cursor *cursors[TABLES];  /* see store/table.c */
	MDB_cursor *front;            /* of a write transaction: at the first row of the feed */
	struct page_reserve *reserve; /* of a write transaction if the store is mapped */
	struct undo *undo;            /* of a nested transaction: its changes, newest first */
	/* In the outermost transaction; see store_note_touched(); 0: none. */
	uint64_t touched_ino;
	int64_t touched_ns;
	bool expiry_known; /* in the outermost transaction; see store_may_expire() */
	int64_t expiry_ms;
	/* The feed has all rows from this offset on; 0: from its first row on. */
	uint64_t feed_complete_from;
	struct store_meta meta;
	uint64_t meta_of; /* number of the snapshot that `meta` was read from; 0: none */
};

/* Return the outermost transaction around TXN, which may be TXN itself. */
static inline struct txn *txn_top(const struct txn *txn)
{
	while (txn->parent)
		txn = txn->parent;
	return (struct txn *)txn;
}

/* Return whether KEY, in the table meta, belongs to the row of store/log_rows.h. */
bool store_log_is_key(struct bytes key);

/* Read the meta row into TXN. Returns 0, -EPROTO for an invalid row, or -EIO. */
int txn_load_meta(struct txn *txn);

/* Free all idle snapshots. The store must not be used afterwards. */
void txn_free_idle(struct store *store);

#endif
