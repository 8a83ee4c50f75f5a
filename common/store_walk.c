/* A walk over all inodes by number.
 *
 * One cursor in one snapshot, for who looks at many entries but not at all of
 * them: passing one costs a step on its page and no look at what it is. The walk
 * ends before its transaction does.
 *
 * No lock: a transaction is one thread's. */
#include "store_internal.h"

#include <errno.h>
#include <stdlib.h>

struct walk {
	const struct txn *txn;
	MDB_cursor *cursor;
};

int walk_open(struct txn *txn, struct walk **ret)
{
	struct walk *walk = calloc(1, sizeof *walk);
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

static int step(struct walk *walk, MDB_val *key, MDB_cursor_op op, struct entry *ret)
{
	MDB_val val;
	int r = store_error(mdb_cursor_get(walk->cursor, key, &val, op));
	if (r < 0)
		return r;
	return store_row_inode(walk->txn, (struct bytes){ key->mv_data, key->mv_size },
	                       (struct bytes){ val.mv_data, val.mv_size }, ret);
}

int walk_seek(struct walk *walk, uint64_t ino, struct entry *ret)
{
	uint8_t number[STORE_ROW_NUMBER_MAX];
	MDB_val key = { store_row_number(number, ino), number };
	return step(walk, &key, MDB_SET_RANGE, ret);
}

int walk_next(struct walk *walk, struct entry *ret)
{
	MDB_val key;
	return step(walk, &key, MDB_NEXT, ret);
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
