/* Holders: whether a process still has a file open that it has just closed once. */
#ifndef KEYDIR_FS_HOLDER_H
#define KEYDIR_FS_HOLDER_H

#include <stdint.h>
#include <sys/types.h>

/* Whether a descriptor below 32 of process (or thread) PID is of a file with the
 * inode number INO: 1 or 0. -errno if that cannot be told: another user's process,
 * one of another PID namespace (PID is 0), a kernel before 5.14. Thread-safe. */
int process_has_open(pid_t pid, uint64_t ino);

#endif
