/* The node's part that asks a log outside for its end.
 *
 * A barrier waits until what was in the log at the call is applied here: the broker
 * is asked for the log's end, and then that offset waited for. Asking blocks, so a
 * thread of its own does it, for all that came before it asked, and every END_EVERY_MS
 * without being asked: what the status says of the log's end is not older. So this thread
 * also knows since when the log has been away, and asks more often then, for its return to
 * be noticed soon.
 *
 * In the process that applies it also audits: whether the log still has the newest record
 * that was applied a round ago. A topic that is deleted and made anew breaks no connection,
 * so nothing else would show it. What it finds is a hint, which the consumer looks into.
 * And it looks at the topic's settings, every LOOK_EVERY_MS.
 *
 * Lock: poller.lock guards the queue and the audit; it is not held across a call of the
 * log, nor when a callback is made. */
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
#define LOOK_EVERY_MS 10000 /* two small questions */

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
	/* The audit. */
	bool begun;                       /* protected by lock */
	struct log_identity newest, sure; /* protected by lock */
	atomic_bool doubts;
	int64_t look_ms; /* when to look at the topic again; the thread's own */
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

/* Ask whether a record that was sure still is there. The newest one of now is sure the
 * next time: it was applied before this question, so it is of the log that it is about. */
static void audit(struct log_end_poller *poller, int64_t timeout_ms, uint64_t end)
{
	pthread_mutex_lock(&poller->lock);
	struct log_identity newest = poller->newest, sure = poller->sure;
	bool wanted = poller->begun && !atomic_load(&poller->doubts);
	pthread_mutex_unlock(&poller->lock);
	if (!wanted)
		return;
	int r = sure.offset < end ? log_kafka_audit(poller->log, &sure, timeout_ms) : -ESTALE;
	pthread_mutex_lock(&poller->lock);
	/* Unless it began anew meanwhile. */
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

/* Note whether the log is away. It is if it gave no answer and no broker is connected: one
 * that is only slow may still take changes in time. ASKED_MS is when it was asked. */
static void note_answer(struct log_end_poller *poller, bool answered, int64_t asked_ms)
{
	struct node *node = poller->node;
	if (answered || log_kafka_up(poller->log))
		atomic_store(&node->away_ms, 0);
	else if (!atomic_load(&node->away_ms))
		atomic_store(&node->away_ms, asked_ms);
}

/* Asks once, for all of LIST, which it frees. */
static void ask(struct log_end_poller *poller, struct barrier *list)
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
		audit(poller, timeout_ms, end);
}

/* Look at the topic's settings again: somebody may have changed them. */
static void look(struct log_end_poller *poller)
{
	int64_t now = clock_mono_ms();
	if (now < poller->look_ms)
		return;
	poller->look_ms = now + LOOK_EVERY_MS;
	if (kafka_topic_recheck(poller->k, END_TIMEOUT_MS) == 0)
		return;
	atomic_store(&poller->doubts, true);
	log_kafka_wake(poller->log);
}

static void *run(void *arg)
{
	struct log_end_poller *poller = arg;
	pthread_mutex_lock(&poller->lock);
	while (!poller->stopping) {
		struct barrier *list = poller->barriers;
		poller->barriers = NULL;
		pthread_mutex_unlock(&poller->lock);
		ask(poller, list);
		look(poller);
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
	int r = -pthread_create(&poller->thread, NULL, run, poller);
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
