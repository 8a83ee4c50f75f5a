/* Format: the number of the store's format, and whether this version can read it. */
#ifndef KEYDIR_STORE_FORMAT_H
#define KEYDIR_STORE_FORMAT_H

#include <lmdb.h>

#include <stddef.h>

#define STORE_FORMAT 2 /* of the rows that this version reads and writes */

/* Check the format of the store that MDB, any transaction, reads. Returns 0; -ENOENT for a
 * file without a format, such as a new one; -EPROTO for a damaged row; -EOPNOTSUPP with a
 * sentence in WHY for the format of another version; or -EIO. Opens no table but "meta", so
 * the other tables may be of any kind. Thread-safe. */
int store_format_check(MDB_txn *mdb, char *why, size_t why_size);

/* Write a sentence to WHY: LMDB refused the file because of its own format. */
void store_format_say_lmdb(char *why, size_t why_size);

#endif
