/* Mount point: checks and clears a directory before mounting, and finds the mount on it. */
#ifndef KEYDIR_FS_MOUNTPOINT_H
#define KEYDIR_FS_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Check that DIR is a directory that can be mounted on. If a mount is on it whose process is dead
 * or does not answer, unmount that first and log a warning. Returns 0, or -errno with a sentence in
 * WHY. */
int mountpoint_check(const char *dir, char *why, size_t why_size);

/* Return the number of the FUSE connection that is mounted at DIR, which is its minor device
 * number, or 0 if it is not known. Sends no request. */
unsigned mountpoint_connection(const char *dir);

/* Return the id of the mount that FD is on, or -1 if it is not known. */
int mountpoint_of_fd(int fd);
/* Return the minor device number of the mount with this id, or 0 if there is no such mount. */
unsigned mountpoint_device(int mount);

/* Set the kernel's read-ahead for files of the mount at DIR. Waits until the process of the mount
 * has answered a request. Returns false if it could not be set, for lack of permission or because
 * the mount does not answer. */
bool mountpoint_read_ahead(const char *dir, unsigned connection, unsigned kib);

#endif
