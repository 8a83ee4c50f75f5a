/* Consume: follow the Kafka log and poll its records.
 *
 * librdkafka's simple consumer reads the one partition from a given offset. There is no group, no
 * coordinator and no committed offset, so there is nothing to wait for, and reading is the only
 * permission needed. The broker delays the response to a fetch until there is a record, so a record
 * arrives as soon as it is in the log.
 *
 * Invariant: records are passed in order, each once, and none is skipped silently. When librdkafka
 * cannot read a batch (a bad checksum, an unknown compression), it reports that and continues after
 * the batch. So the messages that it fetched after such a report are discarded, and it fetches
 * again from the record that is due.
 *
 * A broker can come back with other records than before: its disk lost the newest ones, a replica
 * that lacked them was elected, or the topic was recreated. librdkafka 2.0 nevertheless continues
 * at the same offset (KIP-320, which compares leader epochs, came with 2.1). So after a lost
 * connection, a change of the leader, or a topic that was missing for a moment, no record is passed
 * (-ESTALE) until the caller follows again, from a record that it knows. librdkafka reports each
 * socket that it closes before it opens another one, so no record arrives in between.
 *
 * Locks: see log/internal.h; everything else belongs to the reading thread. */
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

/* Pause between two attempts to read a bad record. */
#define RETRY_MS 500

/* Drop the rest of the batch. */
static void drop_batch(struct log_kafka *log)
{
	if (log->batch)
		log->batch->at = log->batch->n;
}

/* Stop the prefetching thread. */
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
	int r;

	log_kafka_unfollow(log);
	log->own = calloc(1, sizeof(*log->own));
	if (!log->own)
		return -ENOMEM;
	r = log_kafka_client_new(log, NULL, &client, why, sizeof(why));
	if (r) {
		log_kafka_note_error(log, "%s", why);
		return r == -ENOMEM ? -ENOMEM : -EIO;
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

/* Return the next batch, and release the old one. Returns NULL if none came. */
static struct log_kafka_batch *next_batch(struct log_kafka *log, int64_t timeout_ms)
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

/* Handle a message that is an error of librdkafka's. Returns 0 to continue, or an error of poll. */
static int handle_error(struct log_kafka *log, const rd_kafka_message_t *msg)
{
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		/* There may be transaction markers after the last record. */
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
		/* librdkafka retries by itself. */
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

/* Return whether the log may be another one because of an event since the first record was passed.
 * REC is the record that is due, or NULL. */
static bool is_stale(struct log_kafka *log, const struct log_record *rec)
{
	if (log->begun && (log->consumer->closed != log->begun_closed ||
	                   (rec && rec->broker != log->begun_broker)))
		log->stale = true;
	return log->stale;
}

/* Wait a little after a record could not be read, then fetch it again with a new consumer, which
 * certainly has no later messages. */
static int fetch_again(struct log_kafka *log, int64_t timeout_ms)
{
	int64_t pause_ms = log->retry_ms - clock_mono_ms();

	if (pause_ms > timeout_ms)
		pause_ms = timeout_ms;
	if (pause_ms > 0 && next_batch(log, pause_ms))
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
	int r;

	if (!log->consumer)
		return -EIO;
	if (log->lost)
		return -ENODATA;
	if (is_stale(log, NULL))
		return -ESTALE;
	if (log->broken && fetch_again(log, timeout_ms))
		return -EIO;
	while (taken < max) {
		struct log_kafka_batch *batch = log->batch;
		const struct log_record *rec;

		if (!batch || batch->at == batch->n) {
			int64_t left_ms = taken ? 0 : until_ms - clock_mono_ms();

			batch = next_batch(log, left_ms > 0 ? left_ms : 0);
			if (!batch)
				break;
			log_kafka_note_answer(log->consumer);
		}
		rec = &batch->slots[batch->at].rec;
		if (!log_kafka_batch_decode(batch, batch->at)) {
			r = handle_error(log, batch->messages[batch->at]);
			batch->at++;
			if (log->broken || log->lost || log->stale)
				drop_batch(log);
			if (r)
				return taken ? (int)taken : r;
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
			r = fn(arg, rec);
			if (r)
				return r; /* the next poll passes it again */
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
