/* Lookup: read one record of the Kafka log by its offset.
 *
 * Each lookup creates its own consumer. Lookups are rare, their threads may wait, and they must not
 * move the position of the consumer that follows the log. No lock. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/log/batch.h"
#include "common/log/client.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>

/* Uses the record that was looked up. Returns 0 or -errno. */
typedef int use_record(void *arg, const rd_kafka_message_t *msg);

/* Wait for the record at OFFSET, or the report that the log does not have it. Returns 0, -errno, or
 * -EINTR to wait again. */
static int receive_record(struct log_kafka_client *client, uint64_t offset, int64_t timeout_ms,
                          use_record *use, void *arg)
{
	rd_kafka_message_t *msg = rd_kafka_consume_queue(client->events, (int)timeout_ms);
	int r;

	if (!msg)
		return -EAGAIN;
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		if ((uint64_t)msg->offset < offset) {
			r = -EINTR;
		} else if ((uint64_t)msg->offset > offset) {
			r = -ENODATA;
		} else {
			r = use(arg, msg);
		}
		break;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		r = -ENODATA;
		break;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		log_kafka_note_error(client->log, "%s", rd_kafka_message_errstr(msg));
		r = -EIO;
		break;
	default:
		log_kafka_note_error(client->log, "%s", rd_kafka_message_errstr(msg));
		r = -EINTR;
	}
	rd_kafka_message_destroy(msg);
	return r;
}

static int read_record(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, use_record *use,
                       void *arg)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms, left_ms;
	struct log_kafka_client *client;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int r;

	r = log_kafka_client_new(log, NULL, &client, why, sizeof(why));
	if (r) {
		log_kafka_note_error(log, "%s", why);
		return r == -ENOMEM ? -ENOMEM : -EIO;
	}
	if (rd_kafka_consume_start_queue(client->topic, 0, (int64_t)offset, client->events)) {
		log_kafka_note_error(log, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		log_kafka_client_free(client);
		return -EIO;
	}
	do {
		left_ms = until_ms - clock_mono_ms();
		r = left_ms > 0 ? receive_record(client, offset, left_ms, use, arg) : -EAGAIN;
	} while (r == -EINTR);
	rd_kafka_consume_stop(client->topic, 0);
	log_kafka_client_free(client);
	return r;
}

static int use_event(void *arg, const rd_kafka_message_t *msg)
{
	struct record rec;
	const char *why;

	log_kafka_batch_to_record(msg, &rec);
	return record_decode(&rec, arg, &why);
}

int log_kafka_get(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, struct event **ret)
{
	return read_record(log, offset, timeout_ms, use_event, ret);
}

static int use_identity(void *arg, const rd_kafka_message_t *msg)
{
	struct log_kafka_batch batch = { .messages = { (rd_kafka_message_t *)msg } };
	const struct log_record *rec = &batch.slots[0].rec;

	log_kafka_batch_decode(&batch, 0);
	if (rec->err == -ENOMEM)
		return -ENOMEM;
	*(struct log_identity *)arg = log_record_identity(rec);
	if (!rec->err)
		record_release(&batch.slots[0].ev);
	return 0;
}

int log_kafka_identify(struct log_kafka *log, uint64_t offset, int64_t timeout_ms,
                       struct log_identity *ret)
{
	return read_record(log, offset, timeout_ms, use_identity, ret);
}
