/* Verify: checks and copies store files from elsewhere. */
#ifndef KEYDIR_STORE_VERIFY_H
#define KEYDIR_STORE_VERIFY_H

#include "common/store/txn.h"

#include <stddef.h>

/* Read a whole store file (DIR/data.mdb) that no process has open, and check its size, its
 * format and everything that store_audit() checks. With COPY_DIR, an empty directory, first
 * write each row to a new store there and audit that instead: its pages were written by
 * LMDB here, not by the writer of the original. Returns 0 and its meta row (RET may be NULL);
 * -EPROTO for a damaged file or -EOPNOTSUPP for the format of another version, with a
 * sentence in WHY; -ENOSPC; -EIO; or -ENOMEM. LMDB may end the process when it reads a
 * damaged page: call store_file_check() instead, or call this in a process that may die. */
int store_file_read(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                    size_t why_size);

/* Do the same in a child process, so that a damaged file cannot end this one, whether the
 * child crashes or loops forever. Returns the child's result, -EPROTO if it died, or -errno
 * if it cannot be started. Blocks for about 2 s per million keys. Forks, so other threads
 * must not hold a lock for long. */
int store_file_check(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                     size_t why_size);

#endif
