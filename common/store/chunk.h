/* Chunks: reads the bytes of values, and writes those that are not inline. */
#ifndef KEYDIR_STORE_CHUNK_H
#define KEYDIR_STORE_CHUNK_H

#include "common/store/inode.h"

/* Size of the chunks of a value that is not inline; a chunk fills 16 pages. */
#define STORE_CHUNK_SIZE 65520

/* Copy up to LEN bytes of E's value from OFF to BUF. Returns the number of bytes copied (0
 * at the end), or -EIO. Holes read as zeros. */
int64_t store_read(struct txn *txn, const struct entry *e, uint64_t off, void *buf, size_t len);

/* The following are for write transactions and return 0, -ENOSPC or -EIO. After an error
 * the transaction can only be aborted. */
/* Write the bytes [off, off + len) of a value that is kept in chunks. Does not change the
 * inode's row. */
int store_chunks_write(struct txn *txn, uint64_t ino, uint64_t off, const void *data, size_t len);
/* Remove all bytes from SIZE on. */
int store_chunks_cut(struct txn *txn, uint64_t ino, uint64_t size);

#endif
