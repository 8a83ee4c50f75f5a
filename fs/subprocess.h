/* Starting this program anew, as a process that helps this one. */
#ifndef KEYDIR_FS_SUBPROCESS_H
#define KEYDIR_FS_SUBPROCESS_H

#include <sys/types.h>

/* Starts the program that this is with ARGV (ARGV[0] is its name) in directory /,
 * with STDIN as its standard input, or none if that is -1, and no other descriptor
 * of ours that is not close-on-exec. 0 and *RET, or -errno. Thread-safe. */
int subprocess_start(char *const argv[], int stdin_fd, pid_t *ret);

/* What the new process does first: takes NAME, blocks all signals (none that a
 * terminal or a service manager sends is for it), and closes what it inherited
 * beyond stderr. 0 or -errno. */
int subprocess_begin(const char *name);

#endif
