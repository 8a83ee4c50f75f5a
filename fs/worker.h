/* Worker: runs jobs that a completion must not run itself. */
#ifndef KEYDIR_FS_WORKER_H
#define KEYDIR_FS_WORKER_H

#include <stdbool.h>

/* One job, embedded in the object that it works on, so that queueing cannot fail. */
struct job {
	struct job *next;
	void (*run)(struct job *job); /* may free JOB */
};

struct worker;

/* Start the thread. Returns 0 and *RET, or -errno. */
int worker_start(struct worker **ret);
/* Run the queued jobs, then end the thread. NULL is fine. */
void worker_stop(struct worker *worker);
/* Return whether no job is queued or running. Thread-safe. */
bool worker_idle(struct worker *worker);
/* Queue JOB, which must not be queued already. Thread-safe, never waits. After worker_stop(), or
 * with NULL, the job is not run. */
void worker_add(struct worker *worker, struct job *job);

#endif
