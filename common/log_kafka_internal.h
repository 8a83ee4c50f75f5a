/* What the files of the Kafka log share. Internal to log_kafka*.c. */
#ifndef KEYDIR_LOG_KAFKA_INTERNAL_H
#define KEYDIR_LOG_KAFKA_INTERNAL_H

#include "log_kafka.h"

#include <pthread.h>
#include <stdatomic.h>

/* librdkafka's types, without its header. */
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_queue_s;
struct rd_kafka_s;
struct rd_kafka_topic_s;

#define LOG_KAFKA_TEXT_MAX 256

/* A log's URL, taken apart. */
struct log_kafka_url {
	char *brokers; /* "host:port,host:port" */
	char *topic;
};

/* One instance of librdkafka with our topic. */
struct log_kafka_client {
	struct log_kafka *log;
	struct rd_kafka_s *rk;
	struct rd_kafka_topic_s *topic;
	struct rd_kafka_queue_s *events; /* where librdkafka calls back from */
	_Atomic int refs;                /* producer only: who may still use it */
	/* Two samples of librdkafka's statistics without a connection in a row
	 * count as down: idle connections come and go. */
	_Atomic bool up;
	_Atomic bool was_up;
	_Atomic bool fatal;  /* librdkafka gave this instance up */
	_Atomic bool denied; /* authentication failed, and nothing has worked since */
};

/* A message on its way, in log->appends, or held, in log->held. */
struct log_kafka_append {
	struct log_kafka_append *prev, *next;
	log_done *done;
	void *arg;
	struct event *ev; /* while it is held: a copy */
};

struct log_kafka {
	struct log_kafka_url url;
	char **settings; /* a copy of the config's */
	size_t nsettings;
	uint64_t max_record;
	int64_t write_timeout_ms;

	/* Protects producer to sending. No call to librdkafka is made, and no
	 * callback of ours, while it is held. */
	pthread_mutex_t lock;
	struct log_kafka_client *producer;
	struct log_kafka_append *appends;
	struct log_kafka_append *held; /* librdkafka gets them later, see log_kafka_produce.c */
	int64_t held_ms;               /* since when the first of them is */
	size_t under_way;              /* appends that librdkafka has and has not reported */
	bool sending;                  /* somebody hands over what was held */
	pthread_cond_t hurry;          /* something is held: the thread shall not pause */
	pthread_t thread;              /* serves the producer: delivery reports, errors */
	_Atomic bool stopping;
	/* The thread's own: a producer that was replaced and is still in use,
	 * and when one was last made. */
	struct log_kafka_client *retired;
	int64_t renewed_ms;

	/* The reading thread's own. */
	struct rd_kafka_message_s **batch;
	size_t batch_len, batch_at;
	uint64_t next; /* offset of the record wanted next */
	bool lost;     /* the log does not have it */
	bool broken;   /* it could not be read: fetch it again */
	int64_t retry_ms;
	_Atomic uint64_t position;
	/* Protects the pointer, for log_kafka_wake; the reading thread alone
	 * writes it. */
	pthread_mutex_t consumer_lock;
	struct log_kafka_client *consumer;
	bool woken; /* protected by consumer_lock */

	/* Protects what follows. */
	pthread_mutex_t error_lock;
	uint64_t nerrors;
	char last_error[LOG_KAFKA_TEXT_MAX];
};

/* --- log_kafka_conf.c */

/* Takes URL apart. 0 (log_kafka_url_free()), -EINVAL with WHY, -ENOMEM. */
int log_kafka_url_parse(const char *url, struct log_kafka_url *ret, char *why, size_t why_size);
void log_kafka_url_free(struct log_kafka_url *url);
/* Makes the configuration of a producer or a consumer from LOG's settings.
 * The same errors. Whoever gets it destroys it or makes a client from it. */
int log_kafka_conf(const struct log_kafka *log, bool producer, struct rd_kafka_conf_s **ret,
                   char *why, size_t why_size);

/* --- log_kafka.c */

/* Makes a client; its callbacks come from whoever serves `events`. */
int log_kafka_client_new(struct log_kafka *log, bool producer, struct log_kafka_client **ret,
                         char *why, size_t why_size);
/* Blocks until librdkafka's threads have ended. NULL is fine. */
void log_kafka_client_free(struct log_kafka_client *client);
/* The producer of now, to be given back; never NULL. */
struct log_kafka_client *log_kafka_producer_ref(struct log_kafka *log);
void log_kafka_producer_unref(struct log_kafka_client *client);
/* Notes that a broker has answered. */
void log_kafka_seen(struct log_kafka_client *client);
/* Notes an error that librdkafka told. */
void log_kafka_note(struct log_kafka *log, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* --- log_kafka_produce.c */

/* The thread that serves the producer. ARG is the log. */
void *log_kafka_serve(void *arg);
/* Hands what is held to librdkafka: as much as it can send now, or ALL. */
void log_kafka_send_held(struct log_kafka *log, bool all);
/* librdkafka's callback for what was delivered or not. */
void log_kafka_delivered(struct rd_kafka_s *rk, const struct rd_kafka_message_s *msg, void *arg);

#endif
