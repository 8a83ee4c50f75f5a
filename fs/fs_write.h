/* Writing: changes to the private buffer of a file. */
#ifndef KEYDIR_FS_WRITE_H
#define KEYDIR_FS_WRITE_H

#include "fs/mount.h"

/* Both functions are called with F->lock held. */

/* Give F a private buffer, unless it has one: with the value from the store, or empty if EMPTY. F
 * must not be busy. Returns 0 or -errno. */
int write_begin(struct mount *m, struct file *f, bool empty);
/* Set the size of F's buffer to SIZE bytes. Returns 0, -EFBIG, -ENOSPC, -ENOMEM, or the -errno of
 * view_open(). */
int write_resize(struct mount *m, struct file *f, uint64_t size);

#endif
