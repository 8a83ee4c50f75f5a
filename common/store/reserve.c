/* Reserve: allocates pages for a store in memory before LMDB writes to them.
 *
 * On tmpfs LMDB writes through the map (MDB_WRITEMAP). A commit is then a few stores to
 * memory instead of a system call per page, which would be two thirds of the cost of a
 * small write. A kill is harmless, because pages are copied before they change, the page
 * cache outlives a process, and the page that makes the new state current is written last.
 * A full file system is not harmless: a store into the map is then a SIGBUS, where write(2)
 * would return ENOSPC.
 *
 * So this file allocates pages (fallocate(2)) before LMDB uses them. LMDB takes new pages
 * in order, after the last one that a committed transaction used. It does not say how many
 * pages a running transaction has taken, so this file keeps an upper bound. Changing a row
 * can copy the path to it, split each page on the path, and take pages for a long value.
 * The statistics of the table then show its growth; a leaf that this transaction has
 * written was copied already; and no page is copied twice.
 *
 * The commit also writes the free list: the records that LMDB read, and one record of all
 * pages that the transaction freed, in contiguous pages. The bound includes them, but they
 * do not count as taken by the transaction. If the file system is full, free pages are
 * counted too; for long values only contiguous runs.
 *
 * The last pages (DELETE_PAGES and DELETE_SHARE) are reserved for transactions that delete
 * something, so that a full store can become less full.
 *
 * No lock: only the writer uses this, and there is one. The number of allocated pages that
 * it knows is a lower bound, since other processes of the node allocate pages too. */
#include "common/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_HEADER 16  /* bytes of LMDB's page header, also in a long value */
#define LONG_ROW 2000   /* approximate; a longer row gets pages of its own */
#define COMMIT_PAGES 24 /* roots of the tables, paths in the free list */
#define DELETE_PAGES 64
#define DELETE_SHARE 128 /* plus one page per this many; enough for free_list_pages() */
#define STEP_MIN 16      /* pages allocated at once: between these limits ... */
#define STEP_MAX 32
#define STEP_SHARE 64        /* ... and one part in this many of the file */
#define FREE_FIRST (1 << 14) /* limit of the first count of free pages */
#define FREE_MAX (1 << 20)   /* limit of the last count: 4 GiB in pages of 4 KiB */
#define RUN_RECORDS 100      /* LMDB searches at least this many records for contiguous pages */

/* Return the pages of a long value of LEN bytes, 0 for one that fits into a leaf. */
static uint64_t long_pages(const struct store *store, size_t key_len, size_t len)
{
	return key_len + len < LONG_ROW ? 0 : (PAGE_HEADER - 1 + len) / store->page_bytes + 1;
}

/* Return the pages of the longest row, a chunk of a value. */
static uint64_t run_pages(const struct store *store)
{
	return long_pages(store, 0, STORE_CHUNK_SIZE);
}

/* Return the pages of a tree. A transaction copies them before it changes them. */
static uint64_t tree_pages(const MDB_stat *st)
{
	return st->ms_branch_pages + st->ms_leaf_pages;
}

/* Allocate the file up to page END, and some pages more if possible. */
static int allocate_pages(struct store *store, uint64_t end)
{
	uint64_t from = store->allocated_end, step = end / STEP_SHARE;
	if (step < STEP_MIN)
		step = STEP_MIN;
	if (step > STEP_MAX)
		step = STEP_MAX;
	for (int round = 0; round < 2; round++) {
		off_t len = (off_t)((end + step - from) * store->page_bytes);
		if (fallocate(store->fd, FALLOC_FL_KEEP_SIZE, (off_t)(from * store->page_bytes),
		              len) == 0) {
			store->allocated_end = end + step;
			return 0;
		}
		if (errno == EINTR)
			round--;
		else
			step = 0;
	}
	return errno == EDQUOT ? -ENOSPC : -errno;
}

/* Find the oldest snapshot that a reader uses. Pages freed before it can be reused. */
static int oldest_reader(const char *line, void *arg)
{
	uint64_t *oldest = arg;
	size_t txnid;
	if (sscanf(line, "%*d %*x %zu", &txnid) == 1 && txnid < *oldest)
		*oldest = txnid;
	return 0;
}

/* Read the numbers of up to MAX free pages that the running write transaction may use:
 * those freed before the oldest snapshot in use. From a record that is too long take the
 * lower numbers, as LMDB does. Returns their count; *RET_FIRST of them are in records that
 * LMDB always searches. */
static size_t read_free(struct store *store, uint64_t *pages, size_t max, size_t *ret_first)
{
	MDB_envinfo info;
	MDB_txn *mdb;
	MDB_cursor *cursor;
	MDB_val key, val;
	size_t n = 0, id, count;
	*ret_first = 0;
	if (mdb_env_info(store->env, &info))
		return 0;
	uint64_t oldest = info.me_last_txnid;
	mdb_reader_list(store->env, oldest_reader, &oldest);
	if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb))
		return 0;
	int rc = mdb_cursor_open(mdb, 0, &cursor); /* table 0 is the free list */
	for (int record = 0; rc == 0 && n < max; record++) {
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
		if (rc || key.mv_size != sizeof(id) || val.mv_size < sizeof(count))
			break;
		memcpy(&id, key.mv_data, sizeof(id));
		memcpy(&count, val.mv_data, sizeof(count));
		if (id >= oldest || count > val.mv_size / sizeof(count) - 1)
			break;
		/* The record is in descending order. */
		size_t some = count < max - n ? count : max - n;
		memcpy(pages + n, (const char *)val.mv_data + (1 + count - some) * sizeof(count),
		       some * sizeof(*pages));
		n += some;
		if (record < RUN_RECORDS)
			*ret_first = n;
	}
	if (rc == 0 || rc == MDB_NOTFOUND)
		mdb_cursor_close(cursor);
	mdb_txn_abort(mdb);
	return n;
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Count free pages, up to MAX: the lower ones, which LMDB takes first, as single pages,
 * and the rest as runs for chunks. Return false if MAX did not limit the count. */
static bool count_free(struct store *store, struct page_reserve *reserve, size_t max)
{
	uint64_t *pages = malloc(max * sizeof(*pages));
	size_t first, n = pages ? read_free(store, pages, max, &first) : 0, length = 1;
	reserve->free = reserve->free_runs = reserve->free_longest = 0;
	if (n) {
		reserve->free = n - first;
		qsort(pages, first, sizeof(*pages), compare_pages);
		size_t singles = first / 4 < DELETE_PAGES ? first / 4 :
		                                            first / 8 + DELETE_PAGES / 2;
		reserve->free += singles;
		for (size_t i = singles + 1; i <= first; i++) {
			if (i < first && pages[i] == pages[i - 1] + 1) {
				length++;
			} else {
				reserve->free_runs += length / run_pages(store);
				if (length > reserve->free_longest)
					reserve->free_longest = length;
				length = 1;
			}
		}
		if (reserve->free_runs == 0) {
			reserve->free = n;
			reserve->free_longest = 0;
		}
	}
	free(pages);
	reserve->counted = max;
	return n == max;
}

/* Return the contiguous pages for the record of all pages that the transaction frees.
 * LMDB may write it up to three times, as writing it can make it longer. */
static uint64_t free_list_pages(const struct store *store, const struct page_reserve *reserve)
{
	return 3 * long_pages(store, 0, (reserve->single + reserve->freed + 2) * sizeof(uint64_t));
}

/* Return the pages that must be appended to the file. Runs are not matched one by one:
 * either there are enough free runs for all of them, or none counts. */
static uint64_t fresh_pages(const struct store *store, const struct page_reserve *reserve,
                            uint64_t single, uint64_t run, uint64_t nruns)
{
	uint64_t row = reserve->list_row + free_list_pages(store, reserve),
	         used = nruns * run_pages(store);
	return (nruns > reserve->free_runs ? run : 0) +
	       (single > reserve->free ? single - reserve->free : 0) +
	       (row + used > reserve->free_longest ? row : 0);
}

/* Make sure that SINGLE pages and RUN contiguous pages can be taken in addition to those
 * that the transaction may have taken so far. */
static int ensure_pages(struct txn *txn, uint64_t single, uint64_t run)
{
	struct store *store = txn->store;
	struct page_reserve *reserve = txn->reserve;
	uint64_t nruns = reserve->nruns + (run > 0);
	single += reserve->single + reserve->list_single + COMMIT_PAGES;
	if (!reserve->frees)
		single += DELETE_PAGES + reserve->begin / DELETE_SHARE;
	run += reserve->run;
	uint64_t end = reserve->begin + fresh_pages(store, reserve, single, run, nruns);
	if (end <= store->allocated_end)
		return 0;
	int r = allocate_pages(store, end);
	for (size_t max = FREE_FIRST; r == -ENOSPC && max <= FREE_MAX; max *= 8) {
		if (max <= reserve->counted)
			continue;
		bool more = count_free(store, reserve, max);
		end = reserve->begin + fresh_pages(store, reserve, single, run, nruns);
		r = end <= store->allocated_end ? 0 : allocate_pages(store, end);
		if (!more)
			reserve->counted = FREE_MAX;
	}
	return r;
}

/* Reserve pages for rewriting the free list. It takes about as many pages as now, spread
 * over records with the keys 1 to TXNID (mdb_freelist_save() of LMDB 0.9.24). So a record
 * needs more than one page only if there are more pages than keys. */
static void reserve_list(struct page_reserve *reserve, const MDB_stat *list, uint64_t txnid)
{
	uint64_t pages = tree_pages(list) + list->ms_overflow_pages;
	if (pages < txnid)
		reserve->list_single = pages;
	else
		reserve->list_row = pages;
}

int reserve_begin(struct txn *txn)
{
	struct store *store = txn->store;
	MDB_envinfo info;
	MDB_stat st = { 0 };
	if (!store->mapped)
		return 0;
	struct page_reserve *reserve = txn->reserve = &store->reserve;
	*reserve = (struct page_reserve){ 0 };
	int r = store_error(mdb_env_info(store->env, &info));
	if (r == 0)
		r = store_error(mdb_stat(txn->mdb, 0, &st));
	if (r < 0)
		return r;
	reserve->begin = info.me_last_pgno + 1;
	if (store->allocated_end < reserve->begin)
		store->allocated_end = reserve->begin;
	reserve_list(reserve, &st, info.me_last_txnid);
	/* Nothing is written yet; writes that need the normal limit clear this. */
	reserve->frees = true;
	return ensure_pages(txn, 0, 0);
}

int reserve_pages(struct txn *txn, enum table table, size_t key_len, const MDB_val *val,
                  MDB_stat *ret)
{
	if (!txn->reserve)
		return 0;
	struct page_reserve *reserve = txn->reserve;
	if (!reserve->tables[table].ms_depth) {
		int r = store_error(
		        mdb_stat(txn->mdb, txn->store->dbi[table], &reserve->tables[table]));
		if (r < 0)
			return r;
		reserve->uncopied[table] = tree_pages(&reserve->tables[table]);
	}
	*ret = reserve->tables[table];
	/* The path, the pages next to it if pages are merged, and one split of each page. */
	return ensure_pages(txn, 3 * (uint64_t)ret->ms_depth + 2,
	                    val ? long_pages(txn->store, key_len, val->mv_size) : 0);
}

/* Return whether this transaction has written the leaf at CURSOR before, and remember that
 * it has now. */
static bool seen_leaf(const struct store *store, struct page_reserve *reserve, MDB_cursor *cursor)
{
	MDB_val key, val;
	if (mdb_cursor_get(cursor, &key, &val, MDB_GET_CURRENT))
		return false;
	uintptr_t page = (uintptr_t)key.mv_data / store->page_bytes;
	uintptr_t *slot = &reserve->leaves[page % RESERVE_LEAVES];
	bool seen = *slot == page;
	*slot = page;
	return seen;
}

/* Count COPIES copied pages of TABLE. Each page that existed when the transaction began
 * is copied at most once, and new pages count as growth. */
static void count_copies(struct page_reserve *reserve, enum table table, uint64_t copies)
{
	if (copies > reserve->uncopied[table])
		copies = reserve->uncopied[table];
	reserve->uncopied[table] -= copies;
	reserve->single += copies;
}

void account_pages(struct txn *txn, enum table table, MDB_cursor *cursor, size_t key_len,
                   const MDB_val *val, const MDB_stat *before)
{
	struct page_reserve *reserve = txn->reserve;
	MDB_stat now;
	if (!reserve)
		return;
	if (mdb_stat(txn->mdb, txn->store->dbi[table], &now))
		now = *before;
	reserve->tables[table] = now;
	if (!val)
		count_copies(reserve, table, 2 * (uint64_t)before->ms_depth);
	else if (!seen_leaf(txn->store, reserve, cursor))
		count_copies(reserve, table, before->ms_depth);
	if (tree_pages(&now) > tree_pages(before))
		reserve->single += tree_pages(&now) - tree_pages(before);
	else
		reserve->freed += tree_pages(before) - tree_pages(&now);
	uint64_t run = val ? long_pages(txn->store, key_len, val->mv_size) : 0;
	reserve->run += run;
	reserve->nruns += run > 0;
	/* The pages of the long value that was replaced or deleted. */
	if (before->ms_overflow_pages + run > now.ms_overflow_pages)
		reserve->freed += before->ms_overflow_pages + run - now.ms_overflow_pages;
}
