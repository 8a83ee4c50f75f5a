/* Lookup: read one record of the Kafka log by its offset.
 *
 * Each lookup has a consumer of its own, from start to end: it is asked seldom, by threads
 * that may wait, and must not move the position of the one that follows the log. No lock. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/log/batch.h"
#include "common/log/client.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>

/* What to do with the record that was asked for. */
typedef int use_record(void *arg, const rd_kafka_message_t *msg);

/* Waits for the record at OFFSET or the word that it is not there. */
static int read_one(struct log_kafka_client *client, uint64_t offset, int64_t timeout_ms,
                    use_record *use, void *arg)
{
	rd_kafka_message_t *msg = rd_kafka_consume_queue(client->events, (int)timeout_ms);
	int err;

	if (!msg)
		return -EAGAIN;
	switch (msg->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		if ((uint64_t)msg->offset < offset) {
			err = -EINTR;
		} else if ((uint64_t)msg->offset > offset) {
			err = -ENODATA;
		} else {
			err = use(arg, msg);
		}
		break;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		err = -ENODATA;
		break;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		log_kafka_note_error(client->log, "%s", rd_kafka_message_errstr(msg));
		err = -EIO;
		break;
	default:
		log_kafka_note_error(client->log, "%s", rd_kafka_message_errstr(msg));
		err = -EINTR;
	}
	rd_kafka_message_destroy(msg);
	return err;
}

static int read_at(struct log_kafka *log, uint64_t offset, int64_t timeout_ms, use_record *use,
                   void *arg)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms, left_ms;
	struct log_kafka_client *client;
	char why[LOG_KAFKA_TEXT_MAX] = "out of memory";
	int err;

	err = log_kafka_client_new(log, NULL, &client, why, sizeof(why));
	if (err) {
		log_kafka_note_error(log, "%s", why);
		return err == -ENOMEM ? -ENOMEM : -EIO;
	}
	if (rd_kafka_consume_start_queue(client->topic, 0, (int64_t)offset, client->events)) {
		log_kafka_note_error(log, "%s", rd_kafka_err2str(rd_kafka_last_error()));
		log_kafka_client_free(client);
		return -EIO;
	}
	do {
		left_ms = until_ms - clock_mono_ms();
		err = left_ms > 0 ? read_one(client, offset, left_ms, use, arg) : -EAGAIN;
	} while (err == -EINTR);
	rd_kafka_consume_stop(client->topic, 0);
	log_kafka_client_free(client);
	return err;
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
	return read_at(log, offset, timeout_ms, use_event, ret);
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
	return read_at(log, offset, timeout_ms, use_identity, ret);
}
