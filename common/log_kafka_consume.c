/* The Kafka log's consumer: follow, poll, and reading one record.
 *
 * librdkafka's simple consumer reads the one partition from an offset that we
 * name: no group, no coordinator, nothing committed, so nothing to wait for
 * and no right needed but to read. The broker holds a fetch until there is a
 * record, so a record arrives as soon as it is in the log.
 *
 * Invariant: records are given in order, each once, and none is left out in
 * silence. librdkafka reports a batch that it cannot read (a broken checksum,
 * an unknown compression) and goes on behind it; we throw away what it fetched
 * after such a report and fetch again from the record that is due.
 * librdkafka's batch call waits until its array is full, so we wait for one
 * message and then take what else is there.
 * All belongs to the reading thread, but what log_kafka_internal.h says. */
#include "log_kafka_internal.h"

#include "clock.h"
#include "logger.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 1024
/* Between two attempts to read what cannot be read. */
#define RETRY_MS 500

static void drop_batch(struct log_kafka *log)
{
	while (log->batch_at < log->batch_len)
		rd_kafka_message_destroy(log->batch[log->batch_at++]);
	log->batch_at = log->batch_len = 0;
}

int log_kafka_follow(struct log_kafka *log, uint64_t from)
{
	struct log_kafka_client *client;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int err;

	log_kafka_unfollow(log);
	if (!log->batch)
		log->batch = calloc(BATCH_MAX, sizeof(struct rd_kafka_message_s *));
	if (!log->batch)
		return -ENOMEM;
	err = log_kafka_client_new(log, false, &client, why, sizeof(why));
	if (err) {
		log_kafka_note(log, "%s", why);
		return err == -ENOMEM ? -ENOMEM : -EIO;
	}
	if (rd_kafka_consume_start_queue(client->topic, 0, (int64_t)from, client->events)) {
		log_kafka_note(log, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		log_kafka_client_free(client);
		return -EIO;
	}
	log->next = from;
	log->position = from;
	log->lost = log->broken = false;
	pthread_mutex_lock(&log->consumer_lock);
	log->consumer = client;
	pthread_mutex_unlock(&log->consumer_lock);
	return 0;
}

void log_kafka_unfollow(struct log_kafka *log)
{
	struct log_kafka_client *client = log->consumer;

	if (client) {
		pthread_mutex_lock(&log->consumer_lock);
		log->consumer = NULL;
		pthread_mutex_unlock(&log->consumer_lock);
		drop_batch(log);
		rd_kafka_consume_stop(client->topic, 0);
		log_kafka_client_free(client);
	}
	free(log->batch);
	log->batch = NULL;
}

void log_kafka_wake(struct log_kafka *log)
{
	pthread_mutex_lock(&log->consumer_lock);
	if (log->consumer)
		rd_kafka_queue_yield(log->consumer->events);
	pthread_mutex_unlock(&log->consumer_lock);
}

uint64_t log_kafka_position(struct log_kafka *log)
{
	return log->position;
}

/* Gets messages into the batch; returns how many there are. */
static size_t fill(struct log_kafka *log, int64_t timeout_ms)
{
	rd_kafka_queue_t *queue = log->consumer->events;
	rd_kafka_message_t *first;
	ssize_t more;

	first = rd_kafka_consume_queue(queue, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
	if (!first)
		return 0;
	log->batch[0] = first;
	more = rd_kafka_consume_batch_queue(queue, 0, log->batch + 1, BATCH_MAX - 1);
	log->batch_at = 0;
	log->batch_len = 1 + (more > 0 ? (size_t)more : 0);
	return log->batch_len;
}

/* Takes a message apart; REC borrows its bytes. */
static void to_record(const rd_kafka_message_t *msg, struct record *rec)
{
	rd_kafka_headers_t *headers;
	rd_kafka_resp_err_t err;
	int64_t time_ms = rd_kafka_message_timestamp(msg, NULL);
	const char *name;
	const void *value;
	size_t len, n = 0;

	rec->key = (struct bytes){ msg->key, msg->key_len };
	rec->value = (struct bytes){ msg->payload, msg->len };
	rec->has_value = msg->payload != NULL;
	rec->time_ms = time_ms > 0 ? time_ms : 0;
	err = rd_kafka_message_headers(msg, &headers);
	while (!err && n < RECORD_HEADERS_MAX &&
	       !rd_kafka_header_get_all(headers, n, &name, &value, &len)) {
		rec->headers[n].name = (struct bytes){ name, strlen(name) };
		rec->headers[n].value = (struct bytes){ value, len };
		n++;
	}
	/* Headers that cannot be read: malformed, never a plain change. */
	if (err && err != RD_KAFKA_RESP_ERR__NOENT) {
		rec->headers[0].name = (struct bytes){ "op", 2 };
		rec->headers[0].value = (struct bytes){ "", 0 };
		n = 1;
	}
	rec->nheaders = n;
}

/* What a message that is no record means: 0 to go on, or an error of poll. */
static int handle_error(struct log_kafka *log, const rd_kafka_message_t *msg)
{
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		/* Behind the last record there may be transaction markers. */
		if ((uint64_t)msg->offset > log->next) {
			log->next = (uint64_t)msg->offset;
			log->position = log->next;
		}
		return 0;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		log_kafka_note(log, "the log does not have offset %" PRIu64, log->next);
		log->lost = true;
		return -ENODATA;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		log_kafka_note(log, "%s", rd_kafka_message_errstr(msg));
		return -EACCES;
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
	case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		/* librdkafka tries again by itself. */
		log_kafka_note(log, "%s", rd_kafka_message_errstr(msg));
		return -EAGAIN;
	default:
		log_kafka_note(log, "%s", rd_kafka_message_errstr(msg));
		logger(LOGGER_WARN,
		       "cannot read the log, trying again offset=%" PRIu64 " error=\"%s\"",
		       log->next, rd_kafka_message_errstr(msg));
		log->broken = true;
		log->retry_ms = clock_mono_ms() + RETRY_MS;
		return -EIO;
	}
}

/* Ends the batch's next message. */
static void next_message(struct log_kafka *log)
{
	rd_kafka_message_destroy(log->batch[log->batch_at++]);
}

/* Lets some time pass after a record could not be read, then fetches it again.
 * A new consumer is sure to know nothing of what came behind it. */
static int retry(struct log_kafka *log, int64_t timeout_ms)
{
	int64_t pause_ms = log->retry_ms - clock_mono_ms();

	if (pause_ms > timeout_ms)
		pause_ms = timeout_ms;
	if (pause_ms > 0 && fill(log, pause_ms))
		drop_batch(log);
	if (clock_mono_ms() < log->retry_ms)
		return -EIO;
	return log_kafka_follow(log, log->next);
}

int log_kafka_poll(struct log_kafka *log, int64_t timeout_ms, size_t max,
                   int (*fn)(void *arg, uint64_t offset, const struct record *rec), void *arg)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	size_t taken = 0;
	int err;

	if (!log->consumer)
		return -EIO;
	if (log->lost)
		return -ENODATA;
	if (log->broken && retry(log, timeout_ms))
		return -EIO;
	while (taken < max) {
		rd_kafka_message_t *msg;
		struct record rec;

		if (log->batch_at == log->batch_len) {
			int64_t left_ms = taken ? 0 : until_ms - clock_mono_ms();

			if (!fill(log, left_ms > 0 ? left_ms : 0))
				break;
		}
		msg = log->batch[log->batch_at];
		log_kafka_seen(log->consumer);
		if (msg->err) {
			err = handle_error(log, msg);
			next_message(log);
			if (log->broken || log->lost)
				drop_batch(log);
			if (err)
				return taken ? (int)taken : err;
		} else if ((uint64_t)msg->offset < log->next) {
			next_message(log);
		} else {
			to_record(msg, &rec);
			err = fn(arg, (uint64_t)msg->offset, &rec);
			if (err)
				return err; /* the message stays */
			log->next = (uint64_t)msg->offset + 1;
			log->position = log->next;
			next_message(log);
			taken++;
		}
	}
	return !taken && !log->consumer->up ? -EAGAIN : (int)taken;
}

/* Waits for the record at OFFSET or the word that it is not there. */
static int read_one(struct log_kafka_client *client, uint64_t offset, int64_t timeout_ms,
                    struct event **ret)
{
	rd_kafka_message_t *msg = rd_kafka_consume_queue(client->events, (int)timeout_ms);
	const char *why;
	struct record rec;
	int err;

	if (!msg)
		return -EAGAIN;
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		if ((uint64_t)msg->offset < offset) {
			err = -EINTR;
		} else if ((uint64_t)msg->offset > offset) {
			err = -ENODATA;
		} else {
			to_record(msg, &rec);
			err = record_decode(&rec, ret, &why);
		}
		break;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		err = -ENODATA;
		break;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		log_kafka_note(client->log, "%s", rd_kafka_message_errstr(msg));
		err = -EIO;
		break;
	default:
		log_kafka_note(client->log, "%s", rd_kafka_message_errstr(msg));
		err = -EINTR;
	}
	rd_kafka_message_destroy(msg);
	return err;
}

int log_kafka_get(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, struct event **ret)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms, left_ms;
	struct log_kafka_client *client;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int err;

	err = log_kafka_client_new(log, false, &client, why, sizeof(why));
	if (err) {
		log_kafka_note(log, "%s", why);
		return err == -ENOMEM ? -ENOMEM : -EIO;
	}
	if (rd_kafka_consume_start_queue(client->topic, 0, (int64_t)offset, client->events)) {
		log_kafka_note(log, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		log_kafka_client_free(client);
		return -EIO;
	}
	do {
		left_ms = until_ms - clock_mono_ms();
		err = left_ms > 0 ? read_one(client, offset, left_ms, ret) : -EAGAIN;
	} while (err == -EINTR);
	rd_kafka_consume_stop(client->topic, 0);
	log_kafka_client_free(client);
	return err;
}
