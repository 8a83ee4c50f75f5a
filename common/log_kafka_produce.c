/* The Kafka log's producer: append, and how each append ended.
 *
 * librdkafka's idempotent producer retries until the write timeout and keeps
 * order; its delivery report says of a message that failed whether it may have
 * reached the log. That tells "not appended" from "unknown": an answer that
 * never came, a broker that wrote but could not replicate, stay unknown even if
 * a later attempt was refused.
 *
 * "Appended" is librdkafka's word and no proof: it takes a batch for written if
 * the one behind it was, which holds because a leader refuses a batch out of
 * order; but a leader that has nothing yet of a new producer takes any. So
 * nobody is told that a write is done before it was read back (node_kafka.c).
 *
 * librdkafka sends nothing more of a partition while five messages or more are
 * not answered, however few requests they went in; and while it has messages that
 * it may not send, its thread (2.0 at least) asks again and again without a pause,
 * which takes one of the processors that the answer needs. So it never gets them:
 * from WINDOW messages under way on, events are held here, in order, and what was
 * gathered goes as one batch when those are answered. A lone write is not held, nor
 * is anything while no broker answers: it is librdkafka that knows what became of a
 * message, so it must have it in time.
 *
 * An instance can break for good (a "fatal error": a broker forgot the state
 * that idempotence rests on, because the topic was deleted, say). Then the
 * thread puts a new one in its place, at most one a second, purges the old one
 * and frees it when nobody uses it any more.
 *
 * Invariant: an append is held, and then in log->appends from before librdkafka
 * knows of it until its outcome is told; so each is told exactly once, also when
 * closing. `sending` keeps the order: what comes while held ones are being handed
 * over is held, too.
 * Locks: log->lock around the list and the pointer; none while calling out. */
#include "log_kafka_internal.h"

#include "clock.h"
#include "logger.h"

#include "event.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#define RENEW_INTERVAL_MS 1000
/* What is held waits no longer for an answer than HOLD_MS, or until a poll ends;
 * leaving a broken producer must not wait either. */
#define POLL_MS 250
#define POLL_HOLD_MS 20
#define POLL_BROKEN_MS 20
#define HOLD_MS 100
/* Reports that an append went well have time: nobody waits for them. So the thread
 * takes those of a while together, instead of being woken for each, in the very
 * moment in which the record comes back and others want the processor. */
#define PAUSE_MS 3
/* RD_KAFKA_IDEMP_MAX_INFLIGHT: a request goes if fewer messages are under way. */
#define WINDOW 5
/* librdkafka's batch.size: what goes in one request. */
#define BATCH_BYTES 1000000

/* Ends an append: takes it off the list and tells. */
static void finish(struct log_kafka *log, struct log_kafka_append *append, enum log_append how,
                   uint64_t offset)
{
	pthread_mutex_lock(&log->lock);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in that list */
	DL_DELETE(log->appends, append);
	log->under_way--;
	pthread_mutex_unlock(&log->lock);
	append->done(append->arg, how, offset);
	free(append);
}

/* What it means for the log that producing failed with ERR before anything was
 * sent, or was refused by the broker. */
static enum log_append refusal(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return LOG_TOO_LARGE;
	default:
		return LOG_NOT_APPENDED;
	}
}

void log_kafka_delivered(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *arg)
{
	struct log_kafka_client *client = arg;
	uint64_t offset = LOG_NO_OFFSET;
	enum log_append how = LOG_APPENDED;

	(void)rk;
	if (!msg->err) {
		log_kafka_seen(client);
		if (msg->offset >= 0)
			offset = (uint64_t)msg->offset;
	} else if (rd_kafka_message_status(msg) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
		how = refusal(msg->err);
	} else {
		how = LOG_UNKNOWN;
	}
	if (msg->err && msg->err != RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
		log_kafka_note(client->log, "%s", rd_kafka_err2str(msg->err));
	finish(client->log, msg->_private, how, offset);
}

static rd_kafka_headers_t *make_headers(const struct record *rec)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(rec->nheaders);
	size_t i;

	for (i = 0; i < rec->nheaders; i++) {
		const struct record_header *h = &rec->headers[i];

		rd_kafka_header_add(headers, h->name.data, (ssize_t)h->name.len,
		                    h->value.data ? h->value.data : "", (ssize_t)h->value.len);
	}
	return headers;
}

/* Hands REC (copied) to librdkafka; it never waits. */
static rd_kafka_resp_err_t produce(struct log_kafka_client *client, const struct record *rec,
                                   void *append)
{
	rd_kafka_headers_t *headers = make_headers(rec);
	/* A null value means something else than an empty one. */
	const void *value = rec->value.data ? rec->value.data : "";
	rd_kafka_resp_err_t err;

	err = rd_kafka_producev(client->rk, RD_KAFKA_V_RKT(client->topic), RD_KAFKA_V_PARTITION(0),
	                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	                        RD_KAFKA_V_KEY(rec->key.len ? rec->key.data : NULL, rec->key.len),
	                        RD_KAFKA_V_VALUE(rec->has_value ? (void *)value : NULL,
	                                         rec->has_value ? rec->value.len : 0),
	                        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(append),
	                        RD_KAFKA_V_END);
	if (err)
		rd_kafka_headers_destroy(headers);
	return err;
}

/* Hands EV to CLIENT; APPEND is in log->appends. If that fails, it is told. */
static void hand_over(struct log_kafka_client *client, const struct event *ev,
                      struct log_kafka_append *append)
{
	struct log_kafka *log = client->log;
	struct record_out out;
	rd_kafka_resp_err_t err;

	if (record_encode(ev, &out)) {
		finish(log, append, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		return;
	}
	err = produce(client, &out.rec, append);
	if (err) {
		log_kafka_note(log, "%s", rd_kafka_err2str(err));
		finish(log, append, refusal(err), LOG_NO_OFFSET);
	}
	record_out_free(&out);
}

/* Moves the first that are held to log->appends, about a batch of them, and
 * returns them in an array of *RET_N, or NULL without memory. With the lock held. */
static struct log_kafka_append **take_held(struct log_kafka *log, size_t *ret_n)
{
	struct log_kafka_append *append, **list;
	size_t n = 0, bytes = 0;

	DL_FOREACH (log->held, append) {
		bytes += append->ev->key.len + append->ev->value.len;
		n++;
		if (bytes >= BATCH_BYTES)
			break;
	}
	list = calloc(n, sizeof(struct log_kafka_append *));
	for (size_t i = 0; list && i < n; i++) {
		list[i] = log->held;
		DL_DELETE(log->held, list[i]);
		DL_APPEND(log->appends, list[i]);
		log->under_way++;
	}
	*ret_n = n;
	return list;
}

void log_kafka_send_held(struct log_kafka *log, bool all)
{
	struct log_kafka_append **list;
	struct log_kafka_client *client;
	size_t n;

	pthread_mutex_lock(&log->lock);
	while (!log->sending && log->held && (all || log->under_way < WINDOW)) {
		list = take_held(log, &n);
		if (!list)
			break;
		log->sending = true;
		client = log->producer;
		client->refs++;
		pthread_mutex_unlock(&log->lock);
		for (size_t i = 0; i < n; i++) {
			struct event *ev = list[i]->ev;

			list[i]->ev = NULL;
			hand_over(client, ev, list[i]);
			event_free(ev);
		}
		free(list);
		log_kafka_producer_unref(client);
		pthread_mutex_lock(&log->lock);
		log->sending = false;
		log->held_ms = clock_mono_ms();
	}
	pthread_mutex_unlock(&log->lock);
}

/* Puts APPEND to those that are held, with a copy of EV. With the lock held. */
static bool hold(struct log_kafka *log, const struct event *ev, struct log_kafka_append *append)
{
	append->ev = event_dup(ev);
	if (!append->ev)
		return false;
	if (!log->held)
		log->held_ms = clock_mono_ms();
	DL_APPEND(log->held, append);
	pthread_cond_signal(&log->hurry);
	return true;
}

void log_kafka_append(struct log_kafka *log, const struct event *ev, log_done *done, void *arg)
{
	struct log_kafka_append *append = malloc(sizeof(*append));
	struct log_kafka_client *client;
	bool fail = false, held = false;

	if (!append) {
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		return;
	}
	*append = (struct log_kafka_append){ .done = done, .arg = arg };
	pthread_mutex_lock(&log->lock);
	client = log->producer;
	held = log->sending || log->held || (log->under_way >= WINDOW && client->up);
	if (held) {
		fail = !hold(log, ev, append);
	} else {
		DL_APPEND(log->appends, append);
		log->under_way++;
		client->refs++;
	}
	pthread_mutex_unlock(&log->lock);
	if (fail) {
		free(append);
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
	} else if (held) {
		log_kafka_send_held(log, false); /* those before it may be answered by now */
	} else {
		hand_over(client, ev, append);
		log_kafka_producer_unref(client);
	}
}

/* Replaces a producer that broke. What it still had is reported by its purge. */
static void renew(struct log_kafka *log)
{
	struct log_kafka_client *client, *broken = log->producer;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int64_t now_ms = clock_mono_ms();

	if (log->retired || now_ms - log->renewed_ms < RENEW_INTERVAL_MS)
		return;
	log->renewed_ms = now_ms;
	if (log_kafka_client_new(log, true, &client, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot make a new Kafka producer error=\"%s\"", why);
		return;
	}
	client->up = broken->up;
	pthread_mutex_lock(&log->lock);
	log->producer = client;
	pthread_mutex_unlock(&log->lock);
	log->retired = broken;
	rd_kafka_purge(broken->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

/* Serves a producer that was replaced until it can go. */
static void retire(struct log_kafka *log)
{
	struct log_kafka_client *client = log->retired;

	rd_kafka_poll(client->rk, 0);
	if (client->refs || rd_kafka_outq_len(client->rk))
		return;
	log->retired = NULL;
	log_kafka_client_free(client);
}

/* Whether something is held, and if so whether it is for too long. */
static bool is_held(struct log_kafka *log, bool *ret_long)
{
	bool held;

	pthread_mutex_lock(&log->lock);
	held = log->held;
	*ret_long = held && (clock_mono_ms() - log->held_ms > HOLD_MS || !log->producer->up);
	pthread_mutex_unlock(&log->lock);
	return held;
}

static void pause_unless_held(struct log_kafka *log)
{
	struct timespec until = clock_mono_in(PAUSE_MS);

	pthread_mutex_lock(&log->lock);
	while (!log->held && pthread_cond_timedwait(&log->hurry, &log->lock, &until) == 0)
		;
	pthread_mutex_unlock(&log->lock);
}

void *log_kafka_serve(void *arg)
{
	struct log_kafka *log = arg;
	bool too_long;

	while (!log->stopping) {
		/* Only this thread replaces it. */
		struct log_kafka_client *client = log->producer;

		rd_kafka_poll(client->rk, client->fatal || log->retired ? POLL_BROKEN_MS :
		                          is_held(log, &too_long)       ? POLL_HOLD_MS :
		                                                          POLL_MS);
		if (is_held(log, &too_long))
			log_kafka_send_held(log, too_long);
		if (client->fatal)
			renew(log);
		if (log->retired)
			retire(log);
		pause_unless_held(log);
	}
	return NULL;
}
