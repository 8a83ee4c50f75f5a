/* File tables: helpers that file.c and file_numbers.c share. */
#ifndef KEYDIR_FS_FILE_INTERNAL_H
#define KEYDIR_FS_FILE_INTERNAL_H

#include "fs/file.h"

static inline unsigned count_load(const atomic_uint *count)
{
	return atomic_load_explicit(count, memory_order_acquire);
}

static inline void count_add(atomic_uint *count, int n)
{
	atomic_fetch_add_explicit(count, (unsigned)n, memory_order_acq_rel);
}

/* --- the caller holds files->lock ------------------------------------------ */

/* Return the alias INO, or NULL. */
struct alias *alias_find(struct files *files, uint64_t ino);
/* Remove ALIAS from the tables and free it. */
void alias_drop(struct files *files, struct alias *alias);
/* Remove F from the list of frozen files, if it is in it. */
void file_leave_frozen(struct files *files, struct file *f);
/* Remove F from the table of names, if it is in it. */
void file_leave_names(struct files *files, struct file *f);

#endif
