/* One table's rows, by key. Internal to store*.c. */
#ifndef KEYDIR_STORE_TABLE_H
#define KEYDIR_STORE_TABLE_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <lmdb.h>

/* The tables, and in which file their rows are described:
 *   names   parent inode, name  -> inode and type       store/name.c
 *   inodes  inode               -> entry, short value   store/inode.c
 *   values  inode, chunk        -> bytes                store/chunk.c
 *   xattrs  inode, name         -> bytes                store/xattr.c
 *   expiry  expiry, inode       -> nothing              store/expiry.c
 *   feed    offset              -> event                store/feed_rows.c
 *   idem    idempotency key     -> offset               store/feed_rows.c
 *   meta    "meta" -> struct store_meta, "format" -> u32, "whole_from" -> u64,
 *           "log" -> bytes                            store/log_rows.c
 *           "skipped" -> struct store_skipped         store/skipped.c
 * Numbers in keys are store/rowkey.h's. */
enum table { NAMES, INODES, VALUES, XATTRS, EXPIRY, FEED, IDEM, META, TABLES };

/* The table's name in the file (static). */
const char *table_name(enum table table);

/* All return 0 or a negative errno, -ENOENT for a row that is not there. What a value
 * points to is valid until the transaction writes or ends. */

/* The row of KEY. */
int table_get(struct txn *txn, enum table table, MDB_val *key, MDB_val *ret);
/* The first row, or with FROM the first at or behind KEY; sets *KEY to its key. */
int table_first(struct txn *txn, enum table table, MDB_val *key, bool from, MDB_val *ret);

/* In write transactions; FLAGS are LMDB's. Also -ENOSPC, -EIO. */
int table_put(struct txn *txn, enum table table, MDB_val *key, MDB_val *val, unsigned flags);
int table_del(struct txn *txn, enum table table, MDB_val *key);
/* Puts a row behind all others, so that pages are filled to their end; -EEXIST
 * if one is not before it. */
int table_append(struct txn *txn, enum table table, MDB_val *key, MDB_val *val);
/* Puts or deletes with a cursor of the caller's: puts VAL at KEY or, if it is NULL,
 * deletes the row at the cursor, whose key KEY is. */
int table_change(struct txn *txn, enum table table, MDB_cursor *cursor, MDB_val *key, MDB_val *val,
                 unsigned flags);
/* The feed's first row, and deleting the row of KEY that this has just found: rows
 * leave there while others come at the end, so it has a cursor of its own. */
int table_front(struct txn *txn, MDB_val *key, MDB_val *ret);
int table_front_del(struct txn *txn, MDB_val *key);
/* A snapshot ends: so do its cursors. */
void table_close_cursors(struct txn *txn);
/* Call FN for each row of a table, in the order of keys; stop at a result other than 0 and
 * return it. FN must not write. */
int table_each(struct txn *txn, enum table table,
               int (*fn)(void *arg, struct bytes key, struct bytes value), void *arg);
/* What a nested transaction changed is undone, or kept. */
int table_undo(struct txn *txn);
void table_keep(struct txn *txn);

#endif
