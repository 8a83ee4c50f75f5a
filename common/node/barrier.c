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
 * Lock: asker.lock guards the queue and the audit; it is not held across a call of the
 * log, nor when a callback is made. */
#include "common/node/internal.h"

#include "common/base/clock.h"

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

struct asker {
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

void asker_begin(struct asker *asker, const struct log_identity *newest)
{
	pthread_mutex_lock(&asker->lock);
	asker->begun = newest;
	if (newest)
		asker->newest = asker->sure = *newest;
	atomic_store(&asker->doubts, false);
	pthread_mutex_unlock(&asker->lock);
}

void asker_note(struct asker *asker, const struct log_identity *newest,
                struct log_identity *ret_sure)
{
	pthread_mutex_lock(&asker->lock);
	if (!asker->begun)
		asker->sure = *newest;
	asker->begun = true;
	asker->newest = *newest;
	*ret_sure = asker->sure;
	pthread_mutex_unlock(&asker->lock);
}

bool asker_doubts(struct asker *asker, struct log_identity *ret_sure)
{
	if (!atomic_load(&asker->doubts))
		return false;
	pthread_mutex_lock(&asker->lock);
	*ret_sure = asker->sure;
	pthread_mutex_unlock(&asker->lock);
	return true;
}

/* Ask whether a record that was sure still is there. The newest one of now is sure the
 * next time: it was applied before this question, so it is of the log that it is about. */
static void audit(struct asker *asker, int64_t timeout_ms, uint64_t end)
{
	pthread_mutex_lock(&asker->lock);
	struct log_identity newest = asker->newest, sure = asker->sure;
	bool wanted = asker->begun && !atomic_load(&asker->doubts);
	pthread_mutex_unlock(&asker->lock);
	if (!wanted)
		return;
	int r = sure.offset < end ? log_kafka_audit(asker->log, &sure, timeout_ms) : -ESTALE;
	pthread_mutex_lock(&asker->lock);
	/* Unless it began anew meanwhile. */
	if (log_identity_equal(&asker->sure, &sure)) {
		if (r == -ESTALE)
			atomic_store(&asker->doubts, true);
		else if (r == 0)
			asker->sure = newest;
	}
	pthread_mutex_unlock(&asker->lock);
	if (r == -ESTALE)
		log_kafka_wake(asker->log);
}

/* Note whether the log is away. It is if it gave no answer and no broker is connected: one
 * that is only slow may still take changes in time. ASKED_MS is when it was asked. */
static void note_answer(struct asker *asker, bool answered, int64_t asked_ms)
{
	struct node *node = asker->node;
	if (answered || log_kafka_up(asker->log))
		atomic_store(&node->away_ms, 0);
	else if (!atomic_load(&node->away_ms))
		atomic_store(&node->away_ms, asked_ms);
}

/* Asks once, for all of LIST, which it frees. */
static void ask(struct asker *asker, struct barrier *list)
{
	int64_t timeout_ms = END_TIMEOUT_MS, now = clock_mono_ms();
	for (struct barrier *b = list; b; b = b->next) {
		if (b->deadline_ms - now < timeout_ms)
			timeout_ms = b->deadline_ms > now ? b->deadline_ms - now : 1;
	}
	uint64_t end = 0;
	int r = log_kafka_end(asker->log, timeout_ms, &end);
	if (r == 0)
		kafka_raise_end(asker->node, end);
	bool answered = r == 0;
	note_answer(asker, answered, now);
	now = clock_mono_ms();
	while (list) {
		struct barrier *b = list;
		list = b->next;
		struct outcome out = { .code = r < 0 ? OUTCOME_LOG_DOWN : OUTCOME_OK };
		if (r < 0 || end == 0)
			b->done(b->arg, &out);
		else
			node_wait(asker->node, end - 1,
			          b->deadline_ms > now ? b->deadline_ms - now : 1, b->done, b->arg);
		free(b);
	}
	if (answered)
		audit(asker, timeout_ms, end);
}

/* Look at the topic's settings again: somebody may have changed them. */
static void look(struct asker *asker)
{
	int64_t now = clock_mono_ms();
	if (now < asker->look_ms)
		return;
	asker->look_ms = now + LOOK_EVERY_MS;
	if (kafka_look(asker->node, END_TIMEOUT_MS) == 0)
		return;
	atomic_store(&asker->doubts, true);
	log_kafka_wake(asker->log);
}

static void *run(void *arg)
{
	struct asker *asker = arg;
	pthread_mutex_lock(&asker->lock);
	while (!asker->stopping) {
		struct barrier *list = asker->barriers;
		asker->barriers = NULL;
		pthread_mutex_unlock(&asker->lock);
		ask(asker, list);
		look(asker);
		bool away = atomic_load(&asker->node->away_ms);
		struct timespec until = clock_mono_in(away ? END_AWAY_MS : END_EVERY_MS);
		pthread_mutex_lock(&asker->lock);
		while (!asker->stopping && !asker->barriers &&
		       pthread_cond_timedwait(&asker->wake, &asker->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&asker->lock);
	return NULL;
}

int asker_open(struct node *node, struct log_kafka *log, struct asker **ret)
{
	struct asker *asker = calloc(1, sizeof *asker);
	if (!asker)
		return -ENOMEM;
	asker->node = node;
	asker->log = log;
	pthread_mutex_init(&asker->lock, NULL);
	clock_cond_init(&asker->wake);
	int r = -pthread_create(&asker->thread, NULL, run, asker);
	if (r == 0)
		*ret = asker;
	else
		asker_free(asker);
	return r;
}

void asker_barrier(struct asker *asker, int64_t timeout_ms, node_done *done, void *arg)
{
	struct barrier *b = calloc(1, sizeof *b);
	if (!b) {
		struct outcome out = { .code = OUTCOME_NO_MEMORY };
		done(arg, &out);
		return;
	}
	b->deadline_ms = clock_mono_ms() + timeout_ms;
	b->done = done;
	b->arg = arg;
	pthread_mutex_lock(&asker->lock);
	bool stopping = asker->stopping;
	if (!stopping) {
		b->next = asker->barriers;
		asker->barriers = b;
		pthread_cond_signal(&asker->wake);
	}
	pthread_mutex_unlock(&asker->lock);
	if (stopping) {
		struct outcome out = { .code = OUTCOME_STOPPING };
		free(b);
		done(arg, &out);
	}
}

void asker_stop(struct asker *asker)
{
	if (!asker)
		return;
	pthread_mutex_lock(&asker->lock);
	asker->stopping = true;
	pthread_cond_signal(&asker->wake);
	pthread_mutex_unlock(&asker->lock);
	pthread_join(asker->thread, NULL);
	while (asker->barriers) {
		struct barrier *b = asker->barriers;
		asker->barriers = b->next;
		struct outcome out = { .code = OUTCOME_STOPPING };
		b->done(b->arg, &out);
		free(b);
	}
}

void asker_free(struct asker *asker)
{
	if (!asker)
		return;
	pthread_cond_destroy(&asker->wake);
	pthread_mutex_destroy(&asker->lock);
	free(asker);
}
