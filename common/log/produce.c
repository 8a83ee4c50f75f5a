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
 * nobody is told that a write is done before it was read back (node/kafka_log.c).
 *
 * A lone write goes at once; from several on they are held until they can go
 * together (log/produce_batch.c).
 *
 * An instance can break for good (a "fatal error": a broker forgot the state
 * that idempotence rests on, because the topic was deleted, say). Then the
 * thread puts a new one in its place, at most one a second, purges the old one
 * and frees it when nobody uses it any more.
 *
 * Invariant: an append is held, and then in log->appends from before librdkafka
 * knows of it until its outcome is told; so each is told exactly once, also when
 * closing.
 * Locks: log->lock around the list and the pointer; none while calling out. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <utlist.h>

#define RENEW_INTERVAL_MS 1000
/* What is held must not wait until a long poll ends, nor leaving a broken producer. */
#define POLL_MS 250
#define POLL_HOLD_MS 20
#define POLL_BROKEN_MS 20

/* Ends an append: takes it off the list and tells. */
static void finish(struct log_kafka *log, struct log_kafka_append *append, enum log_append how,
                   uint64_t offset)
{
	pthread_mutex_lock(&log->lock);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in that list */
	DL_DELETE(log->appends, append);
	/* By the thread, then: it sees to those who gather. */
	if (--log->under_way == 0 && how == LOG_APPENDED)
		log_kafka_gather(&log->held);
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

rd_kafka_headers_t *log_kafka_headers(const struct record *rec)
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

int log_kafka_produce(struct log_kafka_client *client, int flags, struct bytes key,
                      const void *value, size_t value_len, rd_kafka_headers_t *headers,
                      struct log_kafka_append *append)
{
	return rd_kafka_producev(
	        client->rk, RD_KAFKA_V_RKT(client->topic), RD_KAFKA_V_PARTITION(0),
	        RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_KEY(key.len ? key.data : NULL, key.len),
	        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_len), RD_KAFKA_V_HEADERS(headers),
	        RD_KAFKA_V_OPAQUE(append), RD_KAFKA_V_END);
}

void log_kafka_refused(struct log_kafka *log, struct log_kafka_append *append, int err)
{
	log_kafka_note(log, "%s", rd_kafka_err2str(err));
	finish(log, append, refusal(err), LOG_NO_OFFSET);
}

/* Hands REC (copied) to CLIENT; APPEND is in log->appends. If that fails, it is told. */
static void hand_over(struct log_kafka_client *client, const struct record *rec,
                      struct log_kafka_append *append)
{
	rd_kafka_headers_t *headers = log_kafka_headers(rec);
	/* A null value means something else than an empty one. */
	const void *value = rec->value.data ? rec->value.data : "";
	int err = log_kafka_produce(client, RD_KAFKA_MSG_F_COPY, rec->key,
	                            rec->has_value ? value : NULL,
	                            rec->has_value ? rec->value.len : 0, headers, append);

	if (err) {
		rd_kafka_headers_destroy(headers);
		log_kafka_refused(client->log, append, err);
	}
}

/* Makes an append that is not held, and puts it on the list. With the lock held. */
static struct log_kafka_append *append_new(struct log_kafka *log, log_done *done, void *arg)
{
	struct log_kafka_append *append = malloc(sizeof(*append));

	if (!append)
		return NULL;
	*append = (struct log_kafka_append){ .done = done, .arg = arg };
	DL_APPEND(log->appends, append);
	log->under_way++;
	return append;
}

void log_kafka_append(struct log_kafka *log, const struct event *ev, log_done *done, void *arg)
{
	struct log_kafka_append *append;
	struct log_kafka_client *client;
	struct record_out out;
	bool held, send = false;

	if (record_encode(ev, &out)) {
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		return;
	}
	pthread_mutex_lock(&log->lock);
	client = log->producer;
	held = log_kafka_must_hold(log);
	append = held ? log_kafka_hold(log, &out.rec, done, arg) : append_new(log, done, arg);
	if (held)
		send = log_kafka_may_send(log); /* those before it may be answered by now */
	else if (append)
		client->refs++;
	pthread_mutex_unlock(&log->lock);
	if (!append) {
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
	} else if (!held) {
		hand_over(client, &out.rec, append);
		log_kafka_producer_unref(client);
	}
	if (send)
		log_kafka_send_held(log, false);
	record_out_free(&out);
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

void *log_kafka_serve(void *arg)
{
	struct log_kafka *log = arg;
	bool too_long;

	while (!log->stopping) {
		/* Only this thread replaces it. */
		struct log_kafka_client *client = log->producer;

		rd_kafka_poll(client->rk, client->fatal || log->retired     ? POLL_BROKEN_MS :
		                          log_kafka_is_held(log, &too_long) ? POLL_HOLD_MS :
		                                                              POLL_MS);
		if (client->fatal)
			renew(log);
		if (log->retired)
			retire(log);
		log_kafka_held_rest(log);
		if (log_kafka_is_held(log, &too_long))
			log_kafka_send_held(log, too_long);
	}
	return NULL;
}
