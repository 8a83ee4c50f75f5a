/* Batch: messages that librdkafka returned, and the records that they were decoded to. */
#ifndef KEYDIR_LOG_BATCH_H
#define KEYDIR_LOG_BATCH_H

#include "common/log/kafka.h"

struct rd_kafka_message_s;
struct rd_kafka_queue_s;

#define LOG_KAFKA_BATCH 256

struct log_kafka_batch {
	struct log_kafka_batch *next;
	size_t n, at; /* number of messages, and the index of the next one to pass */
	size_t bytes; /* of their values */
	struct rd_kafka_message_s *messages[LOG_KAFKA_BATCH];
	struct log_kafka_slot {
		struct log_record rec;
		struct event ev; /* rec.ev, if rec.err is 0 */
		bool decoded;
	} slots[LOG_KAFKA_BATCH];
};

/* Write the parts of MSG to *REC, which borrows its bytes. */
void log_kafka_batch_to_record(const struct rd_kafka_message_s *msg, struct record *rec);
/* Wait up to TIMEOUT_MS for a message; append it and all others that have arrived to BATCH,
 * which then has MAX messages at most. Returns how many were appended. */
size_t log_kafka_batch_fill(struct log_kafka_batch *batch, struct rd_kafka_queue_s *queue,
                            int64_t timeout_ms, size_t max);
/* Decode message I, unless it is decoded. Returns false if it is an error of librdkafka's
 * and not a record. */
bool log_kafka_batch_decode(struct log_kafka_batch *batch, size_t i);
/* Return all messages to librdkafka. */
void log_kafka_batch_clear(struct log_kafka_batch *batch);

#endif
