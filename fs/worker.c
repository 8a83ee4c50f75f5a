/* Worker: runs jobs that a completion must not run itself.
 *
 * A completion runs in the node's thread, or inside node_submit(). It may answer a request, but
 * not submit events. Requests that waited for an event and can continue, and events that waited
 * for the outcome of another, are handed to this thread. It is separate from the invalidator,
 * which may have to wait for a lock that the kernel holds for a request that waits here.
 *
 * Lock: worker->lock protects the queue, a leaf; it is not held while a job runs. */
#include "fs/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first; /* protected by lock */
	struct job **last; /* protected by lock */
	bool busy;         /* protected by lock */
	bool stop;         /* protected by lock */
};

static void *run_jobs(void *arg)
{
	struct worker *worker = arg;

	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->first && !worker->stop)
			pthread_cond_wait(&worker->wake, &worker->lock);
		struct job *job = worker->first;
		if (!job)
			break;
		worker->first = job->next;
		if (!worker->first)
			worker->last = &worker->first;
		worker->busy = true;
		pthread_mutex_unlock(&worker->lock);
		job->run(job);
		pthread_mutex_lock(&worker->lock);
		worker->busy = false;
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

int worker_start(struct worker **ret)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return -ENOMEM;
	worker->last = &worker->first;
	int r = -pthread_mutex_init(&worker->lock, NULL);
	if (r < 0)
		goto err_free;
	r = -pthread_cond_init(&worker->wake, NULL);
	if (r < 0)
		goto err_lock;
	r = -pthread_create(&worker->thread, NULL, run_jobs, worker);
	if (r < 0)
		goto err_wake;
	*ret = worker;
	return 0;
err_wake:
	pthread_cond_destroy(&worker->wake);
err_lock:
	pthread_mutex_destroy(&worker->lock);
err_free:
	free(worker);
	return r;
}

void worker_stop(struct worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

bool worker_idle(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	bool idle = !worker->busy && !worker->first;
	pthread_mutex_unlock(&worker->lock);
	return idle;
}

void worker_add(struct worker *worker, struct job *job)
{
	if (!worker)
		return;
	job->next = NULL;
	pthread_mutex_lock(&worker->lock);
	*worker->last = job;
	worker->last = &job->next;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}
