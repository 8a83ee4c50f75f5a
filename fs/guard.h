/* Guard: a process that aborts the connection of a killed mount. */
#ifndef KEYDIR_FS_GUARD_H
#define KEYDIR_FS_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

/* Start the guard of this process, whose connection is mounted at DIR. Call it from a thread that
 * lives as long as the mount is served. Returns its process id for guard_stop(), or 0, with a
 * warning in the log, if it could not be started. *RET_SETTLED is a descriptor that reaches its
 * end when the guard no longer uses the mount, for which requests must be served; -1 without a
 * guard. */
pid_t guard_start(const char *dir, int *ret_settled);
void guard_stop(pid_t guard);

/* Return whether the program was started as a guard; then it only runs guard_main() and returns its
 * status. */
bool guard_wanted(int argc, char **argv);
int guard_main(char **argv);

#endif
