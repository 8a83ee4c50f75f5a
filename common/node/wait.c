/* Waiting for an offset to be followed, or to be acknowledged by the mounts.
 *
 * The waiters are in one list, which is short: most waits end at once, and a write waits for
 * its outcome instead (node/submission.h). The list is checked each time that the feed was
 * followed or a mount has acknowledged, and by the node's thread for timeouts.
 *
 * Lock: queue_lock guards the list; callbacks are made with no lock held. */
#include "common/node/wait.h"

#include "common/base/clock.h"
#include "common/node/completions.h"
#include "common/node/internal.h"

#include <stdlib.h>

static void add_waiter(struct node *node, uint64_t offset, int64_t timeout_ms, bool acked,
                       node_done *done, void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));
	if (!w) {
		struct outcome out = { .code = OUTCOME_NO_MEMORY };
		done(arg, &out);
		return;
	}
	w->offset = offset;
	w->deadline_ms = clock_mono_ms() + timeout_ms;
	w->acked = acked;
	w->done = done;
	w->arg = arg;
	pthread_mutex_lock(&node->queue_lock);
	w->next = node->waiters;
	node->waiters = w;
	atomic_fetch_add(&node->nwaiters, 1);
	pthread_mutex_unlock(&node->queue_lock);
	/* The offset may have been reached just before W was added: check again. */
	node_shm_wake_self(node->shm);
}

void node_wait(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done, void *arg)
{
	if (atomic_load(&node->followed) >= offset) {
		struct outcome out = { .code = OUTCOME_OK, .offset = offset };
		done(arg, &out);
		return;
	}
	add_waiter(node, offset, timeout_ms, false, done, arg);
}

/* Return whether all mounts have acknowledged OFFSET. Ask about the newest offset first, so
 * that one look at the mounts serves all changes of a commit. A mount that starts after that
 * has cached nothing older. */
static bool is_acked(struct node *node, uint64_t offset)
{
	uint64_t newest = atomic_load(&node->followed);
	if (atomic_load(&node->acked) >= offset)
		return true;
	if (newest >= offset && node_shm_acked(node->shm, newest)) {
		atomic_store(&node->acked, newest);
		return true;
	}
	return node_shm_acked(node->shm, offset);
}

void node_wait_acked(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done,
                     void *arg)
{
	if (is_acked(node, offset)) {
		struct outcome out = { .code = OUTCOME_OK, .offset = offset };
		done(arg, &out);
		return;
	}
	add_waiter(node, offset, timeout_ms, true, done, arg);
}

void wait_settle(struct node *node, struct completions *done)
{
	uint64_t followed = atomic_load(&node->followed);
	int64_t now = clock_mono_ms();
	pthread_mutex_lock(&node->queue_lock);
	struct waiter **link = &node->waiters;
	while (*link) {
		struct waiter *w = *link;
		bool reached = w->acked ? node_shm_acked(node->shm, w->offset) :
		                          followed >= w->offset;
		if (!reached && now < w->deadline_ms) {
			link = &w->next;
			continue;
		}
		w->code = reached ? OUTCOME_OK : OUTCOME_UNKNOWN;
		*link = w->next;
		atomic_fetch_sub(&node->nwaiters, 1);
		w->next = done->waiters;
		done->waiters = w;
	}
	pthread_mutex_unlock(&node->queue_lock);
}

void wait_stop(struct node *node, struct completions *done)
{
	pthread_mutex_lock(&node->queue_lock);
	while (node->waiters) {
		struct waiter *w = node->waiters;
		node->waiters = w->next;
		w->code = OUTCOME_STOPPING;
		w->next = done->waiters;
		done->waiters = w;
	}
	pthread_mutex_unlock(&node->queue_lock);
}

int64_t wait_check(struct node *node)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;
	struct completions done;
	completions_init(&done);
	wait_settle(node, &done);
	pthread_mutex_lock(&node->queue_lock);
	for (struct waiter *w = node->waiters; w; w = w->next) {
		if (w->deadline_ms < next)
			next = w->deadline_ms;
	}
	pthread_mutex_unlock(&node->queue_lock);
	completions_run(&done);
	return next == INT64_MAX ? INT64_MAX : next > now ? next - now : 1;
}
