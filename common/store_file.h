/* Store files that came from elsewhere: whether one is what it should be. */
#ifndef KEYDIR_STORE_FILE_H
#define KEYDIR_STORE_FILE_H

#include "store_txn.h"

#include <stddef.h>

/* Reads a whole store file (DIR/data.mdb) that came from elsewhere and is not
 * open anywhere: size, format, every row decodable, totals right. 0 and its
 * meta row (RET may be NULL), or -EPROTO with a sentence in WHY, -EIO, -ENOMEM.
 * LMDB may end the process over a damaged page: call it in one that may die. */
int store_file_check(const char *dir, struct store_meta *ret, char *why, size_t why_size);

#endif
