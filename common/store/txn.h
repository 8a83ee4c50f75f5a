/* Transactions: the snapshots and changes of a store. */
#ifndef KEYDIR_STORE_TXN_H
#define KEYDIR_STORE_TXN_H

#include <stdbool.h>
#include <stdint.h>

struct store;
struct txn;

#define STORE_TIME_MAX_MS (INT64_MAX / 1000000) /* log time; in ns it fits an int64_t */

/* What holds for the store as a whole: the row of meta. */
struct store_meta {
	bool started;           /* an event was applied; without one, applied means nothing */
	uint64_t applied;       /* offset of the last event applied */
	int64_t log_time_ms;    /* newest record timestamp applied, up to STORE_TIME_MAX_MS */
	int64_t base_ms;        /* log time of the first event: rows count times from here */
	uint64_t next_ino;      /* for entries without a proposed inode */
	uint64_t nkeys;         /* entries that are keys */
	uint64_t ndirs;         /* directories, the root not counted */
	uint64_t used_bytes;    /* quota: values, names, attributes, entry costs */
	uint64_t ndefault_ttl;  /* directories with a default TTL */
	uint64_t nrejected;     /* events rejected while applying */
	uint64_t nexpired;      /* entries purged after their expiry */
	uint64_t nevicted;      /* entries evicted */
	uint64_t volume_offset; /* where the format event was */
	char volume[40];        /* volume id (text), "" before the format event */
};

/* A read transaction is a snapshot: lock-free, cheap (about 0.2 us), usable by
 * one thread at a time. Do not hold one while waiting for anything: the pages
 * it sees cannot be reused. One write transaction exists at a time in all
 * processes; txn_write waits for it. */

/* Begins a snapshot. Returns 0, -ENOMEM, -EAGAIN (no reader slot free). */
int txn_read(struct store *store, struct txn **ret);
/* Begins writing. Returns 0 or -errno. */
int txn_write(struct store *store, struct txn **ret);
/* Begins a part of the write transaction PARENT that can be undone alone:
 * between begin and end only the child may be used. 0 or -ENOMEM. */
int txn_nest(struct txn *parent, struct txn **ret);
/* Ends any of them, undoing what was written. NULL is fine. */
void txn_abort(struct txn *txn);
/* Commits a write or nested one; the txn is gone either way. 0, -ENOSPC, -EIO.
 * Meta is written by the outermost commit. */
int txn_commit(struct txn *txn);
/* Commit an empty transaction, so that the next one can reuse the pages which the
 * previous one freed. 0, -ENOSPC, -EIO ... */
int store_advance(struct store *store);
/* Says whether what is written next removes something: that may take the very
 * last room (in memory). */
void txn_frees(struct txn *txn, bool frees);
/* About how many pages the write transaction has taken for what was written in it, if
 * that matters (in memory). Whoever applies many events commits when it has more than
 * STORE_TXN_PAGES, after one event at least. */
#define STORE_TXN_PAGES 256
uint64_t txn_pages(struct txn *txn);
/* The meta row as this transaction sees it; changeable in a write one. */
struct store_meta *txn_meta(struct txn *txn);

#endif
