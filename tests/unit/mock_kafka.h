/* A Kafka cluster of librdkafka's own (its mock), for tests that need errors
 * which a real broker will not give on demand. */
#ifndef KEYDIR_TEST_MOCK_KAFKA_H
#define KEYDIR_TEST_MOCK_KAFKA_H

#include "common/log/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdatomic.h>

#define MOCK_TOPIC "topic"
#define MOCK_BROKERS 3

/* Requests, by Kafka's numbers. */
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
	struct log_kafka *log; /* closed by the teardown */
	uint64_t ahead;        /* for following again: until where to read ahead */
};

/* cmocka's setup and teardown: a cluster with MOCK_TOPIC (one partition, three
 * replicas, broker 1 leads). */
int mock_setup(void **state);
int mock_teardown(void **state);

/* Opens mock->log with these settings ("name=value", ended by NULL; NULL: none). */
void mock_open(struct mock *mock, int64_t write_timeout_ms, const char *const *settings);

/* The next N requests of this kind are answered with ERR. */
void mock_fail(struct mock *mock, int request, rd_kafka_resp_err_t err, size_t n);
/* Another broker leads from now on. At most one append may be under way. The
 * mock keeps no order of a producer's batches as a real broker does (only that of
 * a transaction's). And librdkafka 2.0 counts a batch that was refused as ended
 * just before it has put its messages back; if a thread's turn ends there, it
 * sends the batch behind it to the new leader first. A real leader refuses that,
 * being out of order, and all is sent again; the mock takes it, and then
 * librdkafka believes the refused batch to be there too: it is reported as
 * delivered, and is in no log. */
void mock_lead(struct mock *mock, int broker);
/* All brokers go, or come back. */
void mock_set_up(struct mock *mock, bool up);
/* A record from a foreign producer, as given. */
void mock_produce(struct mock *mock, const struct record *rec);

/* An append and what was told of it. */
struct told {
	_Atomic int calls;
	_Atomic int how; /* enum log_append */
	_Atomic uint64_t offset;
};

/* Appends `set KEY VALUE`, or `del KEY` without a value. T must live until it was told. */
void mock_append(struct mock *mock, const char *key, const char *value, struct told *t);
/* Waits until T was told; fails the test after TIMEOUT_MS. Returns how. */
enum log_append mock_wait(struct told *t, int64_t timeout_ms);
/* Waits until COND(ARG) holds; fails the test after TIMEOUT_MS. */
void mock_wait_for(bool (*cond)(void *arg), void *arg, int64_t timeout_ms);

/* What polls gave: copies of the records. */
struct taken {
	size_t n, size;
	struct taken_record {
		uint64_t offset;
		struct record rec; /* its bytes are copies */
		struct event *ev;  /* owned */
		int err;
	} * records;
	size_t refuse_at; /* if not 0: the take with this number fails once ... */
	int refusal;      /* ... with this */
};

/* For log_kafka_poll; ARG is a struct taken. */
int mock_take(void *arg, const struct log_record *rec);
/* log_kafka_poll(), and after -ESTALE follows again; then it returns -EAGAIN. */
int mock_poll_once(struct mock *mock, struct taken *taken, int64_t timeout_ms, size_t max);
/* Polls until TAKEN has N records; fails the test after TIMEOUT_MS. -EAGAIN is
 * passed over, and after -ESTALE it follows again from the position. */
void mock_poll(struct mock *mock, struct taken *taken, size_t n, int64_t timeout_ms);
void mock_taken_free(struct taken *taken);

#endif
