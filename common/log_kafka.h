/* The Kafka log: one topic with one partition, through librdkafka. */
#ifndef KEYDIR_LOG_KAFKA_H
#define KEYDIR_LOG_KAFKA_H

#include "record.h"

struct log_kafka;

struct log_kafka_config {
	const char *url;                 /* kafka://host:port,host:port/topic */
	const char *const *settings;     /* "name=value" for librdkafka (-X) */
	size_t nsettings;
	uint64_t max_value;              /* bytes; sets the message size limits */
	int64_t write_timeout_ms;        /* a produce gives up after this */
};

/* How an append ended. */
enum log_append {
	LOG_APPENDED = 0, /* in the log at the offset given */
	LOG_NOT_APPENDED, /* certainly not in the log */
	LOG_UNKNOWN,      /* perhaps in the log, now or later */
	LOG_TOO_LARGE,    /* refused by size; not in the log */
};

/* Opens clients; needs no broker to be up. 0; -EINVAL for a bad url or a
 * setting that librdkafka refuses, with a sentence in WHY; -ENOMEM. */
int log_kafka_open(const struct log_kafka_config *config, struct log_kafka **ret, char *why,
                   size_t why_size);
/* Flushes what was appended, for at most TIMEOUT_MS; the rest is reported
 * LOG_UNKNOWN. Then frees. */
void log_kafka_close(struct log_kafka *log, int64_t timeout_ms);

/* Creates the topic if it is missing and checks it: one partition, no
 * compaction, LogAppendTime, size limit. 0 when it is fit for use; -EAGAIN
 * when no broker answers (try again later); -EINVAL for an unfit topic, with
 * a sentence in WHY that says what to change; -EACCES for failed
 * authentication or authorization. *RET_FIRST and *RET_END: the first offset
 * still in the log, and the offset behind the newest record. Blocks up to
 * TIMEOUT_MS. */
int log_kafka_check(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_first,
                    uint64_t *ret_end, char *why, size_t why_size);

/* Produces EV (copied). DONE is called exactly once, from the log's own
 * thread or from this one. Thread-safe; never blocks. */
void log_kafka_append(struct log_kafka *log, const struct event *ev,
                      void (*done)(void *arg, enum log_append how, uint64_t offset), void *arg);

/* Starts to consume at FROM (stops an older run). 0 or -EIO. */
int log_kafka_follow(struct log_kafka *log, uint64_t from);
void log_kafka_unfollow(struct log_kafka *log);
/* Waits up to TIMEOUT_MS for records and gives up to MAX of them to FN in
 * order (the record's bytes are valid during the call). FN returns 0 to go on
 * or an error to stop (that record counts as not taken: the next poll gives
 * it again). Returns how many were taken, FN's error,
 * -EAGAIN (no broker now), -ENODATA (the log no longer has the offset asked
 * for), -EIO. Called by one thread. */
int log_kafka_poll(struct log_kafka *log, int64_t timeout_ms, size_t max,
                   int (*fn)(void *arg, uint64_t offset, const struct record *rec), void *arg);
/* Ends a poll early; from any thread. */
void log_kafka_wake(struct log_kafka *log);

/* Asks the broker (not a cache) for the offset behind the newest record;
 * 0, -EAGAIN after TIMEOUT_MS. Blocks: call it from a thread that may. */
int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end);
/* Reads the one record at OFFSET, for the volume id: 0 and a decoded event,
 * -ENODATA, -EAGAIN, -EBADMSG. Blocks. Not while following. */
int log_kafka_get(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, struct event **ret);

/* True while a broker connection is up, as far as librdkafka has said. */
bool log_kafka_up(struct log_kafka *log);
/* Errors that librdkafka reported, and the last one's text (copied). */
uint64_t log_kafka_errors(struct log_kafka *log, char *last, size_t size);

#endif
