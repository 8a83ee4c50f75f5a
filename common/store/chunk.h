/* Values: the bytes of keys. */
#ifndef KEYDIR_STORE_VALUE_H
#define KEYDIR_STORE_VALUE_H

#include "common/store/inode.h"

#define STORE_CHUNK_SIZE 65520 /* values that are not inline: chunks that fill 16 pages */

/* Copies up to LEN bytes of E's value from OFF; returns how many (0 at the
 * end), or -EIO. Holes read as zeros. */
int64_t store_read(struct txn *txn, const struct entry *e, uint64_t off, void *buf, size_t len);

/* In write transactions: 0, -ENOSPC, -EIO. After an error the transaction can only be
 * aborted. */
/* Replaces the bytes [off, off + len) of a value that is kept in chunks. Does
 * not touch the inode's row. */
int store_chunks_write(struct txn *txn, uint64_t ino, uint64_t off, const void *data, size_t len);
/* Removes what lies from SIZE on. */
int store_chunks_cut(struct txn *txn, uint64_t ino, uint64_t size);

#endif
