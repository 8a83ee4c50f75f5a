/* Waiting: suspends a request until the node calls back.
 *
 * All steps of a request run on the one MHD thread of its connection. Only request_done() comes
 * from other threads (the node's). It passes its result in two fields: `arrived`, which it alone
 * writes, and then `wait`. The thread that moves `wait` away from WAIT_SUSPENDED resumes the
 * connection: either the callback or request_abandon_all(). An abandoned request lives until its
 * callback has come: `refs`.
 *
 * Lock: the server's waiting_lock protects the list of suspended requests, nothing else; MHD is not
 * called while it is held. */
#include "httpd/request_wait.h"

#include "httpd/request.h"
#include "httpd/server.h"

#include <stdlib.h>
#include <string.h>

enum wait_state {
	WAIT_NONE,
	WAIT_STARTED,   /* passed to the node, not suspended yet */
	WAIT_SUSPENDED, /* the thread that ends this state resumes */
	WAIT_DONE,      /* `arrived` is filled */
	WAIT_ABANDONED, /* resumed without an outcome; the callback will find this state */
};

void request_wait_start(struct request *rq)
{
	atomic_fetch_add(&rq->refs, 1);
	atomic_store(&rq->wait, WAIT_STARTED);
}

bool request_wait_is_done(struct request *rq)
{
	return atomic_load(&rq->wait) == WAIT_DONE;
}

static void copy_outcome(struct request_result *to, const struct outcome *out)
{
	*to = (struct request_result){
		.code = out->code,
		.created = out->created,
		.offset = out->offset,
		.ino = out->ino,
		.version = out->version,
		.number = out->number,
	};
	const struct feed_event *feed = out->feed;
	if (!feed)
		return;
	to->repeats = feed->repeats;
	for (size_t i = 0; i < feed->neffects; i++) {
		const struct feed_effect *effect = &feed->effects[i];
		if (effect->ino == out->ino && effect->kind != FEED_REMOVED &&
		    effect->kind != FEED_EXPIRED && effect->kind != FEED_EVICTED) {
			to->size = effect->size;
			to->expiry_ms = effect->expiry_ms;
		}
	}
	if (feed->nops) {
		to->ops = malloc(feed->nops * sizeof(*to->ops));
		if (to->ops) {
			memcpy(to->ops, feed->ops, feed->nops * sizeof(*to->ops));
			to->nops = feed->nops;
		}
	}
}

void request_done(void *arg, const struct outcome *out)
{
	struct request *rq = arg;
	copy_outcome(&rq->arrived, out);
	int was = WAIT_STARTED;
	if (!atomic_compare_exchange_strong(&rq->wait, &was, WAIT_DONE) && was == WAIT_SUSPENDED &&
	    atomic_compare_exchange_strong(&rq->wait, &was, WAIT_DONE))
		MHD_resume_connection(rq->conn);
	request_unref(rq);
}

static void list_add(struct request *rq)
{
	struct server *server = rq->server;
	pthread_mutex_lock(&server->waiting_lock);
	rq->waiting_prev = NULL;
	rq->waiting_next = server->waiting;
	if (server->waiting)
		server->waiting->waiting_prev = rq;
	server->waiting = rq;
	pthread_mutex_unlock(&server->waiting_lock);
}

static void list_remove(struct request *rq)
{
	struct server *server = rq->server;
	pthread_mutex_lock(&server->waiting_lock);
	if (rq->waiting_prev)
		rq->waiting_prev->waiting_next = rq->waiting_next;
	else
		server->waiting = rq->waiting_next;
	if (rq->waiting_next)
		rq->waiting_next->waiting_prev = rq->waiting_prev;
	pthread_mutex_unlock(&server->waiting_lock);
}

/* End the wait of a suspended request without its outcome. */
static void abandon_request(struct request *rq)
{
	int was = WAIT_SUSPENDED;
	if (atomic_compare_exchange_strong(&rq->wait, &was, WAIT_ABANDONED))
		MHD_resume_connection(rq->conn);
}

void request_abandon_all(struct server *server)
{
	/* Do not call MHD with the lock held: take a few requests at a time, each with a reference. */
	struct request *some[64];
	size_t n;
	do {
		n = 0;
		pthread_mutex_lock(&server->waiting_lock);
		for (struct request *rq = server->waiting; rq && n < 64; rq = rq->waiting_next) {
			if (atomic_load(&rq->wait) == WAIT_SUSPENDED) {
				atomic_fetch_add(&rq->refs, 1);
				some[n++] = rq;
			}
		}
		pthread_mutex_unlock(&server->waiting_lock);
		for (size_t i = 0; i < n; i++) {
			abandon_request(some[i]);
			request_unref(some[i]);
		}
	} while (n);
}

/* Take over the result of the callback. */
static void take_result(struct request *rq)
{
	free(rq->result.ops);
	rq->result = rq->arrived;
	rq->arrived.ops = NULL;
	rq->abandoned = false;
}

enum MHD_Result request_wait_end(struct request *rq, enum MHD_Result (*next)(struct request *rq))
{
	if (atomic_load(&rq->wait) == WAIT_DONE) {
		take_result(rq);
		return next(rq);
	}
	rq->next = next;
	rq->stage = REQUEST_WAITING;
	list_add(rq);
	MHD_suspend_connection(rq->conn);
	int was = WAIT_STARTED;
	if (!atomic_compare_exchange_strong(&rq->wait, &was, WAIT_SUSPENDED))
		MHD_resume_connection(rq->conn); /* it has completed in the meantime */
	else if (atomic_load(&rq->server->abandoning))
		abandon_request(rq); /* request_abandon_all() may have missed it */
	return MHD_YES;
}

enum MHD_Result request_wait_over(struct request *rq)
{
	list_remove(rq);
	rq->stage = REQUEST_RUNNING;
	if (atomic_load(&rq->wait) == WAIT_DONE) {
		take_result(rq);
	} else {
		/* `arrived` may be written at any time, so leave it alone. */
		free(rq->result.ops);
		rq->result = (struct request_result){ .code = OUTCOME_UNKNOWN };
		rq->abandoned = true;
	}
	return rq->next(rq);
}

void request_wait_drop(struct request *rq)
{
	list_remove(rq);
}
