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
 * message and then take what else is there. A batch's messages are kept until it is
 * done with, and given back when the next is wanted.
 *
 * A broker can come back with other records than those that it gave before: its disk
 * lost the newest ones, a replica that lacked them was elected, or the topic was made
 * anew. librdkafka 2.0 goes on at the same offset all the same (KIP-320, which compares
 * leader epochs, came with 2.1). So after a lost connection, another leader or a topic
 * that was away for a moment, nothing more is given (-ESTALE) until the caller follows
 * again, from a record that it knows. librdkafka tells us of each socket that it closes
 * before it opens another, so no record gets through in between.
 * All belongs to the reading thread, but what log/internal.h says. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/log/batch.h"
#include "common/log/client.h"
#include "common/log/prefetch.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

/* Between two attempts to read what cannot be read. */
#define RETRY_MS 500

/* What is left of the batch is not wanted. */
static void drop_batch(struct log_kafka *log)
{
	if (log->batch)
		log->batch->at = log->batch->n;
}

/* Nobody reads ahead any more. */
static void stop_prefetch(struct log_kafka *log)
{
	struct log_kafka_prefetch *prefetch = log->prefetch;
	struct log_kafka_batch *last = log->batch == log->own ? NULL : log->batch;
	bool woken;

	if (!prefetch)
		return;
	pthread_mutex_lock(&log->consumer_lock);
	log->prefetch = NULL;
	pthread_mutex_unlock(&log->consumer_lock);
	woken = log_kafka_prefetch_stop(prefetch);
	if (last)
		log_kafka_batch_clear(last);
	free(last);
	log->batch = log->own;
	if (woken)
		rd_kafka_queue_yield(log->consumer->events);
}

int log_kafka_follow(struct log_kafka *log, uint64_t from, uint64_t prefetch_until)
{
	struct log_kafka_prefetch *thread = NULL;
	struct log_kafka_client *client;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int err;

	log_kafka_unfollow(log);
	log->own = calloc(1, sizeof(*log->own));
	if (!log->own)
		return -ENOMEM;
	err = log_kafka_client_new(log, NULL, &client, why, sizeof(why));
	if (err) {
		log_kafka_note_error(log, "%s", why);
		return err == -ENOMEM ? -ENOMEM : -EIO;
	}
	if (rd_kafka_consume_start_queue(client->topic, 0, (int64_t)from, client->events)) {
		log_kafka_note_error(log, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		log_kafka_client_free(client);
		return -EIO;
	}
	log->batch = log->own;
	log->next = from;
	log->position = from;
	log->prefetch_until = prefetch_until;
	log->lost = log->broken = log->stale = log->begun = false;
	/* Without that thread it only takes longer. */
	if (from < prefetch_until && log_kafka_prefetch_start(client, prefetch_until, &thread) == 0)
		log->batch = NULL;
	pthread_mutex_lock(&log->consumer_lock);
	log->consumer = client;
	log->prefetch = thread;
	pthread_mutex_unlock(&log->consumer_lock);
	return 0;
}

void log_kafka_unfollow(struct log_kafka *log)
{
	struct log_kafka_client *client = log->consumer;

	stop_prefetch(log);
	if (client) {
		pthread_mutex_lock(&log->consumer_lock);
		log->consumer = NULL;
		pthread_mutex_unlock(&log->consumer_lock);
		log_kafka_batch_clear(log->own);
		rd_kafka_consume_stop(client->topic, 0);
		log_kafka_client_free(client);
	}
	free(log->own);
	log->own = log->batch = NULL;
}

void log_kafka_wake(struct log_kafka *log)
{
	pthread_mutex_lock(&log->consumer_lock);
	if (log->prefetch)
		log_kafka_prefetch_wake(log->prefetch);
	else if (log->consumer)
		rd_kafka_queue_yield(log->consumer->events);
	pthread_mutex_unlock(&log->consumer_lock);
}

uint64_t log_kafka_position(struct log_kafka *log)
{
	return log->position;
}

/* The next batch, once the old one is done with; NULL if none came. */
static struct log_kafka_batch *fill(struct log_kafka *log, int64_t timeout_ms)
{
	struct log_kafka_batch *batch = log->own;
	bool over = false;

	if (log->prefetch) {
		log->batch = log_kafka_prefetch_next(log->prefetch, log->batch, timeout_ms, &over);
		if (!over)
			return log->batch;
		stop_prefetch(log);
	}
	log_kafka_batch_clear(batch);
	if (!log_kafka_batch_fill(batch, log->consumer->events, timeout_ms, LOG_KAFKA_BATCH))
		return NULL;
	return batch;
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
		log_kafka_note_error(log, "the log does not have offset %" PRIu64, log->next);
		log->lost = true;
		return -ENODATA;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		log_kafka_note_error(log, "%s", rd_kafka_message_errstr(msg));
		return -EACCES;
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
	case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		/* librdkafka tries again by itself. */
		log_kafka_note_error(log, "%s", rd_kafka_message_errstr(msg));
		return -EAGAIN;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		log_kafka_note_error(log, "%s", rd_kafka_message_errstr(msg));
		log->stale = true;
		return -ESTALE;
	default:
		log_kafka_note_error(log, "%s", rd_kafka_message_errstr(msg));
		logger(LOGGER_WARN,
		       "cannot read the log, trying again offset=%" PRIu64 " error=\"%s\"",
		       log->next, rd_kafka_message_errstr(msg));
		log->broken = true;
		log->retry_ms = clock_mono_ms() + RETRY_MS;
		return -EIO;
	}
}

/* Return whether something happened since the first record was given after which the
 * log may be another one. REC is the record that is due, or NULL. */
static bool is_stale(struct log_kafka *log, const struct log_record *rec)
{
	if (log->begun && (log->consumer->closed != log->begun_closed ||
	                   (rec && rec->broker != log->begun_broker)))
		log->stale = true;
	return log->stale;
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
	return log_kafka_follow(log, log->next, log->prefetch_until);
}

int log_kafka_poll(struct log_kafka *log, int64_t timeout_ms, size_t max,
                   int (*fn)(void *arg, const struct log_record *rec), void *arg)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	size_t taken = 0;
	int err;

	if (!log->consumer)
		return -EIO;
	if (log->lost)
		return -ENODATA;
	if (is_stale(log, NULL))
		return -ESTALE;
	if (log->broken && retry(log, timeout_ms))
		return -EIO;
	while (taken < max) {
		struct log_kafka_batch *batch = log->batch;
		const struct log_record *rec;

		if (!batch || batch->at == batch->n) {
			int64_t left_ms = taken ? 0 : until_ms - clock_mono_ms();

			batch = fill(log, left_ms > 0 ? left_ms : 0);
			if (!batch)
				break;
			log_kafka_note_answer(log->consumer);
		}
		rec = &batch->slots[batch->at].rec;
		if (!log_kafka_batch_decode(batch, batch->at)) {
			err = handle_error(log, batch->messages[batch->at]);
			batch->at++;
			if (log->broken || log->lost || log->stale)
				drop_batch(log);
			if (err)
				return taken ? (int)taken : err;
		} else if (is_stale(log, rec)) {
			drop_batch(log);
			return taken ? (int)taken : -ESTALE;
		} else if (rec->offset < log->next) {
			batch->at++;
		} else {
			if (!log->begun) {
				log->begun_closed = log->consumer->closed;
				log->begun_broker = rec->broker;
				log->begun = true;
			}
			err = fn(arg, rec);
			if (err)
				return err; /* the message stays */
			log->next = rec->offset + 1;
			log->position = log->next;
			batch->at++;
			taken++;
		}
	}
	if (!taken && is_stale(log, NULL))
		return -ESTALE;
	return !taken && !log->consumer->up ? -EAGAIN : (int)taken;
}

bool log_kafka_blocked(struct log_kafka *log, uint64_t *ret_offset, int64_t *ret_ms)
{
	struct log_kafka_client *client = log->consumer;
	int64_t since_ms = client ? client->blocked_since_ms : 0;

	if (!since_ms || (int64_t)log->position != client->stable)
		return false;
	*ret_offset = log->position;
	*ret_ms = clock_mono_ms() - since_ms;
	return true;
}
