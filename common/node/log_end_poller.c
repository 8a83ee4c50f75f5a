/* Log-end poller: a thread that asks the Kafka log for its end, and audits the log.
 *
 * A barrier waits until everything that was in the log at the time of the call has been applied
 * here: the broker is asked for the log's end, and then the barrier waits for that offset. The
 * query blocks, so a separate thread makes it, once for all barriers that arrived before it, and
 * also every END_EVERY_MS without a barrier, so that the log's end in the status is never older
 * than that. This thread therefore knows since when the log has been away; while it is, the thread
 * asks more often, to notice its return soon.
 *
 * In the process that applies, the thread also audits the log: it checks that the log still has the
 * newest record that was applied one round ago. Deleting and recreating a topic breaks no
 * connection, so only an audit can detect it. The result is a hint, which the consumer verifies.
 * The thread also checks the topic's settings every RECHECK_MS.
 *
 * Lock: poller.lock guards the queue and the audit. It is not held across a call of the log or a
 * callback. */
#include "common/node/log_end_poller.h"

#include "common/base/clock.h"
#include "common/node/internal.h"
#include "common/node/kafka_log.h"
#include "common/node/kafka_topic.h"

#include <errno.h>
#include <stdlib.h>

#define END_EVERY_MS 1000
#define END_AWAY_MS 100
#define END_TIMEOUT_MS 2000
#define RECHECK_MS 10000 /* costs two small requests */

struct barrier {
	int64_t deadline_ms;
	node_done *done;
	void *arg;
	struct barrier *next;
};

struct log_end_poller {
	struct kafka *k;
	struct node *node;
	struct log_kafka *log;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct barrier *barriers; /* protected by lock */
	bool stopping;            /* protected by lock */
	/* The state of the audit. */
	bool begun;                       /* protected by lock */
	struct log_identity newest, sure; /* protected by lock */
	atomic_bool doubts;
	int64_t recheck_ms; /* when to check the topic again; used by the thread alone */
};

void log_end_poller_begin_audit(struct log_end_poller *poller, const struct log_identity *newest)
{
	pthread_mutex_lock(&poller->lock);
	poller->begun = newest;
	if (newest)
		poller->newest = poller->sure = *newest;
	atomic_store(&poller->doubts, false);
	pthread_mutex_unlock(&poller->lock);
}

void log_end_poller_note_applied(struct log_end_poller *poller, const struct log_identity *newest,
                                 struct log_identity *ret_sure)
{
	pthread_mutex_lock(&poller->lock);
	if (!poller->begun)
		poller->sure = *newest;
	poller->begun = true;
	poller->newest = *newest;
	*ret_sure = poller->sure;
	pthread_mutex_unlock(&poller->lock);
}

bool log_end_poller_has_doubts(struct log_end_poller *poller, struct log_identity *ret_sure)
{
	if (!atomic_load(&poller->doubts))
		return false;
	pthread_mutex_lock(&poller->lock);
	*ret_sure = poller->sure;
	pthread_mutex_unlock(&poller->lock);
	return true;
}

/* Check that the `sure` record is still in the log. If it is, the newest record becomes `sure`: it
 * was applied before this query, so it belongs to the log that was queried. */
static void audit_log(struct log_end_poller *poller, int64_t timeout_ms, uint64_t end)
{
	pthread_mutex_lock(&poller->lock);
	struct log_identity newest = poller->newest, sure = poller->sure;
	bool wanted = poller->begun && !atomic_load(&poller->doubts);
	pthread_mutex_unlock(&poller->lock);
	if (!wanted)
		return;
	int r = sure.offset < end ? log_kafka_audit(poller->log, &sure, timeout_ms) : -ESTALE;
	pthread_mutex_lock(&poller->lock);
	/* The audit may have been restarted meanwhile. */
	if (log_identity_equal(&poller->sure, &sure)) {
		if (r == -ESTALE)
			atomic_store(&poller->doubts, true);
		else if (r == 0)
			poller->sure = newest;
	}
	pthread_mutex_unlock(&poller->lock);
	if (r == -ESTALE)
		log_kafka_wake(poller->log);
}

/* Record whether the log is away: it did not answer, and no broker is connected. A broker that is
 * only slow may still accept changes in time. ASKED_MS is the time of the query. */
static void note_answer(struct log_end_poller *poller, bool answered, int64_t asked_ms)
{
	struct node *node = poller->node;
	if (answered || log_kafka_up(poller->log))
		atomic_store(&node->away_ms, 0);
	else if (!atomic_load(&node->away_ms))
		atomic_store(&node->away_ms, asked_ms);
}

/* Query the log's end once for all barriers of LIST, and free them. */
static void query_end(struct log_end_poller *poller, struct barrier *list)
{
	int64_t timeout_ms = END_TIMEOUT_MS, now = clock_mono_ms();
	for (struct barrier *b = list; b; b = b->next) {
		if (b->deadline_ms - now < timeout_ms)
			timeout_ms = b->deadline_ms > now ? b->deadline_ms - now : 1;
	}
	uint64_t end = 0;
	int r = log_kafka_end(poller->log, timeout_ms, &end);
	if (r == 0)
		kafka_topic_raise_end(poller->k, end);
	bool answered = r == 0;
	note_answer(poller, answered, now);
	now = clock_mono_ms();
	while (list) {
		struct barrier *b = list;
		list = b->next;
		struct outcome out = { .code = r < 0 ? OUTCOME_LOG_DOWN : OUTCOME_OK };
		if (r < 0 || end == 0)
			b->done(b->arg, &out);
		else
			node_wait(poller->node, end - 1,
			          b->deadline_ms > now ? b->deadline_ms - now : 1, b->done, b->arg);
		free(b);
	}
	if (answered)
		audit_log(poller, timeout_ms, end);
}

/* Check the topic's settings again if it is time: an operator may have changed them. */
static void recheck_topic(struct log_end_poller *poller)
{
	int64_t now = clock_mono_ms();
	if (now < poller->recheck_ms)
		return;
	poller->recheck_ms = now + RECHECK_MS;
	if (kafka_topic_recheck(poller->k, END_TIMEOUT_MS) == 0)
		return;
	atomic_store(&poller->doubts, true);
	log_kafka_wake(poller->log);
}

static void *run_poller(void *arg)
{
	struct log_end_poller *poller = arg;
	pthread_mutex_lock(&poller->lock);
	while (!poller->stopping) {
		struct barrier *list = poller->barriers;
		poller->barriers = NULL;
		pthread_mutex_unlock(&poller->lock);
		query_end(poller, list);
		recheck_topic(poller);
		bool away = atomic_load(&poller->node->away_ms);
		struct timespec until = clock_mono_in(away ? END_AWAY_MS : END_EVERY_MS);
		pthread_mutex_lock(&poller->lock);
		while (!poller->stopping && !poller->barriers &&
		       pthread_cond_timedwait(&poller->wake, &poller->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&poller->lock);
	return NULL;
}

int log_end_poller_open(struct kafka *k, struct log_end_poller **ret)
{
	struct log_end_poller *poller = calloc(1, sizeof(*poller));
	if (!poller)
		return -ENOMEM;
	poller->k = k;
	poller->node = k->node;
	poller->log = k->log;
	pthread_mutex_init(&poller->lock, NULL);
	clock_cond_init(&poller->wake);
	int r = -pthread_create(&poller->thread, NULL, run_poller, poller);
	if (r == 0)
		*ret = poller;
	else
		log_end_poller_free(poller);
	return r;
}

void log_end_poller_barrier(struct log_end_poller *poller, int64_t timeout_ms, node_done *done,
                            void *arg)
{
	struct barrier *b = calloc(1, sizeof(*b));
	if (!b) {
		struct outcome out = { .code = OUTCOME_NO_MEMORY };
		done(arg, &out);
		return;
	}
	b->deadline_ms = clock_mono_ms() + timeout_ms;
	b->done = done;
	b->arg = arg;
	pthread_mutex_lock(&poller->lock);
	bool stopping = poller->stopping;
	if (!stopping) {
		b->next = poller->barriers;
		poller->barriers = b;
		pthread_cond_signal(&poller->wake);
	}
	pthread_mutex_unlock(&poller->lock);
	if (stopping) {
		struct outcome out = { .code = OUTCOME_STOPPING };
		free(b);
		done(arg, &out);
	}
}

void log_end_poller_stop(struct log_end_poller *poller)
{
	if (!poller)
		return;
	pthread_mutex_lock(&poller->lock);
	poller->stopping = true;
	pthread_cond_signal(&poller->wake);
	pthread_mutex_unlock(&poller->lock);
	pthread_join(poller->thread, NULL);
	while (poller->barriers) {
		struct barrier *b = poller->barriers;
		poller->barriers = b->next;
		struct outcome out = { .code = OUTCOME_STOPPING };
		b->done(b->arg, &out);
		free(b);
	}
}

void log_end_poller_free(struct log_end_poller *poller)
{
	if (!poller)
		return;
	pthread_cond_destroy(&poller->wake);
	pthread_mutex_destroy(&poller->lock);
	free(poller);
}
