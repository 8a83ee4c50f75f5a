/* Append: one record on its way into the Kafka log.
 *
 * librdkafka's idempotent producer retries until the write timeout and keeps the order; its
 * delivery report says of a failed message whether it may have reached the log. That distinguishes
 * "not appended" from "unknown": when an acknowledgement never came, or a broker wrote the message
 * but could not replicate it, the outcome stays unknown even if a later attempt was refused.
 *
 * "Appended" is librdkafka's claim and not a proof: it assumes that a batch was written if the next
 * one was. That holds because a leader refuses a batch out of order; but a leader that has no batch
 * of a new producer yet accepts any batch. So a write is reported as done only after it was read
 * back (node/kafka_apply.c).
 *
 * Invariant: an append is in log->queue, and then in log->appends from before librdkafka has it
 * until its outcome is reported. So each outcome is reported exactly once, also when closing.
 *
 * Lock: log->lock guards the list; it is not held during calls of librdkafka or callbacks. */
#include "common/log/append.h"

#include "common/base/clock.h"
#include "common/log/internal.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <utlist.h>

/* Take APPEND off the list, report how it ended, and free it. */
static void finish_append(struct log_kafka *log, struct log_kafka_append *append,
                          enum log_append how, uint64_t offset)
{
	pthread_mutex_lock(&log->lock);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in that list */
	DL_DELETE(log->appends, append);
	/* This is the log's thread, which will send what concurrent writers queue. */
	if (--log->inflight == 0 && how == LOG_APPENDED)
		log->queue.linger_from_ns = clock_mono_ns();
	pthread_mutex_unlock(&log->lock);
	append->done(append->arg, how, offset);
	free(append);
}

/* Return how an append ended that failed with ERR before it was sent, or that the broker
 * refused. */
static enum log_append outcome_of_refusal(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
		return LOG_TOO_LARGE;
	default:
		return LOG_NOT_APPENDED;
	}
}

void log_kafka_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *arg)
{
	struct log_kafka_client *client = arg;
	uint64_t offset = LOG_NO_OFFSET;
	enum log_append how = LOG_APPENDED;

	(void)rk;
	if (!msg->err) {
		log_kafka_note_answer(client);
		if (msg->offset >= 0)
			offset = (uint64_t)msg->offset;
	} else if (rd_kafka_message_status(msg) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
		how = outcome_of_refusal(msg->err);
	} else {
		how = LOG_UNKNOWN;
	}
	if (msg->err && msg->err != RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
		log_kafka_note_error(client->log, "%s", rd_kafka_err2str(msg->err));
	finish_append(client->log, msg->_private, how, offset);
}

rd_kafka_headers_t *log_kafka_headers(const struct record *rec)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(rec->nheaders);
	size_t i;

	for (i = 0; i < rec->nheaders; i++) {
		const struct record_header *h = &rec->headers[i];

		rd_kafka_header_add(headers, h->name.data, (ssize_t)h->name.len,
		                    h->value.data ? h->value.data : "", (ssize_t)h->value.len);
	}
	return headers;
}

int log_kafka_produce(struct log_kafka_client *client, int flags, struct bytes key,
                      const void *value, size_t value_len, rd_kafka_headers_t *headers,
                      struct log_kafka_append *append)
{
	return rd_kafka_producev(
	        client->rk, RD_KAFKA_V_RKT(client->topic), RD_KAFKA_V_PARTITION(0),
	        RD_KAFKA_V_MSGFLAGS(flags), RD_KAFKA_V_KEY(key.len ? key.data : NULL, key.len),
	        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value_len), RD_KAFKA_V_HEADERS(headers),
	        RD_KAFKA_V_OPAQUE(append), RD_KAFKA_V_END);
}

void log_kafka_fail_append(struct log_kafka *log, struct log_kafka_append *append, int err)
{
	log_kafka_note_error(log, "%s", rd_kafka_err2str(err));
	finish_append(log, append, outcome_of_refusal(err), LOG_NO_OFFSET);
}
