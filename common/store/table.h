/* Table: reads and writes the rows of one table by key. Internal to common/store/. */
#ifndef KEYDIR_STORE_TABLE_H
#define KEYDIR_STORE_TABLE_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <lmdb.h>

/* The tables, and the file that describes the rows of each:
 *   names   parent inode, name  -> inode and type       store/name.c
 *   inodes  inode               -> entry, short value   store/inode.c
 *   values  inode, chunk        -> bytes                store/chunk.c
 *   xattrs  inode, name         -> bytes                store/xattr.c
 *   expiry  expiry, inode       -> nothing              store/expiry.c
 *   feed    offset              -> event                store/feed_rows.c
 *   idem    idempotency key     -> offset               store/feed_rows.c
 *   meta    "meta"              -> struct store_meta    store/txn.c
 *           "format"            -> u32                  store/format.c
 *           "whole_from"        -> u64                  store/txn.c
 *           "log"               -> bytes                store/log_rows.c
 *           "skipped"           -> struct store_skipped store/skipped.c
 * Numbers in keys are encoded by store/rowkey.h. */
enum table { NAMES, INODES, VALUES, XATTRS, EXPIRY, FEED, IDEM, META, TABLES };

/* Return the table's name in the file (static). */
const char *table_name(enum table table);

/* All functions below return 0 or a negative errno, -ENOENT for a missing row. Returned
 * values are valid until the transaction writes or ends. */

/* Find the row of KEY. */
int table_get(struct txn *txn, enum table table, MDB_val *key, MDB_val *ret);
/* Find the first row or, with FROM, the first whose key is KEY or later; set *KEY to its
 * key. */
int table_first(struct txn *txn, enum table table, MDB_val *key, bool from, MDB_val *ret);

/* The following are for write transactions; FLAGS are LMDB's. They also return -ENOSPC and
 * -EIO. */
int table_put(struct txn *txn, enum table table, MDB_val *key, MDB_val *val, unsigned flags);
int table_del(struct txn *txn, enum table table, MDB_val *key);
/* Add a row after all others, which fills pages completely; -EEXIST if its key is not the
 * highest. */
int table_append(struct txn *txn, enum table table, MDB_val *key, MDB_val *val);
/* Use the caller's CURSOR to put VAL at KEY or, if VAL is NULL, to delete the row at the
 * cursor, whose key must be KEY. */
int table_change(struct txn *txn, enum table table, MDB_cursor *cursor, MDB_val *key, MDB_val *val,
                 unsigned flags);
/* Find the feed's first row, and delete the row of KEY that this has just found. They use a
 * cursor of their own, because rows leave at the front while others are added at the end. */
int table_front(struct txn *txn, MDB_val *key, MDB_val *ret);
int table_front_del(struct txn *txn, MDB_val *key);
/* Close the cursors of a snapshot that ends. */
void table_close_cursors(struct txn *txn);
/* Call FN for each row of a table in key order; stop at a result other than 0 and return
 * it. FN must not write. */
int table_each(struct txn *txn, enum table table,
               int (*fn)(void *arg, struct bytes key, struct bytes value), void *arg);
/* Undo, or keep, the changes of a nested transaction. */
int table_undo(struct txn *txn);
void table_keep(struct txn *txn);

#endif
