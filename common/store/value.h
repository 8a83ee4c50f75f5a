/* Values: replacing, writing into and cutting the bytes of an entry. */
#ifndef KEYDIR_VALUE_H
#define KEYDIR_VALUE_H

#include "common/store/store.h"

/* All change the value's rows and E's size, is_inline and inline_value; the
 * caller writes E's row (store_put) before it uses the transaction for
 * anything else. A value of up to STORE_INLINE_MAX bytes is inline, a longer
 * one is in chunks, whatever its history. BUF (STORE_INLINE_MAX bytes) holds
 * an inline value that was built; it must live until store_put. E's current
 * inline_value may lie in BUF. New sizes are at most EVENT_VALUE_MAX (the caller
 * checks). 0, -ENOSPC, -EIO. */

int value_set(struct txn *txn, struct entry *e, const void *data, size_t len);
/* Bytes between the old end and OFF become zeros. */
int value_write(struct txn *txn, struct entry *e, uint64_t off, const void *data, size_t len,
                uint8_t *buf);
/* Shortens, or lengthens with zeros. */
int value_resize(struct txn *txn, struct entry *e, uint64_t size, uint8_t *buf);

#endif
