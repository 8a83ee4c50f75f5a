/* What the files of the store share. Internal to store*.c. */
#ifndef KEYDIR_STORE_INTERNAL_H
#define KEYDIR_STORE_INTERNAL_H

#include "common/store/env.h"
#include "common/store/store.h"
#include "common/store/rowkey.h"
#include "common/store/place.h"
#include "common/store/reserve.h"
#include "common/store/state.h"
#include "common/store/table.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

/* An idle snapshot that is taken and put back without a lock; alone on its cache
 * line, as all that readers on two processors would share costs them. */
struct idle_slot {
	_Alignas(64) _Atomic(struct txn *) txn;
};
#define STORE_FORMAT_VERSION 2 /* the row "format" of meta */
#define STORE_IDLE_SLOTS 16    /* threads beyond that share */

struct store {
	MDB_env *env;
	MDB_dbi dbi[TABLES];
	struct store_place *place;
	bool in_memory;
	bool mapped;  /* LMDB writes through the map: see store/reserve.c */
	bool on_disk; /* a machine's crash loses what was not synced */
	struct store_state state;
	int fd;                      /* of the file, LMDB's */
	uint64_t page_bytes;         /* of one page, as the file was made: 4 KiB to 64 KiB */
	uint64_t allocated_end;      /* pages before this one are allocated; the writer's */
	struct page_reserve reserve; /* of the write transaction: there is one at a time */
	struct idle_slot idle_slots[STORE_IDLE_SLOTS]; /* idle snapshots, at hand for a thread */
	pthread_mutex_t idle_lock;
	struct txn *idle; /* the others; protected by idle_lock */
	uint8_t *scratch; /* STORE_CHUNK_SIZE bytes, for the writer */
};

struct txn {
	struct store *store;
	MDB_txn *mdb;       /* a nested one has its parent's */
	struct txn *parent; /* of a nested one */
	struct txn *next_idle;
	bool write;
	int broken;                   /* a part could not be undone: -errno */
	MDB_cursor *cursors[TABLES];  /* see store/table.c */
	MDB_cursor *front;            /* of a write transaction: at the feed's first row */
	struct page_reserve *reserve; /* of a write transaction, if the store is mapped */
	struct undo *undo;            /* of a nested one: what it changed, the last first */
	uint64_t touched_ino;         /* of the outermost: see store_note_touched(); 0: none */
	int64_t touched_ns;
	bool expiry_known; /* of the outermost: see store_may_expire() */
	int64_t expiry_ms;
	uint64_t feed_complete_from; /* the feed has all rows from here on; 0: all there are */
	struct store_meta meta;
	uint64_t meta_of; /* a snapshot's number, which `meta` is from; 0: none */
};

/* The transaction that TXN is a part of, or itself. */
static inline struct txn *txn_top(const struct txn *txn)
{
	while (txn->parent)
		txn = txn->parent;
	return (struct txn *)txn;
}

/* Return whether KEY, of the table meta, is that of store/log_rows.h's row. */
bool store_log_is_key(struct bytes key);

/* Reads the row of meta into TXN. 0, or -EPROTO for one that cannot be, -EIO. */
int txn_load_meta(struct txn *txn);

/* Ends all idle snapshots; nobody may use the store any more. */
void txn_free_idle(struct store *store);

#endif
