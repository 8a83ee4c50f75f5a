/* Mount point: checks and clears the directory before mounting. */
#ifndef KEYDIR_FS_MOUNTPOINT_H
#define KEYDIR_FS_MOUNTPOINT_H

#include <stdbool.h>
#include <stddef.h>

/* Makes sure that DIR is a directory that can be mounted on. A mount whose
 * process is dead, or does not answer, is taken away first, with a line in the
 * log. 0, or -errno with a sentence in WHY. */
int mountpoint_check(const char *dir, char *why, size_t why_size);

/* The number of the connection that is mounted at DIR: the minor number of its
 * device. 0 if that is not known. Sends no request. */
unsigned mountpoint_connection(const char *dir);

/* Sets how far ahead the kernel reads files of the mount at DIR. Waits for its
 * process to answer. False if we may not. */
bool mountpoint_read_ahead(const char *dir, unsigned connection, unsigned kib);

#endif
