/* Inquiry: a series of requests about a topic to the brokers of a Kafka log. */
#ifndef KEYDIR_LOG_INQUIRY_H
#define KEYDIR_LOG_INQUIRY_H

#include "common/log/internal.h"

#include <librdkafka/rdkafka.h>

/* Requests to the brokers with one deadline, and the answers. */
struct inquiry {
	struct log_kafka *log;
	struct log_kafka_client *client;
	int64_t until_ms; /* monotonic deadline of all requests */
	char *why;        /* receives an error message, or NULL */
	size_t why_size;
	/* The topic, as described by the brokers. */
	int npartitions; /* 0: the topic does not exist */
	int nbrokers, nreplicas;
	uint64_t max_record; /* the topic's limit, in bytes */
	uint64_t min_insync;
	bool forgets; /* records are deleted, by a finite retention */
	bool ours;    /* it has exactly the settings that Keydir creates topics with */
};

/* Write an error message to INQ->why. Returns R, the error. */
int inquiry_fail(struct inquiry *inq, int r, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Return the timeout of the next request in ms, which may end before the deadline so that the
 * inquiry can check for a failed authentication; 0 after the deadline. */
int inquiry_slice_ms(const struct inquiry *inq);
/* Decide what to do after a request for WHAT failed with ERR; TEXT is the broker's message, or NULL.
 * Returns 0, after a pause, to try again; or -EACCES, -EINVAL or -EAGAIN (no answer before the
 * deadline) with a sentence in INQ->why. */
int inquiry_retry(struct inquiry *inq, rd_kafka_resp_err_t err, const char *what, const char *text);

/* Return new options for an admin request, with its timeout set. */
rd_kafka_AdminOptions_t *inquiry_admin_options(struct inquiry *inq, rd_kafka_admin_op_t op);
/* Wait for the response to an admin request on QUEUE. Returns librdkafka's error; *RET is the response,
 * which the caller destroys, or NULL with an error. */
rd_kafka_resp_err_t inquiry_wait(struct inquiry *inq, rd_kafka_queue_t *queue,
                                 rd_kafka_event_t **ret);

#endif
