/* The guard: a process that frees what a killed mount would leave hanging. */
#ifndef KEYDIR_FS_GUARD_H
#define KEYDIR_FS_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts the guard of this process, whose connection is mounted at DIR. Call
 * from a thread that lives as long as the mount is served. Returns its process
 * id for guard_stop(), or 0 if there is none; then a warning is logged. *RET_SETTLED
 * is a descriptor that comes to its end when the guard has done what it does with the
 * mount at the start, for which requests must be served; -1 without a guard. */
pid_t guard_start(const char *dir, int *ret_settled);
void guard_stop(pid_t guard);

/* Whether the program was started to be a guard; then guard_main() is all that
 * it does, and its status. */
bool guard_wanted(int argc, char **argv);
int guard_main(char **argv);

#endif
