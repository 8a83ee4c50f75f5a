/* Kafka log: one topic with one partition, through librdkafka. */
#ifndef KEYDIR_LOG_KAFKA_H
#define KEYDIR_LOG_KAFKA_H

#include "common/event/record.h"
#include "common/log/identity.h"

struct log_kafka;

struct log_kafka_config {
	const char *url;             /* kafka://host:port,host:port/topic */
	const char *const *settings; /* "name=value" for librdkafka (-X) */
	size_t nsettings;
	uint64_t max_value;       /* bytes; determines the message size limits */
	int64_t write_timeout_ms; /* an append fails after this */
};

/* How an append ended. */
enum log_append {
	LOG_APPENDED = 0, /* in the log, at the given offset */
	LOG_NOT_APPENDED, /* definitely not in the log */
	LOG_UNKNOWN,      /* perhaps in the log, now or later */
	LOG_TOO_LARGE,    /* refused by size; not in the log */
};

/* The offset with LOG_APPENDED if the broker confirmed a retry without reporting where the first
 * attempt stored the event. */
#define LOG_NO_OFFSET UINT64_MAX

/* Maximum size of a record without its value of max_value bytes: its key, its headers (one of them
 * lists up to EVENT_RANGES_MAX ranges of a write) and framing. */
#define LOG_RECORD_ROOM (UINT64_C(1) << 20)

/* The callback of an append, called exactly once. OFFSET is valid only with LOG_APPENDED. */
typedef void log_done(void *arg, enum log_append how, uint64_t offset);

/* Create the producer and start its thread; no broker needs to be up. CONFIG and its strings need
 * not outlive the call. Returns 0 with *RET; -EINVAL, with a sentence in WHY, for a bad URL or a
 * setting that librdkafka or Keydir refuses; -ENOMEM; or -EAGAIN. */
int log_kafka_open(const struct log_kafka_config *config, struct log_kafka **ret, char *why,
                   size_t why_size);
/* Flush the appended records, for at most TIMEOUT_MS, report the remaining ones as LOG_NOT_APPENDED
 * if they were never sent and as LOG_UNKNOWN otherwise, and free LOG. No other call may be in
 * progress. NULL is fine. */
void log_kafka_close(struct log_kafka *log, int64_t timeout_ms);

/* The properties of the topic that log_kafka_check() reads. */
struct log_kafka_topic {
	uint64_t first;     /* the first offset still in the log */
	uint64_t end;       /* the offset after the newest record */
	uint64_t max_value; /* bytes: the largest value that the topic takes, or ours */
	bool forgets;       /* records are deleted, by a finite retention */
};

/* Check the topic: it must have one partition, no compaction, LogAppendTime, no unclean leader
 * election, and accept records of at least 1 MiB. If it does not exist, create it, or return
 * -ENOENT if MAKE is false. If Keydir created it (its settings show that) and it accepts only
 * smaller records than this node writes, raise its limit if the broker allows that. Returns 0 for a
 * usable topic, with WHY empty or a warning for the operator; -EAGAIN if no broker answers (try
 * again later); -EINVAL for an unfit topic, with a sentence in WHY that says how to change it;
 * -EACCES if authentication or authorization failed. *RET is written on success only. Blocks up to
 * TIMEOUT_MS. Thread-safe. */
int log_kafka_check(struct log_kafka *log, int64_t timeout_ms, bool make,
                    struct log_kafka_topic *ret, char *why, size_t why_size);

/* Append EV, which is copied. DONE is called by the log's own thread, or by this thread, with no
 * lock held. Fails after the write timeout, and may need another second to report it. Thread-safe;
 * never blocks. */
void log_kafka_append(struct log_kafka *log, const struct event *ev, log_done *done, void *arg);

/* --- reading: one thread at a time may call follow, unfollow and poll --- */

/* A record, valid only while the callback of log_kafka_poll() runs. */
struct log_record {
	uint64_t offset;
	int64_t time_ms;
	size_t value_bytes;
	int32_t broker; /* number of the broker that sent it; -1: unknown */
	/* The event as record_read() decodes it, or NULL with its error. */
	const struct event *ev;
	int err;
	const char *why;
	const void *message; /* for log_record_raw() */
};

/* Write the raw record to *RET, which borrows REC's bytes. If it has more than RECORD_HEADERS_MAX
 * headers, *RET has the first ones. */
void log_record_raw(const struct log_record *rec, struct record *ret);

/* Start to consume at FROM, after stopping an earlier run. For a long log, a separate thread
 * prefetches and decodes the records before the offset PREFETCH_UNTIL; 0: no prefetch. Returns 0,
 * -ENOMEM or -EIO. */
int log_kafka_follow(struct log_kafka *log, uint64_t from, uint64_t prefetch_until);
void log_kafka_unfollow(struct log_kafka *log);
/* Wait up to TIMEOUT_MS for records, and pass up to MAX of them to FN in order. FN returns 0 to
 * continue or an error to stop; the record at which it stops is passed again by the next poll.
 * Returns how many records were passed (0: none arrived in time, or log_kafka_wake() was called),
 * or an error:
 *
 * - FN's error: the earlier records count as passed
 * - -EAGAIN: none arrived, and no broker answers now
 * - -ENODATA: the log does not have the next offset, no longer or not yet; persists until the next
 *   follow
 * - -ESTALE: a connection was lost, the leader changed, or the topic was missing for a moment, so
 *   the next records may belong to another log; persists until the next follow, which should start
 *   at a record that the caller can compare
 * - -EACCES
 * - -EIO: a record could not be read; it is fetched again, and none is skipped */
int log_kafka_poll(struct log_kafka *log, int64_t timeout_ms, size_t max,
                   int (*fn)(void *arg, const struct log_record *rec), void *arg);
/* Make the current poll, or the next one, return early. Thread-safe. */
void log_kafka_wake(struct log_kafka *log);
/* Return the offset up to which all records have been passed to poll's FN. Usually this is the last
 * record's offset + 1. Offsets of a foreign producer's transaction markers at the end of the log,
 * which readers never see, count as passed within a second, so that the position reaches the offset
 * of log_kafka_end(). Returns 0 before the first follow. Thread-safe. */
uint64_t log_kafka_position(struct log_kafka *log);

/* Return true if a producer's open transaction withholds the records after the position from
 * readers. Then *RET_OFFSET is the offset where the transaction begins, and *RET_MS the time for
 * which this has been observed. Detected about a second late. For the reading thread. */
bool log_kafka_blocked(struct log_kafka *log, uint64_t *ret_offset, int64_t *ret_ms);

/* Query the broker (not a cache) for the offset after the newest record. Returns 0, or -EAGAIN
 * after TIMEOUT_MS. Blocks. Thread-safe. */
int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end);
/* Query the broker whether the log still has the record ID, judging by timestamps: a newer record
 * comes after it, unless the log was truncated before ID and appended to. Costs one small request,
 * so it can be called often. The result is a hint, since a broker's clock can step back. Returns 0,
 * -ESTALE (the log seems to be another one), or -EAGAIN. Blocks. Thread-safe. */
int log_kafka_audit(struct log_kafka *log, const struct log_identity *id, int64_t timeout_ms);
/* Read the record at OFFSET, to find the volume's name. Returns 0 and a decoded event
 * (event_free()), -ENODATA, -EAGAIN, -EIO, or an error of record_decode(). Blocks. Thread-safe. */
int log_kafka_get(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, struct event **ret);
/* Read the record at OFFSET and write its identity to *RET. Returns 0, -ENODATA (the log has no
 * record there), -EAGAIN, -EIO or -ENOMEM. Blocks. Thread-safe. */
int log_kafka_identify(struct log_kafka *log, uint64_t offset, int64_t timeout_ms,
                       struct log_identity *ret);
/* Return the identity of REC, as log_kafka_identify() reads it. */
struct log_identity log_record_identity(const struct log_record *rec);

/* Return whether a connection to a broker is up, as last reported by librdkafka (which may take two
 * seconds). Thread-safe. */
bool log_kafka_up(struct log_kafka *log);
/* Return the number of errors that librdkafka reported, and copy the last one's text, cut to SIZE,
 * to LAST ("" without an error). Thread-safe. */
uint64_t log_kafka_errors(struct log_kafka *log, char *last, size_t size);

#endif
