/* Expiry: which entries are over, and when. */
#ifndef KEYDIR_STORE_EXPIRY_H
#define KEYDIR_STORE_EXPIRY_H

#include "common/store/txn.h"

/* The entry that expires first. 0, -ENOENT if none does, -EIO. */
int store_first_expiry(struct txn *txn, int64_t *ret_expiry_ms, uint64_t *ret_ino);
/* The one behind *EXPIRY_MS and *INO, which it replaces. 0, -ENOENT at the end,
 * -EIO. */
int store_next_expiry(struct txn *txn, int64_t *expiry_ms, uint64_t *ino);
/* Whether some entry's time is over by NOW_MS (or it cannot be told): the answer is
 * remembered until the table of expiries is written, for it is asked with each event. */
bool store_may_expire(struct txn *txn, int64_t now_ms);

/* In write transactions: 0, -ENOSPC, -EIO, and of what is not there -ENOENT. After
 * another error the transaction can only be aborted. */
int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino);
int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino);

#endif
