/* Mock Kafka: librdkafka's mock cluster, for tests that need errors which a real
 * broker does not produce on demand. */
#ifndef KEYDIR_TEST_MOCK_KAFKA_H
#define KEYDIR_TEST_MOCK_KAFKA_H

#include "common/log/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdatomic.h>

#define MOCK_TOPIC "topic"
#define MOCK_BROKERS 3

/* Kafka's request numbers (API keys). */
enum {
	MOCK_PRODUCE = 0,
	MOCK_FETCH = 1,
	MOCK_LIST_OFFSETS = 2,
	MOCK_METADATA = 3,
	MOCK_INIT_PRODUCER_ID = 22
};

struct mock {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	char url[512];
	struct log_kafka *log;     /* closed by the teardown */
	uint64_t read_ahead_until; /* when following again: read ahead up to this offset */
};

/* Setup and teardown functions for cmocka: a cluster with MOCK_TOPIC (one partition,
 * three replicas, led by broker 1). */
int mock_set_up(void **state);
int mock_tear_down(void **state);

/* Open mock->log with SETTINGS ("name=value", ended by NULL; SETTINGS itself may be
 * NULL). */
void mock_open(struct mock *mock, int64_t write_timeout_ms, const char *const *settings);

/* Answer the next N requests of this kind with ERR. */
void mock_fail(struct mock *mock, int request, rd_kafka_resp_err_t err, size_t n);
/* Make BROKER the leader from now on. At most one append may be in flight, for two
 * reasons. The mock does not enforce the order of a producer's batches as a real
 * broker does (except those of a transaction). And librdkafka 2.0 counts a refused
 * batch as finished just before it requeues the batch's messages; if the thread is
 * preempted there, it sends the following batch to the new leader first. A real
 * leader refuses that batch as out of order, and everything is sent again. The mock
 * accepts it, and librdkafka then considers the refused batch stored: it reports the
 * batch as delivered although no log contains it. */
void mock_lead(struct mock *mock, int broker);
/* Stop or restart all brokers. */
void mock_set_brokers(struct mock *mock, bool up);
/* Append a record as a foreign producer would, unchanged. */
void mock_produce(struct mock *mock, const struct record *rec);

/* The delivery report of one append. */
struct delivery {
	_Atomic int calls;
	_Atomic int how; /* enum log_append */
	_Atomic uint64_t offset;
};

/* Append `set KEY VALUE`, or `del KEY` if VALUE is NULL. T must live until the
 * delivery report. */
void mock_append(struct mock *mock, const char *key, const char *value, struct delivery *t);
/* Wait until T is reported, and return how; fail the test after TIMEOUT_MS. */
enum log_append mock_wait(struct delivery *t, int64_t timeout_ms);
/* Wait until COND(ARG) holds; fail the test after TIMEOUT_MS. */
void mock_wait_for(bool (*cond)(void *arg), void *arg, int64_t timeout_ms);

/* Copies of the records that polls returned. */
struct taken {
	size_t n, size;
	struct taken_record {
		uint64_t offset;
		struct record rec; /* owns copies of its bytes */
		struct event *ev;  /* owned */
		int err;
	} * records;
	size_t refuse_at; /* if not 0: mock_take() fails once at this record ... */
	int refusal;      /* ... with this error */
};

/* Callback for log_kafka_poll(); ARG is a struct taken. */
int mock_take(void *arg, const struct log_record *rec);
/* Call log_kafka_poll(). After -ESTALE follow again and return -EAGAIN. */
int mock_poll_once(struct mock *mock, struct taken *taken, int64_t timeout_ms, size_t max);
/* Poll until TAKEN has N records; fail the test after TIMEOUT_MS. Ignores -EAGAIN,
 * and after -ESTALE follows again from the position. */
void mock_poll(struct mock *mock, struct taken *taken, size_t n, int64_t timeout_ms);
void mock_taken_free(struct taken *taken);

#endif
