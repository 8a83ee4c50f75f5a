/* Tests of appending to the Kafka log (common/log/produce.c): every way in which an
 * append can end, each reported once. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/mock_kafka.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* more errors than a test has time for */
#define ALWAYS 10000

/* Expect the log to hold N records, whose concatenated values are VALUES. */
static void expect_log(struct mock *mock, size_t n, const char *values)
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

static void test_appends_get_consecutive_offsets(void **state)
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
	expect_log(mock, 2, "onetwo");
}

/* The log retries temporary errors by itself. */
static void test_temporary_errors_are_retried(void **state)
{
	static const rd_kafka_resp_err_t errs[] = {
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
		RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR__TRANSPORT, /* Closes the connection. */
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
	expect_log(mock, ARRAY_SIZE(errs), "vvvvvvvv");
}

/* Errors that last for the whole write timeout, or end it at once, decide the
 * outcome. */
static void test_lasting_errors_decide_the_outcome(void **state)
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
		/* Connect first, so that only the error counts. */
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

/* If an attempt may have reached the log, no later refusal proves that the event is
 * missing. */
static void test_a_later_refusal_leaves_the_outcome_unknown(void **state)
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

/* The answer arrives after the write timeout. */
static void test_a_late_answer_leaves_the_outcome_unknown(void **state)
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

/* Far more appends than librdkafka may have in flight: all are logged, in order, and
 * each is reported once. */
static void test_many_appends_keep_their_order(void **state)
{
	enum { N = 400 };
	struct mock *mock = *state;
	static struct delivery t[N];
	char value[8];

	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "first", &t[0]);
	assert_int_equal(mock_wait(&t[0], 10000), LOG_APPENDED);
	/* Once with a short round trip, once with a longer one that stops the linger. */
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

/* Groups of concurrent writers that shrink and grow: no append waits for writers that
 * do not return, and the order is kept. */
static void test_groups_of_writers_never_wait_for_absent_ones(void **state)
{
	static const int writers[] = { 64, 64, 60, 30, 64, 8, 1, 1, 40, 2, 1 };
	struct mock *mock = *state;
	static struct delivery t[64];
	char value[12];
	uint64_t next = 1;

	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "first", &t[0]);
	assert_int_equal(mock_wait(&t[0], 10000), LOG_APPENDED);
	for (size_t c = 0; c < ARRAY_SIZE(writers); c++) {
		for (int i = 0; i < writers[c]; i++) {
			snprintf(value, sizeof(value), "%d", i);
			mock_append(mock, "key", value, &t[i]);
		}
		for (int i = 0; i < writers[c]; i++) {
			assert_int_equal(mock_wait(&t[i], 20000), LOG_APPENDED);
			assert_int_equal(t[i].calls, 1);
			assert_int_equal(t[i].offset, next++);
		}
	}
}

/* Records that wait for a batch are unchanged: with an empty, null or long value. */
static void test_batched_records_are_unchanged(void **state)
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

/* Without any answer, appends that wait for a batch time out as well. */
static void test_batched_appends_end_by_timeout_or_close(void **state)
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
	/* Closing reports those that still wait. */
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	log_kafka_close(mock->log, 10000);
	mock->log = NULL;
	for (int i = 0; i < N; i++)
		assert_int_equal(t[i].calls, 1);
}

static void test_appends_wait_for_a_broker(void **state)
{
	struct mock *mock = *state;
	struct delivery t, u;
	int64_t start_ms;

	mock_set_brokers(mock, false);
	mock_open(mock, 1000, NULL);
	start_ms = clock_mono_ms();
	mock_append(mock, "key", "v", &t);
	/* It was never sent. */
	assert_int_equal(mock_wait(&t, 10000), LOG_NOT_APPENDED);
	assert_in_range(clock_mono_ms() - start_ms, 900, 4000);
	log_kafka_close(mock->log, 0);

	/* An append that waits for a broker is sent once there is one. */
	mock_open(mock, 20000, NULL);
	mock_append(mock, "key", "w", &u);
	usleep(300000);
	assert_int_equal(u.calls, 0);
	mock_set_brokers(mock, true);
	assert_int_equal(mock_wait(&u, 20000), LOG_APPENDED);
	expect_log(mock, 1, "w");
}

static void test_a_record_too_large_fails_at_once(void **state)
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
	/* Reported before the append returned. */
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.how, LOG_TOO_LARGE);
	/* The largest permitted value, with the longest key. */
	value[1 << 20] = '\0';
	mock_append(mock, "key", value, &t);
	assert_int_equal(mock_wait(&t, 10000), LOG_APPENDED);
	free(value);
}

static void test_a_full_queue_refuses_at_once(void **state)
{
	static const char *const settings[] = { "queue.buffering.max.messages=10", NULL };
	struct mock *mock = *state;
	struct delivery t[11];
	char value[4];

	mock_set_brokers(mock, false);
	mock_open(mock, 30000, settings);
	for (int i = 0; i < 10; i++) {
		snprintf(value, sizeof(value), "%d", i);
		mock_append(mock, "key", value, &t[i]);
		assert_int_equal(t[i].calls, 0);
	}
	mock_append(mock, "key", "x", &t[10]);
	assert_int_equal(t[10].calls, 1);
	assert_int_equal(t[10].how, LOG_NOT_APPENDED);
	mock_set_brokers(mock, true);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(mock_wait(&t[i], 30000), LOG_APPENDED);
		assert_int_equal(t[i].offset, i);
	}
	/* There is space again. */
	mock_append(mock, "key", "A", &t[10]);
	assert_int_equal(mock_wait(&t[10], 5000), LOG_APPENDED);
	expect_log(mock, 11, "0123456789A");
}

/* The leader changes all the time and connections break: all records arrive, in
 * order. */
static void test_leader_changes_keep_all_records_in_order(void **state)
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
		/* Only while exactly one is in flight: see mock_lead(). */
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

/* An error after which librdkafka's producer cannot be used again. */
static void test_a_fatal_error_replaces_the_producer(void **state)
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

static void test_appends_resume_once_authorized(void **state)
{
	struct mock *mock = *state;
	struct delivery t;

	mock_fail(mock, MOCK_INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, 2);
	mock_open(mock, 2000, NULL);
	mock_append(mock, "key", "v", &t);
	assert_int_equal(mock_wait(&t, 10000), LOG_NOT_APPENDED);
	/* Authorization was granted meanwhile. */
	mock_wait_for(appends_again, mock, 20000);
}

/* Closing reports every append in flight, sent or not. */
static void test_close_reports_every_append(void **state)
{
	enum { N = 50 };
	struct mock *mock = *state;
	struct delivery t[N];
	int64_t start_ms;

	/* Enough time: all are appended. */
	mock_open(mock, 30000, NULL);
	for (int i = 0; i < N; i++)
		mock_append(mock, "key", "v", &t[i]);
	log_kafka_close(mock->log, 10000);
	for (int i = 0; i < N; i++) {
		assert_int_equal(t[i].calls, 1);
		assert_int_equal(t[i].how, LOG_APPENDED);
	}

	/* Sent, but not answered in time. */
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

	/* No broker to send to. */
	mock_set_brokers(mock, false);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, mock_set_up, mock_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_appends_get_consecutive_offsets),
		TEST(test_temporary_errors_are_retried),
		TEST(test_lasting_errors_decide_the_outcome),
		TEST(test_a_later_refusal_leaves_the_outcome_unknown),
		TEST(test_a_late_answer_leaves_the_outcome_unknown),
		TEST(test_appends_wait_for_a_broker),
		TEST(test_a_record_too_large_fails_at_once),
		TEST(test_a_full_queue_refuses_at_once),
		TEST(test_leader_changes_keep_all_records_in_order),
		TEST(test_a_fatal_error_replaces_the_producer),
		TEST(test_appends_resume_once_authorized),
		TEST(test_close_reports_every_append),
		TEST(test_many_appends_keep_their_order),
		TEST(test_groups_of_writers_never_wait_for_absent_ones),
		TEST(test_batched_records_are_unchanged),
		TEST(test_batched_appends_end_by_timeout_or_close),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
