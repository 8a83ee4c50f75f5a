/* Walk: iterates over whole tables.
 *
 * A walk over the inodes is one cursor in one snapshot, for callers that visit many entries
 * but not all: skipping an entry is one step of the cursor and does not decode it. A walk
 * must be closed before its transaction ends.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	const struct txn *txn;
	MDB_cursor *cursor;
};

int walk_open(struct txn *txn, struct walk **ret)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[INODES], &walk->cursor));
	if (r < 0) {
		free(walk);
		return r;
	}
	walk->txn = txn;
	*ret = walk;
	return 0;
}

static int walk_step(struct walk *walk, MDB_val *key, MDB_cursor_op op, struct entry *ret)
{
	MDB_val val;
	int r = store_error(mdb_cursor_get(walk->cursor, key, &val, op));
	if (r < 0)
		return r;
	return store_inode_decode(walk->txn, (struct bytes){ key->mv_data, key->mv_size },
	                          (struct bytes){ val.mv_data, val.mv_size }, ret);
}

int walk_seek(struct walk *walk, uint64_t ino, struct entry *ret)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, ino);
	return walk_step(walk, &key, MDB_SET_RANGE, ret);
}

int walk_next(struct walk *walk, struct entry *ret)
{
	MDB_val key;
	return walk_step(walk, &key, MDB_NEXT, ret);
}

int walk_skip(struct walk *walk, uint64_t n)
{
	MDB_val key;
	int rc = 0;
	while (rc == 0 && n--)
		rc = mdb_cursor_get(walk->cursor, &key, NULL, MDB_NEXT);
	return store_error(rc);
}

void walk_close(struct walk *walk)
{
	if (!walk)
		return;
	mdb_cursor_close(walk->cursor);
	free(walk);
}

/* The callback of store_each_row() and the current table. */
struct each_row {
	int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value);
	void *arg;
	const char *table;
};

static int on_row(void *arg, struct bytes key, struct bytes value)
{
	struct each_row *each = arg;
	bool skipped = strcmp(each->table, table_name(META)) == 0 && store_log_is_key(key);
	return skipped ? 0 : each->fn(each->arg, each->table, key, value);
}

int store_each_row(struct txn *txn,
                   int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value),
                   void *arg)
{
	int r = 0;
	for (int t = 0; t < TABLES && r == 0; t++) {
		struct each_row each = { fn, arg, table_name((enum table)t) };
		r = table_each(txn, (enum table)t, on_row, &each);
	}
	return r;
}
