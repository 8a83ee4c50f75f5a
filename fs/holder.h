/* Holders: whether a process still has a file open after it closed one descriptor of it. */
#ifndef KEYDIR_FS_HOLDER_H
#define KEYDIR_FS_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

/* Return whether process (or thread) PID has a file with the inode number INO open as one of its
 * descriptors 0 to 31: 1 or 0. Returns -errno if that is unknown: for another user's process, for
 * one in another PID namespace (PID is 0), or with a kernel before 5.14. Thread-safe. */
int process_has_open(pid_t pid, uint64_t ino);

#endif
