/* Transaction: snapshots and changes of a store. */
#ifndef KEYDIR_STORE_TXN_H
#define KEYDIR_STORE_TXN_H

#include <stdbool.h>
#include <stdint.h>

struct store;
struct txn;

#define STORE_TIME_MAX_MS (INT64_MAX / 1000000) /* greatest log time; in ns it fits an int64_t */

/* State of the store as a whole: the row "meta". */
struct store_meta {
	bool started;           /* an event was applied; otherwise `applied` is meaningless */
	uint64_t applied;       /* offset of the last event applied */
	int64_t log_time_ms;    /* newest record timestamp applied, at most STORE_TIME_MAX_MS */
	int64_t base_ms;        /* log time of the first event; rows store times relative to it */
	uint64_t next_ino;      /* next number for an entry without a proposed inode */
	uint64_t nkeys;         /* entries that are keys */
	uint64_t ndirs;         /* directories, except the root */
	uint64_t used_bytes;    /* used quota: values, names, attributes, cost per entry */
	uint64_t ndefault_ttl;  /* directories with a default TTL */
	uint64_t nrejected;     /* events rejected while applying */
	uint64_t nexpired;      /* entries purged after their expiry */
	uint64_t nevicted;      /* entries evicted */
	uint64_t volume_offset; /* offset of the format event */
	char volume[40];        /* volume id (text), "" before the format event */
};

/* A read transaction is a snapshot: lock-free, cheap (about 0.2 us), and usable by one
 * thread at a time. Do not hold one while waiting for anything, because LMDB cannot reuse
 * the pages that it sees. Only one write transaction exists at a time among all processes;
 * txn_write() waits for it. */

/* Begin a snapshot. Returns 0, -ENOMEM, or -EAGAIN if no reader slot is free. */
int txn_read(struct store *store, struct txn **ret);
/* Begin a write transaction. Returns 0 or -errno. */
int txn_write(struct store *store, struct txn **ret);
/* Begin a nested transaction, a part of the write transaction PARENT that can be undone
 * separately. Until it ends, only the nested one may be used. Returns 0 or -ENOMEM. */
int txn_nest(struct txn *parent, struct txn **ret);
/* End any kind of transaction and undo its changes. NULL is allowed. */
void txn_abort(struct txn *txn);
/* Commit a write or nested transaction and free TXN, also on error. Returns 0, -ENOSPC or
 * -EIO. The outermost commit writes meta. */
int txn_commit(struct txn *txn);
struct txn_writes {
	unsigned waiting; /* threads of this process that wait for the write transaction */
	uint64_t begun;   /* waits of this process that are over */
};

/* Count this process's write transactions. While the second number stands still and the first
 * is not 0, another process keeps the write transaction. Thread-safe. */
void txn_writes(struct store *store, struct txn_writes *ret);
/* Commit an empty transaction, so that the next one can reuse the pages that the previous
 * one freed. Returns 0, -ENOSPC, -EIO or another -errno. */
int store_advance(struct store *store);
/* Mark the following writes as deletions if FREES is set: in memory they may use the last
 * pages, which are reserved for them. */
void txn_frees(struct txn *txn, bool frees);
/* Return approximately how many pages the write transaction has taken for its writes; 0 if
 * that does not matter (on a disk). A thread that applies many events commits once this
 * exceeds STORE_TXN_PAGES, but always after at least one event. */
#define STORE_TXN_PAGES 256
uint64_t txn_pages(struct txn *txn);
/* Return the meta row as this transaction sees it; a write transaction may change it. */
struct store_meta *txn_meta(struct txn *txn);

#endif
