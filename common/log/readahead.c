/* The Kafka log's reading ahead: a thread that reads and decodes for a replay.
 *
 * Whoever replays a long log has a third of its work with taking records over
 * from librdkafka: parsing their headers (into a dozen blocks of memory each),
 * decoding them, and giving all of that back. This thread does that part while
 * the one that polls applies. A lone record must not go from thread to thread,
 * so there is a thread only while what is read lies far before the log's end
 * (log_kafka_follow()), and it ends by itself.
 *
 * Batches go round: empty ones are filled here, taken over by next, and come back
 * used, with their messages, which are given back here, too. What is under way is
 * bounded by their number and by AHEAD_BYTES. Errors that librdkafka tells stay
 * at their place between the records; what follows from them is the polling
 * thread's business. librdkafka's callbacks (errors, statistics) come from here.
 *
 * Lock: ahead->lock guards all but what is said; it is taken inside
 * log->consumer_lock, and not held across a call of librdkafka. */
#include "common/log/internal.h"

#include "common/base/clock.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#define BATCHES 8
#define AHEAD_BYTES (4 << 20) /* of values read ahead, about */
#define STEP 16               /* messages taken before their bytes are looked at */
#define WAIT_MS 500           /* to look whether to stop */

struct log_kafka_ahead {
	struct log_kafka_client *client; /* never changes */
	uint64_t until;                  /* never changes */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t came; /* a batch is ready, or there will be none, or a wake */
	pthread_cond_t room; /* a batch came back, or the end */
	struct log_kafka_batch *empty, *ready, *used;
	size_t bytes; /* in all that are not empty */
	bool stopping, over, woken;
};

/* Empties what came back; returns a batch to fill as soon as there may be one
 * more, or NULL to stop. */
static struct log_kafka_batch *take_empty(struct log_kafka_ahead *ahead)
{
	struct log_kafka_batch *batch = NULL;

	pthread_mutex_lock(&ahead->lock);
	while (!ahead->stopping && !batch) {
		if (ahead->used) {
			struct log_kafka_batch *used = ahead->used;

			LL_DELETE(ahead->used, used);
			ahead->bytes -= used->bytes;
			pthread_mutex_unlock(&ahead->lock);
			log_kafka_batch_clear(used);
			pthread_mutex_lock(&ahead->lock);
			LL_PREPEND(ahead->empty, used);
		} else if (ahead->empty && ahead->bytes < AHEAD_BYTES) {
			batch = ahead->empty;
			LL_DELETE(ahead->empty, batch);
		} else {
			pthread_cond_wait(&ahead->room, &ahead->lock);
		}
	}
	pthread_mutex_unlock(&ahead->lock);
	return batch;
}

static bool is_stopping(struct log_kafka_ahead *ahead)
{
	bool stopping;

	pthread_mutex_lock(&ahead->lock);
	stopping = ahead->stopping;
	pthread_mutex_unlock(&ahead->lock);
	return stopping;
}

/* Whether MSG says that the place is reached until which to read ahead. */
static bool is_last(const struct log_kafka_ahead *ahead, const rd_kafka_message_t *msg)
{
	uint64_t offset = msg->offset >= 0 ? (uint64_t)msg->offset : 0;

	if (msg->err)
		return msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && offset >= ahead->until;
	return offset + 1 >= ahead->until;
}

/* Fills BATCH with what is there, or waits for something. Returns whether there
 * is more to read ahead. */
static bool read_batch(struct log_kafka_ahead *ahead, struct log_kafka_batch *batch)
{
	rd_kafka_queue_t *queue = ahead->client->events;
	size_t max = STEP, i = 0;
	bool more = true;

	while (!log_kafka_batch_fill(batch, queue, WAIT_MS, max)) {
		if (is_stopping(ahead))
			return false;
	}
	do {
		for (; i < batch->n; i++) {
			log_kafka_batch_decode(batch, i);
			more = more && !is_last(ahead, batch->messages[i]);
		}
		max = batch->n + STEP < LOG_KAFKA_BATCH ? batch->n + STEP : LOG_KAFKA_BATCH;
	} while (more && batch->bytes < AHEAD_BYTES / BATCHES &&
	         log_kafka_batch_fill(batch, queue, 0, max));
	return more;
}

static void *run(void *arg)
{
	struct log_kafka_ahead *ahead = arg;
	struct log_kafka_batch *batch;
	bool more = true;

	while (more && (batch = take_empty(ahead))) {
		more = read_batch(ahead, batch);
		pthread_mutex_lock(&ahead->lock);
		ahead->bytes += batch->bytes;
		LL_APPEND(ahead->ready, batch);
		pthread_cond_signal(&ahead->came);
		pthread_mutex_unlock(&ahead->lock);
	}
	pthread_mutex_lock(&ahead->lock);
	ahead->over = true;
	pthread_cond_signal(&ahead->came);
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

static void free_batches(struct log_kafka_batch *list)
{
	while (list) {
		struct log_kafka_batch *batch = list;

		list = batch->next;
		log_kafka_batch_clear(batch);
		free(batch);
	}
}

/* The thread has ended, or was never started. */
static void ahead_free(struct log_kafka_ahead *ahead)
{
	free_batches(ahead->empty);
	free_batches(ahead->ready);
	free_batches(ahead->used);
	pthread_cond_destroy(&ahead->room);
	pthread_cond_destroy(&ahead->came);
	pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

int log_kafka_ahead_start(struct log_kafka_client *client, uint64_t until,
                          struct log_kafka_ahead **ret)
{
	struct log_kafka_ahead *ahead = calloc(1, sizeof(*ahead));
	int err = 0;

	if (!ahead)
		return -ENOMEM;
	ahead->client = client;
	ahead->until = until;
	pthread_mutex_init(&ahead->lock, NULL);
	clock_cond_init(&ahead->came);
	pthread_cond_init(&ahead->room, NULL);
	for (int i = 0; i < BATCHES && !err; i++) {
		struct log_kafka_batch *batch = calloc(1, sizeof(*batch));

		if (batch)
			LL_PREPEND(ahead->empty, batch);
		else
			err = -ENOMEM;
	}
	if (!err)
		err = log_kafka_thread_start(&ahead->thread, "kafka-ahead", run, ahead);
	if (err)
		ahead_free(ahead);
	else
		*ret = ahead;
	return err;
}

struct log_kafka_batch *log_kafka_ahead_next(struct log_kafka_ahead *ahead,
                                             struct log_kafka_batch *used, int64_t timeout_ms,
                                             bool *ret_over)
{
	struct log_kafka_batch *batch;
	struct timespec until = clock_mono_in(timeout_ms);

	pthread_mutex_lock(&ahead->lock);
	if (used) {
		LL_APPEND(ahead->used, used);
		pthread_cond_signal(&ahead->room);
	}
	while (!ahead->ready && !ahead->over && !ahead->woken &&
	       pthread_cond_timedwait(&ahead->came, &ahead->lock, &until) == 0)
		;
	batch = ahead->ready;
	if (batch)
		LL_DELETE(ahead->ready, batch);
	else if (!ahead->over)
		ahead->woken = false;
	*ret_over = !batch && ahead->over;
	pthread_mutex_unlock(&ahead->lock);
	return batch;
}

void log_kafka_ahead_wake(struct log_kafka_ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->woken = true;
	pthread_cond_signal(&ahead->came);
	pthread_mutex_unlock(&ahead->lock);
}

bool log_kafka_ahead_stop(struct log_kafka_ahead *ahead)
{
	bool woken, over;

	pthread_mutex_lock(&ahead->lock);
	ahead->stopping = true;
	over = ahead->over;
	pthread_cond_signal(&ahead->room);
	pthread_mutex_unlock(&ahead->lock);
	if (!over)
		rd_kafka_queue_yield(ahead->client->events);
	pthread_join(ahead->thread, NULL);
	woken = ahead->woken;
	ahead_free(ahead);
	return woken;
}
