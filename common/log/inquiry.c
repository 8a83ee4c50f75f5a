/* Inquiry: a series of requests about a topic to the brokers of a Kafka log.
 *
 * An inquiry blocks until the brokers have answered or its deadline has passed. It waits in slices:
 * librdkafka reports a failed authentication by a callback and not as the result of a request
 * (log/client.c), so the inquiry checks for it between two slices. It uses the producer's instance,
 * on whose connection no fetch delays a response.
 *
 * No lock is held while waiting. */
#include "common/log/inquiry.h"

#include "common/base/clock.h"
#include "common/log/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define SLICE_MS 1000
#define PAUSE_US 50000

int inquiry_fail(struct inquiry *inq, int r, const char *fmt, ...)
{
	va_list args;

	if (inq->why) {
		va_start(args, fmt);
		vsnprintf(inq->why, inq->why_size, fmt, args);
		va_end(args);
	}
	return r;
}

int inquiry_slice_ms(const struct inquiry *inq)
{
	int64_t left_ms = inq->until_ms - clock_mono_ms();

	if (left_ms <= 0)
		return 0;
	return left_ms < SLICE_MS ? (int)left_ms : SLICE_MS;
}

static bool is_denial(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return true;
	default:
		return false;
	}
}

int inquiry_retry(struct inquiry *inq, rd_kafka_resp_err_t err, const char *what, const char *text)
{
	char last[LOG_KAFKA_TEXT_MAX];

	log_kafka_errors(inq->log, last, sizeof(last));
	if (is_denial(err))
		return inquiry_fail(inq, -EACCES, "the broker refused %s of topic %s: %s", what,
		                    inq->log->url.topic, text ? text : rd_kafka_err2str(err));
	if (inq->client->denied)
		return inquiry_fail(inq, -EACCES, "the broker %s refused the connection: %s",
		                    inq->log->url.brokers, last);
	if (err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
		return inquiry_fail(inq, -EINVAL, "the broker %s is too old: %s",
		                    inq->log->url.brokers, text ? text : rd_kafka_err2str(err));
	if (!inquiry_slice_ms(inq))
		return inquiry_fail(inq, -EAGAIN, "no answer from %s (%s of topic %s): %s",
		                    inq->log->url.brokers, what, inq->log->url.topic,
		                    last[0] ? last : rd_kafka_err2str(err));
	usleep(PAUSE_US);
	return 0;
}

rd_kafka_resp_err_t inquiry_wait(struct inquiry *inq, rd_kafka_queue_t *queue,
                                 rd_kafka_event_t **ret)
{
	rd_kafka_resp_err_t err;

	/* It ends by the request's own time limit; the rest is for its delivery. */
	*ret = rd_kafka_queue_poll(queue, inquiry_slice_ms(inq) + SLICE_MS);
	if (!*ret)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	err = rd_kafka_event_error(*ret);
	if (err) {
		log_kafka_note_error(inq->log, "%s", rd_kafka_event_error_string(*ret));
		rd_kafka_event_destroy(*ret);
		*ret = NULL;
	}
	return err;
}

rd_kafka_AdminOptions_t *inquiry_admin_options(struct inquiry *inq, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(inq->client->rk, op);
	char text[LOG_KAFKA_TEXT_MAX];
	int ms = inquiry_slice_ms(inq);

	rd_kafka_AdminOptions_set_request_timeout(options, ms ? ms : 1, text, sizeof(text));
	return options;
}
