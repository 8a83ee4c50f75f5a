/* Producing: append an event, and the thread that serves the producer.
 *
 * A lone write is passed to librdkafka at once; with several concurrent writes, they are queued
 * until they can be sent together (log/send_queue.c). log/append.c decides how an append ended.
 *
 * An instance can fail permanently (a "fatal error": for example, a broker lost the state that
 * idempotence needs, because the topic was deleted). Then the thread replaces it, at most once a
 * second, purges the old one and frees it when no thread uses it any more.
 *
 * Lock: log->lock guards the list of appends and the pointer to the producer; it is not held during
 * calls of librdkafka or callbacks. */
#include "common/log/produce.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/log/append.h"
#include "common/log/client.h"
#include "common/log/internal.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <utlist.h>

#define RENEW_INTERVAL_MS 1000
/* Timeouts of a poll: shorter while records are queued, or a failed producer must be
 * replaced. */
#define POLL_MS 250
#define POLL_QUEUED_MS 20
#define POLL_BROKEN_MS 20

/* Hand REC, which is copied, to CLIENT; APPEND is in log->appends. Reports a failure. */
static void produce_now(struct log_kafka_client *client, const struct record *rec,
                        struct log_kafka_append *append)
{
	rd_kafka_headers_t *headers = log_kafka_headers(rec);
	/* A null value and an empty value mean different things. */
	const void *value = rec->value.data ? rec->value.data : "";
	int err = log_kafka_produce(client, RD_KAFKA_MSG_F_COPY, rec->key,
	                            rec->has_value ? value : NULL,
	                            rec->has_value ? rec->value.len : 0, headers, append);

	if (err) {
		rd_kafka_headers_destroy(headers);
		log_kafka_fail_append(client->log, append, err);
	}
}

/* Return a new append that goes to librdkafka at once, in log->appends; NULL without memory.
 * Call with the lock held. */
static struct log_kafka_append *append_new(struct log_kafka *log, log_done *done, void *arg)
{
	struct log_kafka_append *append = malloc(sizeof(*append));

	if (!append)
		return NULL;
	*append = (struct log_kafka_append){ .done = done, .arg = arg };
	DL_APPEND(log->appends, append);
	log->inflight++;
	return append;
}

void log_kafka_append(struct log_kafka *log, const struct event *ev, log_done *done, void *arg)
{
	struct log_kafka_append *append;
	struct log_kafka_client *client;
	struct record_out out;
	bool queued, send = false;

	if (record_encode(ev, &out)) {
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		return;
	}
	pthread_mutex_lock(&log->lock);
	client = log->producer;
	queued = log_kafka_should_queue(log);
	append = queued ? log_kafka_enqueue(log, &out.rec, done, arg) : append_new(log, done, arg);
	if (queued)
		send = log_kafka_may_send(
		        log); /* Those before it may have been acknowledged by now. */
	else if (append)
		client->refs++;
	pthread_mutex_unlock(&log->lock);
	if (!append) {
		done(arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
	} else if (!queued) {
		produce_now(client, &out.rec, append);
		log_kafka_producer_unref(client);
	}
	if (send)
		log_kafka_send_queued(log, false);
	record_out_free(&out);
}

/* Replace the producer, which failed. Purging the old one reports what it still had. */
static void replace_producer(struct log_kafka *log)
{
	struct log_kafka_client *client, *broken = log->producer;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int64_t now_ms = clock_mono_ms();

	if (log->retired || now_ms - log->renewed_ms < RENEW_INTERVAL_MS)
		return;
	log->renewed_ms = now_ms;
	if (log_kafka_client_new(log, log_kafka_on_delivery, &client, why, sizeof(why))) {
		logger(LOGGER_ERROR, "cannot create a new Kafka producer error=\"%s\"", why);
		return;
	}
	client->up = broken->up;
	pthread_mutex_lock(&log->lock);
	log->producer = client;
	pthread_mutex_unlock(&log->lock);
	log->retired = broken;
	rd_kafka_purge(broken->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

/* Serve the producer that was replaced, and free it when no thread uses it. */
static void serve_retired(struct log_kafka *log)
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
	bool overdue;

	while (!log->stopping) {
		/* No lock: only this thread replaces it. */
		struct log_kafka_client *client = log->producer;

		rd_kafka_poll(client->rk, client->fatal || log->retired       ? POLL_BROKEN_MS :
		                          log_kafka_has_queued(log, &overdue) ? POLL_QUEUED_MS :
		                                                                POLL_MS);
		if (client->fatal)
			replace_producer(log);
		if (log->retired)
			serve_retired(log);
		log_kafka_linger(log);
		if (log_kafka_has_queued(log, &overdue))
			log_kafka_send_queued(log, overdue);
	}
	return NULL;
}
