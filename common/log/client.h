/* Client: one instance of librdkafka, a producer or a consumer, with the log's topic. */
#ifndef KEYDIR_LOG_CLIENT_H
#define KEYDIR_LOG_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_kafka;
struct rd_kafka_message_s;
struct rd_kafka_queue_s;
struct rd_kafka_s;
struct rd_kafka_topic_s;

struct log_kafka_client {
	struct log_kafka *log;
	struct rd_kafka_s *rk;
	struct rd_kafka_topic_s *topic;
	struct rd_kafka_queue_s *events; /* the thread that serves it gets the callbacks */
	_Atomic int refs;                /* producer only: threads that may still use it */
	/* A connection to a broker is up. It counts as down after two samples of
	 * librdkafka's statistics in a row without one: idle connections come and go. */
	_Atomic bool up;
	_Atomic bool was_up;
	_Atomic bool fatal;  /* librdkafka can no longer use this instance */
	_Atomic bool denied; /* authentication failed, and nothing has worked since */
	/* Consumer only. Connections that had carried data and were closed: counted before
	 * anything can arrive through another one. */
	_Atomic uint64_t closed;
	/* Consumer only. As the broker said last: the offset at which readers of committed
	 * records end, and the monotonic time since which this is before the end of the log
	 * (0: it is not). */
	_Atomic int64_t stable;
	_Atomic int64_t blocked_since_ms;
};

/* The signature of librdkafka's delivery report callback; ARG is the client. */
typedef void log_kafka_delivered(struct rd_kafka_s *rk, const struct rd_kafka_message_s *msg,
                                 void *arg);

/* Create a producer that reports deliveries to DELIVERED or, if that is NULL, a consumer.
 * Callbacks run in the thread that serves `events`. Returns 0 with *RET, -EINVAL with a
 * sentence in WHY (which may be NULL), or -ENOMEM. */
int log_kafka_client_new(struct log_kafka *log, log_kafka_delivered *delivered,
                         struct log_kafka_client **ret, char *why, size_t why_size);
/* Blocks until librdkafka's threads have ended. NULL is fine. */
void log_kafka_client_free(struct log_kafka_client *client);

/* Take a reference to the current producer, never NULL; pass it to
 * log_kafka_producer_unref(). Thread-safe. */
struct log_kafka_client *log_kafka_producer_ref(struct log_kafka *log);
void log_kafka_producer_unref(struct log_kafka_client *client);

/* Note that a broker has answered CLIENT. Thread-safe. */
void log_kafka_note_answer(struct log_kafka_client *client);
/* Note an error for log_kafka_errors(). Thread-safe. */
void log_kafka_note_error(struct log_kafka *log, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

#endif
