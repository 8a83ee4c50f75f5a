/* The state of a Kafka log, for the files of common/log/ only. */
#ifndef KEYDIR_LOG_KAFKA_INTERNAL_H
#define KEYDIR_LOG_KAFKA_INTERNAL_H

#include "common/log/conf.h"
#include "common/log/kafka.h"
#include "common/log/send_queue.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOG_KAFKA_TEXT_MAX 256

struct log_kafka_append;
struct log_kafka_batch;
struct log_kafka_client;
struct log_kafka_prefetch;

struct log_kafka {
	struct log_kafka_url url;
	char **settings; /* a copy of the config's */
	size_t nsettings;
	uint64_t max_value, max_record; /* bytes */
	int64_t write_timeout_ms;

	/* Protects producer to inflight. No callback and no function of librdkafka that can wait
	 * is called while it is held. */
	pthread_mutex_t lock;
	struct log_kafka_client *producer;
	struct log_kafka_append *appends; /* handed to librdkafka, and not reported yet ... */
	struct log_kafka_send_queue queue;
	size_t inflight;  /* ... and the number of them */
	pthread_t thread; /* serves the producer: delivery reports, errors */
	_Atomic bool stopping;
	/* Used by the thread alone: a producer that was replaced and is still in use, and the
	 * (monotonic) time at which the last one was created. */
	struct log_kafka_client *retired;
	int64_t renewed_ms;

	/* Used by the reading thread alone. */
	struct log_kafka_batch
	        *batch; /* the batch whose records are passed now: `own`, or a prefetched one */
	struct log_kafka_batch *own;
	uint64_t next;           /* offset of the next record to pass */
	uint64_t prefetch_until; /* see log_kafka_follow() */
	bool lost;               /* the log does not have `next` */
	bool stale;              /* the caller must compare a record first: -ESTALE */
	bool begun;              /* a record was passed since follow; at that time ... */
	uint64_t begun_closed;   /* ... this many connections had been closed, ... */
	int32_t begun_broker;    /* ... and this broker was the leader */
	bool broken;             /* a record could not be read: fetch it again ... */
	int64_t retry_ms;        /* ... at this time */
	_Atomic uint64_t position;
	/* Protects the two pointers for log_kafka_wake(); only the reading thread writes
	 * them. */
	pthread_mutex_t consumer_lock;
	struct log_kafka_client *consumer;
	struct log_kafka_prefetch *prefetch; /* NULL: no thread reads ahead */

	/* Protects the two fields below. */
	pthread_mutex_t error_lock;
	uint64_t nerrors;
	char last_error[LOG_KAFKA_TEXT_MAX];
};

#endif
