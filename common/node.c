/* The node: submit events, learn their outcome, follow the feed.
 *
 * A submitted event is queued with its callback. With the embedded log whoever
 * submits tries to become the worker at once: it applies everything that is
 * queued in one transaction, follows the feed and makes the callbacks, for
 * itself and for those who came meanwhile. So a lone write needs no change of
 * thread, and a crowd shares its commits. If the store syncs to a disk, or
 * another thread works already, the node's own thread or that other one does
 * it. With a log outside, events go to its producer, and the applying process
 * brings them back through the feed.
 *
 * Every outcome comes from the feed, whichever process applied the event: the
 * worker finds its own process's events there by their id.
 *
 * Locks: work_lock, then queue_lock (THREADS.md); none is held when a callback
 * is made, but the follow callback, which runs under work_lock. */
#include "node_internal.h"

#include "apply.h"
#include "clock.h"
#include "key.h"
#include "logger.h"
#include "metrics.h"
#include "quota.h"
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define BATCH_EVENTS 512       /* events applied in one transaction ... */
#define BATCH_BYTES (8u << 20) /* ... or this many bytes of values */
#define FOLLOW_ROWS 256        /* feed rows read from one snapshot */
#define IDLE_MS 1000           /* the thread looks around at least this often */
#define DRAIN_MS 5000          /* a stop waits so long for events under way */
#define LOG_GRACE_MS 1500      /* a write waits so much longer than the log, which says it late */
#define TICK_MS 200            /* between ticks that a log outside gets */
#define WORK_ROUNDS 64         /* a submitter works for others this often, then hands over */
#define MAX_VALUE_LIMIT (UINT64_C(1) << 31)

/* --- callbacks --- */

void finished_init(struct finished *done)
{
	done->first = NULL;
	done->last = &done->first;
	done->waiters = NULL;
}

void finished_add(struct finished *done, struct pending *p)
{
	p->next = NULL;
	*done->last = p;
	done->last = &p->next;
}

static void pending_free(struct pending *p)
{
	event_free(p->ev);
	free(p->owned);
	free(p->feed);
	free(p);
}

void finished_run(struct finished *done)
{
	while (done->first) {
		struct pending *p = done->first;
		done->first = p->next;
		p->done(p->arg, &p->out);
		pending_free(p);
	}
	done->last = &done->first;
	while (done->waiters) {
		struct waiter *w = done->waiters;
		done->waiters = w->next;
		struct outcome out = { .code = w->code, .offset = w->offset };
		w->done(w->arg, &out);
		free(w);
	}
}

void node_forget(struct node *node, struct pending *p)
{
	HASH_DEL(node->pending, p);
	atomic_fetch_sub(&node->ahead, p->growth);
}

void node_finish(struct node *node, uint64_t seq, enum event_outcome code, uint64_t offset)
{
	struct finished done;
	struct pending *p;
	finished_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	HASH_FIND(hh, node->pending, &seq, sizeof seq, p);
	if (p) {
		node_forget(node, p);
		p->out = (struct outcome){ .code = code, .offset = offset };
		finished_add(&done, p);
	}
	pthread_mutex_unlock(&node->queue_lock);
	if (p && code == OUTCOME_UNKNOWN)
		metrics_add(METRIC_WRITES_UNKNOWN, 1);
	finished_run(&done);
}

/* --- following --- */

static void complete(struct node *node, struct feed_event *ev, struct finished *done)
{
	struct pending *p;
	pthread_mutex_lock(&node->queue_lock);
	HASH_FIND(hh, node->pending, &ev->seq, sizeof ev->seq, p);
	if (p)
		node_forget(node, p);
	pthread_mutex_unlock(&node->queue_lock);
	if (!p) {
		free(ev);
		return;
	}
	p->feed = ev;
	p->out = (struct outcome){
		.code = ev->outcome,
		.offset = ev->offset,
		.ino = ev->ino,
		.version = ev->version,
		.number = ev->number,
		.created = ev->created,
		.feed = ev,
	};
	finished_add(done, p);
}

/* Moves the waiters whose wish came true, or whose time is over, to DONE. */
static void settle_waiters(struct node *node, struct finished *done)
{
	uint64_t followed = atomic_load(&node->followed);
	int64_t now = clock_mono_ms();
	pthread_mutex_lock(&node->queue_lock);
	struct waiter **link = &node->waiters;
	while (*link) {
		struct waiter *w = *link;
		bool come = w->acked ? bell_acked(node->bell, w->offset) : followed >= w->offset;
		if (!come && now < w->deadline_ms) {
			link = &w->next;
			continue;
		}
		w->code = come || w->acked ? OUTCOME_OK : OUTCOME_UNKNOWN;
		*link = w->next;
		atomic_fetch_sub(&node->nwaiters, 1);
		w->next = done->waiters;
		done->waiters = w;
	}
	pthread_mutex_unlock(&node->queue_lock);
}

/* Follows at most FOLLOW_ROWS rows. Returns 1 if there may be more, 0 at the end
 * of the feed, -errno if it cannot be read now. */
static int follow_some(struct node *node, struct finished *done)
{
	struct txn *txn;
	int r = txn_read(node->store, &txn);
	if (r < 0)
		return r; /* no slot or memory now: the next round will do it */
	uint64_t from = atomic_load(&node->followed) + (node->any_followed ? 1 : 0), found;
	struct bytes row;
	int n = 0;
	bool gap = false;
	for (; n < FOLLOW_ROWS; n++) {
		r = store_feed_next(txn, from, &found, &row);
		if (r < 0)
			break;
		uint64_t first;
		struct bytes ignored;
		if (found > from && node->any_followed &&
		    store_feed_next(txn, 0, &first, &ignored) == 0 && first == found)
			gap = node->lost = true;
		struct feed_event *ev;
		r = feed_decode(found, row, &ev);
		if (r == -ENOMEM)
			break;
		if (r == 0) {
			if (node->config.follow) {
				if (gap)
					node->config.follow(node->config.follow_arg, NULL, true);
				node->config.follow(node->config.follow_arg, ev, false);
			}
			for (size_t i = 0; i < ev->neffects; i++) {
				int64_t expiry = ev->effects[i].expiry_ms;
				if (expiry && expiry < atomic_load(&node->wake_ms)) {
					atomic_store(&node->wake_ms, expiry);
					bell_ring_self(node->bell);
				}
			}
			if (ev->proc == node->proc)
				complete(node, ev, done);
			else
				free(ev);
		} else {
			logger(LOGGER_ERROR, "feed row is damaged offset=%llu",
			       (unsigned long long)found);
		}
		gap = false;
		node->any_followed = true;
		atomic_store(&node->followed, found);
		from = found + 1;
	}
	txn_abort(txn);
	return n == FOLLOW_ROWS ? 1 : r == -ENOENT ? 0 : r;
}

/* After a gap: what is neither queued nor was found in the feed was applied, and
 * its row is gone. (With a log outside it may still come, or its time ends.) */
static void finish_lost(struct node *node, struct finished *done)
{
	struct pending *p, *tmp;
	if (node->kafka)
		return;
	pthread_mutex_lock(&node->queue_lock);
	uint64_t queued = node->queue ? node->queue->seq : UINT64_MAX;
	HASH_ITER (hh, node->pending, p, tmp) {
		if (p->seq >= queued)
			continue;
		node_forget(node, p);
		p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
		finished_add(done, p);
		metrics_add(METRIC_WRITES_UNKNOWN, 1);
	}
	pthread_mutex_unlock(&node->queue_lock);
}

void node_follow_feed(struct node *node, struct finished *done)
{
	int r;
	do
		r = follow_some(node, done);
	while (r > 0);
	if (r == 0 && node->lost) {
		node->lost = false;
		finish_lost(node, done);
	}
	if (atomic_load(&node->nwaiters))
		settle_waiters(node, done);
}

/* --- the embedded log --- */

/* Takes a batch off the queue, in order. */
static struct pending *take_batch(struct node *node)
{
	struct pending *batch, **end = &batch;
	size_t n = 0, bytes = 0;
	pthread_mutex_lock(&node->queue_lock);
	batch = node->queue;
	while (*end && n < BATCH_EVENTS && bytes < BATCH_BYTES) {
		n++;
		bytes += (*end)->ev->value.len;
		end = &(*end)->next;
	}
	node->queue = *end;
	if (!node->queue)
		node->queue_last = &node->queue;
	*end = NULL;
	pthread_mutex_unlock(&node->queue_lock);
	return batch;
}

/* Whether a tick still has anything to purge; another process may have done it. */
static bool tick_due(struct txn *txn, int64_t now_ms)
{
	int64_t expiry_ms;
	uint64_t ino;
	return store_first_expiry(txn, &expiry_ms, &ino) == 0 && expiry_ms <= now_ms;
}

/* An append makes a value longer than what it carries. Of a transaction nothing
 * is known before its operations were done. */
static bool append_fits(struct txn *txn, const struct event *ev, uint64_t max)
{
	struct view view = { .txn = txn, .now_ms = txn_meta(txn)->log_time_ms };
	struct bytes key = ev->key;
	struct entry e;
	int r;
	if (ev->op != EVENT_APPEND)
		return ev->op != EVENT_TXN;
	if (ev->at) {
		r = view_inode(&view, ev->at, &e);
	} else if (ev->dir) {
		size_t parent = key_parent_len(key.data, key.len), skip = parent ? parent + 1 : 0;
		r = view_name(&view, ev->dir, (const char *)key.data + skip, key.len - skip, &e);
	} else {
		r = view_key(&view, key.data, key.len, &e);
	}
	return r < 0 || e.size + ev->value.len <= max;
}

/* The longest value that the event at OFFSET changed; 0 or a negative errno. */
static int longest_value(struct txn *txn, uint64_t offset, uint64_t *ret)
{
	struct feed_event *ev;
	struct bytes row;
	uint64_t found;
	int r = store_feed_next(txn, offset, &found, &row);
	if (r == 0)
		r = feed_decode(found, row, &ev);
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

/* Applies P's event and looks whether that went over a limit; if so, undoes it
 * and leaves P out. 0 or a negative errno. */
static int apply_within_limits(struct node *node, struct txn *txn, struct pending *p,
                               int64_t now_ms)
{
	struct txn *inner;
	uint64_t before = txn_meta(txn)->used_bytes, offset = txn_meta(txn)->applied + 1;
	uint64_t longest = 0;
	/* A longer name is no reason to refuse a rename; new directories are. */
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
	else if (longest > node->config.max_value)
		p->out.code = OUTCOME_TOO_LARGE;
	else
		return txn_commit(inner);
	p->left_out = true;
	txn_abort(inner);
	return 0;
}

/* Whether it can be told without applying that EV stays within the limits. */
static bool is_surely_within(struct node *node, struct txn *txn, const struct event *ev)
{
	bool appends = ev->op == EVENT_APPEND;
	for (size_t i = 0; i < ev->nops; i++)
		appends |= ev->ops[i].op == EVENT_APPEND;
	uint64_t growth = quota_growth(ev);
	if (growth && txn_meta(txn)->used_bytes + growth > node->config.size_bytes)
		return false;
	return !appends || append_fits(txn, ev, node->config.max_value);
}

/* Applies the events of BATCH in one transaction; those that the limits do not
 * allow, and needless ticks, are marked left_out. 0 or a negative errno, with
 * nothing applied. */
static int apply_batch(struct node *node, struct pending *batch)
{
	struct txn *txn;
	int r = txn_write(node->store, &txn);
	if (r < 0)
		return r;
	struct store_meta *meta = txn_meta(txn);
	int64_t now_ms = clock_wall_ms();
	uint64_t napplied = 0, nrejected = meta->nrejected;
	for (struct pending *p = batch; p; p = p->next) {
		p->left_out = p->ev->op == EVENT_TICK && !tick_due(txn, now_ms);
		p->out = (struct outcome){ .code = OUTCOME_OK };
		if (p->left_out)
			continue;
		if (is_surely_within(node, txn, p->ev))
			r = apply_event(txn, p->ev, meta->applied + 1, now_ms, NULL);
		else
			r = apply_within_limits(node, txn, p, now_ms);
		if (r < 0) {
			txn_abort(txn);
			return r;
		}
		napplied += !p->left_out;
	}
	if (napplied == 0) {
		txn_abort(txn);
		return 0;
	}
	nrejected = meta->nrejected - nrejected;
	r = txn_commit(txn);
	if (r == 0) {
		metrics_add(METRIC_EVENTS_APPLIED, napplied);
		metrics_add(METRIC_EVENTS_REJECTED, nrejected);
	}
	return r;
}

static enum event_outcome outcome_of_error(int r)
{
	return r == -ENOSPC ? OUTCOME_NO_SPACE :
	       r == -ENOMEM ? OUTCOME_NO_MEMORY :
	                      OUTCOME_LOG_DOWN;
}

void node_set_stalled(struct node *node, int err)
{
	int old = atomic_exchange(&node->stalled, err);
	if (err && !old) {
		metrics_add(METRIC_APPLY_STALLS, 1);
		logger(LOGGER_ERROR, "applying stopped: %s store=%s", strerror(err),
		       store_dir(node->store));
	} else if (!err && old) {
		logger(LOGGER_INFO, "applying goes on store=%s", store_dir(node->store));
	}
}

/* Finishes those of BATCH that get no feed event. */
static void finish_left_out(struct node *node, struct pending *batch, struct finished *done)
{
	struct pending *next;
	pthread_mutex_lock(&node->queue_lock);
	for (struct pending *p = batch; p; p = next) {
		next = p->next;
		if (!p->left_out)
			continue;
		if (p->out.code != OUTCOME_OK)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		node_forget(node, p);
		finished_add(done, p);
	}
	pthread_mutex_unlock(&node->queue_lock);
}

/* Applies BATCH whole or, if that fails, event by event, so that one that
 * finds no room does not take the others with it. */
static void apply_or_fail(struct node *node, struct pending *batch, struct finished *done)
{
	int r = apply_batch(node, batch);
	if (r == 0) {
		node_set_stalled(node, 0);
		finish_left_out(node, batch, done);
		return;
	}
	bool alone = !batch->next;
	struct pending *next;
	for (struct pending *p = batch; p; p = next) {
		next = p->next;
		p->next = NULL;
		if (!alone)
			r = apply_batch(node, p);
		node_set_stalled(node, r < 0 ? -r : 0);
		if (r < 0) {
			p->left_out = true;
			p->out.code = outcome_of_error(r);
		}
		finish_left_out(node, p, done);
	}
}

void node_work(struct node *node)
{
	for (int round = 0;; round++) {
		/* Said first: who has the lock looks again when it has let go. */
		atomic_store(&node->again, true);
		if (pthread_mutex_trylock(&node->work_lock))
			return;
		atomic_store(&node->again, false);
		struct finished done;
		finished_init(&done);
		struct pending *batch = node->kafka ? NULL : take_batch(node);
		if (batch) {
			apply_or_fail(node, batch, &done);
			bell_ring_others(node->bell);
		}
		node_follow_feed(node, &done);
		pthread_mutex_unlock(&node->work_lock);
		finished_run(&done);

		pthread_mutex_lock(&node->queue_lock);
		bool more = node->queue || atomic_load(&node->again);
		pthread_mutex_unlock(&node->queue_lock);
		if (!more)
			return;
		if (round == WORK_ROUNDS) {
			bell_ring_self(node->bell);
			return;
		}
	}
}

void node_catch_up(struct node *node)
{
	struct finished done;
	finished_init(&done);
	pthread_mutex_lock(&node->work_lock);
	node_follow_feed(node, &done);
	pthread_mutex_unlock(&node->work_lock);
	finished_run(&done);
	if (atomic_load(&node->again))
		node_work(node);
}

/* --- submitting --- */

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

static enum event_outcome check_submit(struct node *node, const struct event *ev)
{
	if (node->config.read_only)
		return OUTCOME_STOPPING;
	if (event_check(ev))
		return OUTCOME_REJECTED;
	if (!value_fits(ev, node->config.max_value))
		return OUTCOME_TOO_LARGE;
	if (!node->kafka)
		return OUTCOME_OK; /* the rest is looked at in the transaction */
	struct txn *txn;
	if (txn_read(node->store, &txn) < 0)
		return OUTCOME_NO_MEMORY;
	enum event_outcome code = OUTCOME_OK;
	if (ev->op == EVENT_APPEND && !append_fits(txn, ev, node->config.max_value))
		code = OUTCOME_TOO_LARGE;
	else if (!quota_fits(txn, ev, node->config.size_bytes, atomic_load(&node->ahead)))
		code = OUTCOME_NO_SPACE;
	txn_abort(txn);
	return code;
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

void node_submit(struct node *node, const struct event *ev, void *owned, node_done *done, void *arg)
{
	enum event_outcome code = check_submit(node, ev);
	if (code != OUTCOME_OK) {
		if (code == OUTCOME_TOO_LARGE || code == OUTCOME_NO_SPACE)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		refuse(code, owned, done, arg);
		return;
	}
	/* A log outside copies the event itself. */
	struct event *queued = node->kafka ? NULL : take_event(ev, owned);
	struct pending *p = queued || node->kafka ? calloc(1, sizeof *p) : NULL;
	if (!p) {
		event_free(queued);
		refuse(OUTCOME_NO_MEMORY, owned, done, arg);
		return;
	}
	p->ev = queued;
	p->owned = queued ? owned : NULL;
	p->done = done;
	p->arg = arg;
	p->growth = quota_growth(ev);
	/* The log gives up first: it knows whether the event got there. */
	p->deadline_ms = clock_mono_ms() + node->config.write_timeout_ms + LOG_GRACE_MS;

	pthread_mutex_lock(&node->queue_lock);
	if (atomic_load(&node->stopping)) {
		pthread_mutex_unlock(&node->queue_lock);
		event_free(queued);
		free(p);
		refuse(OUTCOME_STOPPING, owned, done, arg);
		return;
	}
	uint64_t seq = p->seq = ++node->seq;
	atomic_fetch_add(&node->ahead, p->growth);
	HASH_ADD(hh, node->pending, seq, sizeof p->seq, p);
	if (queued) {
		queued->proc = node->proc;
		queued->seq = seq;
		*node->queue_last = p;
		node->queue_last = &p->next;
	}
	pthread_mutex_unlock(&node->queue_lock);
	metrics_add(METRIC_EVENTS_SUBMITTED, 1);

	/* P may be gone by now: its outcome can come at any time. */
	if (node->kafka) {
		struct event with_id = *ev;
		with_id.proc = node->proc;
		with_id.seq = seq;
		kafka_submit(node, &with_id);
		free(owned);
	} else if (store_in_memory(node->store)) {
		node_work(node);
	} else {
		bell_ring_self(node->bell);
	}
}

uint64_t node_propose_ino(struct node *node)
{
	uint64_t n = atomic_fetch_add(&node->ino_count, 1);
	return atomic_load(&node->ino_tag) << 28 | (n & 0xfffffff);
}

/* --- waiting --- */

static void add_waiter(struct node *node, uint64_t offset, int64_t timeout_ms, bool acked,
                       node_done *done, void *arg)
{
	struct waiter *w = calloc(1, sizeof *w);
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
	/* The thread looks at it, also if what it waits for came just now. */
	bell_ring_self(node->bell);
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

void node_wait_acked(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done,
                     void *arg)
{
	if (bell_acked(node->bell, offset)) {
		struct outcome out = { .code = OUTCOME_OK, .offset = offset };
		done(arg, &out);
		return;
	}
	add_waiter(node, offset, timeout_ms, true, done, arg);
}

void node_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	if (node->kafka) {
		kafka_barrier(node, timeout_ms, done, arg);
		return;
	}
	/* With the embedded log the store is the end of the log. */
	struct txn *txn;
	struct outcome out = { .code = OUTCOME_NO_MEMORY };
	if (txn_read(node->store, &txn) == 0) {
		out = (struct outcome){ .code = OUTCOME_OK, .offset = txn_meta(txn)->applied };
		txn_abort(txn);
	}
	done(arg, &out);
}

void node_ack(struct node *node, uint64_t offset)
{
	bell_ack(node->bell, offset);
}

/* --- the node's thread --- */

static void tick_done(void *arg, const struct outcome *out)
{
	struct node *node = arg;
	(void)out; /* what is due stays due: the thread looks again */
	atomic_store(&node->ticking, false);
}

/* Submits a tick if something is due; returns the ms until something will be.
 * A log outside has a clock of its own: the tick may find that log time has not
 * come yet, and must not be repeated too fast. */
static int64_t look_at_expiry(struct node *node)
{
	struct txn *txn;
	int64_t expiry_ms = INT64_MAX, now_ms = clock_wall_ms();
	uint64_t ino;
	/* Set first: an event that comes meanwhile lowers it again. */
	atomic_store(&node->wake_ms, INT64_MAX);
	if (node->config.read_only || txn_read(node->store, &txn) < 0)
		return IDLE_MS;
	if (store_first_expiry(txn, &expiry_ms, &ino) < 0)
		expiry_ms = INT64_MAX;
	txn_abort(txn);
	if (expiry_ms <= now_ms) {
		struct event tick = { .op = EVENT_TICK };
		if (atomic_load(&node->stalled) || atomic_exchange(&node->ticking, true))
			return TICK_MS;
		node_submit(node, &tick, NULL, tick_done, node);
		return node->kafka ? TICK_MS : 1; /* more may be due than one event purges */
	}
	if (expiry_ms < atomic_load(&node->wake_ms))
		atomic_store(&node->wake_ms, expiry_ms);
	return expiry_ms - now_ms;
}

/* Finishes what waits too long for a log outside; returns ms to the next one. */
static int64_t look_at_deadlines(struct node *node)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;
	struct finished done;
	struct pending *p, *tmp;
	finished_init(&done);
	settle_waiters(node, &done);
	pthread_mutex_lock(&node->queue_lock);
	for (struct waiter *w = node->waiters; w; w = w->next) {
		if (w->deadline_ms < next)
			next = w->deadline_ms;
	}
	if (node->kafka) {
		/* In order of submission, and all wait equally long. */
		HASH_ITER (hh, node->pending, p, tmp) {
			if (p->deadline_ms > now) {
				if (p->deadline_ms < next)
					next = p->deadline_ms;
				break;
			}
			node_forget(node, p);
			p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
			finished_add(&done, p);
			metrics_add(METRIC_WRITES_UNKNOWN, 1);
		}
	}
	pthread_mutex_unlock(&node->queue_lock);
	finished_run(&done);
	return next == INT64_MAX ? INT64_MAX : next > now ? next - now : 1;
}

/* Tries whether there is room again. A commit as small as this one may find some
 * in the store where what failed did not. */
static void probe(struct node *node)
{
	struct txn *txn;
	int r = txn_write(node->store, &txn);
	if (r == 0)
		r = txn_commit(txn);
	if (r == 0 && !store_has_room(node->store))
		r = -ENOSPC;
	node_set_stalled(node, -r);
}

static void *run(void *arg)
{
	struct node *node = arg;
	while (!atomic_load(&node->stopping)) {
		uint32_t ticket = bell_ticket(node->bell);
		node_work(node);
		int64_t wait_ms = IDLE_MS, ms = look_at_expiry(node);
		if (ms < wait_ms)
			wait_ms = ms;
		ms = look_at_deadlines(node);
		if (ms < wait_ms)
			wait_ms = ms;
		if (!node->kafka && atomic_load(&node->stalled))
			probe(node);
		bell_wait(node->bell, ticket, wait_ms);
	}
	return NULL;
}

/* --- starting and stopping --- */

static int random_u64(uint64_t *ret)
{
	return getrandom(ret, sizeof *ret, 0) == sizeof *ret ? 0 : -errno;
}

/* Makes the volume in a new store; checks that an old one has this kind of log. */
static int open_volume(struct node *node, char *why, size_t why_size)
{
	struct txn *txn;
	uint64_t id[2] = { 0 };
	int r = random_u64(&id[0]);
	if (r == 0)
		r = random_u64(&id[1]);
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
	char volume[40];
	snprintf(volume, sizeof volume, "local-%016llx%016llx", (unsigned long long)id[0],
	         (unsigned long long)id[1]);
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

static int fail(int err, char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s: %s", what, strerror(-err));
	return err;
}

/* A new node starts from a peer's store, if one gives it; else from the log. */
static int take_snapshot(const struct node_config *config, char *why, size_t why_size)
{
	int r = snapshot_fetch(config->peers, config->peer_token, config->store.dir, why, why_size);
	if (r < 0)
		return fail(r, why, why_size, "cannot make the store directory");
	if (r == 0 && why[0])
		logger(LOGGER_WARN, "no snapshot from a peer, replaying the log: %s", why);
	why[0] = '\0';
	return 0;
}

int node_open(const struct node_config *config, struct node **ret, char *why, size_t why_size)
{
	char ignored[8];
	if (!why) {
		why = ignored;
		why_size = sizeof ignored;
	}
	bool kafka = strncmp(config->log, "kafka://", 8) == 0;
	if (!kafka && strcmp(config->log, "local") != 0) {
		snprintf(why, why_size, "--log %s: give local, or kafka://HOST:PORT,.../TOPIC",
		         config->log);
		return -EINVAL;
	}
	if (config->max_value == 0 || config->max_value > MAX_VALUE_LIMIT) {
		snprintf(why, why_size, "--max-value: give 1 to %llu bytes",
		         (unsigned long long)MAX_VALUE_LIMIT);
		return -EINVAL;
	}
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		return fail(-ENOMEM, why, why_size, "cannot start the node");
	node->config = *config;
	node->config.store.logged = kafka;
	node->queue_last = &node->queue;
	pthread_mutex_init(&node->queue_lock, NULL);
	pthread_mutex_init(&node->work_lock, NULL);
	uint64_t tag = 0;
	int r = random_u64(&node->proc);
	if (r == 0)
		r = random_u64(&tag);
	if (r < 0) {
		r = fail(r, why, why_size, "no random numbers");
		goto err_free;
	}
	/* 28 random bits, not too small, and 28 that count. */
	atomic_store(&node->ino_tag, (tag & 0xfffffff) | 0x1000);
	if (kafka && config->peers) {
		r = take_snapshot(config, why, why_size);
		if (r < 0)
			goto err_free;
	}
	r = store_open(&node->config.store, &node->store, why, why_size);
	if (r < 0)
		goto err_free;
	r = bell_open(store_dir(node->store), config->is_mount, &node->bell);
	if (r < 0) {
		r = fail(r, why, why_size, "cannot open the store's bell");
		goto err_store;
	}
	if (kafka)
		r = kafka_open(node, why, why_size);
	else
		r = open_volume(node, why, why_size);
	if (r < 0)
		goto err_bell;
	struct txn *txn;
	r = txn_read(node->store, &txn);
	if (r < 0) {
		r = fail(r, why, why_size, "cannot read the store");
		goto err_kafka;
	}
	atomic_store(&node->followed, txn_meta(txn)->applied);
	node->any_followed = txn_meta(txn)->started;
	txn_abort(txn);
	bell_ack(node->bell, atomic_load(&node->followed));
	if (!kafka)
		atomic_store(&node->ready, true);
	r = -pthread_create(&node->thread, NULL, run, node);
	if (r < 0) {
		r = fail(r, why, why_size, "cannot start the node's thread");
		goto err_kafka;
	}
	*ret = node;
	return 0;

err_kafka:
	if (kafka) {
		kafka_stop(node);
		kafka_free(node);
	}
err_bell:
	bell_close(node->bell);
err_store:
	store_close(node->store);
err_free:
	pthread_mutex_destroy(&node->work_lock);
	pthread_mutex_destroy(&node->queue_lock);
	free(node);
	return r;
}

/* Gives what a log outside has, or is about to get, time to come back. */
static void drain(struct node *node)
{
	int64_t deadline_ms = clock_mono_ms() + DRAIN_MS;
	bool left = true;
	while (left && clock_mono_ms() < deadline_ms) {
		pthread_mutex_lock(&node->queue_lock);
		left = node->pending;
		pthread_mutex_unlock(&node->queue_lock);
		if (left)
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
}

void node_close(struct node *node)
{
	if (!node)
		return;
	struct finished done;
	struct pending *p, *tmp;
	finished_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	atomic_store(&node->stopping, true);
	pthread_mutex_unlock(&node->queue_lock);
	if (node->kafka) {
		drain(node);
		kafka_stop(node);
	}
	bell_ring_self(node->bell);
	pthread_join(node->thread, NULL);
	/* What was submitted before is applied; with a log outside, what has
	 * not come back by now is unknown. */
	pthread_mutex_lock(&node->work_lock);
	pthread_mutex_unlock(&node->work_lock);
	do
		node_work(node);
	while (node->queue);
	HASH_ITER (hh, node->pending, p, tmp) {
		HASH_DEL(node->pending, p);
		p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
		finished_add(&done, p);
	}
	for (struct waiter *w = node->waiters; w; w = w->next)
		w->code = OUTCOME_STOPPING;
	done.waiters = node->waiters;
	node->waiters = NULL;
	finished_run(&done);
	if (node->kafka)
		kafka_free(node);
	bell_close(node->bell);
	store_close(node->store);
	pthread_mutex_destroy(&node->work_lock);
	pthread_mutex_destroy(&node->queue_lock);
	free(node);
}

/* --- asking --- */

struct store *node_store(struct node *node)
{
	return node->store;
}

const struct node_config *node_get_config(const struct node *node)
{
	return &node->config;
}

uint64_t node_offset(struct node *node)
{
	return atomic_load(&node->followed);
}

void node_status(struct node *node, struct node_status *ret)
{
	struct txn *txn;
	*ret = (struct node_status){
		.log = node->config.log,
		.ready = atomic_load(&node->ready),
		.log_up = true,
		.applies = true,
		.followed = atomic_load(&node->followed),
	};
	if (txn_read(node->store, &txn) == 0) {
		ret->applied = ret->log_end = txn_meta(txn)->applied;
		txn_abort(txn);
	}
	pthread_mutex_lock(&node->queue_lock);
	ret->pending = HASH_COUNT(node->pending);
	pthread_mutex_unlock(&node->queue_lock);
	if (node->kafka)
		kafka_status(node, ret);
	int err = atomic_load(&node->stalled);
	if (err) {
		ret->ready = false;
		snprintf(ret->why, sizeof ret->why, "applying waits: %s (store %.80s)",
		         strerror(err), store_dir(node->store));
	}
}
