/* What the files of the store share. Internal to store*.c. */
#ifndef KEYDIR_STORE_INTERNAL_H
#define KEYDIR_STORE_INTERNAL_H

#include "store.h"

#include <lmdb.h>
#include <pthread.h>

enum table { NAMES, INODES, VALUES, XATTRS, EXPIRY, FEED, IDEM, META, TABLES };
struct store {
	MDB_env *env;
	MDB_dbi dbi[TABLES];
	char *dir;
	bool in_memory;
	pthread_mutex_t idle_lock;
	struct txn *idle; /* protected by idle_lock */
	uint8_t *scratch; /* STORE_CHUNK_SIZE bytes, for the writer */
};

struct txn {
	struct store *store;
	MDB_txn *mdb;
	struct txn *parent;
	struct txn *next_idle;
	bool write;
	MDB_cursor *cursors[TABLES]; /* of a write transaction, see store_table.c */
	struct store_meta meta;
};

/* 0 or the negative errno of an LMDB or system error code. */
int store_error(int rc);

/* Name of a table in the file. */
const char *store_table_name(enum table table);

/* --- store_table.c: 0 or a negative errno, -ENOENT for a row that is not there.
 * What a value points to is valid until the transaction writes or ends. */
int table_get(struct txn *txn, enum table table, MDB_val *key, MDB_val *ret);
/* The first row, or with FROM the first at or behind KEY; sets *KEY to its key. */
int table_first(struct txn *txn, enum table table, MDB_val *key, bool from, MDB_val *ret);
/* In write transactions. FLAGS are LMDB's. */
int table_put(struct txn *txn, enum table table, MDB_val *key, MDB_val *val, unsigned flags);
int table_del(struct txn *txn, enum table table, MDB_val *key);

/* Decodes a row of the table of inodes. 0 or -EIO. */
int store_row_inode(struct bytes key, struct bytes value, struct entry *ret);
/* Writes N as keys have it to TO (STORE_ROW_NUMBER_MAX bytes); how many. It keeps
 * the order of numbers. */
#define STORE_ROW_NUMBER_MAX 9
size_t store_row_number(uint8_t *to, uint64_t n);
/* Bytes of KEY behind its number. */
size_t store_row_rest(struct bytes key);

#endif
