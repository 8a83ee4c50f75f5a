/* Remount: change the flags of an existing mount. */
#ifndef KEYDIR_FS_REMOUNT_H
#define KEYDIR_FS_REMOUNT_H

#include "fs/fs_options.h"

/* Give the mount at OPTIONS->mountpoint the flags that OPTIONS name (ro, rw, nodev ...), as
 * `mount -o remount` asks for; other flags stay, and all other options are ignored. 0, or
 * -errno with a sentence in WHY. */
int remount(const struct fs_options *options, char *why, size_t why_size);
/* Keep the kernel from following symbolic links on the mount at DIR. 0 or -errno. */
int remount_no_symlinks(const char *dir);

#endif
