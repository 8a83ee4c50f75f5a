/* Submitting events to the node.
 *
 * A submitted event is queued with its callback. With the embedded log whoever
 * submits tries to become the worker at once (work_run), which applies everything
 * that is queued in one transaction. So a lone write needs no change of thread, and
 * a crowd shares its commits. A thread that has several events at once (HTTP requests
 * that came together) queues them all first, node_submit_later(), for one commit. If
 * the store syncs to a disk, or another thread works already, the node's own thread
 * or that other one does it. With a log outside, events go to its producer, and the
 * applying process brings them back through the feed.
 *
 * Outcomes are node/follow.c's: they come from the feed, whoever applied.
 *
 * Lock: queue_lock, around numbering and queueing an event; none while calling. */
#include "common/node/node.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/deadline.h"
#include "common/node/evictor.h"
#include "common/node/internal.h"
#include "common/node/log.h"
#include "common/node/quota.h"
#include "common/node/submission.h"
#include "common/node/work.h"

#include <errno.h>
#include <stdlib.h>

static void refuse(enum event_outcome code, void *owned, node_done *done, void *arg)
{
	struct outcome out = { .code = code };
	free(owned);
	done(arg, &out);
}

/* The largest value that the event makes or carries. */
static bool value_fits(const struct event *ev, uint64_t max)
{
	bool carries_value = ev->op != EVENT_TXN && ev->op != EVENT_SETXATTR;
	if (carries_value && ev->value.len > max)
		return false;
	if ((ev->op == EVENT_TRUNCATE || ev->op == EVENT_WRITE) && ev->size > max)
		return false;
	for (size_t i = 0; i < ev->nranges; i++) {
		if (ev->ranges[i].off + ev->ranges[i].len > max)
			return false;
	}
	for (size_t i = 0; i < ev->nops; i++) {
		if (!value_fits(&ev->ops[i], max))
			return false;
	}
	return true;
}

/* Sets *RET_HOLD if there is no room now, but may be some soon. */
static enum event_outcome check_submit(struct node *node, const struct event *ev, bool *ret_wait)
{
	*ret_wait = false;
	if (node->config.read_only)
		return OUTCOME_STOPPING;
	if (event_check(ev))
		return OUTCOME_REJECTED;
	if (!value_fits(ev, node_max_value(node)))
		return OUTCOME_TOO_LARGE;
	if (node_apply_stalled(node))
		return OUTCOME_LOG_DOWN;
	return node->log->admit(node, ev, ret_wait);
}

/* A copy of EV that owns all but a value that is handed over. */
static struct event *take_event(const struct event *ev, const void *owned)
{
	struct event borrowed = *ev;
	if (owned)
		borrowed.value = (struct bytes){ NULL, 0 };
	struct event *copy = event_dup(&borrowed);
	if (copy && owned)
		copy->value = ev->value;
	return copy;
}

/* Submits EV and, unless it is to be done LATER, works. Returns whether that is
 * left to do. */
static bool submit(struct node *node, const struct event *ev, void *owned, node_done *done,
                   void *arg, bool later)
{
	bool wait;
	enum event_outcome code = check_submit(node, ev, &wait);
	if (code != OUTCOME_OK) {
		if (code == OUTCOME_TOO_LARGE || code == OUTCOME_NO_SPACE)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		refuse(code, owned, done, arg);
		return false;
	}
	/* A log outside copies the event itself, unless it waits for space. */
	bool queue = node->log->workers_apply || wait;
	struct event *queued = queue ? take_event(ev, owned) : NULL;
	struct submission *p = queued || !queue ? malloc(sizeof(*p)) : NULL;
	if (!p) {
		event_free(queued);
		refuse(OUTCOME_NO_MEMORY, owned, done, arg);
		return false;
	}
	*p = (struct submission){
		.ev = queued,
		.owned = queued ? owned : NULL,
		.done = done,
		.arg = arg,
		.growth = queue ? 0 : quota_growth(ev),
		.waiting_for_space = wait,
		/* The log gives up first: it knows whether the event got there. */
		.deadline_ms = deadline_from_now(node),
	};

	pthread_mutex_lock(&node->queue_lock);
	if (atomic_load(&node->stopping)) {
		pthread_mutex_unlock(&node->queue_lock);
		event_free(queued);
		free(p);
		refuse(OUTCOME_STOPPING, owned, done, arg);
		return false;
	}
	uint64_t seq = submission_register(node, p);
	if (queued) {
		queued->proc = node->proc;
		queued->seq = seq;
		p->queued = true;
		*node->queue_last = p;
		node->queue_last = &p->next;
		if (wait)
			atomic_store(&node->waiting_for_space, true);
	}
	pthread_mutex_unlock(&node->queue_lock);
	metrics_add(METRIC_EVENTS_SUBMITTED, 1);

	/* P may be gone by now: its outcome can come at any time. */
	if (wait) {
		evictor_wake(node);
		return false;
	}
	bool unflushed = node->log->submit(node, ev, seq, later);
	if (!queued)
		free(owned);
	return unflushed;
}

void node_submit(struct node *node, const struct event *ev, void *owned, node_done *done, void *arg)
{
	submit(node, ev, owned, done, arg, false);
}

bool node_submit_later(struct node *node, const struct event *ev, void *owned, node_done *done,
                       void *arg)
{
	return submit(node, ev, owned, done, arg, true);
}

void node_flush(struct node *node)
{
	work_run(node);
}

int node_write_error(struct node *node, int64_t *ret_since_ms)
{
	*ret_since_ms = 0;
	if (node_apply_stalled(node)) {
		int err = atomic_load(&node->stalled);
		return err ? err : EIO;
	}
	*ret_since_ms = atomic_load(&node->away_ms);
	return *ret_since_ms ? EIO : 0;
}

uint64_t node_propose_ino(struct node *node)
{
	uint64_t n = atomic_fetch_add(&node->ino_count, 1);
	return atomic_load(&node->ino_tag) << 28 | (n & 0xfffffff);
}
