/* Transaction: snapshots and changes of a store, and the meta row that each of them reads.
 *
 * A snapshot is an LMDB read transaction. It is kept when it ends and renewed for the next
 * reader, which is cheaper than creating one. Each thread gets back the one that it used
 * last: with one list for all threads, two busy readers would take turns with each other's
 * memory, which costs 0.5 us per snapshot instead of 0.2 us. A nested transaction is not
 * one of LMDB's: store/table.c records what it changed.
 *
 * Each transaction has its own copy of meta; the outermost commit writes it.
 *
 * Lock: idle_lock guards the list of idle snapshots that have no slot, nothing else. */
#include "common/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_META_ROWS 2 /* "meta" and "format" */

/* --- the row of meta --- */

/* The row exists only while the feed lacks rows that its ring should have. */
static const MDB_val feed_complete_from_key = { 10, (void *)"whole_from" };

static int load_feed_complete_from(struct txn *txn)
{
	MDB_val key = feed_complete_from_key, val;
	MDB_stat st;
	txn->feed_complete_from = 0;
	int r = store_error(mdb_stat(txn->mdb, txn->store->dbi[META], &st));
	if (r < 0 || st.ms_entries <= USUAL_META_ROWS)
		return r;
	r = store_error(mdb_get(txn->mdb, txn->store->dbi[META], &key, &val));
	if (r == 0 && val.mv_size != sizeof(txn->feed_complete_from))
		r = -EPROTO;
	if (r == 0)
		memcpy(&txn->feed_complete_from, val.mv_data, sizeof(txn->feed_complete_from));
	return r == -ENOENT ? 0 : r;
}

/* Write the row, or remove it once the ring is complete. */
static int save_feed_complete_from(struct txn *txn)
{
	const struct store_meta *meta = &txn->meta;
	MDB_val key = feed_complete_from_key,
	        val = { sizeof(txn->feed_complete_from), &txn->feed_complete_from };
	if (!txn->feed_complete_from)
		return 0;
	if (meta->applied < STORE_FEED_SIZE ||
	    txn->feed_complete_from > meta->applied - STORE_FEED_SIZE + 1)
		return table_put(txn, META, &key, &val, 0);
	int r = table_del(txn, META, &key);
	return r == -ENOENT ? 0 : r;
}

/* Return whether VAL is a valid struct store_meta: its boolean is 0 or 1, its times fit
 * their types in ns, and its text is terminated. */
static bool is_meta(MDB_val val)
{
	struct store_meta meta;
	if (val.mv_size != sizeof(meta) ||
	    ((const uint8_t *)val.mv_data)[offsetof(struct store_meta, started)] > 1)
		return false;
	memcpy(&meta, val.mv_data, sizeof(meta));
	return meta.log_time_ms >= 0 && meta.log_time_ms <= STORE_TIME_MAX_MS &&
	       meta.base_ms >= 0 && meta.base_ms <= meta.log_time_ms &&
	       meta.next_ino > STORE_ROOT_INO &&
	       memchr(meta.volume, '\0', sizeof(meta.volume)) != NULL;
}

int txn_load_meta(struct txn *txn)
{
	MDB_val key = { 4, (void *)"meta" }, val;
	int r = load_feed_complete_from(txn);
	if (r < 0)
		return r;
	r = store_error(mdb_get(txn->mdb, txn->store->dbi[META], &key, &val));
	if (r == 0 && !is_meta(val))
		r = -EPROTO;
	if (r == 0)
		memcpy(&txn->meta, val.mv_data, sizeof(txn->meta));
	return r == -ENOENT ? 0 : r;
}

/* --- beginning and ending --- */

/* Return this thread's slot for an idle snapshot of STORE. */
static _Atomic(struct txn *) *thread_slot(struct store *store)
{
	static atomic_uint threads;
	static _Thread_local unsigned number; /* of this thread; 0: not assigned yet */
	if (!number)
		number = atomic_fetch_add(&threads, 1) % STORE_IDLE_SLOTS + 1;
	return &store->idle_slots[number - 1].txn;
}

/* Return an idle snapshot, or NULL. */
static struct txn *take_idle(struct store *store)
{
	struct txn *txn = atomic_exchange(thread_slot(store), NULL);
	if (txn)
		return txn;
	pthread_mutex_lock(&store->idle_lock);
	txn = store->idle;
	if (txn)
		store->idle = txn->next_idle;
	pthread_mutex_unlock(&store->idle_lock);
	return txn;
}

static void put_idle(struct store *store, struct txn *txn)
{
	struct txn *none = NULL;
	if (atomic_compare_exchange_strong(thread_slot(store), &none, txn))
		return;
	pthread_mutex_lock(&store->idle_lock);
	txn->next_idle = store->idle;
	store->idle = txn;
	pthread_mutex_unlock(&store->idle_lock);
}

/* Free a snapshot; NULL is allowed. */
static void end_snapshot(struct txn *txn)
{
	if (txn)
		mdb_txn_abort(txn->mdb); /* NULL is allowed */
	free(txn);
}

/* Return the number of the commit that a new snapshot shows, which identifies it later, or
 * 0 if it is uncertain. LMDB first reads the snapshot's number and then its root pages,
 * which belong to a later commit if two commits happened in between (mdb_txn_renew0() of
 * 0.9.24 does not detect that). The number is certain if no later commit exists even now. */
static uint64_t commit_number(struct txn *txn)
{
	MDB_envinfo info;
	uint64_t number = mdb_txn_id(txn->mdb);
#ifndef __SANITIZE_THREAD__                        /* it does not support fences */
	atomic_thread_fence(memory_order_acquire); /* the root pages were read before this */
#endif
	return mdb_env_info(txn->store->env, &info) == 0 && info.me_last_txnid == number ? number :
	                                                                                   0;
}

int txn_read(struct store *store, struct txn **ret)
{
	struct txn *txn = take_idle(store);
	int r;
	if (txn) {
		r = store_error(mdb_txn_renew(txn->mdb));
	} else {
		txn = calloc(1, sizeof(*txn));
		if (!txn)
			return -ENOMEM;
		txn->store = store;
		r = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb));
		if (r == -EAGAIN) { /* processes that died may hold the slots */
			store_reap_readers(store);
			r = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb));
		}
	}
	if (r < 0) {
		end_snapshot(txn);
		return r;
	}
	uint64_t number = commit_number(txn);
	if (!number || number != txn->meta_of) {
		txn->meta_of = 0;
		r = txn_load_meta(txn);
		if (r < 0) {
			txn_abort(txn);
			return r;
		}
		txn->meta_of = number;
	}
	*ret = txn;
	return 0;
}

void txn_free_idle(struct store *store)
{
	for (size_t i = 0; i < STORE_IDLE_SLOTS; i++)
		end_snapshot(atomic_exchange(&store->idle_slots[i].txn, NULL));
	while (store->idle) {
		struct txn *txn = store->idle;
		store->idle = txn->next_idle;
		end_snapshot(txn);
	}
}

int txn_write(struct store *store, struct txn **ret)
{
	struct txn *txn = malloc(sizeof(*txn));
	if (!txn)
		return -ENOMEM;
	*txn = (struct txn){ .store = store, .write = true };
	atomic_fetch_add_explicit(&store->writes_waiting, 1, memory_order_relaxed);
	int r = store_error(mdb_txn_begin(store->env, NULL, 0, &txn->mdb));
	atomic_fetch_sub_explicit(&store->writes_waiting, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->writes_begun, 1, memory_order_relaxed);
	if (r < 0) {
		free(txn);
		return r;
	}
	r = reserve_begin(txn);
	/* The first transaction of a new store creates the tables. */
	if (r == 0 && store->dbi[META])
		r = txn_load_meta(txn);
	if (r < 0) {
		txn_abort(txn);
		return r;
	}
	*ret = txn;
	return 0;
}

void txn_writes(struct store *store, struct txn_writes *ret)
{
	ret->waiting = atomic_load_explicit(&store->writes_waiting, memory_order_relaxed);
	ret->begun = atomic_load_explicit(&store->writes_begun, memory_order_relaxed);
}

int txn_nest(struct txn *parent, struct txn **ret)
{
	struct txn *txn = calloc(1, sizeof(*txn));
	if (!txn)
		return -ENOMEM;
	txn->store = parent->store;
	txn->mdb = parent->mdb;
	txn->write = true;
	txn->parent = parent;
	txn->meta = parent->meta;
	txn->feed_complete_from = parent->feed_complete_from;
	*ret = txn;
	return 0;
}

/* Undo a nested transaction. If that fails, the whole transaction fails. */
static void abort_nested(struct txn *txn)
{
	struct txn *top = txn_top(txn);
	txn_frees(txn, true);
	int r = table_undo(txn);
	if (r < 0)
		top->broken = r;
	free(txn);
}

void txn_abort(struct txn *txn)
{
	if (!txn)
		return;
	if (txn->parent) {
		abort_nested(txn);
		return;
	}
	if (txn->write) {
		mdb_txn_abort(txn->mdb);
		free(txn);
		return;
	}
	table_close_cursors(txn);
	mdb_txn_reset(txn->mdb);
	put_idle(txn->store, txn);
}

/* Return the errno of a commit that failed with R: LMDB reports a partial write as an I/O
 * error, which is -ENOSPC if the file system is full. */
static int commit_error(struct store *store, int r)
{
	return r == -EIO && !store_has_room(store) ? -ENOSPC : r;
}

int txn_commit(struct txn *txn)
{
	if (txn->parent) {
		txn->parent->meta = txn->meta;
		table_keep(txn);
		free(txn);
		return 0;
	}
	MDB_val key = { 4, (void *)"meta" }, val = { sizeof(txn->meta), &txn->meta };
	int r = txn->broken;
	if (r == 0)
		r = table_put(txn, META, &key, &val, 0);
	if (r == 0)
		r = save_feed_complete_from(txn);
	if (r < 0)
		mdb_txn_abort(txn->mdb);
	else
		r = store_error(mdb_txn_commit(txn->mdb));
	r = commit_error(txn->store, r);
	free(txn);
	return r;
}

int store_advance(struct store *store)
{
	struct txn *txn;
	int r = txn_write(store, &txn);
	return r < 0 ? r : txn_commit(txn);
}

struct store_meta *txn_meta(struct txn *txn)
{
	return &txn->meta;
}

void txn_frees(struct txn *txn, bool frees)
{
	txn = txn_top(txn);
	if (txn->reserve)
		txn->reserve->frees = frees;
}

uint64_t txn_pages(struct txn *txn)
{
	txn = txn_top(txn);
	return txn->reserve ? txn->reserve->single + txn->reserve->run : 0;
}
