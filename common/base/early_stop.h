/* Early stop: end a program at once if it receives a stop signal during startup. */
#ifndef KEYDIR_EARLY_STOP_H
#define KEYDIR_EARLY_STOP_H

struct early_stop;

/* Start a thread that waits for SIGTERM and SIGINT, which the caller has blocked in all
 * threads, and ends the process by that signal. Returns 0 and *RET, or -errno. */
int early_stop_begin(struct early_stop **ret);
/* End the thread. From now on the caller handles the signals; none is lost. NULL is
 * allowed. */
void early_stop_end(struct early_stop *stop);

#endif
