/* Append: one record on its way into the Kafka log. */
#ifndef KEYDIR_LOG_APPEND_H
#define KEYDIR_LOG_APPEND_H

#include "common/log/client.h"
#include "common/log/kafka.h"

struct rd_kafka_headers_s;

/* In log->queue.list, or in log->appends once librdkafka has it. */
struct log_kafka_append {
	struct log_kafka_append *prev, *next;
	log_done *done;
	void *arg;
	/* While it is queued: the record, ready for librdkafka. */
	struct rd_kafka_headers_s *headers;
	char *value; /* NULL: a null value */
	size_t value_len;
	size_t key_len;
	char key[];
};

/* Return REC's headers, which the caller passes to log_kafka_produce() or destroys. */
struct rd_kafka_headers_s *log_kafka_headers(const struct record *rec);
/* Hand a record to librdkafka; APPEND is in log->appends. Never waits. Returns 0 or an error
 * of librdkafka's. On success librdkafka owns HEADERS and, with RD_KAFKA_MSG_F_FREE in FLAGS,
 * VALUE, and APPEND may be freed already; on failure they stay the caller's. */
int log_kafka_produce(struct log_kafka_client *client, int flags, struct bytes key,
                      const void *value, size_t value_len, struct rd_kafka_headers_s *headers,
                      struct log_kafka_append *append);
/* Report that producing APPEND failed with ERR, an error of librdkafka's, and free it. */
void log_kafka_fail_append(struct log_kafka *log, struct log_kafka_append *append, int err);
/* Librdkafka's delivery report: report how the append ended, and free it. */
log_kafka_delivered log_kafka_on_delivery;

#endif
