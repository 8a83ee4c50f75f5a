/* Send queue: records that librdkafka does not have yet, so that they go in one batch.
 *
 * librdkafka sends no more records of a partition while five messages or more are unacknowledged,
 * even if they went in few requests; and while it has messages that it may not send, its thread (in
 * 2.0 at least) polls without a pause, which takes processor time that the acknowledgement needs.
 * So it does not get them: once WINDOW messages are in flight, records are queued here, in order,
 * and go as one batch when those are acknowledged. A lone write is not queued, nor is any write
 * while no broker answers: only librdkafka knows what happened to a message, so it must have the
 * message in time.
 *
 * A request costs the broker about the same with one record as with sixty, and so does the fetch
 * that returns them. Writers that wait for their outcome come back together, shortly after the
 * acknowledgement. Without a linger they would form groups with separate requests, and the first
 * few records of each group would be sent alone. So with concurrent writers nothing is sent while
 * anything is in flight, and the writers that are back linger until most of the others are back,
 * LINGER_MS at most. Concurrency is the number of writers when the last batch was sent, so a writer
 * that stays away delays only one batch, and is forgotten after CONCURRENT_MS.
 *
 * librdkafka's thread wakes up for the first record of a batch and may send it before it has the
 * others, which costs one more request. Its interface has no way to add several records at once:
 * rd_kafka_produce_batch() does not support headers, and wakes the thread for the first record as
 * well. So a batch is prepared, including its headers, before it is passed to librdkafka.
 *
 * Invariant: an append is always in exactly one list: here until it is sent, and in log->appends
 * from just before it is handed to librdkafka until the report.
 * `sending` keeps the order: a record that arrives while queued ones are passed to librdkafka is
 * queued, too.
 *
 * Lock: log->lock guards all of it; it is not held while passing records to librdkafka. */
#include "common/log/send_queue.h"

#include "common/base/clock.h"
#include "common/log/append.h"
#include "common/log/client.h"
#include "common/log/internal.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/* Maximum time to keep records queued while no acknowledgement comes. */
#define QUEUE_MS 100
/* RD_KAFKA_IDEMP_MAX_INFLIGHT: a request is sent if fewer messages are in flight. */
#define WINDOW 5
/* librdkafka's batch.size: the bytes of one request. */
#define BATCH_BYTES 1000000
/* A batch of this many records does not wait for more. */
#define BATCH_RECORDS 256
/* From this many concurrent writers on, they share batches: when some are queued anyway. With two
 * to four writers, sharing delays the acknowledgements; with six it makes them a third faster. */
#define CONCURRENT_WRITERS (WINDOW + 1)
/* They count as concurrent until nothing has been sent for this time. */
#define CONCURRENT_MS 50
/* About the time of a broker's acknowledgement, and between the first and the last of sixty writers
 * over HTTP. */
#define LINGER_MS 1
/* How long the log's thread pauses after reports of success, for which nothing waits. It
 * collects the reports of this time in one go: being woken for each would take the processor
 * just when the record comes back. Longer than LINGER_MS, so that the thread is not in a long
 * poll while a writer lingers. */
#define PAUSE_MS 3

_Static_assert(PAUSE_MS > LINGER_MS,
               "the pause must outlast the linger, or a lingering batch is sent late");

void log_kafka_send_queue_init(struct log_kafka_send_queue *queue)
{
	*queue = (struct log_kafka_send_queue){ 0 };
	clock_cond_init(&queue->came);
}

void log_kafka_send_queue_destroy(struct log_kafka_send_queue *queue)
{
	pthread_cond_destroy(&queue->came);
}

static bool is_concurrent(const struct log_kafka_send_queue *queue)
{
	return queue->concurrency >= CONCURRENT_WRITERS &&
	       clock_mono_ms() - queue->concurrency_ms < CONCURRENT_MS;
}

/* Return whether the writers that are back wait for the others. */
static bool is_lingering(const struct log_kafka_send_queue *queue)
{
	size_t enough = queue->concurrency - queue->concurrency / 8;

	return is_concurrent(queue) && queue->n < enough && queue->n < BATCH_RECORDS &&
	       queue->bytes < BATCH_BYTES &&
	       clock_mono_ns() < queue->linger_from_ns + LINGER_MS * 1000000;
}

bool log_kafka_may_send(const struct log_kafka *log)
{
	return log->inflight < (is_concurrent(&log->queue) ? 1 : WINDOW) &&
	       !is_lingering(&log->queue);
}

bool log_kafka_should_queue(const struct log_kafka *log)
{
	return log->queue.sending || log->queue.list ||
	       (log->producer->up && !log_kafka_may_send(log));
}

struct log_kafka_append *log_kafka_enqueue(struct log_kafka *log, const struct record *rec,
                                           log_done *done, void *arg)
{
	struct log_kafka_send_queue *queue = &log->queue;
	struct log_kafka_append *append = malloc(sizeof(*append) + rec->key.len);

	if (!append)
		return NULL;
	*append = (struct log_kafka_append){ .done = done, .arg = arg, .key_len = rec->key.len };
	if (rec->key.len)
		memcpy(append->key, rec->key.data, rec->key.len);
	if (rec->has_value) {
		append->value_len = rec->value.len;
		append->value = malloc(rec->value.len +
		                       1); /* An empty value is not a null value. */
		if (!append->value) {
			free(append);
			return NULL;
		}
		if (rec->value.len)
			memcpy(append->value, rec->value.data, rec->value.len);
	}
	append->headers = log_kafka_headers(rec);

	if (!queue->list) {
		queue->since_ms = clock_mono_ms();
		queue->linger_from_ns = clock_mono_ns();
		pthread_cond_signal(&queue->came);
	}
	DL_APPEND(queue->list, append);
	queue->n++;
	queue->bytes += append->key_len + append->value_len;
	/* Only while the writers are concurrent: otherwise the thread may be late with its
	 * reports, and more records seem to be in flight than are. */
	if (is_concurrent(queue) && queue->concurrency < queue->n + log->inflight)
		queue->concurrency = queue->n + log->inflight;
	return append;
}

void log_kafka_queued_free(struct log_kafka_append *append)
{
	rd_kafka_headers_destroy(append->headers);
	free(append->value);
	free(append);
}

/* Move about one batch from the front of the queue to log->appends. Returns it as an array
 * of *RET_N, which the caller frees, or NULL without memory. Call with the lock held. */
static struct log_kafka_append **take_batch(struct log_kafka *log, size_t *ret_n)
{
	struct log_kafka_send_queue *queue = &log->queue;
	struct log_kafka_append *append, **batch;
	size_t n = 0, bytes = 0, writers = queue->n + log->inflight;

	DL_FOREACH (queue->list, append) {
		bytes += append->key_len + append->value_len;
		n++;
		if (bytes >= BATCH_BYTES)
			break;
	}
	batch = calloc(n, sizeof(struct log_kafka_append *));
	if (!batch)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		batch[i] = queue->list;
		DL_DELETE(queue->list, batch[i]);
		DL_APPEND(log->appends, batch[i]);
	}
	queue->n -= n;
	queue->bytes -= bytes;
	log->inflight += n;
	/* A writer may come a little late: let the number shrink slowly. */
	queue->concurrency = writers > queue->concurrency / 2 ? writers : queue->concurrency / 2;
	queue->concurrency_ms = clock_mono_ms();
	*ret_n = n;
	return batch;
}

/* Hand APPEND to librdkafka. It may be freed as soon as librdkafka has it. */
static void produce_queued(struct log_kafka_client *client, struct log_kafka_append *append)
{
	rd_kafka_headers_t *headers = append->headers;
	char *value = append->value;
	rd_kafka_resp_err_t err;

	err = log_kafka_produce(client, value ? RD_KAFKA_MSG_F_FREE : RD_KAFKA_MSG_F_COPY,
	                        (struct bytes){ append->key, append->key_len }, value,
	                        append->value_len, headers, append);
	if (err) {
		rd_kafka_headers_destroy(headers);
		free(value);
		log_kafka_fail_append(client->log, append, err);
	}
}

void log_kafka_send_queued(struct log_kafka *log, bool all)
{
	struct log_kafka_send_queue *queue = &log->queue;
	struct log_kafka_append **batch;
	struct log_kafka_client *client;
	size_t n;

	pthread_mutex_lock(&log->lock);
	while (!queue->sending && queue->list && (all || log_kafka_may_send(log))) {
		batch = take_batch(log, &n);
		if (!batch)
			break;
		queue->sending = true;
		client = log->producer;
		client->refs++;
		pthread_mutex_unlock(&log->lock);
		for (size_t i = 0; i < n; i++)
			produce_queued(client, batch[i]);
		free(batch);
		log_kafka_producer_unref(client);
		pthread_mutex_lock(&log->lock);
		queue->sending = false;
		queue->since_ms = clock_mono_ms();
	}
	pthread_mutex_unlock(&log->lock);
}

bool log_kafka_has_queued(struct log_kafka *log, bool *ret_overdue)
{
	bool some;

	pthread_mutex_lock(&log->lock);
	some = log->queue.list;
	*ret_overdue = some &&
	               (clock_mono_ms() - log->queue.since_ms > QUEUE_MS || !log->producer->up);
	pthread_mutex_unlock(&log->lock);
	return some;
}

void log_kafka_linger(struct log_kafka *log)
{
	struct log_kafka_send_queue *queue = &log->queue;
	struct timespec until = clock_mono_in(PAUSE_MS);

	pthread_mutex_lock(&log->lock);
	while (!queue->list && pthread_cond_timedwait(&queue->came, &log->lock, &until) == 0)
		;
	/* The last of the writers sends the batch; otherwise it is sent when the time is over. */
	until = clock_mono_in(LINGER_MS);
	while (queue->list && !log->inflight && is_lingering(queue) &&
	       pthread_cond_timedwait(&queue->came, &log->lock, &until) == 0)
		;
	pthread_mutex_unlock(&log->lock);
}
