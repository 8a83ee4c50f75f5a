/* The Kafka log: one topic with one partition, through librdkafka. */
#ifndef KEYDIR_LOG_KAFKA_H
#define KEYDIR_LOG_KAFKA_H

#include "common/log/identity.h"
#include "common/event/record.h"

struct log_kafka;

struct log_kafka_config {
	const char *url;             /* kafka://host:port,host:port/topic */
	const char *const *settings; /* "name=value" for librdkafka (-X) */
	size_t nsettings;
	uint64_t max_value;       /* bytes; sets the message size limits */
	int64_t write_timeout_ms; /* a produce gives up after this */
};

/* How an append ended. */
enum log_append {
	LOG_APPENDED = 0, /* in the log at the offset given */
	LOG_NOT_APPENDED, /* certainly not in the log */
	LOG_UNKNOWN,      /* perhaps in the log, now or later */
	LOG_TOO_LARGE,    /* refused by size; not in the log */
};

/* Given with LOG_APPENDED when the broker confirmed a repeated attempt without
 * saying where the first one had put the event. */
#define LOG_NO_OFFSET UINT64_MAX

/* What a record may take beside a value of max_value bytes: its key, headers
 * (a write has up to EVENT_RANGES_MAX ranges in one) and framing. */
#define LOG_RECORD_ROOM (UINT64_C(1) << 20)

/* Called exactly once for an append; OFFSET only counts with LOG_APPENDED. */
typedef void log_done(void *arg, enum log_append how, uint64_t offset);

/* Opens the producer and starts its thread; needs no broker to be up. 0;
 * -EINVAL for a bad url, or a setting that librdkafka or Keydir refuses, with
 * a sentence in WHY; -ENOMEM. CONFIG and what it points to need not outlive
 * the call. */
int log_kafka_open(const struct log_kafka_config *config, struct log_kafka **ret, char *why,
                   size_t why_size);
/* Flushes what was appended, for at most TIMEOUT_MS; of the rest, what never
 * left is reported LOG_NOT_APPENDED, what did LOG_UNKNOWN. Then frees. No
 * other call may be under way. NULL is fine. */
void log_kafka_close(struct log_kafka *log, int64_t timeout_ms);

/* What log_kafka_check() finds out about the topic. */
struct log_kafka_topic {
	uint64_t first;     /* the first offset still in the log */
	uint64_t end;       /* the offset after the newest record */
	uint64_t max_value; /* bytes: the largest value that the topic takes, or ours */
	bool forgets;       /* by a finite retention */
};

/* Check the topic: one partition, no compaction, LogAppendTime, no unclean leader
 * election, records of at least 1 MiB. If it is missing, make it, or return -ENOENT
 * if MAKE is false. A topic that Keydir made (its settings show it) and that takes
 * smaller records than ours is changed, if the broker allows that.
 * 0 when it is fit for use: then WHY is empty or a warning that an operator should see;
 * -EAGAIN when no broker answers (try again later); -EINVAL for an unfit
 * topic, with a sentence in WHY that says what to change; -EACCES for failed
 * authentication or authorization. *RET is written on success only. Blocks up to
 * TIMEOUT_MS. Thread-safe. */
int log_kafka_check(struct log_kafka *log, int64_t timeout_ms, bool make,
                    struct log_kafka_topic *ret, char *why, size_t why_size);

/* Produces EV (copied). DONE comes from the log's own thread, with no lock
 * held, or from this one. Gives up after the write timeout, and may need a
 * second more to say so. Thread-safe; never blocks. */
void log_kafka_append(struct log_kafka *log, const struct event *ev, log_done *done, void *arg);

/* --- reading: follow, unfollow and poll are called by one thread at a time. - */

/* A record as poll gives it, and as long as FN runs. */
struct log_record {
	uint64_t offset;
	int64_t time_ms;
	size_t value_bytes;
	int32_t broker; /* its number in the cluster; -1: unknown */
	/* As record_read() gives it; its errors, with NULL for the event. */
	const struct event *ev;
	int err;
	const char *why;
	const void *message; /* for log_record_raw() */
};

/* The record itself, which borrows REC's bytes; of more headers than
 * RECORD_HEADERS_MAX, the first ones. */
void log_record_raw(const struct log_record *rec, struct record *ret);

/* Starts to consume at FROM (stops an older run). While what is read lies before
 * the offset AHEAD, a thread of its own reads and decodes ahead of poll: for
 * long logs; 0 for none. 0, -ENOMEM or -EIO. */
int log_kafka_follow(struct log_kafka *log, uint64_t from, uint64_t ahead);
void log_kafka_unfollow(struct log_kafka *log);
/* Waits up to TIMEOUT_MS for records and gives up to MAX of them to FN in order.
 * FN returns 0 to go on or an error to stop (that record counts as not taken: the
 * next poll gives it again).
 * Returns how many were taken (0: none came in time, or woken), FN's error (the
 * records before it are taken), -EAGAIN (none came, and no broker answers now),
 * -ENODATA (the log does not have the offset asked for, any more or
 * yet; it stays so until the next follow), -ESTALE (a connection was lost, another
 * broker leads, or the topic was away: what would come next may belong to another
 * log; it stays so until the next follow, which should start at a record that the
 * caller can compare), -EACCES, -EIO (a record could not be read; it is fetched
 * again, none is skipped). */
int log_kafka_poll(struct log_kafka *log, int64_t timeout_ms, size_t max,
                   int (*fn)(void *arg, const struct log_record *rec), void *arg);
/* Ends a poll early, or the next one if none waits; from any thread. */
void log_kafka_wake(struct log_kafka *log);
/* Everything before this offset has been given to poll's FN. Usually the last
 * one taken + 1, but also behind what readers never see at the end of the log
 * (transaction markers of a foreign producer): such an end, as log_kafka_end
 * tells it, is reached within a second although no record comes. 0 before the
 * first follow. Thread-safe. */
uint64_t log_kafka_position(struct log_kafka *log);

/* Return true if a producer's open transaction keeps readers from what lies
 * behind the position: then *RET_OFFSET is where it begins, and *RET_MS for how
 * long this has been seen. Known about a second late. By the reading thread. */
bool log_kafka_blocked(struct log_kafka *log, uint64_t *ret_offset, int64_t *ret_ms);

/* Asks the broker (not a cache) for the offset behind the newest record;
 * 0, -EAGAIN after TIMEOUT_MS. Blocks: call it from a thread that may.
 * Thread-safe. */
int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end);
/* Ask the broker whether the log still has the record ID, as far as times show it: a
 * record that is newer stands behind it, unless the log was cut before ID and written on.
 * One small question, to be asked often; the answer is a hint, since a broker's clock can
 * step back. 0, -ESTALE (it seems to have another one), -EAGAIN. Blocks. Thread-safe. */
int log_kafka_audit(struct log_kafka *log, const struct log_identity *id, int64_t timeout_ms);
/* Reads the one record at OFFSET, for the volume id: 0 and a decoded event
 * (event_free()), -ENODATA, -EAGAIN, -EIO, or what record_decode returns.
 * Blocks. Thread-safe. */
int log_kafka_get(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, struct event **ret);
/* Reads the one record at OFFSET and writes its identity. 0, -ENODATA (the log has
 * no record there), -EAGAIN, -EIO, -ENOMEM. Blocks. Thread-safe. */
int log_kafka_identify(struct log_kafka *log, uint64_t offset, int64_t timeout_ms,
                       struct log_identity *ret);
/* Return the identity of REC, as log_kafka_identify() reads it. */
struct log_identity log_record_identity(const struct log_record *rec);

/* True while a broker connection is up, as far as librdkafka has said (it may
 * take two seconds to). Thread-safe. */
bool log_kafka_up(struct log_kafka *log);
/* Errors that librdkafka reported, and the last one's text (copied, cut to
 * SIZE; "" if there was none). Thread-safe. */
uint64_t log_kafka_errors(struct log_kafka *log, char *last, size_t size);

#endif
