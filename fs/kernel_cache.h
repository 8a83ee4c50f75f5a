/* Kernel cache: which version's size and pages the kernel is given for its page cache. */
#ifndef KEYDIR_FS_KERNEL_CACHE_H
#define KEYDIR_FS_KERNEL_CACHE_H

#include "fs/file.h"

/* Longest time for which an outdated value is given to the kernel. */
#define KERNEL_CACHE_MAX_MS 1000

/* --- the caller holds F->lock ---------------------------------------------- */

/* Update F->last from VIEW, and choose the version for the kernel: F->kernel_content, or the
 * newest version if that is NULL or has been outdated for too long at NOW_MS (clock_mono_ms()).
 * While this mount has changes of its own, F->kernel_content is NULL. Returns 0, -ENOMEM or
 * -EIO. */
int kernel_cache_load(struct file *f, const struct view *view, int64_t now_ms);
/* Choose the version for the kernel without updating F->last, for a logged file without a buffer
 * whose F->last was just updated from VIEW. Returns as kernel_cache_load(). */
int kernel_cache_choose(struct file *f, const struct view *view, int64_t now_ms);

/* Return the content for a read through the kernel's cache, with a reference, or NULL. */
struct content *kernel_cache_content(struct file *f);

/* Give the kernel the newest version from now on. */
void kernel_cache_drop(struct file *f);

/* --- these take F->lock themselves ----------------------------------------- */

/* Drop the version of the file with the kernel's number INO, if it exists and is not frozen. Call
 * it just before notifying the kernel that the value is invalid. */
void kernel_cache_invalidate(struct files *files, uint64_t ino);
/* Do the same for all numbers of the store's inode REAL, whose value this mount has changed. */
void kernel_cache_changed(struct files *files, uint64_t real);

#endif
