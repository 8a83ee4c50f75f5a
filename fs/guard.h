/* Guard: a process that aborts the FUSE connection of a killed mount. */
#ifndef KEYDIR_FS_GUARD_H
#define KEYDIR_FS_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

/* Start the guard of this process, whose connection is mounted at DIR. Call it from a thread that
 * lives as long as the mount is served. Returns the guard's process id for guard_stop(), or logs a
 * warning and returns 0 if the guard could not be started. *RET_SETTLED is a descriptor that
 * reaches end of file when the guard no longer uses the mount, and that the caller closes; -1
 * without a guard. Requests must be served until then. */
pid_t guard_start(const char *dir, int *ret_settled);
/* Kill the guard. 0 is fine. */
void guard_stop(pid_t guard);

/* Return whether the program was started as a guard. If so, main() returns guard_main(ARGV). */
bool guard_wanted(int argc, char **argv);
int guard_main(char **argv);

#endif
