/* Work: apply queued events (embedded log), follow the feed, call back.
 *
 * The first thread that has work becomes the worker: it works for itself and for all threads
 * that come meanwhile, so that a lone write needs no change of thread and concurrent writers
 * share a commit. A thread that finds the lock taken leaves a note for its holder, which then
 * looks for work once more. The node's own thread does the rest (node.c).
 *
 * Lock: work_lock, which submitting threads only ever try; callbacks are made after it is
 * released. */
#include "common/node/work.h"

#include "common/node/completions.h"
#include "common/node/follow.h"
#include "common/node/internal.h"
#include "common/node/log.h"

/* After this many rounds a worker leaves the rest to the node's thread. */
#define WORK_ROUNDS 64

void work_run(struct node *node)
{
	for (int round = 0;; round++) {
		/* Set the flag before trying the lock, so that its holder looks again after
		 * unlocking. */
		atomic_store(&node->again, true);
		if (pthread_mutex_trylock(&node->work_lock))
			return;
		atomic_store(&node->again, false);
		struct completions done;
		completions_init(&done);
		if (node->log->apply_queued)
			node->log->apply_queued(node, &done);
		follow_feed(node, &done);
		pthread_mutex_unlock(&node->work_lock);
		completions_run(&done);

		pthread_mutex_lock(&node->queue_lock);
		bool more = (node->queue && !atomic_load(&node->waiting_for_space)) ||
		            atomic_load(&node->again);
		pthread_mutex_unlock(&node->queue_lock);
		if (!more)
			return;
		if (round == WORK_ROUNDS) {
			node_shm_wake_self(node->shm);
			return;
		}
	}
}

void work_catch_up(struct node *node)
{
	struct completions done;
	completions_init(&done);
	pthread_mutex_lock(&node->work_lock);
	follow_feed(node, &done);
	pthread_mutex_unlock(&node->work_lock);
	completions_run(&done);
	if (atomic_load(&node->again))
		work_run(node);
}
