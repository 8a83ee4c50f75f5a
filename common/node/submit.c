/* Submit: accept events from the callers of the node.
 *
 * A submitted event is queued together with its callback. With the embedded log, the submitting
 * thread tries to become the worker (work_run()), which applies all queued events in one
 * transaction. So a lone write does not switch threads, and concurrent writes share a commit. A
 * thread that has several events at once (HTTP requests that arrived together) first queues all of
 * them with node_submit_later(), for one commit. If the store syncs to a disk, or another thread is
 * working already, the node's own thread or that worker applies them. With a Kafka log, events go
 * to its producer, and the applying process reads them back and puts them into the feed.
 *
 * Outcomes come from the feed (node/follow.c), whichever process applied the event.
 *
 * Lock: queue_lock, held while an event is numbered and queued, not during a callback. */
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

static void refuse_event(enum event_outcome code, void *owned, node_done *done, void *arg)
{
	struct outcome out = { .code = code };
	free(owned);
	done(arg, &out);
}

/* Return whether every value that EV carries or creates has at most MAX bytes. */
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

/* Decide whether EV may be submitted. Sets *RET_WAIT if there is no space now but may be some
 * soon. */
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

/* Return a copy of EV that owns everything except a value that was handed over. */
static struct event *copy_event(const struct event *ev, const void *owned)
{
	struct event borrowed = *ev;
	if (owned)
		borrowed.value = (struct bytes){ NULL, 0 };
	struct event *copy = event_dup(&borrowed);
	if (copy && owned)
		copy->value = ev->value;
	return copy;
}

/* Submit EV and, unless LATER, apply the queue. Returns whether node_flush() has something to
 * do. */
static bool submit_event(struct node *node, const struct event *ev, void *owned, node_done *done,
                         void *arg, bool later)
{
	bool wait;
	enum event_outcome code = check_submit(node, ev, &wait);
	if (code != OUTCOME_OK) {
		if (code == OUTCOME_TOO_LARGE || code == OUTCOME_NO_SPACE)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		refuse_event(code, owned, done, arg);
		return false;
	}
	/* A Kafka log copies the event itself, unless the event waits for space. */
	bool queue = node->log->workers_apply || wait;
	struct event *queued = queue ? copy_event(ev, owned) : NULL;
	struct submission *p = queued || !queue ? malloc(sizeof(*p)) : NULL;
	if (!p) {
		event_free(queued);
		refuse_event(OUTCOME_NO_MEMORY, owned, done, arg);
		return false;
	}
	*p = (struct submission){
		.ev = queued,
		.owned = queued ? owned : NULL,
		.done = done,
		.arg = arg,
		.growth = queue ? 0 : quota_growth(ev),
		.waiting_for_space = wait,
		/* The log times out first, since it knows whether it has the event. */
		.deadline_ms = deadline_from_now(node),
	};

	pthread_mutex_lock(&node->queue_lock);
	if (atomic_load(&node->stopping)) {
		pthread_mutex_unlock(&node->queue_lock);
		event_free(queued);
		free(p);
		refuse_event(OUTCOME_STOPPING, owned, done, arg);
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

	/* P may have been freed by now: its outcome can come at any time. */
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
	submit_event(node, ev, owned, done, arg, false);
}

bool node_submit_later(struct node *node, const struct event *ev, void *owned, node_done *done,
                       void *arg)
{
	return submit_event(node, ev, owned, done, arg, true);
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
