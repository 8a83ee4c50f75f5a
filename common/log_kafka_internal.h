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

/* Messages that librdkafka gave, and what they were decoded to. */
#define LOG_KAFKA_BATCH 256
struct log_kafka_batch {
	struct log_kafka_batch *next;
	size_t n, at; /* how many there are; which one is due */
	size_t bytes; /* of their values */
	struct rd_kafka_message_s *messages[LOG_KAFKA_BATCH];
	struct log_kafka_slot {
		struct log_record rec;
		struct event ev; /* rec.ev, if rec.err is 0 */
		bool decoded;
	} slots[LOG_KAFKA_BATCH];
};

struct log_kafka_ahead; /* log_kafka_ahead.c */

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
	struct log_kafka_batch *batch; /* what is being given: `own`, or ahead's */
	struct log_kafka_batch *own;
	uint64_t next;        /* offset of the record wanted next */
	uint64_t ahead_until; /* as follow was told */
	bool lost;            /* the log does not have it */
	bool broken;          /* it could not be read: fetch it again */
	int64_t retry_ms;
	_Atomic uint64_t position;
	/* Protects the pointers, for log_kafka_wake; the reading thread alone
	 * writes them. */
	pthread_mutex_t consumer_lock;
	struct log_kafka_client *consumer;
	struct log_kafka_ahead *ahead; /* NULL: nobody reads ahead */

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
/* Starts a thread with all signals blocked: they are for the program's own. 0,
 * -EAGAIN. */
int log_kafka_thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);
/* The producer of now, to be given back; never NULL. */
struct log_kafka_client *log_kafka_producer_ref(struct log_kafka *log);
void log_kafka_producer_unref(struct log_kafka_client *client);
/* Notes that a broker has answered. */
void log_kafka_seen(struct log_kafka_client *client);
/* Notes an error that librdkafka told. */
void log_kafka_note(struct log_kafka *log, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* --- log_kafka_consume.c */

/* Waits up to TIMEOUT_MS for a message and puts it, and what else is there, to
 * BATCH, up to MAX of them in all. Returns how many came. */
size_t log_kafka_batch_fill(struct log_kafka_batch *batch, struct rd_kafka_queue_s *queue,
                            int64_t timeout_ms, size_t max);
/* Decodes message I, unless it was; false if it is no record, but an error. */
bool log_kafka_batch_decode(struct log_kafka_batch *batch, size_t i);
/* Gives all messages back to librdkafka. */
void log_kafka_batch_clear(struct log_kafka_batch *batch);

/* --- log_kafka_ahead.c: called by the reading thread, but wake. */

/* Starts to read ahead of it what CLIENT gets, until offset UNTIL. 0, -ENOMEM
 * or -EAGAIN (no thread). */
int log_kafka_ahead_start(struct log_kafka_client *client, uint64_t until,
                          struct log_kafka_ahead **ret);
/* The next batch, waited for up to TIMEOUT_MS, which then belongs to the caller
 * until it gives it back as USED (NULL: none). NULL: none came in time, or
 * woken, or (with *RET_OVER) none will come. */
struct log_kafka_batch *log_kafka_ahead_next(struct log_kafka_ahead *ahead,
                                             struct log_kafka_batch *used, int64_t timeout_ms,
                                             bool *ret_over);
/* Makes next return early, or the one to come. From any thread. */
void log_kafka_ahead_wake(struct log_kafka_ahead *ahead);
/* Ends the thread, and frees all but a batch that was not given back. Returns
 * whether a wake was not seen. */
bool log_kafka_ahead_stop(struct log_kafka_ahead *ahead);

/* --- log_kafka_produce.c */

/* The thread that serves the producer. ARG is the log. */
void *log_kafka_serve(void *arg);
/* Hands what is held to librdkafka: as much as it can send now, or ALL. */
void log_kafka_send_held(struct log_kafka *log, bool all);
/* librdkafka's callback for what was delivered or not. */
void log_kafka_delivered(struct rd_kafka_s *rk, const struct rd_kafka_message_s *msg, void *arg);

#endif
