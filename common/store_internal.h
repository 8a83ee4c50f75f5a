/* What the files of the store share. Internal to store*.c. */
#ifndef KEYDIR_STORE_INTERNAL_H
#define KEYDIR_STORE_INTERNAL_H

#include "store.h"

#include <lmdb.h>
#include <pthread.h>

enum table { NAMES, INODES, VALUES, XATTRS, EXPIRY, FEED, IDEM, META, TABLES };
#define ROOM_LEAVES 128

/* Pages that a write transaction may have taken, counted from above. */
struct room {
	uint64_t begin;       /* the first page that no transaction before has used */
	uint64_t single, run; /* taken one by one, and several in a row ... */
	uint64_t nruns;       /* ... so many times */
	uint64_t commit;      /* needed at the end */
	uint64_t free;        /* LMDB's own, once counted ... */
	uint64_t free_runs;   /* ... and rows of RUN_PAGES beside those */
	bool counted;
	bool frees;                    /* may take the last */
	MDB_stat tables[TABLES];       /* as they are now; a depth of 0: not known */
	uintptr_t leaves[ROOM_LEAVES]; /* page numbers in memory, by their last bits */
};

struct store {
	MDB_env *env;
	MDB_dbi dbi[TABLES];
	char *dir;
	bool in_memory;
	bool mapped;       /* LMDB writes through the map: see store_room.c */
	int fd;            /* of the file, LMDB's */
	uint64_t room_end; /* pages before this one are allocated; the writer's */
	struct room room;  /* of the write transaction: there is one at a time */
	pthread_mutex_t idle_lock;
	struct txn *idle; /* protected by idle_lock */
	uint8_t *scratch; /* STORE_CHUNK_SIZE bytes, for the writer */
};

struct txn {
	struct store *store;
	MDB_txn *mdb;       /* a nested one has its parent's */
	struct txn *parent; /* of a nested one */
	struct txn *next_idle;
	bool write;
	int broken;                  /* a part could not be undone: -errno */
	MDB_cursor *cursors[TABLES]; /* see store_table.c */
	MDB_cursor *front;           /* of a write transaction: at the feed's first row */
	struct room *room;           /* of a write transaction, if the store is mapped */
	struct undo *undo;           /* of a nested one: what it changed, the last first */
	uint64_t touched_ino;        /* of the outermost: see store_note_touched(); 0: none */
	int64_t touched_ns;
	bool expiry_known; /* of the outermost: see store_may_expire() */
	int64_t expiry_ms;
	uint64_t whole_from; /* the feed has all rows from here on; 0: all there are */
	struct store_meta meta;
};

/* The transaction that TXN is a part of, or itself. */
static inline struct txn *txn_top(const struct txn *txn)
{
	while (txn->parent)
		txn = txn->parent;
	return (struct txn *)txn;
}

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
/* Puts a row behind all others, so that pages are filled to their end; -EEXIST
 * if one is not before it. */
int table_append(struct txn *txn, enum table table, MDB_val *key, MDB_val *val);
/* The same with a cursor of the caller's: puts VAL at KEY or, if it is NULL,
 * deletes the row at the cursor, whose key KEY is. */
int table_change(struct txn *txn, enum table table, MDB_cursor *cursor, MDB_val *key, MDB_val *val,
                 unsigned flags);
/* The feed's first row, and deleting the row of KEY that this has just found: rows
 * leave there while others come at the end, so it has a cursor of its own. */
int table_front(struct txn *txn, MDB_val *key, MDB_val *ret);
int table_front_del(struct txn *txn, MDB_val *key);
/* A snapshot ends: so do its cursors. */
void table_close_cursors(struct txn *txn);
/* What a nested transaction changed is undone, or kept. */
int table_undo(struct txn *txn);
void table_keep(struct txn *txn);

/* --- store_room.c: all do nothing if the store is not mapped. */
/* A write transaction begins. 0, -ENOSPC ... */
int room_begin(struct txn *txn);
/* Before a row is put (or, without VAL, deleted): 0 if there is room whatever
 * LMDB will need, -ENOSPC. And after it, with what *RET was before. */
int room_for(struct txn *txn, enum table table, size_t key_len, const MDB_val *val, MDB_stat *ret);
void room_used(struct txn *txn, enum table table, MDB_cursor *cursor, size_t key_len,
               const MDB_val *val, const MDB_stat *before);

/* Decodes a row of the table of inodes. 0 or -EIO. */
int store_row_inode(const struct txn *txn, struct bytes key, struct bytes value, struct entry *ret);
/* Writes N as keys have it to TO (STORE_ROW_NUMBER_MAX bytes); how many. It keeps
 * the order of numbers. */
#define STORE_ROW_NUMBER_MAX 9
size_t store_row_number(uint8_t *to, uint64_t n);
/* Bytes of KEY behind its number. */
size_t store_row_rest(struct bytes key);

#endif
