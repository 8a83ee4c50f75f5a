/* What the Kafka log holds back, and when it goes.
 *
 * librdkafka sends nothing more of a partition while five messages or more are
 * not answered, however few requests they went in; and while it has messages that
 * it may not send, its thread (2.0 at least) asks again and again without a pause,
 * which takes one of the processors that the answer needs. So it never gets them:
 * from WINDOW messages under way on, records are held here, in order, and what was
 * gathered goes as one batch when those are answered. A lone write is not held, nor
 * is anything while no broker answers: it is librdkafka that knows what became of a
 * message, so it must have it in time.
 *
 * A request costs the broker about the same with one record as with sixty, and the
 * fetch that brings them back does, too. Writers that wait for their outcome come
 * back together, a little after the answer; without more they fall into groups, each
 * with requests of its own, and the first few of each go alone. So where there is a
 * crowd, nothing goes while anything is under way, and those who are back wait until
 * most of the crowd is, GATHER_MS at most. The crowd is as large as it was when the
 * last batch went (so who stays away is waited for once), and none soon after.
 *
 * librdkafka's thread wakes up for the first record of a batch and may send that
 * before it has the others, which costs a request more (of 64 writers' batches one
 * in three or four, with both processors busy). Nothing in its interface puts in
 * several records at once: rd_kafka_produce_batch() knows no headers, and wakes for
 * the first one as well. So a batch is made ready before, down to its headers, and
 * handed over in half a microsecond for each record.
 *
 * Invariant: an append is in the list, and then in log->appends from before
 * librdkafka knows of it. `sending` keeps the order: what comes while held ones are
 * being handed over is held, too.
 * Lock: log->lock guards all of it; it is not held while handing over. */
#include "common/log/internal.h"

#include "common/base/clock.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/* So long at most is waited for an answer, or until the thread looks. */
#define HOLD_MS 100
/* RD_KAFKA_IDEMP_MAX_INFLIGHT: a request goes if fewer messages are under way. */
#define WINDOW 5
/* librdkafka's batch.size: what goes in one request. */
#define BATCH_BYTES 1000000
/* So many records make a batch that need not wait for more. */
#define BATCH_RECORDS 256
/* So many writers at once are a crowd: as soon as some are held anyway. (Two to four
 * are answered later if they go together; six are a third sooner.) ... */
#define CROWD (WINDOW + 1)
/* ... until nothing was handed over for so long. */
#define CROWD_MS 50
/* About as long as a broker's answer takes, and as sixty writers over HTTP are spread. */
#define GATHER_MS 1
/* Reports that an append went well have time: nobody waits for them. So the thread
 * takes those of a while together, instead of being woken for each, in the very
 * moment in which the record comes back and others want the processor. Longer than
 * GATHER_MS: whoever comes meanwhile and waits for others has its attention. */
#define PAUSE_MS 3

_Static_assert(PAUSE_MS > GATHER_MS, "nobody would let a lone one of a crowd go");

void log_kafka_held_init(struct log_kafka_held *held)
{
	*held = (struct log_kafka_held){ 0 };
	clock_cond_init(&held->came);
}

void log_kafka_held_destroy(struct log_kafka_held *held)
{
	pthread_cond_destroy(&held->came);
}

static bool is_crowd(const struct log_kafka_held *held)
{
	return held->crowd >= CROWD && clock_mono_ms() - held->crowd_ms < CROWD_MS;
}

/* Whether those of a crowd that are back wait for the others. */
static bool is_gathering(const struct log_kafka_held *held)
{
	size_t enough = held->crowd - held->crowd / 8;

	return is_crowd(held) && held->n < enough && held->n < BATCH_RECORDS &&
	       held->bytes < BATCH_BYTES && clock_mono_ns() < held->gather_ns;
}

bool log_kafka_may_send(const struct log_kafka *log)
{
	return log->under_way < (is_crowd(&log->held) ? 1 : WINDOW) && !is_gathering(&log->held);
}

bool log_kafka_must_hold(const struct log_kafka *log)
{
	return log->held.sending || log->held.list ||
	       (log->producer->up && !log_kafka_may_send(log));
}

void log_kafka_gather(struct log_kafka_held *held)
{
	held->gather_ns = clock_mono_ns() + GATHER_MS * 1000000;
}

struct log_kafka_append *log_kafka_hold(struct log_kafka *log, const struct record *rec,
                                        log_done *done, void *arg)
{
	struct log_kafka_held *held = &log->held;
	struct log_kafka_append *append = malloc(sizeof(*append) + rec->key.len);

	if (!append)
		return NULL;
	*append = (struct log_kafka_append){ .done = done, .arg = arg, .key_len = rec->key.len };
	if (rec->key.len)
		memcpy(append->key, rec->key.data, rec->key.len);
	if (rec->has_value) {
		append->value_len = rec->value.len;
		append->value = malloc(rec->value.len + 1); /* an empty one is not null */
		if (!append->value) {
			free(append);
			return NULL;
		}
		if (rec->value.len)
			memcpy(append->value, rec->value.data, rec->value.len);
	}
	append->headers = log_kafka_headers(rec);

	if (!held->list) {
		held->since_ms = clock_mono_ms();
		log_kafka_gather(held);
		pthread_cond_signal(&held->came);
	}
	DL_APPEND(held->list, append);
	held->n++;
	held->bytes += append->key_len + append->value_len;
	/* Of a few writers more may seem to be under way than are: the thread takes its
	 * time with the reports. It has just taken them when it makes out a crowd. */
	if (is_crowd(held) && held->crowd < held->n + log->under_way)
		held->crowd = held->n + log->under_way;
	return append;
}

void log_kafka_held_free(struct log_kafka_append *append)
{
	rd_kafka_headers_destroy(append->headers);
	free(append->value);
	free(append);
}

/* Moves the first that are held to log->appends, about a batch of them, and
 * returns them in an array of *RET_N, or NULL without memory. With the lock held. */
static struct log_kafka_append **take(struct log_kafka *log, size_t *ret_n)
{
	struct log_kafka_held *held = &log->held;
	struct log_kafka_append *append, **batch;
	size_t n = 0, bytes = 0, writers = held->n + log->under_way;

	DL_FOREACH (held->list, append) {
		bytes += append->key_len + append->value_len;
		n++;
		if (bytes >= BATCH_BYTES)
			break;
	}
	batch = calloc(n, sizeof(struct log_kafka_append *));
	if (!batch)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		batch[i] = held->list;
		DL_DELETE(held->list, batch[i]);
		DL_APPEND(log->appends, batch[i]);
	}
	held->n -= n;
	held->bytes -= bytes;
	log->under_way += n;
	/* Some may come a little late: it does not shrink at once. */
	held->crowd = writers > held->crowd / 2 ? writers : held->crowd / 2;
	held->crowd_ms = clock_mono_ms();
	*ret_n = n;
	return batch;
}

/* An append may be gone as soon as librdkafka has it. */
static void hand_over(struct log_kafka_client *client, struct log_kafka_append *append)
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
		log_kafka_refused(client->log, append, err);
	}
}

void log_kafka_send_held(struct log_kafka *log, bool all)
{
	struct log_kafka_held *held = &log->held;
	struct log_kafka_append **batch;
	struct log_kafka_client *client;
	size_t n;

	pthread_mutex_lock(&log->lock);
	while (!held->sending && held->list && (all || log_kafka_may_send(log))) {
		batch = take(log, &n);
		if (!batch)
			break;
		held->sending = true;
		client = log->producer;
		client->refs++;
		pthread_mutex_unlock(&log->lock);
		for (size_t i = 0; i < n; i++)
			hand_over(client, batch[i]);
		free(batch);
		log_kafka_producer_unref(client);
		pthread_mutex_lock(&log->lock);
		held->sending = false;
		held->since_ms = clock_mono_ms();
	}
	pthread_mutex_unlock(&log->lock);
}

bool log_kafka_is_held(struct log_kafka *log, bool *ret_long)
{
	bool some;

	pthread_mutex_lock(&log->lock);
	some = log->held.list;
	*ret_long = some && (clock_mono_ms() - log->held.since_ms > HOLD_MS || !log->producer->up);
	pthread_mutex_unlock(&log->lock);
	return some;
}

void log_kafka_held_rest(struct log_kafka *log)
{
	struct log_kafka_held *held = &log->held;
	struct timespec until = clock_mono_in(PAUSE_MS);

	pthread_mutex_lock(&log->lock);
	while (!held->list && pthread_cond_timedwait(&held->came, &log->lock, &until) == 0)
		;
	/* What gathers goes by itself when it is enough, otherwise by its time. */
	until = clock_mono_in(GATHER_MS);
	while (held->list && !log->under_way && is_gathering(held) &&
	       pthread_cond_timedwait(&held->came, &log->lock, &until) == 0)
		;
	pthread_mutex_unlock(&log->lock);
}
