/* The Kafka log: opening, closing, and what librdkafka tells.
 *
 * A log has one producer from start to end and, while this process is the one
 * that applies, one consumer. They are separate instances of librdkafka,
 * because a broker answers the requests of one connection in order: a question
 * for the log's end must not stand behind a fetch that waits for records.
 * The other files: log/conf.c (URL, settings), log/topic.c (the
 * topic's fitness, the log's end), log/produce.c, log/produce_batch.c,
 * log/readahead.c (for replays).
 *
 * librdkafka calls back for delivery reports, errors and statistics from
 * whoever serves an instance's queue: the producer's from our one thread, the
 * consumer's from the thread that polls, or reads ahead of it. Its log lines come
 * from any of its threads. Every second the statistics say which connections are up.
 * Locks: log->lock, log->consumer_lock (and in it ahead's), log->error_lock; no
 * other is taken inside of them. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

/* How long a close waits for librdkafka to report what it purged. */
#define PURGE_TIMEOUT_MS 2000

void log_kafka_note(struct log_kafka *log, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pthread_mutex_lock(&log->error_lock);
	log->nerrors++;
	vsnprintf(log->last_error, sizeof(log->last_error), fmt, args);
	pthread_mutex_unlock(&log->error_lock);
	va_end(args);
}

/* --- librdkafka's callbacks -------------------------------------------------- */

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *arg)
{
	struct log_kafka_client *client = arg;
	char text[LOG_KAFKA_TEXT_MAX];

	switch (err) {
	case RD_KAFKA_RESP_ERR__FATAL:
		if (rd_kafka_fatal_error(rk, text, sizeof(text)) == RD_KAFKA_RESP_ERR_NO_ERROR)
			snprintf(text, sizeof(text), "%s", reason);
		log_kafka_note(client->log, "%s", text);
		logger(LOGGER_WARN, "the Kafka producer failed, a new one takes over error=\"%s\"",
		       text);
		client->fatal = true;
		return;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		log_kafka_note(client->log, "%s", reason);
		client->denied = true;
		return;
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		/* Says nothing about why; the error before it does. */
		return;
	default:
		log_kafka_note(client->log, "%s", reason);
	}
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	enum logger_level how = LOGGER_DEBUG;

	(void)rk;
	/* Producers and consumers get the same settings; the simple consumer has
	 * some of its own that librdkafka calls old (log/conf.c). */
	if (!strcmp(facility, "CONFWARN") &&
	    (strstr(text, "will be ignored by this") || strstr(text, "auto.commit.enable")))
		return;
	/* Said of brokers too old for headers, and of librdkafka's own mock. */
	if (!strcmp(facility, "AUTOCREATE"))
		return;
	if (level <= LOG_WARNING)
		how = LOGGER_WARN;
	else if (level <= LOG_INFO)
		how = LOGGER_INFO;
	logger(how, "kafka: %s", text);
}

/* Closes a socket for librdkafka, and counts it if something had come through it: an
 * attempt that reached nobody loses nothing. */
static int on_close(int fd, void *arg)
{
	struct log_kafka_client *client = arg;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_bytes_received)
		client->closed++;
	return close(fd);
}

/* Compare where readers of committed records end with where the log does. */
static void note_transactions(struct log_kafka_client *client, json_t *stats)
{
	json_t *part = json_object_get(
	        json_object_get(
	                json_object_get(json_object_get(stats, "topics"), client->log->url.topic),
	                "partitions"),
	        "0");
	int64_t stable = json_integer_value(json_object_get(part, "ls_offset"));
	int64_t high = json_integer_value(json_object_get(part, "hi_offset"));

	if (!part)
		return;
	if (stable < 0 || stable >= high)
		client->blocked_since_ms = 0;
	else if (!client->blocked_since_ms || stable != client->stable)
		client->blocked_since_ms = clock_mono_ms();
	client->stable = stable;
}

/* Counts the brokers that a connection is up to. */
static int on_stats(rd_kafka_t *rk, char *text, size_t len, void *arg)
{
	struct log_kafka_client *client = arg;
	json_t *stats = json_loadb(text, len, 0, NULL), *broker;
	const char *name, *state;
	bool up = false;

	(void)rk;
	if (!stats)
		return 0;
	json_object_foreach(json_object_get(stats, "brokers"), name, broker)
	{
		state = json_string_value(json_object_get(broker, "state"));
		if (state && (!strcmp(state, "UP") || !strcmp(state, "UPDATE")))
			up = true;
	}
	note_transactions(client, stats);
	json_decref(stats);
	client->up = up || client->was_up;
	client->was_up = up;
	if (up)
		client->denied = false;
	return 0; /* librdkafka frees the text */
}

void log_kafka_seen(struct log_kafka_client *client)
{
	client->up = client->was_up = true;
	client->denied = false;
}

/* --- clients ------------------------------------------------------------------ */

int log_kafka_client_new(struct log_kafka *log, bool producer, struct log_kafka_client **ret,
                         char *why, size_t why_size)
{
	struct log_kafka_client *client = calloc(1, sizeof(*client));
	rd_kafka_queue_t *main_queue;
	rd_kafka_conf_t *conf;
	char text[LOG_KAFKA_TEXT_MAX];
	int err;

	if (!client)
		return -ENOMEM;
	client->log = log;
	err = log_kafka_conf(log, producer, &conf, why, why_size);
	if (err)
		goto err_free;
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_stats_cb(conf, on_stats);
	if (producer)
		rd_kafka_conf_set_dr_msg_cb(conf, log_kafka_delivered);
	else
		rd_kafka_conf_set_closesocket_cb(conf, on_close);
	client->rk = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text,
	                          sizeof(text));
	if (!client->rk) {
		rd_kafka_conf_destroy(conf);
		if (why)
			snprintf(why, why_size, "-X: %s", text);
		err = -EINVAL;
		goto err_free;
	}
	client->topic = rd_kafka_topic_new(client->rk, log->url.topic, NULL);
	if (!client->topic) {
		if (why)
			snprintf(why, why_size, "topic %s: %s", log->url.topic,
			         rd_kafka_err2str(rd_kafka_last_error()));
		err = -EINVAL;
		goto err_destroy;
	}
	main_queue = rd_kafka_queue_get_main(client->rk);
	if (producer) {
		client->events = main_queue;
	} else {
		/* Records, errors and statistics in one queue: one thread serves it. */
		client->events = rd_kafka_queue_new(client->rk);
		rd_kafka_queue_forward(main_queue, client->events);
		rd_kafka_queue_destroy(main_queue);
	}
	*ret = client;
	return 0;

err_destroy:
	rd_kafka_destroy(client->rk);
err_free:
	free(client);
	return err;
}

void log_kafka_client_free(struct log_kafka_client *client)
{
	rd_kafka_queue_t *main_queue;

	if (!client)
		return;
	main_queue = rd_kafka_queue_get_main(client->rk);
	rd_kafka_queue_forward(main_queue, NULL);
	rd_kafka_queue_destroy(main_queue);
	rd_kafka_queue_destroy(client->events);
	rd_kafka_topic_destroy(client->topic);
	rd_kafka_destroy(client->rk);
	free(client);
}

struct log_kafka_client *log_kafka_producer_ref(struct log_kafka *log)
{
	struct log_kafka_client *client;

	pthread_mutex_lock(&log->lock);
	client = log->producer;
	client->refs++;
	pthread_mutex_unlock(&log->lock);
	return client;
}

void log_kafka_producer_unref(struct log_kafka_client *client)
{
	client->refs--;
}

/* --- opening and closing ------------------------------------------------------ */

static void log_free(struct log_kafka *log)
{
	size_t i;

	for (i = 0; i < log->nsettings; i++)
		free(log->settings[i]);
	free(log->settings);
	log_kafka_url_free(&log->url);
	log_kafka_held_destroy(&log->held);
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

/* A consumer is made later; what it would be refused for is told now. */
static int try_consumer_conf(struct log_kafka *log, char *why, size_t why_size)
{
	rd_kafka_conf_t *conf;
	int err = log_kafka_conf(log, false, &conf, why, why_size);

	if (!err)
		rd_kafka_conf_destroy(conf);
	return err;
}

int log_kafka_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	pthread_setname_np(*ret, name);
	return 0;
}

int log_kafka_open(const struct log_kafka_config *config, struct log_kafka **ret, char *why,
                   size_t why_size)
{
	struct log_kafka *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log_kafka_held_init(&log->held);
	pthread_mutex_init(&log->lock, NULL);
	pthread_mutex_init(&log->consumer_lock, NULL);
	pthread_mutex_init(&log->error_lock, NULL);
	log->max_value = config->max_value;
	log->max_record = config->max_value + LOG_RECORD_ROOM;
	log->write_timeout_ms = config->write_timeout_ms > 0 ? config->write_timeout_ms : 1;
	err = log_kafka_url_parse(config->url, &log->url, why, why_size);
	if (!err)
		err = copy_settings(log, config);
	if (!err)
		err = try_consumer_conf(log, why, why_size);
	if (!err)
		err = log_kafka_client_new(log, true, &log->producer, why, why_size);
	if (err)
		goto err_free;
	log->renewed_ms = clock_mono_ms();
	err = log_kafka_thread_start(&log->thread, "kafka-log", log_kafka_serve, log);
	if (err)
		goto err_client;
	*ret = log;
	return 0;

err_client:
	log_kafka_client_free(log->producer);
err_free:
	log_free(log);
	return err;
}

/* Reports what librdkafka could not be made to report in time, and what it never
 * got. */
static void give_up(struct log_kafka *log)
{
	struct log_kafka_append *append;

	while ((append = log->held.list)) {
		DL_DELETE(log->held.list, append);
		append->done(append->arg, LOG_NOT_APPENDED, LOG_NO_OFFSET);
		log_kafka_held_free(append);
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
	/* The thread must not replace the producer meanwhile. */
	log->stopping = true;
	rd_kafka_queue_yield(log->producer->events);
	pthread_join(log->thread, NULL);
	log_kafka_send_held(log, true);
	rk = log->producer->rk;
	if (rd_kafka_flush(rk, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms)) {
		rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(rk, PURGE_TIMEOUT_MS);
	}
	if (log->retired)
		rd_kafka_flush(log->retired->rk, PURGE_TIMEOUT_MS);
	give_up(log);
	log_kafka_client_free(log->retired);
	log_kafka_client_free(log->producer);
	log_free(log);
}

/* --- what is known ------------------------------------------------------------ */

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
