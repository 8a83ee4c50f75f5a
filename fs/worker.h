/* The worker: runs what a completion must not do itself. */
#ifndef KEYDIR_FS_WORKER_H
#define KEYDIR_FS_WORKER_H

#include <stdbool.h>

/* One thing to run; part of what it is about, so that queueing cannot fail. */
struct job {
	struct job *next;
	void (*run)(struct job *job); /* may free JOB */
};

struct worker;

/* Starts the thread. 0 and *RET, or -errno. */
int worker_start(struct worker **ret);
/* Runs what is queued, then ends the thread. NULL is fine. */
void worker_stop(struct worker *worker);
/* True if nothing is queued or running. Thread-safe. */
bool worker_idle(struct worker *worker);
/* Queues JOB, which is not queued already. Thread-safe, never waits. Once the
 * worker is stopped (or NULL) nothing is run any more. */
void worker_add(struct worker *worker, struct job *job);

#endif
