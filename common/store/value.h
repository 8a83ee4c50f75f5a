/* Value: replaces, writes into and resizes the bytes of an entry. */
#ifndef KEYDIR_VALUE_H
#define KEYDIR_VALUE_H

#include "common/store/store.h"

/* All functions change the rows of the value and E's size, is_inline and inline_value. The
 * caller must write E's row (store_put()) before using the transaction for anything else.
 *
 * A value of up to STORE_INLINE_MAX bytes is always inline, and a longer one is always in
 * chunks, whatever its history. BUF (STORE_INLINE_MAX bytes) receives an inline value that
 * is built here; it must live until store_put(). E's current inline_value may lie in BUF.
 * New sizes must not exceed STORE_VALUE_MAX (the caller checks). All return 0, -ENOSPC or
 * -EIO. */

int value_set(struct txn *txn, struct entry *e, const void *data, size_t len);
/* Write LEN bytes at OFF. Bytes between the old end and OFF become zeros. */
int value_write(struct txn *txn, struct entry *e, uint64_t off, const void *data, size_t len,
                uint8_t *buf);
/* Shorten the value to SIZE bytes, or extend it with zeros. */
int value_resize(struct txn *txn, struct entry *e, uint64_t size, uint8_t *buf);

#endif
