/* Walk: iterates over whole tables. */
#ifndef KEYDIR_STORE_WALK_H
#define KEYDIR_STORE_WALK_H

#include "common/store/inode.h"

/* An iterator over all inodes in the order of their numbers. */
struct walk;
/* Open a walk. Returns 0 and *RET (walk_close() before TXN ends), -ENOMEM or -EIO. */
int walk_open(struct txn *txn, struct walk **ret);
/* Move to the first entry whose number is INO or higher, or to the next entry, and decode
 * it. Returns 0, -ENOENT at the end, or -EIO. */
int walk_seek(struct walk *walk, uint64_t ino, struct entry *ret);
int walk_next(struct walk *walk, struct entry *ret);
/* Skip N entries without decoding them. Returns 0, -ENOENT at the end, or -EIO. */
int walk_skip(struct walk *walk, uint64_t n);
/* Close the walk. NULL is allowed. */
void walk_close(struct walk *walk);

/* For tests and repair: call FN for each row of each table, with the table's name, except
 * the row of store/log_rows.h, which differs between equal stores. Stop at a result other
 * than 0 and return it. Returns 0 or -EIO otherwise. */
int store_each_row(struct txn *txn,
                   int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value),
                   void *arg);

#endif
