/* Batch: messages that librdkafka returned, and the records that they were decoded to.
 *
 * librdkafka's batch call waits until its array is full, so a fill waits for one message and then
 * takes all others that have arrived. The messages are kept until the whole batch has been passed
 * on, since the records borrow their bytes.
 *
 * No lock: a batch belongs to one thread at a time. */
#include "common/log/batch.h"

#include "common/log/identity.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <string.h>

void log_kafka_batch_to_record(const rd_kafka_message_t *msg, struct record *rec)
{
	rd_kafka_headers_t *headers;
	rd_kafka_resp_err_t err;
	int64_t time_ms = rd_kafka_message_timestamp(msg, NULL);
	const char *name;
	const void *value;
	size_t len, n = 0;

	rec->key = (struct bytes){ msg->key, msg->key_len };
	rec->value = (struct bytes){ msg->payload, msg->len };
	rec->has_value = msg->payload != NULL;
	rec->time_ms = time_ms > 0 ? time_ms : 0;
	err = rd_kafka_message_headers(msg, &headers);
	while (!err && n < RECORD_HEADERS_MAX &&
	       !rd_kafka_header_get_all(headers, n, &name, &value, &len)) {
		rec->headers[n].name = (struct bytes){ name, strlen(name) };
		rec->headers[n].value = (struct bytes){ value, len };
		n++;
	}
	/* Headers that cannot be read make the record malformed, never a plain change. */
	if (err && err != RD_KAFKA_RESP_ERR__NOENT) {
		rec->headers[0].name = (struct bytes){ "op", 2 };
		rec->headers[0].value = (struct bytes){ "", 0 };
		n = 1;
	}
	rec->nheaders = n;
}

void log_record_raw(const struct log_record *rec, struct record *ret)
{
	log_kafka_batch_to_record(rec->message, ret);
}

size_t log_kafka_batch_fill(struct log_kafka_batch *batch, rd_kafka_queue_t *queue,
                            int64_t timeout_ms, size_t max)
{
	size_t before = batch->n;
	ssize_t more;

	if (before == max)
		return 0;
	batch->messages[before] = rd_kafka_consume_queue(
	        queue, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
	if (!batch->messages[before])
		return 0;
	batch->n++;
	more = rd_kafka_consume_batch_queue(queue, 0, batch->messages + batch->n, max - batch->n);
	batch->n += more > 0 ? (size_t)more : 0;
	for (size_t i = before; i < batch->n; i++) {
		batch->slots[i].decoded = false;
		batch->bytes += batch->messages[i]->len;
	}
	return batch->n - before;
}

/* Return whether EV borrows bytes of its record's headers; most events do not. */
static bool needs_headers(const struct event *ev)
{
	return ev->type.data || ev->to.data || ev->name.data || ev->idem.data;
}

/* Free the parsed headers of MSG; librdkafka parses them again if asked. Freed early, their memory
 * is reused for the next message while it is still in the processor's cache. */
static void free_headers(rd_kafka_message_t *msg)
{
	rd_kafka_headers_t *headers;

	if (!rd_kafka_message_detach_headers(msg, &headers))
		rd_kafka_headers_destroy(headers);
}

bool log_kafka_batch_decode(struct log_kafka_batch *batch, size_t i)
{
	struct log_kafka_slot *slot = &batch->slots[i];
	rd_kafka_message_t *msg;
	struct record rec;

	/* Do not touch prefetched messages again; they are cold in the cache. */
	if (slot->decoded)
		return true;
	msg = batch->messages[i];
	if (msg->err)
		return false;
	log_kafka_batch_to_record(msg, &rec);
	slot->rec = (struct log_record){ .offset = (uint64_t)msg->offset,
		                         .time_ms = rec.time_ms,
		                         .broker = rd_kafka_message_broker_id(msg),
		                         .value_bytes = rec.value.len,
		                         .message = msg };
	slot->rec.err = record_read(&rec, &slot->ev, &slot->rec.why);
	if (!slot->rec.err)
		slot->rec.ev = &slot->ev;
	if (rec.nheaders && (slot->rec.err || !needs_headers(&slot->ev)))
		free_headers(msg);
	/* After a failed allocation, try again later. */
	slot->decoded = slot->rec.err != -ENOMEM;
	return true;
}

struct log_identity log_record_identity(const struct log_record *rec)
{
	return (struct log_identity){
		.offset = rec->offset,
		.time_ms = rec->time_ms,
		.sum = log_identity_sum(rec->ev, rec->time_ms, rec->value_bytes),
	};
}

void log_kafka_batch_clear(struct log_kafka_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++) {
		if (batch->slots[i].decoded && !batch->slots[i].rec.err)
			record_release(&batch->slots[i].ev);
		rd_kafka_message_destroy(batch->messages[i]);
	}
	batch->n = batch->at = batch->bytes = 0;
}
