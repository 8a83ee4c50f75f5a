/* Store files that came from elsewhere: checking and copying them. */
#ifndef KEYDIR_STORE_FILE_H
#define KEYDIR_STORE_FILE_H

#include "common/store/txn.h"

#include <stddef.h>

/* Read a whole store file (DIR/data.mdb) that no process has open: size, format and all
 * of store_audit(). With COPY_DIR, an empty directory, write each row to a new store
 * there before, and audit that instead: its pages are LMDB's, whoever made those of the file. 0 and its meta row (RET may be NULL), or -EPROTO with a sentence in WHY, -ENOSPC,
 * -EIO, -ENOMEM. LMDB may end the process over a damaged page: call store_file_check()
 * instead, or in a process that may die. */
int store_file_read(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                    size_t why_size);

/* Have a child process do the same, so that a damaged file cannot end this one; whatever
 * becomes of the child, even an endless loop, is an answer. Returns what it found, -EPROTO
 * if it died, or -errno if there can be none. Blocks: about 2 s for a million keys. Forks:
 * what other threads there are must hold no lock for long. */
int store_file_check(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                     size_t why_size);

#endif
