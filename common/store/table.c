/* Table: reads and writes the rows of one table by key.
 *
 * A write transaction keeps a cursor for each table that it uses. LMDB finds a key on the
 * cursor's current page without descending from the root, and rows that are applied one
 * after another lie close together: the name that was just looked up and is now written,
 * the next inode, the next row of the feed. The cursors are freed with their transaction. A
 * snapshot keeps a cursor only where it reads consecutive rows; otherwise it reads only a
 * row or two.
 *
 * A nested transaction (txn_nest()) writes like any other and records the previous rows.
 * Undoing writes those back, newest first. LMDB's own nested transactions do not work with
 * MDB_WRITEMAP, and cost more than the few rows that a nested transaction changes here.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A row as it was before a nested transaction changed it. */
struct undo {
	struct undo *next; /* the previous change */
	enum table table;
	bool existed;
	size_t key_len, val_len;
	uint8_t bytes[]; /* key, value */
};

const char *table_name(enum table table)
{
	static const char *const names[TABLES] = {
		"names", "inodes", "values", "xattrs", "expiry", "feed", "idem", "meta",
	};
	return names[table];
}

/* Get the cursor that TXN keeps for a table. */
static int kept_cursor(struct txn *txn, enum table table, MDB_cursor **ret)
{
	int rc = 0;
	txn = txn_top(txn);
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
	int rc = kept_cursor(txn, table, &cursor);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, key, ret, from ? MDB_SET_RANGE : MDB_FIRST);
	return store_error(rc);
}

int table_front(struct txn *txn, MDB_val *key, MDB_val *ret)
{
	struct txn *top = txn_top(txn);
	int rc = 0;
	/* After deleting a row the cursor is at the next one, if that is on the same page. */
	if (top->front && mdb_cursor_get(top->front, key, ret, MDB_GET_CURRENT) == 0)
		return 0;
	if (!top->front)
		rc = mdb_cursor_open(top->mdb, top->store->dbi[FEED], &top->front);
	return store_error(rc ? rc : mdb_cursor_get(top->front, key, ret, MDB_FIRST));
}

void table_close_cursors(struct txn *txn)
{
	for (int t = 0; t < TABLES; t++) {
		if (txn->cursors[t])
			mdb_cursor_close(txn->cursors[t]);
		txn->cursors[t] = NULL;
	}
}

int table_each(struct txn *txn, enum table table,
               int (*fn)(void *arg, struct bytes key, struct bytes value), void *arg)
{
	MDB_cursor *cursor;
	MDB_val key, val;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[table], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
	while (rc == 0 && r == 0) {
		r = fn(arg, (struct bytes){ key.mv_data, key.mv_size },
		       (struct bytes){ val.mv_data, val.mv_size });
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return r || rc == MDB_NOTFOUND ? r : store_error(rc);
}

/* --- changing --- */

/* Record the current row of KEY, which may not exist. */
static int save_undo(struct txn *txn, enum table table, MDB_val *key)
{
	MDB_val old = { 0, NULL };
	int r = store_error(mdb_get(txn->mdb, txn->store->dbi[table], key, &old));
	if (r < 0 && r != -ENOENT)
		return r;
	struct undo *undo = malloc(sizeof(*undo) + key->mv_size + old.mv_size);
	if (!undo)
		return -ENOMEM;
	*undo = (struct undo){ txn->undo, table, r == 0, key->mv_size, old.mv_size };
	memcpy(undo->bytes, key->mv_data, key->mv_size);
	if (old.mv_size)
		memcpy(undo->bytes + key->mv_size, old.mv_data, old.mv_size);
	txn->undo = undo;
	return 0;
}

/* Put VAL at KEY or, if VAL is NULL, delete the row at CURSOR. TOP is the outermost
 * transaction. */
static int change_row(struct txn *top, enum table table, MDB_cursor *cursor, MDB_val *key,
                      MDB_val *val, unsigned flags)
{
	size_t key_len = key->mv_size;
	MDB_stat before;
	int r = reserve_pages(top, table, key_len, val, &before);
	if (r == 0)
		r = store_error(val ? mdb_cursor_put(cursor, key, val, flags) :
		                      mdb_cursor_del(cursor, 0));
	if (r == 0)
		account_pages(top, table, cursor, key_len, val, &before);
	return r;
}

int table_change(struct txn *txn, enum table table, MDB_cursor *cursor, MDB_val *key, MDB_val *val,
                 unsigned flags)
{
	int r = txn->parent ? save_undo(txn, table, key) : 0;
	return r < 0 ? r : change_row(txn_top(txn), table, cursor, key, val, flags);
}

int table_put(struct txn *txn, enum table table, MDB_val *key, MDB_val *val, unsigned flags)
{
	MDB_cursor *cursor;
	int rc = kept_cursor(txn, table, &cursor);
	return rc ? store_error(rc) : table_change(txn, table, cursor, key, val, flags);
}

int table_append(struct txn *txn, enum table table, MDB_val *key, MDB_val *val)
{
	/* Use a new cursor: LMDB would treat one that was at the end before as still being
	 * there. */
	struct txn *top = txn_top(txn);
	mdb_cursor_close(top->cursors[table]);
	top->cursors[table] = NULL;
	return table_put(txn, table, key, val, MDB_APPEND);
}

int table_del(struct txn *txn, enum table table, MDB_val *key)
{
	MDB_cursor *cursor;
	MDB_val val;
	int rc = kept_cursor(txn, table, &cursor);
	if (rc == 0)
		rc = mdb_cursor_get(cursor, key, &val, MDB_SET);
	return rc ? store_error(rc) : table_change(txn, table, cursor, key, NULL, 0);
}

int table_front_del(struct txn *txn, MDB_val *key)
{
	return table_change(txn, FEED, txn_top(txn)->front, key, NULL, 0);
}

/* --- undoing --- */

/* Write back the row that UNDO recorded. */
static int restore_row(struct txn *top, struct undo *undo)
{
	MDB_val key = { undo->key_len, undo->bytes },
	        val = { undo->val_len, undo->bytes + key.mv_size };
	MDB_val now;
	MDB_cursor *cursor;
	int rc = kept_cursor(top, undo->table, &cursor);
	if (rc)
		return store_error(rc);
	if (undo->existed)
		return change_row(top, undo->table, cursor, &key, &val, 0);
	rc = mdb_cursor_get(cursor, &key, &now, MDB_SET);
	if (rc == MDB_NOTFOUND)
		return 0; /* the change was tried and failed */
	return rc ? store_error(rc) : change_row(top, undo->table, cursor, &key, NULL, 0);
}

int table_undo(struct txn *txn)
{
	struct txn *top = txn_top(txn);
	int r = 0;
	top->touched_ino = 0;
	top->expiry_known = false;
	mdb_cursor_close(top->front); /* rows may be restored before its current row */
	top->front = NULL;
	while (txn->undo) {
		struct undo *undo = txn->undo;
		txn->undo = undo->next;
		if (r == 0)
			r = restore_row(top, undo);
		free(undo);
	}
	return r;
}

void table_keep(struct txn *txn)
{
	bool hand_over = txn->parent && txn->parent->parent;
	struct undo **end = &txn->undo;
	if (hand_over) { /* the surrounding transaction can still be undone */
		while (*end)
			end = &(*end)->next;
		*end = txn->parent->undo;
		txn->parent->undo = txn->undo;
		txn->undo = NULL;
	}
	while (txn->undo) {
		struct undo *undo = txn->undo;
		txn->undo = undo->next;
		free(undo);
	}
}
