/* Embedded log: the implementation of log.h in which the store is the log.
 *
 * A worker (work_run()) applies a batch of queued events in one transaction, which also adds them
 * to the feed. So the store is the log, and a batch is either complete or absent. The worker holds
 * work_lock; the store's write transaction excludes the other processes of the node.
 *
 * The limits (quota, value size) are checked by this node before an event counts as logged: an
 * event that may exceed one is applied in a nested transaction, which is undone if it did. */
#include "common/node/log.h"

#include "common/apply/apply.h"
#include "common/base/clock.h"
#include "common/base/key.h"
#include "common/base/metrics.h"
#include "common/event/feed.h"
#include "common/node/completions.h"
#include "common/node/evictor.h"
#include "common/node/fault.h"
#include "common/node/follow.h"
#include "common/node/internal.h"
#include "common/node/quota.h"
#include "common/node/submission.h"
#include "common/node/volume.h"
#include "common/node/work.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVICTIONS_PER_EVENT 2  /* applied along with each event of a batch ... */
#define EVICTION_BYTES 1024    /* ... and one more for each of these bytes of its values */
#define EVICTIONS_AT_ONCE 32   /* applied in one transaction by the evictor itself */
#define BATCH_EVENTS 512       /* events applied in one transaction ... */
#define BATCH_BYTES (8u << 20) /* ... or this many bytes of values */

struct local_log {
	struct submission *evictions; /* not applied yet; protected by queue_lock */
};

/* Put some evictions in front of BATCH, which has N events with BYTES bytes of values, so
 * that one transaction applies both. Call with queue_lock held. */
static struct submission *add_evictions(struct local_log *log, size_t n, size_t bytes,
                                        struct submission *batch)
{
	if (!log->evictions)
		return batch;
	struct submission *some = submission_cut(&log->evictions,
	                                         EVICTIONS_PER_EVENT * n + bytes / EVICTION_BYTES);
	struct submission *last = some;
	while (last->next)
		last = last->next;
	last->next = batch;
	return some;
}

/* Take a batch off the queue, in order. NULL if nothing can be applied. */
static struct submission *take_batch(struct node *node)
{
	struct submission *batch, **end = &batch;
	size_t n = 0, bytes = 0;
	pthread_mutex_lock(&node->queue_lock);
	batch = atomic_load(&node->waiting_for_space) ? NULL : node->queue;
	if (!batch) {
		pthread_mutex_unlock(&node->queue_lock);
		return NULL;
	}
	while (*end && n < BATCH_EVENTS && bytes < BATCH_BYTES) {
		n++;
		bytes += (*end)->ev->value.len;
		(*end)->queued = (*end)->waiting_for_space = false;
		end = &(*end)->next;
	}
	node->queue = *end;
	if (!node->queue)
		node->queue_last = &node->queue;
	*end = NULL;
	batch = add_evictions(node->log_state, n, bytes, batch);
	pthread_mutex_unlock(&node->queue_lock);
	return batch;
}

/* Return whether a tick still has an entry to purge; another process may have done it. */
static bool tick_due(struct txn *txn, int64_t now_ms)
{
	int64_t expiry_ms;
	uint64_t ino;
	return store_first_expiry(txn, &expiry_ms, &ino) == 0 && expiry_ms <= now_ms;
}

/* Write the bytes of the longest value that the event at OFFSET changed to *RET. Returns 0 or
 * -errno. */
static int longest_value(struct txn *txn, uint64_t offset, uint64_t *ret)
{
	struct feed_event *ev;
	struct bytes row;
	int r = store_feed_get(txn, offset, &row);
	if (r == 0)
		r = feed_decode(offset, row, &ev);
	if (r != 0)
		return r;
	*ret = 0;
	for (size_t i = 0; i < ev->neffects; i++) {
		if (ev->effects[i].kind == FEED_DATA && ev->effects[i].size > *ret)
			*ret = ev->effects[i].size;
	}
	free(ev);
	return 0;
}

/* Apply P's event in a nested transaction and check the limits. If it exceeds one, undo it and set
 * P's outcome, or make P wait for space. Returns 0 or -errno. */
static int apply_within_limits(struct node *node, struct txn *txn, struct submission *p,
                               int64_t now_ms)
{
	struct txn *inner;
	uint64_t before = txn_meta(txn)->used_bytes, offset = txn_meta(txn)->applied + 1;
	uint64_t longest = 0;
	/* A rename may make a name longer, but not create directories. */
	uint64_t slack = p->ev->op == EVENT_RENAME ? KEY_NAME_MAX : 0;
	int r = txn_nest(txn, &inner);
	if (r < 0)
		return r;
	r = apply_event(inner, p->ev, offset, now_ms, NULL);
	if (r == 0)
		r = longest_value(inner, offset, &longest);
	if (r < 0) {
		txn_abort(inner);
		return r;
	}
	uint64_t after = txn_meta(inner)->used_bytes;
	if (after > node->config.size_bytes && after > before + slack)
		p->out.code = OUTCOME_NO_SPACE;
	else if (longest > node_max_value(node))
		p->out.code = OUTCOME_TOO_LARGE;
	else
		return txn_commit(inner);
	p->missing_bytes = after - node->config.size_bytes;
	p->waiting_for_space = p->out.code == OUTCOME_NO_SPACE &&
	                       evictor_may_wait(node, p, after - before, longest);
	p->unlogged = !p->waiting_for_space;
	txn_abort(inner);
	return 0;
}

/* Return whether EV certainly stays within the limits, without applying it. */
static bool is_surely_within(struct node *node, struct txn *txn, const struct event *ev)
{
	bool appends = ev->op == EVENT_APPEND;
	for (size_t i = 0; i < ev->nops; i++)
		appends |= ev->ops[i].op == EVENT_APPEND;
	uint64_t growth = quota_growth(ev);
	if (growth && txn_meta(txn)->used_bytes + growth > node->config.size_bytes)
		return false;
	return !appends || quota_append_fits(txn, ev, node_max_value(node));
}

/* Apply the events of BATCH in one transaction, up to its maximum size. *RET_REST is the first
 * event that was not applied because the transaction is full, or because the event waits for space.
 * Events that exceed a limit, and needless ticks, are marked unlogged. Returns 0, or -errno with no
 * event before *RET_REST applied. */
static int apply_batch(struct node *node, struct submission *batch, struct submission **ret_rest)
{
	struct txn *txn;
	int r = txn_write(node->store, &txn);
	*ret_rest = batch->next;
	if (r < 0)
		return r;
	struct store_meta *meta = txn_meta(txn);
	int64_t now_ms = clock_wall_ms();
	uint64_t napplied = 0, nrejected = meta->nrejected;
	/* Always apply the first event, so that every batch makes progress. */
	for (struct submission *p = batch; p && (p == batch || txn_pages(txn) <= STORE_TXN_PAGES);
	     p = p->next) {
		*ret_rest = p->next;
		p->waiting_for_space = false;
		p->unlogged = p->ev->op == EVENT_TICK && !tick_due(txn, now_ms);
		p->out = (struct outcome){ .code = OUTCOME_OK };
		if (p->unlogged)
			continue;
		if (is_surely_within(node, txn, p->ev))
			r = apply_event(txn, p->ev, meta->applied + 1, now_ms, NULL);
		else
			r = apply_within_limits(node, txn, p, now_ms);
		if (r < 0) {
			txn_abort(txn);
			return r;
		}
		if (p->waiting_for_space) {
			*ret_rest = p;
			break;
		}
		napplied += !p->unlogged;
	}
	/* Every event that leaves the queue has an outcome. */
	assert(*ret_rest != batch || batch->waiting_for_space);
	if (napplied == 0) {
		txn_abort(txn);
		return 0;
	}
	nrejected = meta->nrejected - nrejected;
	uint64_t used_bytes = meta->used_bytes;
	r = txn_commit(txn);
	if (r == 0) {
		evictor_note_usage(node, used_bytes);
		metrics_add(METRIC_EVENTS_APPLIED, napplied);
		metrics_add(METRIC_EVENTS_REJECTED, nrejected);
	}
	return r;
}

static enum event_outcome outcome_of_error(int r)
{
	return r == -ENOSPC ? OUTCOME_STORE_FULL :
	       r == -ENOMEM ? OUTCOME_NO_MEMORY :
	                      OUTCOME_LOG_DOWN;
}

/* Finish the submissions of BATCH that get no feed event. */
static void finish_unlogged(struct node *node, struct submission *batch, struct completions *done)
{
	struct submission *next;
	pthread_mutex_lock(&node->queue_lock);
	for (struct submission *p = batch; p; p = next) {
		next = p->next;
		if (!p->unlogged)
			continue;
		if (p->out.code != OUTCOME_OK)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		submission_unregister(node, p);
		completions_add(done, p);
	}
	pthread_mutex_unlock(&node->queue_lock);
}

/* Apply P as a batch of one event. */
static int apply_alone(struct node *node, struct submission *p, struct submission **ret_rest)
{
	int r = apply_batch(node, p, ret_rest);
	/* The pages that the last commit freed may suffice. */
	if (r == -ENOSPC && store_advance(node->store) == 0)
		r = apply_batch(node, p, ret_rest);
	return r;
}

/* Apply the events from P up to END one by one, after they failed as a batch. Returns the first one
 * that waits for space, or END. */
static struct submission *apply_one_by_one(struct node *node, struct submission *p,
                                           const struct submission *end, struct completions *done)
{
	while (p != end) {
		struct submission *next = p->next, *rest;
		p->next = NULL;
		int r = apply_alone(node, p, &rest);
		fault_set_stalled(node, r < 0 ? -r : 0);
		if (rest == p) {
			p->next = next;
			return p;
		}
		if (r < 0) {
			p->unlogged = true;
			p->out.code = outcome_of_error(r);
		}
		finish_unlogged(node, p, done);
		p = next;
	}
	return p;
}

/* Apply BATCH as a whole or, if that fails, event by event, so that one that finds no space
 * does not take the others with it. Adds the events that get no feed row to DONE. Call with
 * work_lock held. */
static void apply_all(struct node *node, struct submission *batch, struct completions *done)
{
	while (batch) {
		struct submission *rest, *last = batch;
		int r = apply_batch(node, batch, &rest);
		if (r < 0) {
			rest = apply_one_by_one(node, batch, rest, done);
		} else {
			fault_set_stalled(node, 0);
			while (last != rest && last->next != rest)
				last = last->next;
			if (last != rest) {
				last->next = NULL;
				finish_unlogged(node, batch, done);
			}
		}
		batch = rest;
		if (batch && batch->waiting_for_space) {
			evictor_requeue(node, batch);
			return;
		}
	}
}

static void local_apply_queued(struct node *node, struct completions *done)
{
	struct submission *batch = take_batch(node);
	if (!batch)
		return;
	apply_all(node, batch, done);
	node_shm_wake_others(node->shm);
}

/* Try a small commit, which may find space where the one that failed did not. */
static void local_retry_stalled(struct node *node)
{
	int r = store_advance(node->store);
	if (r == 0 && store_room_left(node->store) == 0)
		r = -ENOSPC;
	fault_set_stalled(node, -r);
}

/* Create the volume in a new store; check that an old one has an embedded log. Returns 0 or
 * -errno with a sentence in WHY. */
static int create_volume(struct node *node, char *why, size_t why_size)
{
	struct txn *txn;
	char volume[VOLUME_NAME_MAX];
	int r = volume_new_name("local", volume);
	if (r == 0)
		r = txn_write(node->store, &txn);
	if (r != 0) {
		snprintf(why, why_size, "cannot write to the store: %s", strerror(-r));
		return r;
	}
	struct store_meta *meta = txn_meta(txn);
	if (meta->started) {
		bool local = strncmp(meta->volume, "local-", 6) == 0;
		txn_abort(txn);
		if (local)
			return 0;
		snprintf(why, why_size,
		         "the store %s follows a Kafka log; give that --log, or another --store",
		         store_dir(node->store));
		return -EINVAL;
	}
	struct event format = { .op = EVENT_FORMAT,
		                .proc = node->proc,
		                .name = { volume, strlen(volume) } };
	r = apply_event(txn, &format, 0, clock_wall_ms(), NULL);
	if (r == 0)
		r = txn_commit(txn);
	else
		txn_abort(txn);
	if (r < 0)
		snprintf(why, why_size, "cannot make the volume: %s", strerror(-r));
	return r;
}

static bool local_matches(const char *url)
{
	return strcmp(url, "local") == 0;
}

static int local_open(struct node *node, char *why, size_t why_size)
{
	struct local_log *log = calloc(1, sizeof(*log));
	if (!log) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	int r = create_volume(node, why, why_size);
	if (r < 0) {
		free(log);
		return r;
	}
	node->log_state = log;
	atomic_store(&node->ready, true);
	return 0;
}

static void local_stop(struct node *node)
{
	/* The submissions that wait are applied now, or refused for want of space. */
	pthread_mutex_lock(&node->queue_lock);
	atomic_store(&node->waiting_for_space, false);
	pthread_mutex_unlock(&node->queue_lock);
}

static void local_free(struct node *node)
{
	free(node->log_state);
	node->log_state = NULL;
}

/* Everything else is checked in the transaction that applies the event. */
static enum event_outcome local_admit(struct node *node, const struct event *ev, bool *ret_wait)
{
	(void)node, (void)ev;
	*ret_wait = false;
	return OUTCOME_OK;
}

static bool local_submit(struct node *node, const struct event *ev, uint64_t seq, bool later)
{
	(void)ev, (void)seq;
	/* A commit to a disk takes long: leave it to the node's thread. */
	if (!store_in_memory(node->store))
		node_shm_wake_self(node->shm);
	else if (later)
		return true;
	else
		work_run(node);
	return false;
}

/* Call DONE at once: the store is the log, so its offset is the log's end. */
static void local_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	struct txn *txn;
	struct outcome out = { .code = OUTCOME_NO_MEMORY };
	(void)timeout_ms;
	if (txn_read(node->store, &txn) == 0) {
		out = (struct outcome){ .code = OUTCOME_OK, .offset = txn_meta(txn)->applied };
		txn_abort(txn);
	}
	done(arg, &out);
}

static void local_status(struct node *node, struct node_status *ret)
{
	(void)node;
	ret->log_up = true;
	ret->applies = true;
	ret->log_end = ret->applied;
}

/* --- eviction --- */

static uint64_t local_missing_bytes(struct node *node, struct txn *txn, const struct submission *p)
{
	(void)node, (void)txn;
	return p->missing_bytes;
}

/* Apply the queue again; what still does not fit is requeued. */
static void local_resume_waiting(struct node *node)
{
	pthread_mutex_lock(&node->queue_lock);
	atomic_store(&node->waiting_for_space, false);
	pthread_mutex_unlock(&node->queue_lock);
	work_run(node);
}

static void local_submit_evictions(struct node *node, struct submission *list)
{
	struct local_log *log = node->log_state;
	pthread_mutex_lock(&node->queue_lock);
	for (struct submission *p = list; p; p = p->next) {
		p->ev->seq = submission_register(node, p);
		p->ev->proc = node->proc;
		p->queued = true;
	}
	log->evictions = list;
	pthread_mutex_unlock(&node->queue_lock);
}

static bool has_evictions(struct node *node)
{
	struct local_log *log = node->log_state;
	pthread_mutex_lock(&node->queue_lock);
	bool some = log->evictions;
	pthread_mutex_unlock(&node->queue_lock);
	return some;
}

static void local_apply_evictions(struct node *node)
{
	struct local_log *log = node->log_state;
	while (has_evictions(node)) {
		struct completions done;
		completions_init(&done);
		pthread_mutex_lock(&node->work_lock);
		pthread_mutex_lock(&node->queue_lock);
		struct submission *some = submission_cut(&log->evictions, EVICTIONS_AT_ONCE);
		pthread_mutex_unlock(&node->queue_lock);
		if (some) {
			apply_all(node, some, &done);
			node_shm_wake_others(node->shm);
			follow_feed(node, &done);
		}
		pthread_mutex_unlock(&node->work_lock);
		completions_run(&done);
		if (atomic_load(&node->again))
			work_run(node);
	}
}

const struct log_ops local_log_ops = {
	.workers_apply = true,
	.drops_idle_ticks = true,
	/* Applying tries each event, whatever the last one failed for. */
	.tolerated_faults = 1u << FAULT_BLOCKED | 1u << FAULT_APPLY,
	.matches = local_matches,
	.open = local_open,
	.stop = local_stop,
	.free = local_free,
	.admit = local_admit,
	.submit = local_submit,
	.barrier = local_barrier,
	.status = local_status,
	.apply_queued = local_apply_queued,
	.retry_stalled = local_retry_stalled,
	.missing_bytes = local_missing_bytes,
	.resume_waiting = local_resume_waiting,
	.submit_evictions = local_submit_evictions,
	.apply_evictions = local_apply_evictions,
};
