/* Subprocess: executes this program again as a helper process. */
#ifndef KEYDIR_FS_SUBPROCESS_H
#define KEYDIR_FS_SUBPROCESS_H

#include <sys/types.h>

/* Execute this program again with ARGV, whose ARGV[0] is the name of the new process. It starts in
 * the directory /, with STDIN_FD as its standard input (-1: /dev/null), and with /dev/null as
 * standard output and error. It inherits no descriptors that are close-on-exec. Returns 0 and sets
 * *RET to the process id, or returns -errno. Thread-safe. */
int subprocess_start(char *const argv[], int stdin_fd, pid_t *ret);

/* Prepare the new process; call it first there. Sets the process name to NAME, blocks all signals
 * (those of a terminal or a service manager are not meant for a helper), starts a session, and
 * closes all descriptors after standard error. Returns 0 or -errno. */
int subprocess_begin(const char *name);

#endif
