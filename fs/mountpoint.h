/* The mount point: what is there before we mount. */
#ifndef KEYDIR_FS_MOUNTPOINT_H
#define KEYDIR_FS_MOUNTPOINT_H

#include <stddef.h>

/* Makes sure that DIR is a directory that can be mounted on. A mount whose
 * process is dead, or does not answer, is taken away first, with a line in the
 * log. 0, or -errno with a sentence in WHY. */
int mountpoint_check(const char *dir, char *why, size_t why_size);

#endif
