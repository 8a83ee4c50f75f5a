/* Tests of appending to the Kafka log (common/log/produce.c): each way
 * in which an append can end, told once. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/mock_kafka.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More errors than a test has time for. */
#define ALWAYS 10000

/* What the log holds, read from the start; its values in one text. */
static void log_holds(struct mock *mock, size_t n, const char *values)
{
	struct taken taken = { .n = 0 };
	char text[1000] = "";
	uint64_t end;

	assert_int_equal(log_kafka_end(mock->log, 5000, &end), 0);
	assert_int_equal(end, n);
	assert_int_equal(log_kafka_follow(mock->log, 0, 0), 0);
	mock_poll(mock, &taken, n, 5000);
	for (size_t i = 0; i < n && strlen(text) < 900; i++)
		strncat(text, taken.records[i].rec.value.data, 90);
	assert_string_equal(text, values);
	mock_taken_free(&taken);
	log_kafka_unfollow(mock->log);
}

static void test_append(void **state)
{
	struct mock *mock = *state;
	struct delivery a, b;

	mock_open(mock, 5000, NULL);
	mock_append(mock, "key", "one", &a);
	assert_int_equal(mock_wait(&a, 5000), LOG_APPENDED);
	assert_int_equal(a.offset, 0);
	mock_append(mock, "key", "two", &b);
	assert_int_equal(mock_wait(&b, 5000), LOG_APPENDED);
	assert_int_equal(b.offset, 1);
	log_holds(mock, 2, "onetwo");
}

/* Errors that pass are the log's own business. */
static void test_passing_errors(void **state)
{
	static const rd_kafka_resp_err_t errs[] = {
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
		RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR__TRANSPORT, /* closes the connection */
	};
	struct mock *mock = *state;
	struct delivery t;

	mock_open(mock, 30000, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		mock_fail(mock, MOCK_PRODUCE, errs[i], 2);
		mock_append(mock, "key", "v", &t);
		if (mock_wait(&t, 30000) != LOG_APPENDED)
			fail_msg("%s: %d", rd_kafka_err2name(errs[i]), t.how);
	}
	log_holds(mock, ARRAY_SIZE(errs), "vvvvvvvv");
}

/* Errors that last for the whole write timeout, or end it at once: what they
 * say of the log. */
static void test_lasting_errors(void **state)
{
	static const struct {
		rd_kafka_resp_err_t err;
		enum log_append how;
		bool at_once;
	} cases[] = {
		{ RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, LOG_NOT_APPENDED, false },
		{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, LOG_NOT_APPENDED, false },
		{ RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, LOG_UNKNOWN, false },
		{ RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, LOG_UNKNOWN, false },
		{ RD_KAFKA_RESP_ERR__TRANSPORT, LOG_UNKNOWN, false },
		{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, LOG_TOO_LARGE, true },
		{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, LOG_TOO_LARGE, true },
		{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, LOG_NOT_APPENDED, true },
		{ RD_KAFKA_RESP_ERR_INVALID_RECORD, LOG_NOT_APPENDED, true },
		{ RD_KAFKA_RESP_ERR_POLICY_VIOLATION, LOG_NOT_APPENDED, true },
	};
	struct mock *mock = *state;
	struct delivery t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t start_ms;

		mock_open(mock, 1000, NULL);
		/* Connected first: only the error counts. */
		mock_append(mock, "key", "v", &t);
		assert_int_equal(mock_wait(&t, 5000), LOG_APPENDED);
		mock_fail(mock, MOCK_PRODUCE, cases[i].err, ALWAYS);
		start_ms = clock_mono_ms();
		mock_append(mock, "key", "v", &t);
		if (mock_wait(&t, 10000) != cases[i].how)
			fail_msg("%s: %d", rd_kafka_err2name(cases[i].err), t.how);
		if (cases[i].at_once)
			assert_true(clock_mono_ms() - start_ms < 900);
		assert_true(clock_mono_ms() - start_ms < 5000);
		rd_kafka_mock_clear_request_errors(mock->cluster, MOCK_PRODUCE);
		log_kafka_close(mock->log, 1000);
		mock->log = NULL;
	}
}

/* Once an attempt may have reached the log, no later refusal makes it certain
 * that the event is not there. */
static void test_unknown_stays(void **state)
{
	static const rd_kafka_resp_err_t later[] = {
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	};
	struct mock *mock = *state;
	struct delivery t;

	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		mock_open(mock, 1500, NULL);
		mock_fail(mock, MOCK_PRODUCE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 1);
		mock_fail(mock, MOCK_PRODUCE, later[i], ALWAYS);
		mock_append(mock, "key", "v", &t);
		if (mock_wait(&t, 10000) != LOG_UNKNOWN)
			fail_msg("%s: %d", rd_kafka_err2name(later[i]), t.how);
		rd_kafka_mock_clear_request_errors(mock->cluster, MOCK_PRODUCE);
		log_kafka_close(mock->log, 1000);
		mock->log = NULL;
	}
}

/* The answer comes too late: nobody knows, and the event is there. */
static void test_slow_answer(void **state)
{
	struct mock *mock = *state;
	struct delivery t;

	mock_open(mock, 1000, NULL);
	mock_append(mock, "key", "a", &t);
	assert_int_equal(mock_wait(&t, 5000), LOG_APPENDED);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 4000);
	mock_append(mock, "key", "b", &t);
	assert_int_equal(mock_wait(&t, 10000), LOG_UNKNOWN);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);
}

/* Far more at once than librdkafka may send before an answer: all get into the
 * log, in order, and each is told once. */
static void test_crowd(void **state)
{
	enum { N = 400 };
	struct mock *mock = *state;
	static struct delivery t[N];
	char value[8];

	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "first", &t[0]);
	assert_int_equal(mock_wait(&t[0], 10000), LOG_APPENDED);
	/* Once with a short way, once with one on which nothing is held for so long. */
	for (int rtt_ms = 2; rtt_ms < 1000; rtt_ms *= 150) {
		uint64_t first = 0;

		rd_kafka_mock_broker_set_rtt(mock->cluster, 1, rtt_ms);
		for (int i = 0; i < N; i++) {
			snprintf(value, sizeof(value), "%d", i);
			mock_append(mock, "key", value, &t[i]);
			if (i % 100 == 99)
				mock_wait(&t[i - 50], 20000);
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(mock_wait(&t[i], 20000), LOG_APPENDED);
			assert_int_equal(t[i].calls, 1);
			if (i == 0)
				first = t[i].offset;
			else
				assert_int_equal(t[i].offset, first + (uint64_t)i);
		}
	}
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);
}

/* Writers that come back together, and fewer each time: nobody is left waiting for
 * those who stay away, and what comes later stays behind. */
static void test_crowd_comes_back(void **state)
{
	static const int crowds[] = { 64, 64, 60, 30, 64, 8, 1, 1, 40, 2, 1 };
	struct mock *mock = *state;
	static struct delivery t[64];
	char value[12];
	uint64_t next = 1;

	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "first", &t[0]);
	assert_int_equal(mock_wait(&t[0], 10000), LOG_APPENDED);
	for (size_t c = 0; c < sizeof(crowds) / sizeof(crowds[0]); c++) {
		for (int i = 0; i < crowds[c]; i++) {
			snprintf(value, sizeof(value), "%d", i);
			mock_append(mock, "key", value, &t[i]);
		}
		for (int i = 0; i < crowds[c]; i++) {
			assert_int_equal(mock_wait(&t[i], 20000), LOG_APPENDED);
			assert_int_equal(t[i].calls, 1);
			assert_int_equal(t[i].offset, next++);
		}
	}
}

/* What is held is the record as it is: its value empty, null, or long. */
static void test_crowd_of_records(void **state)
{
	enum { N = 40, LONG = 100000 };
	struct mock *mock = *state;
	static struct delivery t[N];
	struct taken taken = { .n = 0 };
	char *value = malloc(LONG + 1), key[8];

	assert_non_null(value);
	memset(value, 'x', LONG);
	value[LONG] = '\0';
	mock_open(mock, 20000, NULL);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 50);
	for (int i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		mock_append(mock, key, i % 3 == 0 ? "" : i % 3 == 1 ? NULL : value, &t[i]);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(mock_wait(&t[i], 20000), LOG_APPENDED);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);
	assert_int_equal(log_kafka_follow(mock->log, 0, 0), 0);
	mock_poll(mock, &taken, N, 10000);
	for (int i = 0; i < N; i++) {
		const struct event *ev = taken.records[i].ev;

		snprintf(key, sizeof(key), "k%d", i);
		assert_non_null(ev);
		assert_int_equal(ev->key.len, strlen(key));
		assert_memory_equal(ev->key.data, key, ev->key.len);
		assert_int_equal(ev->op, i % 3 == 1 ? EVENT_DEL : EVENT_SET);
		assert_int_equal(ev->value.len, i % 3 == 2 ? LONG : 0);
	}
	mock_taken_free(&taken);
	log_kafka_unfollow(mock->log);
	free(value);
}

/* No answer comes: what was held back is told in time, too. */
static void test_crowd_without_answer(void **state)
{
	enum { N = 40 };
	struct mock *mock = *state;
	struct delivery t[N];

	mock_open(mock, 1000, NULL);
	mock_append(mock, "key", "first", &t[0]);
	assert_int_equal(mock_wait(&t[0], 10000), LOG_APPENDED);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 6000);
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	for (int i = 0; i < N; i++) {
		mock_wait(&t[i], 20000);
		assert_int_equal(t[i].calls, 1);
		assert_int_not_equal(t[i].how, LOG_APPENDED);
	}
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);
	/* Closing tells of what is held. */
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	log_kafka_close(mock->log, 10000);
	mock->log = NULL;
	for (int i = 0; i < N; i++)
		assert_int_equal(t[i].calls, 1);
}

static void test_no_broker(void **state)
{
	struct mock *mock = *state;
	struct delivery t, u;
	int64_t start_ms;

	mock_set_up(mock, false);
	mock_open(mock, 1000, NULL);
	start_ms = clock_mono_ms();
	mock_append(mock, "key", "v", &t);
	/* It never left. */
	assert_int_equal(mock_wait(&t, 10000), LOG_NOT_APPENDED);
	assert_in_range(clock_mono_ms() - start_ms, 900, 4000);
	log_kafka_close(mock->log, 0);

	/* One that waits for a broker goes when there is one. */
	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "w", &u);
	usleep(300000);
	assert_int_equal(u.calls, 0);
	mock_set_up(mock, true);
	assert_int_equal(mock_wait(&u, 20000), LOG_APPENDED);
	log_holds(mock, 1, "w");
}

static void test_too_large(void **state)
{
	struct mock *mock = *state;
	size_t size = (1 << 20) + LOG_RECORD_ROOM;
	char *value = malloc(size + 2);
	struct delivery t;

	assert_non_null(value);
	memset(value, 'x', size + 1);
	value[size + 1] = '\0';
	mock_open(mock, 5000, NULL);
	mock_append(mock, "key", value, &t);
	/* Told before append returned. */
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.how, LOG_TOO_LARGE);
	/* The largest value that is promised, with the longest key. */
	value[1 << 20] = '\0';
	mock_append(mock, "key", value, &t);
	assert_int_equal(mock_wait(&t, 10000), LOG_APPENDED);
	free(value);
}

static void test_queue_full(void **state)
{
	static const char *const settings[] = { "queue.buffering.max.messages=10", NULL };
	struct mock *mock = *state;
	struct delivery t[11];
	char value[4];

	mock_set_up(mock, false);
	mock_open(mock, 30000, settings);
	for (int i = 0; i < 10; i++) {
		snprintf(value, sizeof(value), "%d", i);
		mock_append(mock, "key", value, &t[i]);
		assert_int_equal(t[i].calls, 0);
	}
	mock_append(mock, "key", "x", &t[10]);
	assert_int_equal(t[10].calls, 1);
	assert_int_equal(t[10].how, LOG_NOT_APPENDED);
	mock_set_up(mock, true);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(mock_wait(&t[i], 30000), LOG_APPENDED);
		assert_int_equal(t[i].offset, i);
	}
	/* There is room again. */
	mock_append(mock, "key", "A", &t[10]);
	assert_int_equal(mock_wait(&t[10], 5000), LOG_APPENDED);
	log_holds(mock, 11, "0123456789A");
}

/* The leader moves all the time, connections break: all arrive, in order. */
static void test_leader_changes(void **state)
{
	enum { N = 600 };
	struct mock *mock = *state;
	struct delivery *t = calloc(N, sizeof(*t));
	struct taken taken = { .n = 0 };
	char value[16];

	assert_non_null(t);
	mock_open(mock, 60000, NULL);
	for (int i = 0; i < N; i++) {
		snprintf(value, sizeof(value), "%d", i);
		mock_append(mock, "key", value, &t[i]);
		/* While one is on its way, and no other: see mock_lead(). */
		if (i % 60 == 30)
			mock_lead(mock, 1 + i / 60 % MOCK_BROKERS);
		if (i % 10 == 0 || i % 60 == 29)
			mock_wait(&t[i], 60000);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(mock_wait(&t[i], 60000), LOG_APPENDED);
	assert_int_equal(log_kafka_follow(mock->log, 0, 0), 0);
	mock_poll(mock, &taken, N, 30000);
	for (int i = 0; i < N; i++) {
		snprintf(value, sizeof(value), "%d", i);
		assert_string_equal(taken.records[i].rec.value.data, value);
		assert_int_equal(taken.records[i].offset, i);
		assert_true(t[i].offset == (uint64_t)i || t[i].offset == LOG_NO_OFFSET);
	}
	mock_taken_free(&taken);
	free(t);
}

static bool appends_again(void *arg)
{
	struct delivery t;

	mock_append(arg, "key", "v", &t);
	return mock_wait(&t, 10000) == LOG_APPENDED;
}

/* An error after which librdkafka's producer is of no use any more. */
static void test_fatal(void **state)
{
	static const rd_kafka_resp_err_t errs[] = {
		RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
		RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
	};
	struct mock *mock = *state;
	struct delivery t;
	char last[300];

	mock_open(mock, 5000, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		assert_true(appends_again(mock));
		mock_fail(mock, MOCK_PRODUCE, errs[i], 1);
		mock_append(mock, "key", "x", &t);
		mock_wait(&t, 20000);
		assert_int_not_equal(t.how, LOG_TOO_LARGE);
		mock_wait_for(appends_again, mock, 20000);
	}
	assert_true(log_kafka_errors(mock->log, last, sizeof(last)) > 0);
}

static void test_denied_producer_id(void **state)
{
	struct mock *mock = *state;
	struct delivery t;

	mock_fail(mock, MOCK_INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, 2);
	mock_open(mock, 2000, NULL);
	mock_append(mock, "key", "v", &t);
	assert_int_equal(mock_wait(&t, 10000), LOG_NOT_APPENDED);
	/* The right was given meanwhile. */
	mock_wait_for(appends_again, mock, 20000);
}

/* Closing tells of all that is under way: what never left, what did. */
static void test_close(void **state)
{
	enum { N = 50 };
	struct mock *mock = *state;
	struct delivery t[N];
	int64_t start_ms;

	/* In time: all go. */
	mock_open(mock, 30000, NULL);
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	log_kafka_close(mock->log, 10000);
	for (int i = 0; i < N; i++) {
		assert_int_equal(t[i].calls, 1);
		assert_int_equal(t[i].how, LOG_APPENDED);
	}

	/* Sent, and no answer in time. */
	mock_open(mock, 30000, NULL);
	mock_append(mock, "key", "v", &t[0]);
	mock_wait(&t[0], 5000);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 10000);
	mock_append(mock, "key", "v", &t[0]);
	usleep(300000);
	start_ms = clock_mono_ms();
	log_kafka_close(mock->log, 200);
	assert_true(clock_mono_ms() - start_ms < 4000);
	assert_int_equal(t[0].calls, 1);
	assert_int_equal(t[0].how, LOG_UNKNOWN);
	rd_kafka_mock_broker_set_rtt(mock->cluster, 1, 0);

	/* Nobody to send it to. */
	mock_set_up(mock, false);
	mock_open(mock, 30000, NULL);
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	log_kafka_close(mock->log, 200);
	mock->log = NULL;
	for (int i = 0; i < N; i++) {
		assert_int_equal(t[i].calls, 1);
		assert_int_equal(t[i].how, LOG_NOT_APPENDED);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, mock_setup, mock_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_append),
		TEST(test_passing_errors),
		TEST(test_lasting_errors),
		TEST(test_unknown_stays),
		TEST(test_slow_answer),
		TEST(test_no_broker),
		TEST(test_too_large),
		TEST(test_queue_full),
		TEST(test_leader_changes),
		TEST(test_fatal),
		TEST(test_denied_producer_id),
		TEST(test_close),
		TEST(test_crowd),
		TEST(test_crowd_comes_back),
		TEST(test_crowd_of_records),
		TEST(test_crowd_without_answer),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
