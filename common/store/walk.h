/* Walks through whole tables. */
#ifndef KEYDIR_STORE_WALK_H
#define KEYDIR_STORE_WALK_H

#include "common/store/inode.h"

/* A walk over all inodes by number. */
struct walk;
/* 0 and *RET (walk_close(), before TXN ends), -ENOMEM, -EIO. */
int walk_open(struct txn *txn, struct walk **ret);
/* Moves to the first entry at or behind INO, or to the next one, and decodes it. 0,
 * -ENOENT at the end, -EIO. */
int walk_seek(struct walk *walk, uint64_t ino, struct entry *ret);
int walk_next(struct walk *walk, struct entry *ret);
/* Passes N entries without looking at them. 0, -ENOENT at the end, -EIO. */
int walk_skip(struct walk *walk, uint64_t n);
/* NULL is fine. */
void walk_close(struct walk *walk);

/* For tests and repair: calls FN for each row of each table, with the table's name,
 * except store/log_rows.h's, which differs between equal stores; stops at a result other
 * than 0 and returns it. 0, -EIO. */
int store_each_row(struct txn *txn,
                   int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value),
                   void *arg);

#endif
