/* Early stop: a program that is told to stop while it starts ends at once. */
#ifndef KEYDIR_EARLY_STOP_H
#define KEYDIR_EARLY_STOP_H

struct early_stop;

/* Start a thread that takes SIGTERM and SIGINT, which the caller has blocked in all
 * threads, and ends the process by that signal. 0 and *RET, or -errno. */
int early_stop_begin(struct early_stop **ret);
/* End the thread: from now on the signals are the caller's to take. None is lost.
 * NULL is fine. */
void early_stop_end(struct early_stop *stop);

#endif
