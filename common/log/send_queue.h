/* Send queue: records that librdkafka does not have yet, so that they go in one batch. */
#ifndef KEYDIR_LOG_SEND_QUEUE_H
#define KEYDIR_LOG_SEND_QUEUE_H

#include "common/log/kafka.h"

#include <pthread.h>

struct log_kafka_append;

/* All fields are protected by log->lock. Times are monotonic. */
struct log_kafka_send_queue {
	struct log_kafka_append *list;
	size_t n, bytes;        /* number of appends, and the bytes of their keys and values */
	int64_t since_ms;       /* when the first was queued, or could have been sent */
	size_t concurrency;     /* writers at once, now or shortly before ... */
	int64_t concurrency_ms; /* ... this time */
	int64_t linger_from_ns; /* when the wait for more of the concurrent writers began */
	bool sending;           /* a thread hands queued records to librdkafka */
	pthread_cond_t came;    /* the first record was queued */
};

void log_kafka_send_queue_init(struct log_kafka_send_queue *queue);
void log_kafka_send_queue_destroy(struct log_kafka_send_queue *queue);

/* Return whether a record that is appended now is queued. Call with the lock held. */
bool log_kafka_should_queue(const struct log_kafka *log);
/* Return whether queued records may be sent. Call with the lock held. */
bool log_kafka_may_send(const struct log_kafka *log);
/* Queue an append of REC, which is copied. Returns it, or NULL without memory. Call with the
 * lock held. */
struct log_kafka_append *log_kafka_enqueue(struct log_kafka *log, const struct record *rec,
                                           log_done *done, void *arg);
/* Hand queued records to librdkafka: those that may be sent now, or ALL. */
void log_kafka_send_queued(struct log_kafka *log, bool all);
/* Return whether records are queued. *RET_OVERDUE says whether they must be sent now. */
bool log_kafka_has_queued(struct log_kafka *log, bool *ret_overdue);
/* Pause until a record is queued, and then until the queue may be sent as far as that depends
 * on other writers, not on an answer. For the log's thread. */
void log_kafka_linger(struct log_kafka *log);
/* Free APPEND, which was queued and is in no list. */
void log_kafka_queued_free(struct log_kafka_append *append);

#endif
