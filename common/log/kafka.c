/* Kafka log: opening, closing and its state.
 *
 * A log has one producer from open to close and, in the process that applies, one consumer. They
 * are separate instances of librdkafka, because a broker answers the requests of one connection in
 * order: a query for the log's end must not wait for a fetch that waits for records. The other
 * files: conf.c (URL, settings), client.c (an instance), topic.c and inquiry.c (the topic's
 * settings, the log's end), produce.c, append.c and send_queue.c (writing), consume.c, batch.c and
 * prefetch.c (reading), lookup.c (one record).
 *
 * Locks: log->lock, log->consumer_lock (and inside it the prefetch's), log->error_lock; no other
 * lock is taken inside of them. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/log/append.h"
#include "common/log/client.h"
#include "common/log/produce.h"
#include "common/log/thread.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* How long a close waits for the reports of purged messages. */
#define PURGE_TIMEOUT_MS 2000

/* --- opening and closing ------------------------------------------------------ */

static void log_free(struct log_kafka *log)
{
	size_t i;

	for (i = 0; i < log->nsettings; i++)
		free(log->settings[i]);
	free(log->settings);
	log_kafka_url_free(&log->url);
	log_kafka_send_queue_destroy(&log->queue);
	pthread_mutex_destroy(&log->lock);
	pthread_mutex_destroy(&log->consumer_lock);
	pthread_mutex_destroy(&log->error_lock);
	free(log);
}

static int copy_settings(struct log_kafka *log, const struct log_kafka_config *config)
{
	if (!config->nsettings)
		return 0;
	log->settings = calloc(config->nsettings, sizeof(*log->settings));
	if (!log->settings)
		return -ENOMEM;
	for (; log->nsettings < config->nsettings; log->nsettings++) {
		log->settings[log->nsettings] = strdup(config->settings[log->nsettings]);
		if (!log->settings[log->nsettings])
			return -ENOMEM;
	}
	return 0;
}

/* Report at once the settings that a consumer, which is created later, would refuse. */
static int try_consumer_conf(struct log_kafka *log, char *why, size_t why_size)
{
	rd_kafka_conf_t *conf;
	int r = log_kafka_conf(log, false, &conf, why, why_size);

	if (!r)
		rd_kafka_conf_destroy(conf);
	return r;
}

int log_kafka_open(const struct log_kafka_config *config, struct log_kafka **ret, char *why,
                   size_t why_size)
{
	struct log_kafka *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return -ENOMEM;
	log_kafka_send_queue_init(&log->queue);
	pthread_mutex_init(&log->lock, NULL);
	pthread_mutex_init(&log->consumer_lock, NULL);
	pthread_mutex_init(&log->error_lock, NULL);
	log->max_value = config->max_value;
	log->max_record = config->max_value + LOG_RECORD_ROOM;
	log->write_timeout_ms = config->write_timeout_ms > 0 ? config->write_timeout_ms : 1;
	r = log_kafka_url_parse(config->url, &log->url, why, why_size);
	if (!r)
		r = copy_settings(log, config);
	if (!r)
		r = try_consumer_conf(log, why, why_size);
	if (!r)
		r = log_kafka_client_new(log, log_kafka_on_delivery, &log->producer, why, why_size);
	if (r)
		goto err_free;
	log->renewed_ms = clock_mono_ms();
	r = log_kafka_thread_start(&log->thread, "kafka-log", log_kafka_serve, log);
	if (r)
		goto err_client;
	*ret = log;
	return 0;

err_client:
	log_kafka_client_free(log->producer);
err_free:
	log_free(log);
	return r;
}

/* Report the appends that librdkafka did not report in time, and those that were never passed to
 * it. */
static void report_rest(struct log_kafka *log)
{
	struct log_kafka_append *append;

	while ((append = log->queue.list)) {
		DL_DELETE(log->queue.list, append);
		append->done(append->arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		log_kafka_queued_free(append);
	}
	while ((append = log->appends)) {
		DL_DELETE(log->appends, append);
		append->done(append->arg, LOG_UNKNOWN, LOG_NO_OFFSET);
		free(append);
	}
}

void log_kafka_close(struct log_kafka *log, int64_t timeout_ms)
{
	rd_kafka_t *rk;

	if (!log)
		return;
	log_kafka_unfollow(log);
	/* End the thread first: it must not replace the producer meanwhile. */
	log->stopping = true;
	rd_kafka_queue_yield(log->producer->events);
	pthread_join(log->thread, NULL);
	log_kafka_send_queued(log, true);
	rk = log->producer->rk;
	if (rd_kafka_flush(rk, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms)) {
		rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(rk, PURGE_TIMEOUT_MS);
	}
	if (log->retired)
		rd_kafka_flush(log->retired->rk, PURGE_TIMEOUT_MS);
	report_rest(log);
	log_kafka_client_free(log->retired);
	log_kafka_client_free(log->producer);
	log_free(log);
}

/* --- state ------------------------------------------------------------ */

bool log_kafka_up(struct log_kafka *log)
{
	struct log_kafka_client *client = log_kafka_producer_ref(log);
	bool up = client->up;

	log_kafka_producer_unref(client);
	return up;
}

uint64_t log_kafka_errors(struct log_kafka *log, char *last, size_t size)
{
	uint64_t n;

	pthread_mutex_lock(&log->error_lock);
	n = log->nerrors;
	if (last && size)
		snprintf(last, size, "%s", log->last_error);
	pthread_mutex_unlock(&log->error_lock);
	return n;
}
