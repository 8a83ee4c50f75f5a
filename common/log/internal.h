/* What the files of the Kafka log share. Internal to log_kafka*.c. */
#ifndef KEYDIR_LOG_KAFKA_INTERNAL_H
#define KEYDIR_LOG_KAFKA_INTERNAL_H

#include "common/log/kafka.h"

#include <pthread.h>
#include <stdatomic.h>

/* librdkafka's types, without its header. */
struct rd_kafka_conf_s;
struct rd_kafka_headers_s;
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
	/* Consumer only. Connections that had carried data and were closed: counted
	 * before anything can come through another one. */
	_Atomic uint64_t closed;
	/* What the broker said last: where readers end, and since when this is before
	 * the end of the log (0: it is not). */
	_Atomic int64_t stable;
	_Atomic int64_t blocked_since_ms;
};

/* A message on its way, in log->appends, or held, in log->held.list. */
struct log_kafka_append {
	struct log_kafka_append *prev, *next;
	log_done *done;
	void *arg;
	/* While it is held: the record, ready to be handed over. */
	struct rd_kafka_headers_s *headers;
	char *value; /* NULL: null */
	size_t value_len;
	size_t key_len;
	char key[]; /* of what is held */
};

/* What librdkafka gets later, log/produce_batch.c. All is protected by log->lock. */
struct log_kafka_held {
	struct log_kafka_append *list;
	size_t n, bytes;     /* of keys and values */
	int64_t since_ms;    /* when the first of them came, or could have gone */
	size_t crowd;        /* how many writers there are at once, or were lately ... */
	int64_t crowd_ms;    /* ... at this time */
	int64_t gather_ns;   /* until when a crowd waits for others */
	bool sending;        /* somebody hands over what was held */
	pthread_cond_t came; /* the first came: the thread shall not pause */
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

struct log_kafka_ahead; /* log/readahead.c */

struct log_kafka {
	struct log_kafka_url url;
	char **settings; /* a copy of the config's */
	size_t nsettings;
	uint64_t max_value, max_record; /* bytes */
	int64_t write_timeout_ms;

	/* Protects producer to under_way. No call to librdkafka is made, and no
	 * callback of ours, while it is held. */
	pthread_mutex_t lock;
	struct log_kafka_client *producer;
	struct log_kafka_append *appends;
	struct log_kafka_held held;
	size_t under_way; /* appends that librdkafka has and has not reported */
	pthread_t thread; /* serves the producer: delivery reports, errors */
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
	bool stale;           /* what comes next must be compared first */
	bool begun;           /* a record was given since follow: these two hold for it */
	uint64_t begun_closed;
	int32_t begun_broker;
	bool broken; /* it could not be read: fetch it again */
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

/* --- log/conf.c */

/* Takes URL apart. 0 (log_kafka_url_free()), -EINVAL with WHY, -ENOMEM. */
int log_kafka_url_parse(const char *url, struct log_kafka_url *ret, char *why, size_t why_size);
void log_kafka_url_free(struct log_kafka_url *url);
/* Makes the configuration of a producer or a consumer from LOG's settings.
 * The same errors. Whoever gets it destroys it or makes a client from it. */
int log_kafka_conf(const struct log_kafka *log, bool producer, struct rd_kafka_conf_s **ret,
                   char *why, size_t why_size);

/* --- log/kafka.c */

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

/* --- log/consume.c */

/* Waits up to TIMEOUT_MS for a message and puts it, and what else is there, to
 * BATCH, up to MAX of them in all. Returns how many came. */
size_t log_kafka_batch_fill(struct log_kafka_batch *batch, struct rd_kafka_queue_s *queue,
                            int64_t timeout_ms, size_t max);
/* Decodes message I, unless it was; false if it is no record, but an error. */
bool log_kafka_batch_decode(struct log_kafka_batch *batch, size_t i);
/* Gives all messages back to librdkafka. */
void log_kafka_batch_clear(struct log_kafka_batch *batch);

/* --- log/readahead.c: called by the reading thread, but wake. */

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

/* --- log/produce_batch.c */

void log_kafka_held_init(struct log_kafka_held *held);
void log_kafka_held_destroy(struct log_kafka_held *held);
/* Whether what comes now is held; whether what is held may go. With the lock held. */
bool log_kafka_must_hold(const struct log_kafka *log);
bool log_kafka_may_send(const struct log_kafka *log);
/* Makes the append of REC, which is copied, and holds it. NULL without memory. With
 * the lock held. */
struct log_kafka_append *log_kafka_hold(struct log_kafka *log, const struct record *rec,
                                        log_done *done, void *arg);
/* All that was under way is answered, and from now on a crowd is waited for. By the
 * thread, which is not in a long poll when the first of them comes; with the lock
 * held. */
void log_kafka_gather(struct log_kafka_held *held);
/* Hands what is held to librdkafka: as much as may go now, or ALL. */
void log_kafka_send_held(struct log_kafka *log, bool all);
/* Whether something is held, and if so whether it is for too long. */
bool log_kafka_is_held(struct log_kafka *log, bool *ret_long);
/* For the thread: pauses until something is held, and then until it may go, as far
 * as that depends on others that come and not on an answer. */
void log_kafka_held_rest(struct log_kafka *log);
/* Frees APPEND, which was held and is in no list. */
void log_kafka_held_free(struct log_kafka_append *append);

/* --- log/produce.c */

/* The thread that serves the producer. ARG is the log. */
void *log_kafka_serve(void *arg);
/* REC's headers, to be given to log_kafka_produce(), or destroyed. */
struct rd_kafka_headers_s *log_kafka_headers(const struct record *rec);
/* Hands a record to librdkafka, without ever waiting; APPEND is in log->appends.
 * Returns librdkafka's error or 0: then the headers belong to it, and with
 * RD_KAFKA_MSG_F_FREE in FLAGS the value, and APPEND may be gone already. */
int log_kafka_produce(struct log_kafka_client *client, int flags, struct bytes key,
                      const void *value, size_t value_len, struct rd_kafka_headers_s *headers,
                      struct log_kafka_append *append);
/* Tells that producing APPEND failed with ERR; it is gone. */
void log_kafka_refused(struct log_kafka *log, struct log_kafka_append *append, int err);
/* librdkafka's callback for what was delivered or not. */
void log_kafka_delivered(struct rd_kafka_s *rk, const struct rd_kafka_message_s *msg, void *arg);

#endif
