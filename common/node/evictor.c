/* The node's part that makes room: eviction, and writes that wait for it.
 *
 * A write into a cache that is nearly full wakes the evictor, a thread of this
 * process. It chooses victims from a snapshot (node/evict.c), submits an event for each,
 * waits until all of them are applied, and looks again, until the cache is at the
 * low mark. It starts at the high mark, a little below the quota, so that writers
 * seldom see the quota at all. Only who writes evicts: several nodes that write at
 * once evict each for itself, and since each looks again after every round, at what
 * all of them did, they go below the low mark by a round of each at most.
 *
 * With the embedded log the evictor would have to hold what writers need, the right
 * to apply and the store's write transaction, and they would wait for it, for long
 * when the machine is busy. So it leaves its events for them to take along: each
 * batch of writes applies a few, in its own transaction. What nobody takes, or what
 * is needed now, it applies itself, a few at a time.
 *
 * A write that finds no room is held: it waits in the queue, with all that came
 * after it (an append must not overtake another), until the evictor has made room
 * or found nothing to evict: that is the old ENOSPC. It waits as long as for the log
 * (--write-timeout). What could never fit is refused at once, and nothing evicted
 * for it. With the embedded log, applying finds out (node/local_log.c) and puts what it
 * took back; with a log outside, submitting does, and what is held goes to the
 * producer from here.
 *
 * A victim is named by inode and version, so an event of this kind does nothing if
 * the entry was changed, moved or evicted by another in the meantime: see EVENTS.md.
 * The entry that the first held write is about is no victim.
 *
 * Locks: evictor.lock guards what the thread waits for. It is taken inside work_lock
 * and with none held inside; queue_lock guards the queue and `held`. */
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

#define IN_USE_MS 1000 /* how often is asked what is in use */
#define MARGIN 32      /* a part of the quota that is kept free ... */
#define MARGIN_MAX (UINT64_C(64) << 20)
#define UNTAKEN_MS 10    /* after which the evictor applies what nobody took */
#define DRY_ROUNDS 8     /* without a victim: there is none */
#define DRY_MS 10        /* pause between those */
#define SURVEY_ROWS 8192 /* in one snapshot */

struct evictor {
	struct node *node;
	struct evict *evict;
	uint64_t high, low; /* bytes: starts above, stops below */
	pthread_t thread;
	bool runs;
	atomic_bool stopping;
	atomic_bool wanted; /* set with the lock; read without to save taking it */
	int64_t asked_ms;   /* when it was last asked what is in use; the thread's own */

	pthread_mutex_t lock;
	pthread_cond_t wake;

	unsigned under_way;         /* evictions; protected by lock, and so are ... */
	unsigned failed;            /* ... those that were not logged, and ... */
	enum event_outcome failure; /* ... why */

	/* The thread's own. */
	struct evict_victim victims[EVICT_MAX];
	struct submission *round; /* events of the victims, not submitted yet */
};

/* --- waking and waiting --- */

static void wake(struct evictor *ev)
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
		wake(ev);
}

void evictor_wake(struct node *node)
{
	metrics_add(METRIC_WRITES_HELD, 1);
	wake(node->evictor);
}

/* Waits until it is wanted or MS have passed; true if it is wanted. */
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

static void nap(struct evictor *ev)
{
	if (!atomic_load(&ev->stopping))
		nanosleep(&(struct timespec){ .tv_nsec = DRY_MS * 1000000 }, NULL);
}

/* --- what may wait --- */

/* Whether P's time is not over yet. */
static bool in_time(const struct submission *p)
{
	return clock_mono_ms() < p->deadline_ms - DEADLINE_LOG_GRACE_MS;
}

bool evictor_may_wait(struct node *node, const struct submission *p, uint64_t growth,
                      uint64_t longest)
{
	struct evictor *ev = node->evictor;
	uint64_t size = node->config.size_bytes;
	return ev && !atomic_load(&ev->stopping) && growth <= size &&
	       longest + STORE_ENTRY_COST <= size && in_time(p);
}

bool evictor_event_may_wait(struct node *node, struct txn *txn, const struct event *event)
{
	struct evictor *ev = node->evictor;
	return ev && !atomic_load(&ev->stopping) &&
	       quota_can_fit(txn, event, node->config.size_bytes);
}

void evictor_requeue(struct node *node, struct submission *pendings)
{
	struct submission **end = &pendings;
	pthread_mutex_lock(&node->queue_lock);
	for (; *end; end = &(*end)->next)
		(*end)->queued = true;
	*end = node->queue;
	if (!node->queue)
		node->queue_last = end;
	node->queue = pendings;
	atomic_store(&node->waiting_for_space, true);
	pthread_mutex_unlock(&node->queue_lock);
	evictor_wake(node);
}

/* --- what is held --- */

/* Finishes the first of what is held, or ALL of it. */
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

static void evicted(void *arg, const struct outcome *out)
{
	struct evictor *ev = arg;
	pthread_mutex_lock(&ev->lock);
	ev->under_way--;
	/* A changed or missing entry is no failure: something else happened. */
	if (out->offset == 0 && out->code != OUTCOME_OK) {
		ev->failed++;
		ev->failure = out->code;
	}
	if (ev->under_way == 0)
		pthread_cond_signal(&ev->wake);
	pthread_mutex_unlock(&ev->lock);
}

/* Adds EVENT to the round. */
static void plan(struct evictor *ev, const struct event *event)
{
	struct submission *p = calloc(1, sizeof(*p));
	struct event *copy = p ? event_dup(event) : NULL;
	if (!copy) {
		free(p);
		return;
	}
	p->ev = copy;
	p->done = evicted;
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
	plan(ev, &event);
}

/* The inode that EVENT is about, or 0. */
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

/* Chooses and plans. Returns how many victims there are; 0 with *RET_MORE: none was
 * found, and without: there is room enough. -errno. */
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
	/* What is that large is left until somebody needs the room. */
	for (int i = 0; !waiting && i < n; i++) {
		if (ev->victims[i].bytes > node->config.size_bytes - ev->high) {
			n = i;
			*ret_more = n > 0;
		}
	}
	/* All of them go; neighbours together cost less, for they share pages. */
	if (n > 1)
		qsort(ev->victims, (size_t)n, sizeof(ev->victims)[0], by_inode);
	for (int i = n - 1; i >= 0; i--)
		plan_victim(ev, &view, &ev->victims[i]);
	/* What has expired gives room as well, and may wait behind what is held. */
	if (waiting && store_first_expiry(view.txn, &expiry_ms, &ino) == 0 &&
	    expiry_ms <= view.now_ms) {
		struct event tick = { .op = EVENT_TICK };
		plan(ev, &tick);
	}
	view_close(&view);
	return n;
}

/* Waits until writers have taken the whole round along; returns when none does any
 * more, or none can. */
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

/* Submits what was planned and waits for all of it. False if none of it got into
 * the log. */
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

/* Asks what is in use, now and then. */
static void ask_in_use(struct evictor *ev)
{
	const struct node_config *config = &ev->node->config;
	int64_t now = clock_mono_ms();
	if (!config->in_use || now < ev->asked_ms + IN_USE_MS)
		return;
	ev->asked_ms = now;
	config->in_use(config->in_use_arg, ev->node);
}

/* Evicts until there is room, or nothing to evict. */
static void make_room(struct evictor *ev)
{
	struct node *node = ev->node;
	int dry = 0;
	while (!atomic_load(&ev->stopping)) {
		bool more, ticks;
		ask_in_use(ev);
		int n = plan_round(ev, &more);
		if (!more)
			return;
		ticks = n <= 0 && ev->round;
		dry = n > 0 ? 0 : dry + 1;
		struct submission *waiting = submission_first_waiting(node);
		if (!run_round(ev)) {
			/* A remote log refuses the other writes as well. */
			evictor_refuse_waiting(node, ev->failure, !node->log->workers_apply);
			if (!waiting)
				return;
		} else if (dry == DRY_ROUNDS || (waiting && !in_time(waiting))) {
			if (!waiting)
				return;
			evictor_refuse_waiting(node, OUTCOME_NO_SPACE, false);
			dry = 0;
		} else if (n < 0 || ticks) {
			nap(ev); /* what has expired by our clock may not have by the log's */
		}
		if (atomic_load(&node->waiting_for_space))
			node->log->resume_waiting(node);
	}
}

/* Learns how the keys lie before there is a need. */
static void survey(struct evictor *ev)
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

static void *run(void *arg)
{
	struct evictor *ev = arg;
	/* Waking it takes no processor from a writer; failing that, it may. */
	const struct sched_param param = { 0 };
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
	while (!atomic_load(&ev->stopping)) {
		survey(ev);
		ask_in_use(ev);
		if (wait_wanted(ev, IN_USE_MS))
			make_room(ev);
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
		r = -pthread_create(&ev->thread, NULL, run, ev);
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
