/* Kafka log: the implementation of log.h for a Kafka topic.
 *
 * Every process of a node appends its own events to the topic; one of them, the holder of
 * consumer.lock, reads the topic and applies it. The other processes try to take the lock:
 * the kernel releases it when its holder dies, so another process takes over at once and
 * continues after the applied offset in the store. A batch is applied in the transaction
 * that moves this offset, so nothing is applied twice.
 *
 * A lone write over HTTP wakes one thread after the other: the server's worker for the
 * request, librdkafka's for the producer, its other one for the consumer, the consumer's
 * thread here, and the worker again for the outcome. To save one of them, applying would
 * have to spin while the broker answers, on a processor that the broker may need.
 *
 * Locks: kafka.lock, to sleep until a stop and for the warnings already given; consumer.lock, a
 * file lock. */
#include "common/node/log.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/log/kafka.h"
#include "common/node/completions.h"
#include "common/node/evictor.h"
#include "common/node/fault.h"
#include "common/node/internal.h"
#include "common/node/kafka_apply.h"
#include "common/node/kafka_log.h"
#include "common/node/kafka_topic.h"
#include "common/node/log_end_poller.h"
#include "common/node/quota.h"
#include "common/node/submission.h"
#include "common/node/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define FIRST_CHECK_MS 3000 /* how long a start waits for a broker */
#define CHECK_MS 5000
#define RETRY_MS 500    /* pause after an error of the log */
#define LOCK_POLL_MS 20 /* how soon another process takes over from a dead one */
#define DRAIN_MS 5000   /* how long a stop waits for outcomes */
#define FLUSH_MS 5000

static bool kafka_matches(const char *url)
{
	return strncmp(url, KAFKA_SCHEME, strlen(KAFKA_SCHEME)) == 0;
}

/* --- appending --- */

/* An append without a report yet. */
struct append {
	struct node *node;
	uint64_t seq;
};

/* End the submission SEQ with CODE, without a feed event, and call its callback; do nothing if it
 * has ended. Call with no lock held. Thread-safe. */
static void finish_submission(struct node *node, uint64_t seq, enum event_outcome code,
                              uint64_t offset)
{
	struct completions done;
	struct submission *p;
	completions_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	HASH_FIND(hh, node->pending, &seq, sizeof(seq), p);
	if (p) {
		submission_unregister(node, p);
		p->out = (struct outcome){ .code = code, .offset = offset };
		completions_add(&done, p);
	}
	pthread_mutex_unlock(&node->queue_lock);
	if (p && code == OUTCOME_UNKNOWN)
		metrics_add(METRIC_WRITES_UNKNOWN, 1);
	completions_run(&done);
}

static void event_appended(void *arg, enum log_append how, uint64_t offset)
{
	struct append *append = arg;
	static const enum event_outcome codes[] = {
		[LOG_NOT_APPENDED] = OUTCOME_LOG_DOWN,
		[LOG_UNKNOWN] = OUTCOME_UNKNOWN,
		[LOG_TOO_LARGE] = OUTCOME_TOO_LARGE,
	};
	if (how != LOG_APPENDED)
		finish_submission(append->node, append->seq, codes[how], 0);
	else if (offset != LOG_NO_OFFSET)
		kafka_topic_raise_end(append->node->log_state, offset + 1);
	free(append);
}

static bool kafka_submit(struct node *node, const struct event *ev, uint64_t seq, bool later)
{
	struct kafka *k = node->log_state;
	struct append *append = malloc(sizeof(*append));
	(void)later;
	if (!append) {
		finish_submission(node, seq, OUTCOME_NO_MEMORY, 0);
		return false;
	}
	*append = (struct append){ node, seq };
	struct event with_id = *ev;
	with_id.proc = node->proc;
	with_id.seq = seq;
	log_kafka_append(k->log, &with_id, event_appended, append);
	return false;
}

static enum event_outcome kafka_admit(struct node *node, const struct event *ev, bool *ret_wait)
{
	struct txn *txn;
	*ret_wait = false;
	if (txn_read(node->store, &txn) < 0)
		return OUTCOME_NO_MEMORY;
	enum event_outcome code = OUTCOME_OK;
	uint64_t inflight = atomic_load(&node->inflight_bytes);
	bool fits = false;
	if (ev->op == EVENT_APPEND && !quota_append_fits(txn, ev, node_max_value(node)))
		code = OUTCOME_TOO_LARGE;
	else if (atomic_load(&node->waiting_for_space) && ev->op != EVENT_TICK)
		*ret_wait = true; /* An append must not overtake an earlier one. */
	else if (!quota_fits(txn, ev, node->config.size_bytes, inflight))
		*ret_wait = evictor_event_may_wait(node, txn, ev);
	else
		fits = true;
	if (code == OUTCOME_OK && !fits && !*ret_wait)
		code = OUTCOME_NO_SPACE;
	if (fits)
		evictor_note_usage(node, txn_meta(txn)->used_bytes + inflight);
	txn_abort(txn);
	return code;
}

/* --- eviction --- */

static uint64_t kafka_missing_bytes(struct node *node, struct txn *txn, const struct submission *p)
{
	return quota_lack(txn, p->ev, node->config.size_bytes, atomic_load(&node->inflight_bytes));
}

static void kafka_resume_waiting(struct node *node)
{
	while (atomic_load(&node->waiting_for_space)) {
		struct txn *txn;
		struct submission *p = submission_first_waiting(node);
		if (!p || txn_read(node->store, &txn) < 0)
			return;
		bool fits = kafka_missing_bytes(node, txn, p) == 0;
		txn_abort(txn);
		if (!fits)
			return;
		pthread_mutex_lock(&node->queue_lock);
		submission_dequeue(node);
		/* From here on P can be finished, and freed, at any time. */
		struct event *event = p->ev;
		void *owned = p->owned;
		uint64_t seq = p->seq;
		p->ev = NULL;
		p->owned = NULL;
		p->growth = quota_growth(event);
		atomic_fetch_add(&node->inflight_bytes, p->growth);
		pthread_mutex_unlock(&node->queue_lock);
		kafka_submit(node, event, seq, false);
		event_free(event);
		free(owned);
		/* Only clear it now, so that an event that is submitted meanwhile comes after P. */
		pthread_mutex_lock(&node->queue_lock);
		if (!node->queue)
			atomic_store(&node->waiting_for_space, false);
		pthread_mutex_unlock(&node->queue_lock);
	}
}

static void kafka_submit_evictions(struct node *node, struct submission *list)
{
	while (list) {
		struct submission *p = submission_cut(&list, 1);
		struct event *event = p->ev;
		p->ev = NULL;
		pthread_mutex_lock(&node->queue_lock);
		uint64_t seq = submission_register(node, p);
		pthread_mutex_unlock(&node->queue_lock);
		kafka_submit(node, event, seq, false);
		event_free(event);
	}
}

/* --- the consumer's thread --- */

/* Sleep for MS, or until the log stops. */
static void pause_ms(struct kafka *k, int64_t ms)
{
	struct timespec until = clock_mono_in(ms);
	pthread_mutex_lock(&k->lock);
	if (!atomic_load(&k->stopping))
		pthread_cond_timedwait(&k->wake, &k->lock, &until);
	pthread_mutex_unlock(&k->lock);
}

/* Wait until this process is the one that applies. False if the log stops. */
static bool wait_for_lock(struct kafka *k)
{
	while (!atomic_load(&k->stopping)) {
		if (flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0) {
			atomic_store(&k->applies, true);
			procs_beat_applier(k->node->procs);
			procs_set_applier(k->node->procs, true);
			return true;
		}
		skip_carry_out(&k->order, false);
		pause_ms(k, LOCK_POLL_MS);
	}
	return false;
}

static void *run_consumer(void *arg)
{
	struct kafka *k = arg;
	char why[NODE_WHY_MAX];
	if (!wait_for_lock(k))
		return NULL;
	while (!atomic_load(&k->stopping)) {
		uint64_t first, next;
		struct log_identity sure;
		bool doubts = log_end_poller_has_doubts(k->poller, &sure);
		why[0] = '\0';
		procs_beat_applier(k->node->procs);
		int r = kafka_topic_check(k, doubts ? &sure : NULL, CHECK_MS, &first, &next, why,
		                          sizeof(why));
		if (r == 0) {
			r = kafka_apply_run(k, first, next);
		} else if (r != -EAGAIN) {
			fault_set(k->node, FAULT_LOG, why[0] ? why : strerror(-r));
		}
		if (r < 0 && r != -ESTALE)
			pause_ms(k, RETRY_MS);
	}
	return NULL;
}

/* --- starting and stopping --- */

/* Wait for the outcomes of the events that are in the log or about to be. */
static void wait_for_outcomes(struct node *node)
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

static void kafka_stop(struct node *node)
{
	struct kafka *k = node->log_state;
	evictor_refuse_waiting(node, OUTCOME_STOPPING, true);
	wait_for_outcomes(node);
	pthread_mutex_lock(&k->lock);
	atomic_store(&k->stopping, true);
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
	log_kafka_wake(k->log);
	if (k->consumer_runs)
		pthread_join(k->consumer, NULL);
	log_end_poller_stop(k->poller);
	log_kafka_close(k->log, FLUSH_MS);
	k->log = NULL;
}

static void kafka_free(struct node *node)
{
	struct kafka *k = node->log_state;
	close(k->lock_fd); /* This releases consumer.lock. */
	log_end_poller_free(k->poller);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
	node->log_state = NULL;
}

static int kafka_open(struct node *node, char *why, size_t why_size)
{
	struct log_kafka_config config = volume_log_config(&node->config);
	struct kafka *k = calloc(1, sizeof(*k));
	if (!k) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	k->node = node;
	atomic_store(&k->target, UINT64_MAX);
	k->skip = UINT64_MAX;
	pthread_mutex_init(&k->lock, NULL);
	clock_cond_init(&k->wake);
	k->lock_fd = store_place_file(store_place(node->store), "consumer.lock", O_RDWR | O_CREAT);
	int r = k->lock_fd < 0 ? k->lock_fd : 0;
	if (r < 0) {
		snprintf(why, why_size, "cannot open %.100s/consumer.lock: %s",
		         store_dir(node->store), strerror(-r));
		goto err_free;
	}
	r = log_kafka_open(&config, &k->log, why, why_size);
	if (r < 0)
		goto err_close;
	node->log_state = k;
	skip_init(&k->order, node, k->log);

	/* Report definite errors now instead of only logging them later. */
	uint64_t first, next;
	r = kafka_topic_check(k, NULL, FIRST_CHECK_MS, &first, &next, why, why_size);
	if (r == -EAGAIN)
		logger(LOGGER_WARN, "no broker answers yet log=%s", config.url);
	else if (r < 0)
		goto err_log;
	r = log_end_poller_open(k, &k->poller);
	if (r == 0)
		r = -pthread_create(&k->consumer, NULL, run_consumer, k);
	k->consumer_runs = r == 0;
	if (r == 0)
		return 0;
	snprintf(why, why_size, "cannot start the log's threads: %s", strerror(-r));
	kafka_stop(node);
	kafka_free(node);
	return r;

err_log:
	log_kafka_close(k->log, 0);
	node->log_state = NULL;
err_close:
	close(k->lock_fd);
err_free:
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
	return r;
}

static void kafka_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	struct kafka *k = node->log_state;
	log_end_poller_barrier(k->poller, timeout_ms, done, arg);
}

static void kafka_status(struct node *node, struct node_status *ret)
{
	struct kafka *k = node->log_state;
	struct store_meta meta = { 0 };
	uint64_t end = atomic_load(&k->end), target = atomic_load(&k->target);
	ret->log_up = log_kafka_up(k->log);
	ret->applies = atomic_load(&k->applies);
	ret->log_end = end ? end - 1 : 0;
	volume_read_meta(node->store, &meta);
	ret->skipped = skip_count(node, &ret->skipped_newest);
	uint64_t next = meta.started ? meta.applied + 1 : 0;
	if (next < end && meta.started) {
		int64_t lag = clock_wall_ms() - meta.log_time_ms;
		ret->lag_ms = lag > 0 ? lag : 1;
	}
	if (target != UINT64_MAX && next >= target && meta.volume[0])
		atomic_store(&node->ready, true);
	ret->behind = !atomic_load(&node->ready) &&
	              (!meta.started || (target != UINT64_MAX && !ret->why[0]));
	ret->ready = atomic_load(&node->ready) && !ret->why[0];
	if (!ret->ready && !ret->why[0]) {
		if (target == UINT64_MAX)
			snprintf(ret->why, sizeof(ret->why), "no broker has answered yet");
		else
			snprintf(ret->why, sizeof(ret->why), "catching up: applied %llu of %llu",
			         (unsigned long long)next, (unsigned long long)target);
	}
}

const struct log_ops kafka_log_ops = {
	.keeps_events = true,
	/* An open transaction delays outcomes, but ends. */
	.tolerated_faults = 1u << FAULT_BLOCKED,
	.matches = kafka_matches,
	.open = kafka_open,
	.stop = kafka_stop,
	.free = kafka_free,
	.admit = kafka_admit,
	.submit = kafka_submit,
	.barrier = kafka_barrier,
	.status = kafka_status,
	.missing_bytes = kafka_missing_bytes,
	.resume_waiting = kafka_resume_waiting,
	.submit_evictions = kafka_submit_evictions,
};
