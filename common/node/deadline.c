/* Write deadlines: answer every write that has waited too long.
 *
 * A separate thread does this, because a hung disk, or another process stopped inside the store's
 * write transaction, blocks the thread that applies as well. The answer states the truth. A
 * queued event is removed from the queue: it was not done (LATE). An event in the hands of a
 * worker, or of a Kafka log, may still be done (UNKNOWN).
 *
 * An event in the hands of a worker stays in the index, without a callback, until the worker
 * finishes it. The readiness check uses its age to see how long applying has been blocked.
 *
 * All writes have the same timeout, so the index is ordered by deadline, and sleeping for one
 * timeout never misses a deadline.
 *
 * Locks: deadline_lock for sleeping, a leaf; queue_lock for the index and the queue. Callbacks run
 * without a lock. */
#include "common/node/deadline.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/completions.h"
#include "common/node/internal.h"
#include "common/node/log.h"
#include "common/node/submission.h"

#include <stdlib.h>

/* A write that is this much older than its timeout shows that applying is blocked. */
#define OVERDUE_MS 1000

/* Return the timeout of a write in ms. */
static int64_t write_limit_ms(const struct node *node)
{
	return node->config.write_timeout_ms + DEADLINE_LOG_GRACE_MS;
}

/* Remove late events from the queue. The first waiting one stays, since the evictor has a
 * pointer to it. Call with queue_lock held. */
static void expire_queued(struct node *node, int64_t now_ms, struct completions *done)
{
	struct submission **link = &node->queue, *p;
	if (*link && atomic_load(&node->waiting_for_space))
		link = &(*link)->next;
	while ((p = *link)) {
		if (p->deadline_ms > now_ms) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		submission_unregister(node, p);
		p->out = (struct outcome){ .code = OUTCOME_LATE };
		completions_add(done, p);
	}
	node->queue_last = link;
}

/* Answer the caller of P, which a worker or the evictor still uses. Call with queue_lock held. */
static void answer_taken(struct submission *p, struct completions *done)
{
	struct submission *copy = calloc(1, sizeof(*copy));
	if (!copy)
		return; /* try again in the next round */
	copy->done = p->done;
	copy->arg = p->arg;
	copy->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
	p->done = NULL;
	completions_add(done, copy);
	metrics_add(METRIC_WRITES_UNKNOWN, 1);
}

/* Answer all late writes. Returns the ms until the next deadline. */
static int64_t expire_writes(struct node *node)
{
	int64_t now_ms = clock_mono_ms(), next_ms = now_ms + write_limit_ms(node);
	struct completions done;
	struct submission *p, *tmp;
	completions_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	if (node->pending && node->pending->deadline_ms <= now_ms)
		expire_queued(node, now_ms, &done);
	HASH_ITER (hh, node->pending, p, tmp) {
		if (p->deadline_ms > now_ms) {
			next_ms = p->deadline_ms;
			break;
		}
		bool waiting = p == node->queue;
		if ((p->queued && !waiting) || !p->done) /* an eviction, or answered already */
			continue;
		if (waiting || node->log->workers_apply) {
			answer_taken(p, &done);
			continue;
		}
		submission_unregister(node, p);
		p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
		completions_add(&done, p);
		metrics_add(METRIC_WRITES_UNKNOWN, 1);
	}
	pthread_mutex_unlock(&node->queue_lock);
	completions_run(&done);
	return next_ms - now_ms;
}

static void *run_deadlines(void *arg)
{
	struct node *node = arg;
	pthread_mutex_lock(&node->deadline_lock);
	while (!node->deadlines_stop) {
		pthread_mutex_unlock(&node->deadline_lock);
		struct timespec until = clock_mono_in(expire_writes(node));
		pthread_mutex_lock(&node->deadline_lock);
		if (!node->deadlines_stop)
			pthread_cond_timedwait(&node->deadline_wake, &node->deadline_lock, &until);
	}
	pthread_mutex_unlock(&node->deadline_lock);
	return NULL;
}

int deadline_open(struct node *node)
{
	pthread_mutex_init(&node->deadline_lock, NULL);
	int r = clock_cond_init(&node->deadline_wake);
	return r < 0 ? r : -pthread_create(&node->deadline_thread, NULL, run_deadlines, node);
}

void deadline_close(struct node *node)
{
	pthread_mutex_lock(&node->deadline_lock);
	node->deadlines_stop = true;
	pthread_cond_signal(&node->deadline_wake);
	pthread_mutex_unlock(&node->deadline_lock);
	pthread_join(node->deadline_thread, NULL);
	pthread_cond_destroy(&node->deadline_wake);
	pthread_mutex_destroy(&node->deadline_lock);
}

int64_t deadline_from_now(const struct node *node)
{
	return clock_mono_ms() + write_limit_ms(node);
}

int64_t deadline_oldest_ms(struct node *node)
{
	pthread_mutex_lock(&node->queue_lock);
	int64_t since_ms = node->pending ? node->pending->deadline_ms - write_limit_ms(node) :
	                                   INT64_MAX;
	pthread_mutex_unlock(&node->queue_lock);
	int64_t now_ms = clock_mono_ms();
	return since_ms < now_ms ? now_ms - since_ms : 0;
}

bool deadline_is_overdue(const struct node *node, int64_t oldest_ms)
{
	return oldest_ms > write_limit_ms(node) + OVERDUE_MS;
}
