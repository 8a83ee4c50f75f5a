/* State of the Kafka log of a node, for the files kafka_*.c and log_end_poller.c only. */
#ifndef KEYDIR_KAFKA_LOG_H
#define KEYDIR_KAFKA_LOG_H

#include "common/log/kafka.h"
#include "common/node/node.h"
#include "common/node/skip.h"

#include <pthread.h>
#include <stdatomic.h>

#define KAFKA_SCHEME "kafka://"

struct log_end_poller;

struct kafka {
	struct node *node;
	struct log_kafka *log;
	int lock_fd; /* consumer.lock: its holder applies for all processes of the node */
	struct log_end_poller *poller;
	pthread_t consumer;
	bool consumer_runs;
	atomic_bool stopping;
	atomic_bool applies;  /* this process has consumer.lock */
	_Atomic uint64_t end; /* of the log, as last reported: the offset after its newest record */
	_Atomic uint64_t target; /* the end at the start; UINT64_MAX: not known yet */
	uint64_t stopped_at;     /* offset after the record that stopped applying; the
	                          * consumer's thread only */
	uint64_t skip;           /* offset of a record that the log orders to skip; likewise */
	struct skip_order order; /* --skip-record */

	pthread_mutex_t lock;      /* protects warned; not held across a call of the log */
	pthread_cond_t wake;       /* stopping was set */
	char warned[NODE_WHY_MAX]; /* the last warning about the topic */
};

#endif
