/* One table's rows, by key: what the rows of the store are made of.
 *
 * A write transaction keeps a cursor for each table that it uses. LMDB finds
 * a key on the page that the cursor stands at without going down from the root
 * again; and what applying touches one after another lies together: the name
 * that was just looked up and is now written, the next inode, the next row of
 * the feed. A nested transaction has cursors of its own, and LMDB mends those
 * of its parent. All of them end with their transaction. A snapshot keeps none:
 * it is used for a row or two.
 *
 * No lock: a transaction is one thread's. */
#include "store_internal.h"

/* The cursor of a write transaction. */
static int kept_cursor(struct txn *txn, enum table table, MDB_cursor **ret)
{
	int rc = 0;
	if (!txn->cursors[table])
		rc = mdb_cursor_open(txn->mdb, txn->store->dbi[table], &txn->cursors[table]);
	*ret = txn->cursors[table];
	return rc;
}

int table_get(struct txn *txn, enum table table, MDB_val *key, MDB_val *ret)
{
	MDB_cursor *cursor;
	if (!txn->write)
		return store_error(mdb_get(txn->mdb, txn->store->dbi[table], key, ret));
	int rc = kept_cursor(txn, table, &cursor);
	return store_error(rc ? rc : mdb_cursor_get(cursor, key, ret, MDB_SET));
}

int table_first(struct txn *txn, enum table table, MDB_val *key, bool from, MDB_val *ret)
{
	MDB_cursor *cursor;
	int rc = txn->write ? kept_cursor(txn, table, &cursor) :
	                      mdb_cursor_open(txn->mdb, txn->store->dbi[table], &cursor);
	if (rc)
		return store_error(rc);
	rc = mdb_cursor_get(cursor, key, ret, from ? MDB_SET_RANGE : MDB_FIRST);
	if (!txn->write)
		mdb_cursor_close(cursor);
	return store_error(rc);
}

int table_put(struct txn *txn, enum table table, MDB_val *key, MDB_val *val, unsigned flags)
{
	MDB_cursor *cursor;
	int rc = kept_cursor(txn, table, &cursor);
	return store_error(rc ? rc : mdb_cursor_put(cursor, key, val, flags));
}

int table_del(struct txn *txn, enum table table, MDB_val *key)
{
	MDB_cursor *cursor;
	MDB_val val;
	int rc = kept_cursor(txn, table, &cursor);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, key, &val, MDB_SET);
	if (rc == 0)
		rc = mdb_cursor_del(cursor, 0);
	return store_error(rc);
}
