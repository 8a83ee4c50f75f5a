/* Verify: check a store file in a child process before the store is opened. */
#ifndef KEYDIR_STORE_VERIFY_H
#define KEYDIR_STORE_VERIFY_H

#include "common/store/txn.h"

#include <stddef.h>

/* A store file that is open for reading. */
struct store_source {
	struct store *store;
	const char *map;
	size_t len;      /* size of the file */
	uint64_t npages; /* pages that LMDB has allocated so far */
};

/* Uses a file whose size and format are right; its rows are not checked yet. Returns 0 and the meta
 * row in *RET, or -errno; for -EPROTO, WHY may get a sentence. */
typedef int store_file_use(void *arg, const struct store_source *from, struct store_meta *ret,
                           char *why, size_t why_size);

/* Read a whole store file (DIR/data.mdb) that no process has open, in a child process, so that a
 * damaged file cannot end this one, whether the child crashes or loops forever. Check its size, its
 * format and everything that store_audit() checks. Returns 0 and its meta row (RET may be NULL);
 * -EPROTO, also if the child died, or -EOPNOTSUPP, with a sentence in WHY; -ENOSPC; -EIO; -ENOMEM;
 * or -errno if the child cannot be started. Blocks for about 2 s per million keys. Forks, so other
 * threads must not hold a lock for long. */
int store_file_check(const char *dir, struct store_meta *ret, char *why, size_t why_size);
/* Open a store file from elsewhere in a child process, which must contain all of its pages, and call
 * USE with ARG there. Returns the result of USE, or an error like store_file_check(). With USE NULL,
 * do the same as store_file_check(). */
int store_file_use_in_child(const char *dir, store_file_use *use, void *arg, struct store_meta *ret,
                            char *why, size_t why_size);

/* Check STORE with store_audit(). Returns 0 with its meta row (RET may be NULL), or an error of
 * store_audit() with a sentence in WHY. */
int store_audit_and_load(struct store *store, struct store_meta *ret, char *why, size_t why_size);

#endif
