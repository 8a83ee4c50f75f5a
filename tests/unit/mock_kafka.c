/* Mock Kafka: librdkafka's mock cluster, and shorthands for tests of the Kafka log.
 * Waits poll a condition until a deadline. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/mock_kafka.h"

#include "common/base/clock.h"
#include "tests/unit/c11_threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int mock_set_up(void **state)
{
	struct mock *mock = calloc(1, sizeof(*mock));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];

	c11_threads_use();
	assert_non_null(mock);
	rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
	mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	assert_non_null(mock->rk);
	mock->cluster = rd_kafka_mock_cluster_new(mock->rk, MOCK_BROKERS);
	assert_non_null(mock->cluster);
	assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, MOCK_TOPIC, 1, MOCK_BROKERS), 0);
	mock_lead(mock, 1);
	snprintf(mock->url, sizeof(mock->url), "kafka://%s/" MOCK_TOPIC,
	         rd_kafka_mock_cluster_bootstraps(mock->cluster));
	*state = mock;
	return 0;
}

int mock_tear_down(void **state)
{
	struct mock *mock = *state;

	log_kafka_close(mock->log, 0);
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->rk);
	free(mock);
	return 0;
}

void mock_open(struct mock *mock, int64_t write_timeout_ms, const char *const *settings)
{
	/* A real broker answers a waiting fetch as soon as a record arrives; the mock
	 * answers only when the wait is over. A real broker also refuses a batch that
	 * follows a missing one; the mock accepts it, and librdkafka then assumes
	 * that the missing batch was stored. Therefore only one batch may be in
	 * flight. */
	const char *all[8] = { "fetch.wait.max.ms=20", "max.in.flight=1" };
	struct log_kafka_config config = { .url = mock->url,
		                           .settings = all,
		                           .nsettings = 2,
		                           .max_value = 1 << 20,
		                           .write_timeout_ms = write_timeout_ms };
	char why[512] = "";

	for (size_t i = 0; settings && settings[i]; i++) {
		assert_true(config.nsettings < ARRAY_SIZE(all));
		all[config.nsettings++] = settings[i];
	}
	if (log_kafka_open(&config, &mock->log, why, sizeof(why)))
		fail_msg("open: %s", why);
}

void mock_fail(struct mock *mock, int request, rd_kafka_resp_err_t err, size_t n)
{
	rd_kafka_resp_err_t *errs = calloc(n, sizeof(*errs));

	assert_non_null(errs);
	for (size_t i = 0; i < n; i++)
		errs[i] = err;
	rd_kafka_mock_push_request_errors_array(mock->cluster, (int16_t)request, n, errs);
	free(errs);
}

void mock_lead(struct mock *mock, int broker)
{
	assert_int_equal(rd_kafka_mock_partition_set_leader(mock->cluster, MOCK_TOPIC, 0, broker),
	                 0);
}

void mock_set_brokers(struct mock *mock, bool up)
{
	for (int id = 1; id <= MOCK_BROKERS; id++) {
		if (up)
			rd_kafka_mock_broker_set_up(mock->cluster, id);
		else
			rd_kafka_mock_broker_set_down(mock->cluster, id);
	}
}

void mock_produce(struct mock *mock, const struct record *rec)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_headers_t *headers = rd_kafka_headers_new(rec->nheaders);
	rd_kafka_t *rk;
	char text[256];

	rd_kafka_conf_set(conf, "bootstrap.servers",
	                  rd_kafka_mock_cluster_bootstraps(mock->cluster), text, sizeof(text));
	rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	assert_non_null(rk);
	for (size_t i = 0; i < rec->nheaders; i++)
		rd_kafka_header_add(headers, rec->headers[i].name.data,
		                    (ssize_t)rec->headers[i].name.len, rec->headers[i].value.data,
		                    (ssize_t)rec->headers[i].value.len);
	assert_int_equal(
	        rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(MOCK_TOPIC), RD_KAFKA_V_PARTITION(0),
	                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	                          RD_KAFKA_V_KEY(rec->key.data, rec->key.len),
	                          RD_KAFKA_V_VALUE((void *)rec->value.data, rec->value.len),
	                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
	        0);
	assert_int_equal(rd_kafka_flush(rk, 10000), 0);
	rd_kafka_destroy(rk);
}

static void on_delivery(void *arg, enum log_append how, uint64_t offset)
{
	struct delivery *t = arg;

	t->how = (int)how;
	t->offset = offset;
	t->calls++;
}

void mock_append(struct mock *mock, const char *key, const char *value, struct delivery *t)
{
	struct event ev = { .op = value ? EVENT_SET : EVENT_DEL,
		            .proc = 1,
		            .seq = 1,
		            .key = { key, strlen(key) },
		            .value = { value, value ? strlen(value) : 0 } };

	*t = (struct delivery){ .how = -1 };
	log_kafka_append(mock->log, &ev, on_delivery, t);
}

void mock_wait_for(bool (*cond)(void *arg), void *arg, int64_t timeout_ms)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;

	while (!cond(arg)) {
		if (clock_mono_ms() > until_ms)
			fail_msg("not within %lld ms", (long long)timeout_ms);
		usleep(1000);
	}
}

static bool was_delivered(void *arg)
{
	return ((struct delivery *)arg)->calls > 0;
}

enum log_append mock_wait(struct delivery *t, int64_t timeout_ms)
{
	mock_wait_for(was_delivered, t, timeout_ms);
	assert_int_equal(t->calls, 1);
	return (enum log_append)t->how;
}

static struct bytes copy_bytes(struct bytes b)
{
	struct bytes c = { NULL, b.len };

	if (b.data) {
		c.data = malloc(b.len + 1);
		assert_non_null(c.data);
		memcpy((void *)c.data, b.data, b.len);
		((char *)c.data)[b.len] = '\0';
	}
	return c;
}

int mock_take(void *arg, const struct log_record *rec)
{
	struct taken *taken = arg;
	struct taken_record *r;
	struct record raw;

	if (taken->refuse_at && taken->n + 1 == taken->refuse_at) {
		taken->refuse_at = 0;
		return taken->refusal;
	}
	if (taken->n == taken->size) {
		taken->size = taken->size ? 2 * taken->size : 64;
		taken->records = realloc(taken->records, taken->size * sizeof(*r));
		assert_non_null(taken->records);
	}
	r = &taken->records[taken->n++];
	log_record_raw(rec, &raw);
	r->offset = rec->offset;
	r->rec = raw;
	r->rec.key = copy_bytes(raw.key);
	r->rec.value = copy_bytes(raw.value);
	for (size_t i = 0; i < raw.nheaders; i++) {
		r->rec.headers[i].name = copy_bytes(raw.headers[i].name);
		r->rec.headers[i].value = copy_bytes(raw.headers[i].value);
	}
	r->err = rec->err;
	r->ev = rec->ev ? event_dup(rec->ev) : NULL;
	assert_int_equal(rec->time_ms, raw.time_ms);
	assert_int_equal(rec->value_bytes, raw.value.len);
	assert_true(rec->ev ? !rec->err && r->ev : rec->err && rec->why);
	return 0;
}

int mock_poll_once(struct mock *mock, struct taken *taken, int64_t timeout_ms, size_t max)
{
	int r = log_kafka_poll(mock->log, timeout_ms, max, mock_take, taken);

	if (r != -ESTALE)
		return r;
	assert_int_equal(
	        log_kafka_follow(mock->log, log_kafka_position(mock->log), mock->read_ahead_until),
	        0);
	return -EAGAIN;
}

void mock_poll(struct mock *mock, struct taken *taken, size_t n, int64_t timeout_ms)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;

	while (taken->n < n) {
		size_t before = taken->n;
		int r = mock_poll_once(mock, taken, 100, n - taken->n);

		if (r < 0 && r != -EAGAIN)
			fail_msg("poll: %d", r);
		assert_int_equal(taken->n - before, r < 0 ? 0 : (size_t)r);
		if (clock_mono_ms() > until_ms)
			fail_msg("%zu of %zu records within %lld ms", taken->n, n,
			         (long long)timeout_ms);
	}
}

void mock_taken_free(struct taken *taken)
{
	for (size_t i = 0; i < taken->n; i++) {
		struct record *rec = &taken->records[i].rec;

		event_free(taken->records[i].ev);
		free((void *)rec->key.data);
		free((void *)rec->value.data);
		for (size_t k = 0; k < rec->nheaders; k++) {
			free((void *)rec->headers[k].name.data);
			free((void *)rec->headers[k].value.data);
		}
	}
	free(taken->records);
	*taken = (struct taken){ .n = 0 };
}
