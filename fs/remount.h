/* Remount: change the flags of an existing mount. */
#ifndef KEYDIR_FS_REMOUNT_H
#define KEYDIR_FS_REMOUNT_H

#include "fs/fs_options.h"

/* Set the flags named in OPTIONS (ro, rw, nodev ...) on the mount at OPTIONS->mountpoint, for
 * `mount -o remount`. Other flags stay as they are, and all other options are ignored. Returns 0,
 * or -errno with a sentence in WHY. */
int remount(const struct fs_options *options, char *why, size_t why_size);
/* Keep the kernel from following symbolic links on the mount at DIR. Returns 0 or -errno. */
int remount_no_symlinks(const char *dir);

#endif
