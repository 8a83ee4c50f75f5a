/* Evictor: a thread that makes space, and writes that wait for it.
 *
 * A write into a cache that is nearly full wakes the evictor's thread in the same process. The
 * thread chooses victims from a snapshot (node/evict.c), submits an event for each, waits until all
 * of them are applied, and checks again, until usage is down to the low mark. It starts at the high
 * mark, a little below the quota, so that writers seldom reach the quota itself. Only processes
 * that write evict. When several nodes write at once, each of them evicts; since each checks again
 * after every round, with the evictions of all nodes applied, together they go below the low mark
 * by at most one round of each node.
 *
 * With the embedded log, evicting needs work_lock and the store's write transaction, for which
 * writers would have to wait, a long time on a busy machine. So the evictor leaves its events in a
 * list, and each batch of writes applies a few of them in its own transaction. The evictor itself
 * applies those that no writer takes, or that are needed now, a few at a time.
 *
 * A write that finds no space waits in the queue, together with all later writes (an append must
 * not overtake another), until the evictor has made space or has found nothing to evict; then it
 * fails with ENOSPC. It waits at most for --write-timeout, the same as for the log. A write that
 * could never fit is refused at once, and nothing is evicted for it. With the embedded log,
 * applying finds that there is no space (node/local_log.c) and puts the submissions back into the
 * queue. With a Kafka log, submitting finds it, and the evictor passes the waiting writes to the
 * producer when there is space.
 *
 * An event of an eviction names its victim by inode number and version, so it does nothing if the
 * entry has been changed, moved or evicted by another node in the meantime (EVENTS.md). The entry
 * that the first waiting write concerns is not evicted.
 *
 * Locks: evictor.lock guards the fields that the thread waits for. It is taken inside work_lock,
 * and no lock is taken inside it. queue_lock guards the queue and `waiting_for_space`. */
#include "common/node/evictor.h"

#include "common/base/clock.h"
#include "common/base/key.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/base/random.h"
#include "common/node/completions.h"
#include "common/node/deadline.h"
#include "common/node/internal.h"
#include "common/node/log.h"
#include "common/node/quota.h"
#include "common/node/recency.h"
#include "common/node/submission.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IN_USE_MS 1000 /* interval of the queries for entries in use */
#define MARGIN 32      /* this fraction of the quota is kept free ... */
#define MARGIN_MAX (UINT64_C(64) << 20)
#define UNTAKEN_MS 10    /* after this the evictor applies evictions that no writer has taken */
#define DRY_ROUNDS 8     /* rounds without a victim until there is nothing to evict */
#define DRY_MS 10        /* pause between them */
#define SURVEY_ROWS 8192 /* rows of the survey read from one snapshot */

struct evictor {
	struct node *node;
	struct evict *evict;
	uint64_t high, low; /* bytes: evict above `high`, down to `low` */
	pthread_t thread;
	bool runs;
	atomic_bool stopping;
	atomic_bool wanted; /* written with the lock; read without it on the fast path */
	int64_t pinned_ms; /* time of the last query for entries in use; used by the thread alone */

	pthread_mutex_t lock;
	pthread_cond_t wake;

	unsigned
	        under_way; /* submitted evictions without an outcome; protected by lock, like ... */
	unsigned failed;   /* ... the number of those that were not logged, and ... */
	enum event_outcome failure; /* ... the reason */

	/* Used by the thread alone. */
	struct evict_victim victims[EVICT_MAX];
	struct submission *round; /* events of the victims, not submitted yet */
};

/* --- waking and waiting --- */

static void request_space(struct evictor *ev)
{
	pthread_mutex_lock(&ev->lock);
	atomic_store(&ev->wanted, true);
	pthread_cond_signal(&ev->wake);
	pthread_mutex_unlock(&ev->lock);
}

void evictor_note_usage(struct node *node, uint64_t used_bytes)
{
	struct evictor *ev = node->evictor;
	if (ev && used_bytes > ev->high && !atomic_load(&ev->wanted))
		request_space(ev);
}

void evictor_wake(struct node *node)
{
	metrics_add(METRIC_WRITES_HELD, 1);
	request_space(node->evictor);
}

/* Wait until the evictor is wanted or MS have passed. Returns true if it is wanted. */
static bool wait_wanted(struct evictor *ev, int64_t ms)
{
	struct timespec until = clock_mono_in(ms);
	int r = 0;
	pthread_mutex_lock(&ev->lock);
	while (r == 0 && !atomic_load(&ev->wanted) && !atomic_load(&ev->stopping))
		r = pthread_cond_timedwait(&ev->wake, &ev->lock, &until);
	bool wanted = atomic_exchange(&ev->wanted, false);
	pthread_mutex_unlock(&ev->lock);
	return wanted;
}

static void pause_dry(struct evictor *ev)
{
	if (!atomic_load(&ev->stopping))
		nanosleep(&(struct timespec){ .tv_nsec = DRY_MS * 1000000 }, NULL);
}

/* --- which writes may wait --- */

/* Return whether P has not timed out yet. */
static bool is_in_time(const struct submission *p)
{
	return clock_mono_ms() < p->deadline_ms - DEADLINE_LOG_GRACE_MS;
}

bool evictor_may_wait(struct node *node, const struct submission *p, uint64_t growth,
                      uint64_t longest)
{
	struct evictor *ev = node->evictor;
	uint64_t size = node->config.size_bytes;
	return ev && !atomic_load(&ev->stopping) && growth <= size &&
	       longest + STORE_ENTRY_COST <= size && is_in_time(p);
}

bool evictor_event_may_wait(struct node *node, struct txn *txn, const struct event *event)
{
	struct evictor *ev = node->evictor;
	return ev && !atomic_load(&ev->stopping) &&
	       quota_can_fit(txn, event, node->config.size_bytes);
}

void evictor_requeue(struct node *node, struct submission *list)
{
	struct submission **end = &list;
	pthread_mutex_lock(&node->queue_lock);
	for (; *end; end = &(*end)->next)
		(*end)->queued = true;
	*end = node->queue;
	if (!node->queue)
		node->queue_last = end;
	node->queue = list;
	atomic_store(&node->waiting_for_space, true);
	pthread_mutex_unlock(&node->queue_lock);
	evictor_wake(node);
}

/* --- writes that wait --- */

void evictor_refuse_waiting(struct node *node, enum event_outcome code, bool all)
{
	struct completions done;
	completions_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	while (atomic_load(&node->waiting_for_space) && node->queue) {
		struct submission *p = submission_dequeue(node);
		submission_unregister(node, p);
		p->out = (struct outcome){ .code = code };
		completions_add(&done, p);
		if (code == OUTCOME_NO_SPACE)
			metrics_add(METRIC_WRITES_REFUSED, 1);
		if (!all)
			break;
	}
	if (!node->queue)
		atomic_store(&node->waiting_for_space, false);
	pthread_mutex_unlock(&node->queue_lock);
	completions_run(&done);
}

/* --- evicting --- */

static void eviction_done(void *arg, const struct outcome *out)
{
	struct evictor *ev = arg;
	pthread_mutex_lock(&ev->lock);
	ev->under_way--;
	/* A changed or missing entry is not a failure: the eviction was logged and had no
	 * effect. */
	if (out->offset == 0 && out->code != OUTCOME_OK) {
		ev->failed++;
		ev->failure = out->code;
	}
	if (ev->under_way == 0)
		pthread_cond_signal(&ev->wake);
	pthread_mutex_unlock(&ev->lock);
}

/* Add EVENT to the round. */
static void plan_event(struct evictor *ev, const struct event *event)
{
	struct submission *p = calloc(1, sizeof(*p));
	struct event *copy = p ? event_dup(event) : NULL;
	if (!copy) {
		free(p);
		return;
	}
	p->ev = copy;
	p->done = eviction_done;
	p->arg = ev;
	p->deadline_ms = deadline_from_now(ev->node);
	p->next = ev->round;
	ev->round = p;
}

static void plan_victim(struct evictor *ev, const struct view *view, const struct evict_victim *v)
{
	char key[KEY_MAX];
	int64_t len = view_path(view, v->ino, key, sizeof(key));
	struct event event = {
		.op = v->dir ? EVENT_RMDIR : EVENT_DEL,
		.at = v->ino,
		.key = { key, len > 0 ? (size_t)len : 0 },
		.flags = EVENT_EVICT,
		.cond = IF_VERSION,
		.if_version = v->version,
	};
	plan_event(ev, &event);
}

/* Return the inode number of the entry that EVENT concerns, or 0. */
static uint64_t target_of(const struct view *view, const struct event *event)
{
	struct entry e;
	int r = -ENOENT;
	if (event->at)
		return event->at;
	if (event->dir) {
		size_t skip = key_name_start(event->key.data, event->key.len);
		r = view_name(view, event->dir, (const char *)event->key.data + skip,
		              event->key.len - skip, &e);
	} else if (event->key.len) {
		r = view_key(view, event->key.data, event->key.len, &e);
	}
	return r < 0 ? 0 : e.ino;
}

static int by_inode(const void *a, const void *b)
{
	const struct evict_victim *x = a, *y = b;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Choose victims and add their events to the round. Returns the number of victims or -errno.
 * *RET_MORE is false if there is enough space; with 0 victims, true means that none was found. */
static int plan_round(struct evictor *ev, bool *ret_more)
{
	struct node *node = ev->node;
	struct submission *waiting = submission_first_waiting(node);
	struct view view;
	*ret_more = true;
	int r = view_open(node->store, &view);
	if (r < 0)
		return r;
	uint64_t used = txn_meta(view.txn)->used_bytes + atomic_load(&node->inflight_bytes);
	uint64_t want = 0, spare = 0;
	if (waiting) {
		want = node->log->missing_bytes(node, view.txn, waiting);
		want += (ev->high - ev->low) / 4;
		spare = target_of(&view, waiting->ev);
	} else if (used > ev->low) {
		want = used - ev->low;
	}
	*ret_more = want > 0;
	int64_t expiry_ms;
	uint64_t ino;
	int n = want ? evict_choose(ev->evict, view.txn, view.now_ms, want, spare, ev->victims) : 0;
	/* Do not evict values that large as long as no write waits for the space. */
	for (int i = 0; !waiting && i < n; i++) {
		if (ev->victims[i].bytes > node->config.size_bytes - ev->high) {
			n = i;
			*ret_more = n > 0;
		}
	}
	/* All of them are evicted: in order of inode number neighbours share pages, which costs
	 * less. */
	if (n > 1)
		qsort(ev->victims, (size_t)n, sizeof(ev->victims)[0], by_inode);
	for (int i = n - 1; i >= 0; i--)
		plan_victim(ev, &view, &ev->victims[i]);
	/* Purging expired entries makes space, too. A tick submitted the usual way may have to wait
	 * in the queue after the writes that wait for space. */
	if (waiting && store_first_expiry(view.txn, &expiry_ms, &ino) == 0 &&
	    expiry_ms <= view.now_ms) {
		struct event tick = { .op = EVENT_TICK };
		plan_event(ev, &tick);
	}
	view_close(&view);
	return n;
}

/* Wait until writers have taken the whole round. Returns early when they take no more, or
 * cannot. */
static void wait_taken(struct evictor *ev)
{
	pthread_mutex_lock(&ev->lock);
	unsigned before = ev->under_way + 1;
	while (ev->under_way && ev->under_way < before && !atomic_load(&ev->stopping) &&
	       !atomic_load(&ev->node->waiting_for_space)) {
		struct timespec until = clock_mono_in(UNTAKEN_MS);
		before = ev->under_way;
		pthread_cond_timedwait(&ev->wake, &ev->lock, &until);
	}
	pthread_mutex_unlock(&ev->lock);
}

/* Submit the round and wait until all of it has ended. Returns false if none of it got into the
 * log. */
static bool run_round(struct evictor *ev)
{
	unsigned n = 0;
	for (struct submission *p = ev->round; p; p = p->next)
		n++;
	if (n == 0)
		return true;
	pthread_mutex_lock(&ev->lock);
	ev->under_way += n;
	ev->failed = 0;
	pthread_mutex_unlock(&ev->lock);
	metrics_add(METRIC_EVICTIONS, n);
	const struct log_ops *log = ev->node->log;
	struct submission *round = ev->round;
	ev->round = NULL;
	log->submit_evictions(ev->node, round);
	if (log->apply_evictions) {
		wait_taken(ev);
		log->apply_evictions(ev->node);
	}
	pthread_mutex_lock(&ev->lock);
	while (ev->under_way && !atomic_load(&ev->stopping))
		pthread_cond_wait(&ev->wake, &ev->lock);
	bool all_failed = ev->failed == n;
	pthread_mutex_unlock(&ev->lock);
	return !all_failed;
}

/* Query the entries in use, at most every IN_USE_MS. */
static void pin_entries_in_use(struct evictor *ev)
{
	const struct node_config *config = &ev->node->config;
	int64_t now = clock_mono_ms();
	if (!config->in_use || now < ev->pinned_ms + IN_USE_MS)
		return;
	ev->pinned_ms = now;
	config->in_use(config->in_use_arg, ev->node);
}

/* Evict until there is enough space or nothing to evict. */
static void make_space(struct evictor *ev)
{
	struct node *node = ev->node;
	int dry = 0;
	while (!atomic_load(&ev->stopping)) {
		bool more, ticks;
		pin_entries_in_use(ev);
		int n = plan_round(ev, &more);
		if (!more)
			return;
		ticks = n <= 0 && ev->round;
		dry = n > 0 ? 0 : dry + 1;
		struct submission *waiting = submission_first_waiting(node);
		if (!run_round(ev)) {
			/* A Kafka log refuses the other writes as well. */
			evictor_refuse_waiting(node, ev->failure, !node->log->workers_apply);
			if (!waiting)
				return;
		} else if (dry == DRY_ROUNDS || (waiting && !is_in_time(waiting))) {
			if (!waiting)
				return;
			evictor_refuse_waiting(node, OUTCOME_NO_SPACE, false);
			dry = 0;
		} else if (n < 0 || ticks) {
			pause_dry(
			        ev); /* an entry expired by our clock may not have expired by the log's */
		}
		if (atomic_load(&node->waiting_for_space))
			node->log->resume_waiting(node);
	}
}

/* Survey the keys before the cache is full. */
static void survey_keys(struct evictor *ev)
{
	bool more = true;
	while (more && !atomic_load(&ev->stopping) && !atomic_load(&ev->wanted)) {
		struct txn *txn;
		if (txn_read(ev->node->store, &txn) < 0)
			return;
		more = txn_meta(txn)->used_bytes > ev->low / 2 &&
		       evict_survey(ev->evict, txn, SURVEY_ROWS);
		txn_abort(txn);
	}
}

static void *run_evictor(void *arg)
{
	struct evictor *ev = arg;
	/* Waking this thread must not preempt a writer. If the call fails, it may. */
	const struct sched_param param = { 0 };
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
	while (!atomic_load(&ev->stopping)) {
		survey_keys(ev);
		pin_entries_in_use(ev);
		if (wait_wanted(ev, IN_USE_MS))
			make_space(ev);
	}
	return NULL;
}

/* --- starting and stopping --- */

int evictor_open(struct node *node)
{
	const struct node_config *config = &node->config;
	uint64_t seed, margin = config->size_bytes / MARGIN;
	if (config->evict == EVICT_NONE)
		return 0;
	int r = recency_open(store_dir(node->store), config->size_bytes, &node->recency);
	if (r < 0 || config->read_only)
		return r;
	struct evictor *ev = calloc(1, sizeof(*ev));
	if (!ev)
		return -ENOMEM;
	if (margin > MARGIN_MAX)
		margin = MARGIN_MAX;
	ev->node = node;
	ev->high = config->size_bytes - margin;
	ev->low = ev->high - margin / 4;
	pthread_mutex_init(&ev->lock, NULL);
	clock_cond_init(&ev->wake);
	r = random_u64(&seed);
	if (r == 0)
		r = evict_new(config->evict, node->recency, seed, &ev->evict);
	node->evictor = ev;
	if (r == 0)
		r = -pthread_create(&ev->thread, NULL, run_evictor, ev);
	ev->runs = r == 0;
	return r;
}

void evictor_stop(struct node *node)
{
	struct evictor *ev = node->evictor;
	if (!ev)
		return;
	pthread_mutex_lock(&ev->lock);
	atomic_store(&ev->stopping, true);
	pthread_cond_signal(&ev->wake);
	pthread_mutex_unlock(&ev->lock);
	if (ev->runs)
		pthread_join(ev->thread, NULL);
	ev->runs = false;
}

void evictor_free(struct node *node)
{
	struct evictor *ev = node->evictor;
	recency_close(node->recency);
	if (!ev)
		return;
	while (ev->round) {
		submission_free(submission_cut(&ev->round, 1));
	}
	evict_free(ev->evict);
	pthread_cond_destroy(&ev->wake);
	pthread_mutex_destroy(&ev->lock);
	free(ev);
}
