/* Client: one instance of librdkafka, a producer or a consumer, with the log's topic.
 *
 * librdkafka reports deliveries, errors and statistics by callbacks, in the thread that
 * serves an instance's queue: the producer's in the log's own thread, the consumer's in the
 * thread that polls or in the one that reads ahead of it. Log lines come from any of its
 * threads. Once a second the statistics say which connections are up.
 *
 * Locks: log->lock around the pointer to the producer, log->error_lock around the last error;
 * the state that callbacks set is atomic. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/log/client.h"

#include <errno.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

void log_kafka_note_error(struct log_kafka *log, const char *fmt, ...)
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
		log_kafka_note_error(client->log, "%s", text);
		logger(LOGGER_WARN, "the Kafka producer failed and is replaced error=\"%s\"", text);
		client->fatal = true;
		return;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		log_kafka_note_error(client->log, "%s", reason);
		client->denied = true;
		return;
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		/* This does not say why; the error before it does. */
		return;
	default:
		log_kafka_note_error(client->log, "%s", reason);
	}
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	enum logger_level how = LOGGER_DEBUG;

	(void)rk;
	/* Producers and consumers get the same settings; the simple consumer has some that
	 * librdkafka calls deprecated (log/conf.c). */
	if (strcmp(facility, "CONFWARN") == 0 &&
	    (strstr(text, "will be ignored by this") || strstr(text, "auto.commit.enable")))
		return;
	/* Logged for brokers that are too old for headers, and for librdkafka's own mock. */
	if (strcmp(facility, "AUTOCREATE") == 0)
		return;
	if (level <= LOG_WARNING)
		how = LOGGER_WARN;
	else if (level <= LOG_INFO)
		how = LOGGER_INFO;
	logger(how, "kafka: %s", text);
}

/* Close a socket for librdkafka, and count it if it had received data: losing a connection that
 * never worked does no harm. */
static int on_close(int fd, void *arg)
{
	struct log_kafka_client *client = arg;
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_bytes_received)
		client->closed++;
	return close(fd);
}

/* Compare the offset at which readers of committed records end with the end of the log. */
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

/* Find out from the statistics whether a connection to a broker is up. */
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
		if (state && (strcmp(state, "UP") == 0 || strcmp(state, "UPDATE") == 0))
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

void log_kafka_note_answer(struct log_kafka_client *client)
{
	client->up = client->was_up = true;
	client->denied = false;
}

/* --- clients ------------------------------------------------------------------ */

int log_kafka_client_new(struct log_kafka *log, log_kafka_delivered *delivered,
                         struct log_kafka_client **ret, char *why, size_t why_size)
{
	bool producer = delivered;
	struct log_kafka_client *client = calloc(1, sizeof(*client));
	rd_kafka_queue_t *main_queue;
	rd_kafka_conf_t *conf;
	char text[LOG_KAFKA_TEXT_MAX];
	int r;

	if (!client)
		return -ENOMEM;
	client->log = log;
	r = log_kafka_conf(log, producer, &conf, why, why_size);
	if (r)
		goto err_free;
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_stats_cb(conf, on_stats);
	if (producer)
		rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	else
		rd_kafka_conf_set_closesocket_cb(conf, on_close);
	client->rk = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text,
	                          sizeof(text));
	if (!client->rk) {
		rd_kafka_conf_destroy(conf);
		if (why)
			snprintf(why, why_size, "-X: %s", text);
		r = -EINVAL;
		goto err_free;
	}
	client->topic = rd_kafka_topic_new(client->rk, log->url.topic, NULL);
	if (!client->topic) {
		if (why)
			snprintf(why, why_size, "topic %s: %s", log->url.topic,
			         rd_kafka_err2str(rd_kafka_last_error()));
		r = -EINVAL;
		goto err_destroy;
	}
	main_queue = rd_kafka_queue_get_main(client->rk);
	if (producer) {
		client->events = main_queue;
	} else {
		/* Put records, errors and statistics into one queue, which one thread serves. */
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
	return r;
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
