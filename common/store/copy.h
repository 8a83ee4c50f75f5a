/* Copy: make a new store from a store file that another node sent. */
#ifndef KEYDIR_STORE_COPY_H
#define KEYDIR_STORE_COPY_H

#include "common/store/txn.h"

#include <stddef.h>

/* Check the store file DIR/data.mdb like store_file_check(), but copy its rows to a new store in
 * COPY_DIR, an empty directory, and audit that: its pages were written by LMDB here, not by the
 * writer of the original. Returns 0 and the meta row (RET may be NULL), or an error of
 * store_file_check(). Blocks and forks like store_file_check(). */
int store_file_copy(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                    size_t why_size);

#endif
