/* Prefetch: a thread that reads and decodes records ahead of the one that applies them.
 *
 * Taking records over from librdkafka is about a third of the work of replaying a long log: parsing
 * their headers (each into a dozen blocks of memory), decoding them, and freeing all of that. This
 * thread does that part while the polling thread applies. A lone record must not pass from thread
 * to thread, so this thread runs only while the reader is far from the log's end
 * (log_kafka_follow()), and ends by itself.
 *
 * Batches circulate: this thread fills empty ones, log_kafka_prefetch_next() takes them over, and
 * they come back used, with their messages, which this thread returns to librdkafka. The number of
 * batches and PREFETCH_BYTES limit the memory. librdkafka's errors stay in order with the
 * records; the polling thread handles them. librdkafka's callbacks (errors, statistics) run in this
 * thread.
 *
 * Lock: prefetch->lock guards all fields except those marked; it is taken inside
 * log->consumer_lock, and not held across a call of librdkafka. */
#include "common/log/prefetch.h"

#include "common/base/clock.h"
#include "common/log/batch.h"
#include "common/log/client.h"
#include "common/log/thread.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#define BATCHES 8
#define PREFETCH_BYTES (4 << 20) /* of values, approximately */
#define STEP 16                  /* messages taken between two checks of their bytes */
#define WAIT_MS 500              /* between two checks whether to stop */

struct log_kafka_prefetch {
	struct log_kafka_client *client; /* constant */
	uint64_t until;                  /* offset at which to stop; constant */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t came; /* a batch is ready, or `over` or `woken` was set */
	pthread_cond_t room; /* a batch came back, or `stopping` was set */
	struct log_kafka_batch *empty, *ready, *used;
	size_t bytes; /* of all batches that are not empty */
	bool stopping, over, woken;
};

/* Clear the batches that came back. Returns one to fill as soon as the bounds allow it, or
 * NULL to stop. */
static struct log_kafka_batch *take_empty(struct log_kafka_prefetch *prefetch)
{
	struct log_kafka_batch *batch = NULL;

	pthread_mutex_lock(&prefetch->lock);
	while (!prefetch->stopping && !batch) {
		if (prefetch->used) {
			struct log_kafka_batch *used = prefetch->used;

			LL_DELETE(prefetch->used, used);
			prefetch->bytes -= used->bytes;
			pthread_mutex_unlock(&prefetch->lock);
			log_kafka_batch_clear(used);
			pthread_mutex_lock(&prefetch->lock);
			LL_PREPEND(prefetch->empty, used);
		} else if (prefetch->empty && prefetch->bytes < PREFETCH_BYTES) {
			batch = prefetch->empty;
			LL_DELETE(prefetch->empty, batch);
		} else {
			pthread_cond_wait(&prefetch->room, &prefetch->lock);
		}
	}
	pthread_mutex_unlock(&prefetch->lock);
	return batch;
}

static bool is_stopping(struct log_kafka_prefetch *prefetch)
{
	bool stopping;

	pthread_mutex_lock(&prefetch->lock);
	stopping = prefetch->stopping;
	pthread_mutex_unlock(&prefetch->lock);
	return stopping;
}

/* Return whether MSG is the last one to prefetch. */
static bool is_last(const struct log_kafka_prefetch *prefetch, const rd_kafka_message_t *msg)
{
	uint64_t offset = msg->offset >= 0 ? (uint64_t)msg->offset : 0;

	if (msg->err)
		return msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && offset >= prefetch->until;
	return offset + 1 >= prefetch->until;
}

/* Fill BATCH with the messages that have arrived; wait for at least one. Returns whether
 * there is more to read ahead. */
static bool read_batch(struct log_kafka_prefetch *prefetch, struct log_kafka_batch *batch)
{
	rd_kafka_queue_t *queue = prefetch->client->events;
	size_t max = STEP, i = 0;
	bool more = true;

	while (!log_kafka_batch_fill(batch, queue, WAIT_MS, max)) {
		if (is_stopping(prefetch))
			return false;
	}
	do {
		for (; i < batch->n; i++) {
			log_kafka_batch_decode(batch, i);
			more = more && !is_last(prefetch, batch->messages[i]);
		}
		max = batch->n + STEP < LOG_KAFKA_BATCH ? batch->n + STEP : LOG_KAFKA_BATCH;
	} while (more && batch->bytes < PREFETCH_BYTES / BATCHES &&
	         log_kafka_batch_fill(batch, queue, 0, max));
	return more;
}

static void *run_prefetch(void *arg)
{
	struct log_kafka_prefetch *prefetch = arg;
	struct log_kafka_batch *batch;
	bool more = true;

	while (more && (batch = take_empty(prefetch))) {
		more = read_batch(prefetch, batch);
		pthread_mutex_lock(&prefetch->lock);
		prefetch->bytes += batch->bytes;
		LL_APPEND(prefetch->ready, batch);
		pthread_cond_signal(&prefetch->came);
		pthread_mutex_unlock(&prefetch->lock);
	}
	pthread_mutex_lock(&prefetch->lock);
	prefetch->over = true;
	pthread_cond_signal(&prefetch->came);
	pthread_mutex_unlock(&prefetch->lock);
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

/* Free PREFETCH, whose thread has ended or was never started. */
static void prefetch_free(struct log_kafka_prefetch *prefetch)
{
	free_batches(prefetch->empty);
	free_batches(prefetch->ready);
	free_batches(prefetch->used);
	pthread_cond_destroy(&prefetch->room);
	pthread_cond_destroy(&prefetch->came);
	pthread_mutex_destroy(&prefetch->lock);
	free(prefetch);
}

int log_kafka_prefetch_start(struct log_kafka_client *client, uint64_t until,
                             struct log_kafka_prefetch **ret)
{
	struct log_kafka_prefetch *prefetch = calloc(1, sizeof(*prefetch));
	int r = 0;

	if (!prefetch)
		return -ENOMEM;
	prefetch->client = client;
	prefetch->until = until;
	pthread_mutex_init(&prefetch->lock, NULL);
	clock_cond_init(&prefetch->came);
	pthread_cond_init(&prefetch->room, NULL);
	for (int i = 0; i < BATCHES && !r; i++) {
		struct log_kafka_batch *batch = calloc(1, sizeof(*batch));

		if (batch)
			LL_PREPEND(prefetch->empty, batch);
		else
			r = -ENOMEM;
	}
	if (!r)
		r = log_kafka_thread_start(&prefetch->thread, "kafka-prefetch", run_prefetch,
		                           prefetch);
	if (r)
		prefetch_free(prefetch);
	else
		*ret = prefetch;
	return r;
}

struct log_kafka_batch *log_kafka_prefetch_next(struct log_kafka_prefetch *prefetch,
                                                struct log_kafka_batch *used, int64_t timeout_ms,
                                                bool *ret_over)
{
	struct log_kafka_batch *batch;
	struct timespec until = clock_mono_in(timeout_ms);

	pthread_mutex_lock(&prefetch->lock);
	if (used) {
		LL_APPEND(prefetch->used, used);
		pthread_cond_signal(&prefetch->room);
	}
	while (!prefetch->ready && !prefetch->over && !prefetch->woken &&
	       pthread_cond_timedwait(&prefetch->came, &prefetch->lock, &until) == 0)
		;
	batch = prefetch->ready;
	if (batch)
		LL_DELETE(prefetch->ready, batch);
	else if (!prefetch->over)
		prefetch->woken = false;
	*ret_over = !batch && prefetch->over;
	pthread_mutex_unlock(&prefetch->lock);
	return batch;
}

void log_kafka_prefetch_wake(struct log_kafka_prefetch *prefetch)
{
	pthread_mutex_lock(&prefetch->lock);
	prefetch->woken = true;
	pthread_cond_signal(&prefetch->came);
	pthread_mutex_unlock(&prefetch->lock);
}

bool log_kafka_prefetch_stop(struct log_kafka_prefetch *prefetch)
{
	bool woken, over;

	pthread_mutex_lock(&prefetch->lock);
	prefetch->stopping = true;
	over = prefetch->over;
	pthread_cond_signal(&prefetch->room);
	pthread_mutex_unlock(&prefetch->lock);
	if (!over)
		rd_kafka_queue_yield(prefetch->client->events);
	pthread_join(prefetch->thread, NULL);
	woken = prefetch->woken;
	prefetch_free(prefetch);
	return woken;
}
