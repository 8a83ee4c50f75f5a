/* Expiry: entries by the time at which they expire. */
#ifndef KEYDIR_STORE_EXPIRY_H
#define KEYDIR_STORE_EXPIRY_H

#include "common/store/txn.h"

/* Find the entry that expires first. Returns 0, -ENOENT if none expires, or -EIO. */
int store_first_expiry(struct txn *txn, int64_t *ret_expiry_ms, uint64_t *ret_ino);
/* Advance *EXPIRY_MS and *INO to the entry that expires next. Returns 0, -ENOENT at the
 * end, or -EIO. */
int store_next_expiry(struct txn *txn, int64_t *expiry_ms, uint64_t *ino);
/* Return whether some entry has expired at NOW_MS; also true if the table cannot be read.
 * The answer is cached until the table changes, because every event asks. */
bool store_may_expire(struct txn *txn, int64_t now_ms);

/* Add or remove a row, in write transactions. Return 0, -ENOSPC or -EIO; store_expiry_del()
 * returns -ENOENT if the row does not exist. After any other error the transaction can only
 * be aborted. */
int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino);
int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino);

#endif
