/* Tests of reading the Kafka log (common/log/consume.c): every record is delivered
 * once, in order, whatever happens to the brokers. Most tests run twice: with a
 * thread that reads ahead (common/log/prefetch.c), and without. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/mock_kafka.h"

#include "common/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int set_up_ahead(void **state)
{
	int r = mock_set_up(state);

	if (r == 0)
		((struct mock *)*state)->read_ahead_until = UINT64_MAX;
	return r;
}

static void append_numbers(struct mock *mock, int from, int to)
{
	struct delivery *t = calloc((size_t)(to - from), sizeof(*t));
	char value[16];

	assert_non_null(t);
	for (int i = from; i < to; i++) {
		snprintf(value, sizeof(value), "%d", i);
		mock_append(mock, "key", value, &t[i - from]);
	}
	for (int i = from; i < to; i++)
		assert_int_equal(mock_wait(&t[i - from], 60000), LOG_APPENDED);
	free(t);
}

static void follow_from(struct mock *mock, uint64_t offset)
{
	assert_int_equal(log_kafka_follow(mock->log, offset, mock->read_ahead_until), 0);
}

/* Open a log, append the numbers below N, and follow the log from its start. */
static void follow_numbers(struct mock *mock, int n)
{
	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, n);
	follow_from(mock, 0);
}

/* Expect TAKEN to be the numbers from FROM on, each at the offset of the same value. */
static void expect_numbers(const struct taken *taken, int from)
{
	char value[16];

	for (size_t i = 0; i < taken->n; i++) {
		snprintf(value, sizeof(value), "%d", from + (int)i);
		assert_string_equal(taken->records[i].rec.value.data, value);
		assert_int_equal(taken->records[i].offset, from + i);
	}
}

/* Poll until TAKEN has N records, and expect the numbers from FROM on. */
static void poll_numbers(struct mock *mock, struct taken *taken, size_t n, int from,
                         int64_t timeout_ms)
{
	mock_poll(mock, taken, n, timeout_ms);
	expect_numbers(taken, from);
}

static void test_records_arrive_unchanged_and_decoded(void **state)
{
	static const struct record records[] = {
		{ .key = B("plain"), .value = B("value"), .has_value = true },
		{ .key = B("empty"), .value = B(""), .has_value = true },
		{ .key = B("null") },
		{ .value = B("no key"), .has_value = true },
		{ .key = B("nul\0inside"), .value = B("\0\xff"), .has_value = true },
		{ .key = B("headers"),
		  .value = B("v"),
		  .has_value = true,
		  .headers = { { B("op"), B("set") }, { B("x"), B("") }, { B("x"), B("2") } },
		  .nheaders = 3 },
	};
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		mock_produce(mock, &records[i]);
	assert_int_equal(log_kafka_position(mock->log), 0);
	follow_from(mock, 0);
	mock_poll(mock, &taken, ARRAY_SIZE(records), 10000);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		const struct record *want = &records[i], *got = &taken.records[i].rec;

		assert_int_equal(taken.records[i].offset, i);
		assert_int_equal(got->key.len, want->key.len);
		assert_memory_equal(got->key.data ? got->key.data : "",
		                    want->key.data ? want->key.data : "", want->key.len);
		assert_int_equal(got->has_value, want->has_value);
		assert_int_equal(got->value.len, want->value.len);
		assert_memory_equal(got->value.data ? got->value.data : "",
		                    want->value.data ? want->value.data : "", want->value.len);
		assert_true(got->time_ms > 0);
		assert_int_equal(got->nheaders, want->nheaders);
		for (size_t k = 0; k < want->nheaders; k++) {
			assert_true(bytes_are(got->headers[k].name, want->headers[k].name.data));
			assert_true(bytes_are(got->headers[k].value, want->headers[k].value.data));
		}
	}
	assert_int_equal(log_kafka_position(mock->log), ARRAY_SIZE(records));
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		assert_int_equal(taken.records[i].err, i < 3 ? 0 : -EBADMSG);
	assert_int_equal(taken.records[0].ev->op, EVENT_SET);
	assert_true(bytes_are(taken.records[0].ev->value, "value"));
	assert_int_equal(taken.records[2].ev->op, EVENT_DEL);
	assert_true(bytes_are(taken.records[2].ev->key, "null"));
	mock_taken_free(&taken);
}

/* The data that an event takes from headers lives as long as the event, and so do the
 * headers. */
static void test_decoded_events_keep_their_headers(void **state)
{
	static const struct record records[] = {
		{ .key = B("a"),
		  .value = B("v"),
		  .has_value = true,
		  .headers = { { B("op"), B("set") },
		               { B("type"), B("text/plain") },
		               { B("idem"), B("once") } },
		  .nheaders = 3 },
		{ .key = B("a"),
		  .headers = { { B("op"), B("rename") }, { B("to"), B("dir/b") } },
		  .nheaders = 2 },
		{ .key = B("a"),
		  .value = B("x"),
		  .has_value = true,
		  .headers = { { B("op"), B("setxattr") }, { B("name"), B("user.a") } },
		  .nheaders = 2 },
		{ .key = B("a"),
		  .headers = { { B("op"), B("incr") },
		               { B("by"), B("7") },
		               { B("if"), B("present") } },
		  .nheaders = 3 },
	};
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		mock_produce(mock, &records[i]);
	follow_from(mock, 0);
	mock_poll(mock, &taken, ARRAY_SIZE(records), 10000);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		assert_int_equal(taken.records[i].err, 0);
		assert_int_equal(taken.records[i].rec.nheaders, records[i].nheaders);
		assert_true(bytes_are(taken.records[i].rec.headers[1].value,
		                      records[i].headers[1].value.data));
	}
	assert_true(bytes_are(taken.records[0].ev->type, "text/plain"));
	assert_true(bytes_are(taken.records[0].ev->idem, "once"));
	assert_true(bytes_are(taken.records[1].ev->to, "dir/b"));
	assert_true(bytes_are(taken.records[2].ev->name, "user.a"));
	assert_int_equal(taken.records[3].ev->by, 7);
	assert_int_equal(taken.records[3].ev->cond, IF_PRESENT);
	mock_taken_free(&taken);
}

/* Headers beyond the maximum are dropped. */
static void test_excess_headers_are_dropped(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	struct record rec = { .key = B("k"), .value = B("v"), .has_value = true };
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_headers_t *headers = rd_kafka_headers_new(100);
	rd_kafka_t *rk;
	char text[300];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "h%d", i);
		rd_kafka_header_add(headers, text, -1, "", 0);
	}
	rd_kafka_conf_set(conf, "bootstrap.servers",
	                  rd_kafka_mock_cluster_bootstraps(mock->cluster), text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(MOCK_TOPIC),
	                                   RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
	                 0);
	rd_kafka_flush(rk, 10000);
	rd_kafka_destroy(rk);
	mock_produce(mock, &rec);
	mock_open(mock, 5000, NULL);
	follow_from(mock, 0);
	mock_poll(mock, &taken, 2, 10000);
	assert_int_equal(taken.records[0].rec.nheaders, RECORD_HEADERS_MAX);
	assert_true(bytes_are(taken.records[0].rec.headers[RECORD_HEADERS_MAX - 1].name, "h23"));
	assert_int_equal(taken.records[1].rec.nheaders, 0);
	mock_taken_free(&taken);
}

static void test_reading_starts_at_any_offset(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, 100);
	follow_from(mock, 40);
	assert_int_equal(log_kafka_position(mock->log), 40);
	poll_numbers(mock, &taken, 60, 40, 10000);
	/* Following again abandons the previous position, even midway. */
	follow_from(mock, 0);
	mock_taken_free(&taken);
	mock_poll(mock, &taken, 10, 10000);
	assert_int_equal(log_kafka_position(mock->log), 10);
	follow_from(mock, 90);
	mock_taken_free(&taken);
	poll_numbers(mock, &taken, 10, 90, 10000);
	mock_taken_free(&taken);
}

static void test_records_after_the_end_are_read(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	follow_numbers(mock, 10);
	mock_poll(mock, &taken, 10, 10000);
	/* No record for a while, then a new one. */
	assert_int_equal(log_kafka_poll(mock->log, 50, 10, mock_take, &taken), 0);
	append_numbers(mock, 10, 11);
	poll_numbers(mock, &taken, 11, 0, 10000);
	mock_taken_free(&taken);
}

static void test_a_poll_without_following_fails(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	follow_numbers(mock, 10);
	mock_poll(mock, &taken, 10, 10000);
	log_kafka_unfollow(mock->log);
	log_kafka_unfollow(mock->log);
	assert_int_equal(log_kafka_poll(mock->log, 50, 10, mock_take, &taken), -EIO);
	mock_taken_free(&taken);
}

/* A record that was not taken is delivered again, and no earlier one. */
static void test_a_refused_record_is_delivered_again(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .refuse_at = 31, .refusal = -ENOSPC };
	int r = 0;

	follow_numbers(mock, 100);
	for (int i = 0; i < 1000 && r != -ENOSPC; i++)
		r = log_kafka_poll(mock->log, 100, 1000, mock_take, &taken);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(taken.n, 30);
	assert_int_equal(log_kafka_position(mock->log), 30);
	poll_numbers(mock, &taken, 100, 0, 10000);
	mock_taken_free(&taken);
}

static void test_a_poll_returns_at_most_max_records(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	follow_numbers(mock, 10);
	mock_poll(mock, &taken, 1, 10000);
	assert_int_equal(log_kafka_poll(mock->log, 1000, 0, mock_take, &taken), 0);
	while (taken.n < 10) {
		size_t before = taken.n;
		int r = log_kafka_poll(mock->log, 5000, 3, mock_take, &taken);

		assert_in_range(r, 1, 3);
		assert_int_equal(taken.n - before, r);
	}
	expect_numbers(&taken, 0);
	mock_taken_free(&taken);
}

static void *wake_later(void *arg)
{
	usleep(100000);
	log_kafka_wake(arg);
	return NULL;
}

static void test_a_wake_ends_one_poll(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	pthread_t thread;
	int64_t start_ms;

	mock_open(mock, 5000, NULL);
	log_kafka_wake(mock->log); /* Not following: no effect. */
	append_numbers(mock, 0, 1);
	follow_from(mock, 0);
	mock_poll(mock, &taken, 1, 10000);
	start_ms = clock_mono_ms();
	assert_int_equal(pthread_create(&thread, NULL, wake_later, mock->log), 0);
	assert_int_equal(log_kafka_poll(mock->log, 10000, 10, mock_take, &taken), 0);
	assert_in_range(clock_mono_ms() - start_ms, 50, 5000);
	pthread_join(thread, NULL);
	/* A wake before the poll ends it. */
	log_kafka_wake(mock->log);
	start_ms = clock_mono_ms();
	assert_int_equal(log_kafka_poll(mock->log, 10000, 10, mock_take, &taken), 0);
	assert_true(clock_mono_ms() - start_ms < 5000);
	/* It ends one poll only. */
	start_ms = clock_mono_ms();
	assert_int_equal(log_kafka_poll(mock->log, 200, 10, mock_take, &taken), 0);
	assert_true(clock_mono_ms() - start_ms >= 190);
	mock_taken_free(&taken);
}

static void test_an_offset_past_the_end_means_a_lost_log(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	int r = 0;

	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, 10);
	follow_from(mock, 12);
	for (int i = 0; i < 100 && (r == 0 || r == -EAGAIN); i++)
		r = log_kafka_poll(mock->log, 100, 10, mock_take, &taken);
	assert_int_equal(r, -ENODATA);
	append_numbers(mock, 10, 20);
	assert_int_equal(log_kafka_poll(mock->log, 100, 10, mock_take, &taken), -ENODATA);
	assert_int_equal(taken.n, 0);
	/* Starting at the end loses nothing. */
	follow_from(mock, 20);
	append_numbers(mock, 20, 25);
	poll_numbers(mock, &taken, 5, 20, 10000);
	mock_taken_free(&taken);
}

/* Temporary fetch errors lose no records. */
static void test_temporary_fetch_errors_lose_nothing(void **state)
{
	static const rd_kafka_resp_err_t errs[] = {
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
		RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
		RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
		RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_UNKNOWN,
		RD_KAFKA_RESP_ERR__TRANSPORT,
	};
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	int64_t until_ms;
	size_t before;
	int r;

	mock_open(mock, 30000, NULL);
	append_numbers(mock, 0, 1);
	follow_from(mock, 0);
	mock_poll(mock, &taken, 1, 10000);
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		int n = (int)taken.n;

		mock_fail(mock, MOCK_FETCH, errs[i], 3);
		append_numbers(mock, n, n + 20);
		/* A poll may report the error; reading resumes by itself. */
		until_ms = clock_mono_ms() + 30000;
		while (taken.n < (size_t)n + 20) {
			before = taken.n;
			r = mock_poll_once(mock, &taken, 100, 100);
			assert_true(r >= 0 || r == -EAGAIN || r == -EIO);
			assert_int_equal(taken.n - before, r < 0 ? 0 : r);
			if (clock_mono_ms() > until_ms)
				fail_msg("%s: stuck at %zu", rd_kafka_err2name(errs[i]), taken.n);
		}
	}
	expect_numbers(&taken, 0);
	mock_taken_free(&taken);
}

static void test_reading_resumes_once_authorized(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	int r = 0;

	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, 5);
	mock_fail(mock, MOCK_FETCH, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 5);
	follow_from(mock, 0);
	for (int i = 0; i < 100 && (r == 0 || r == -EAGAIN); i++)
		r = log_kafka_poll(mock->log, 100, 10, mock_take, &taken);
	assert_int_equal(r, -EACCES);
	/* Authorization was granted meanwhile. */
	poll_numbers(mock, &taken, 5, 0, 20000);
	mock_taken_free(&taken);
}

static void test_an_outage_ends_following(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	int r = 0;

	mock_open(mock, 60000, NULL);
	append_numbers(mock, 0, 10);
	follow_from(mock, 0);
	mock_poll(mock, &taken, 10, 10000);
	mock_set_brokers(mock, false);
	for (int i = 0; i < 200 && r == 0; i++)
		r = log_kafka_poll(mock->log, 100, 10, mock_take, &taken);
	/* After an outage the broker may have another log, so following ends until it
	 * is started again. */
	assert_int_equal(r, -ESTALE);
	mock_set_brokers(mock, true);
	append_numbers(mock, 10, 11);
	assert_int_equal(log_kafka_poll(mock->log, 100, 10, mock_take, &taken), -ESTALE);
	assert_int_equal(taken.n, 10);
	mock_set_brokers(mock, false);
	follow_from(mock, 10);
	for (int i = 0; i < 200 && r != -EAGAIN; i++)
		r = log_kafka_poll(mock->log, 100, 10, mock_take, &taken);
	assert_int_equal(r, -EAGAIN);
	mock_set_brokers(mock, true);
	append_numbers(mock, 11, 20);
	poll_numbers(mock, &taken, 20, 0, 20000);
	mock_taken_free(&taken);
}

static void test_leader_changes_lose_nothing(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 60000, NULL);
	follow_from(mock, 0);
	for (int i = 0; i < 12; i++) {
		mock_lead(mock, 1 + i % MOCK_BROKERS);
		/* A single append finds the new leader, see mock_lead(). */
		append_numbers(mock, 50 * i, 50 * i + 1);
		append_numbers(mock, 50 * i + 1, 50 * (i + 1));
		mock_poll(mock, &taken, 50 * (size_t)i + 25, 20000);
	}
	poll_numbers(mock, &taken, 600, 0, 20000);
	mock_taken_free(&taken);
}

/* Reading ahead ends at the given offset, and reading continues. */
static void test_read_ahead_ends_at_its_limit(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, 5000);
	assert_int_equal(log_kafka_follow(mock->log, 10, 4000), 0);
	poll_numbers(mock, &taken, 4990, 10, 20000);
	append_numbers(mock, 5000, 5010);
	poll_numbers(mock, &taken, 5000, 10, 10000);
	/* Up to the very end; and from the start again, with a wake pending. */
	mock_taken_free(&taken);
	assert_int_equal(log_kafka_follow(mock->log, 0, 5010), 0);
	log_kafka_wake(mock->log);
	poll_numbers(mock, &taken, 5010, 0, 20000);
	append_numbers(mock, 5010, 5011);
	poll_numbers(mock, &taken, 5011, 0, 10000);
	assert_int_equal(log_kafka_position(mock->log), 5011);
	mock_taken_free(&taken);
}

/* Stop midway: with all batches full, and before the first one was read. */
static void test_read_ahead_stops_midway(void **state)
{
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	append_numbers(mock, 0, 5000);
	for (size_t n = 0; n < 3; n++) {
		assert_int_equal(log_kafka_follow(mock->log, 0, 5000), 0);
		poll_numbers(mock, &taken, n * 100, 0, 10000);
		log_kafka_unfollow(mock->log);
		mock_taken_free(&taken);
	}
	/* Closing stops following, too. */
	assert_int_equal(log_kafka_follow(mock->log, 0, 5000), 0);
}

/* More bytes than are read ahead at once. (The mock keeps 5 MB.) */
static void test_read_ahead_copes_with_long_values(void **state)
{
	const size_t n = 9, size = 500000;
	struct mock *mock = *state;
	struct taken taken = { .n = 0 };
	char *value = malloc(size + 1);
	struct delivery t;

	assert_non_null(value);
	mock_open(mock, 30000, NULL);
	for (size_t i = 0; i < n; i++) {
		memset(value, 'a' + (int)(i % 26), size);
		value[size] = '\0';
		mock_append(mock, "key", value, &t);
		assert_int_equal(mock_wait(&t, 30000), LOG_APPENDED);
	}
	assert_int_equal(log_kafka_follow(mock->log, 0, n), 0);
	mock_poll(mock, &taken, n, 30000);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(taken.records[i].offset, i);
		assert_int_equal(taken.records[i].ev->value.len, size);
		assert_int_equal(((const char *)taken.records[i].ev->value.data)[size - 1],
		                 'a' + (int)(i % 26));
	}
	mock_taken_free(&taken);
	free(value);
}

static void test_get_reads_one_record(void **state)
{
	static const struct record strange[] = {
		{ .key = B("k"),
		  .has_value = true,
		  .value = B(""),
		  .headers = { { B("op"), B("no such") } },
		  .nheaders = 1 },
		{ .key = B("/bad/"), .value = B("v"), .has_value = true },
	};
	struct mock *mock = *state;
	struct event *ev = NULL;
	struct taken taken = { .n = 0 };

	mock_open(mock, 5000, NULL);
	assert_int_equal(log_kafka_get(mock->log, 0, 5000, &ev), -ENODATA);
	append_numbers(mock, 0, 5);
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++)
		mock_produce(mock, &strange[i]);
	/* Also while following. */
	follow_from(mock, 0);
	mock_poll(mock, &taken, 2, 10000);
	assert_int_equal(log_kafka_get(mock->log, 3, 5000, &ev), 0);
	assert_int_equal(ev->op, EVENT_SET);
	assert_true(bytes_are(ev->key, "key"));
	assert_true(bytes_are(ev->value, "3"));
	event_free(ev);
	ev = NULL;
	assert_int_equal(log_kafka_get(mock->log, 5, 5000, &ev), -ENOTSUP);
	assert_int_equal(log_kafka_get(mock->log, 6, 5000, &ev), -EBADMSG);
	assert_int_equal(log_kafka_get(mock->log, 7, 5000, &ev), -ENODATA);
	assert_int_equal(log_kafka_get(mock->log, 100, 5000, &ev), -ENODATA);
	assert_null(ev);
	mock_poll(mock, &taken, 5, 10000);
	mock_set_brokers(mock, false);
	assert_int_equal(log_kafka_get(mock->log, 3, 500, &ev), -EAGAIN);
	assert_null(ev);
	mock_taken_free(&taken);
}

int main(void)
{
#define DIRECT(name) cmocka_unit_test_setup_teardown(name, mock_set_up, mock_tear_down)
#define AHEAD(name)                                                                                \
	{                                                                                          \
#name "_reading_ahead", name, set_up_ahead, mock_tear_down, NULL                   \
	}
#define TEST(name) DIRECT(name), AHEAD(name)
	const struct CMUnitTest tests[] = {
		TEST(test_records_arrive_unchanged_and_decoded),
		TEST(test_decoded_events_keep_their_headers),
		TEST(test_excess_headers_are_dropped),
		TEST(test_reading_starts_at_any_offset),
		TEST(test_records_after_the_end_are_read),
		TEST(test_a_poll_without_following_fails),
		TEST(test_a_refused_record_is_delivered_again),
		TEST(test_a_poll_returns_at_most_max_records),
		TEST(test_a_wake_ends_one_poll),
		TEST(test_an_offset_past_the_end_means_a_lost_log),
		TEST(test_temporary_fetch_errors_lose_nothing),
		DIRECT(test_reading_resumes_once_authorized),
		TEST(test_an_outage_ends_following),
		TEST(test_leader_changes_lose_nothing),
		DIRECT(test_get_reads_one_record),
		DIRECT(test_read_ahead_ends_at_its_limit),
		DIRECT(test_read_ahead_stops_midway),
		DIRECT(test_read_ahead_copes_with_long_values),
	};
#undef TEST
#undef AHEAD
#undef DIRECT

	return cmocka_run_group_tests(tests, NULL, NULL);
}
