/* Tests of common/node/log.h: the embedded log and the Kafka log pass the same cases, each a
 * row of one table. Kafka is librdkafka's mock cluster, which cannot describe a topic's
 * settings nor look up records by time: those two questions are answered here.
 * LINK: -Wl,--wrap=log_kafka_check,--wrap=log_kafka_audit */
#include "tests/unit/cmocka_all.h"

#include "common/node/internal.h"
#include "common/node/log.h"
#include "tests/unit/child.h"
#include "tests/unit/fixture.h"
#include "tests/unit/mock_kafka.h"
#include "tests/unit/node_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 5000

int __wrap_log_kafka_check(struct log_kafka *log, int64_t timeout_ms, bool make,
                           struct log_kafka_topic *ret, char *why, size_t why_size);
int __wrap_log_kafka_check(struct log_kafka *log, int64_t timeout_ms, bool make,
                           struct log_kafka_topic *ret, char *why, size_t why_size)
{
	struct log_kafka_topic topic = { .max_value = 1 << 20 };
	(void)make, (void)why_size;
	why[0] = '\0';
	int r = log_kafka_end(log, timeout_ms, &topic.end);
	if (r == 0)
		*ret = topic;
	return r;
}

int __wrap_log_kafka_audit(struct log_kafka *log, const struct log_identity *id,
                           int64_t timeout_ms);
int __wrap_log_kafka_audit(struct log_kafka *log, const struct log_identity *id, int64_t timeout_ms)
{
	(void)log, (void)id, (void)timeout_ms;
	return 0;
}

/* A node on one of the two logs. */
struct log_fixture {
	const struct log_ops *ops;
	struct mock *mock; /* NULL: embedded log */
	struct node_fixture *base;
};

static const char *const settings[] = { "fetch.wait.max.ms=20", "max.in.flight=1" };

static bool is_ready(struct node *node)
{
	struct node_status status;
	node_status(node, &status);
	return status.ready;
}

static void open_node(struct log_fixture *f)
{
	f->base->node = node_fixture_open(&f->base->config);
	UNTIL(is_ready(f->base->node));
}

static int set_up(void **state, const struct log_ops *ops)
{
	struct log_fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	f->ops = ops;
	f->base = node_fixture_new();
	if (ops == &kafka_log_ops) {
		void *mock;
		mock_set_up(&mock);
		f->mock = mock;
		f->base->config.log = f->mock->url;
		f->base->config.log_settings = settings;
		f->base->config.nlog_settings = ARRAY_SIZE(settings);
		f->base->config.max_value = 1 << 20;
	}
	open_node(f);
	*state = f;
	return 0;
}

static int set_up_local(void **state)
{
	return set_up(state, &local_log_ops);
}

static int set_up_kafka(void **state)
{
	return set_up(state, &kafka_log_ops);
}

static int tear_down(void **state)
{
	struct log_fixture *f = *state;
	void *base = f->base, *mock = f->mock;
	node_fixture_tear_down(&base);
	if (mock)
		mock_tear_down(&mock);
	free(f);
	return 0;
}

/* --- the cases --- */

static void open_chooses_the_log_by_its_url(void **state)
{
	struct log_fixture *f = *state;
	const char *url = f->base->config.log;
	assert_ptr_equal(f->base->node->log, f->ops);
	assert_int_equal(local_log_ops.matches(url), f->ops == &local_log_ops);
	assert_int_equal(kafka_log_ops.matches(url), f->ops == &kafka_log_ops);
	assert_false(local_log_ops.matches("kafka"));
	assert_false(kafka_log_ops.matches("kafka"));
}

static void submit_is_answered_once_with_an_offset_that_grows(void **state)
{
	struct log_fixture *f = *state;
	uint64_t last = 0;
	for (int i = 0; i < 20; i++) {
		struct outcome out = DO(f->base->node, .op = EVENT_SET, .key = B("key"),
		                        .value = B("value"));
		assert_int_equal(out.code, OUTCOME_OK);
		assert_true(out.offset > last);
		last = out.offset;
	}
	assert_true(node_offset(f->base->node) >= last);
}

static void writer_reads_its_own_write(void **state)
{
	struct log_fixture *f = *state;
	EXPECT_DO(f->base->node, OK, .op = EVENT_SET, .key = B("key"), .value = B("one"));
	char *value = node_fixture_value(f->base->node, "key", NULL);
	assert_string_equal(value, "one");
	free(value);
	EXPECT_DO(f->base->node, OK, .op = EVENT_DEL, .key = B("key"));
	assert_null(node_fixture_value(f->base->node, "key", NULL));
}

static void owned_value_is_freed_by_the_node(void **state)
{
	struct log_fixture *f = *state;
	struct answer answer = { 0 };
	char *owned = strdup("handed over");
	assert_non_null(owned);
	struct event ev = { .op = EVENT_SET, .key = B("key"), .value = { owned, strlen(owned) } };
	node_submit(f->base->node, &ev, owned, node_fixture_done, &answer);
	UNTIL(atomic_load(&answer.calls));
	assert_int_equal(answer.out.code, OUTCOME_OK);
	char *value = node_fixture_value(f->base->node, "key", NULL);
	assert_string_equal(value, "handed over");
	free(value);
}

static void submit_later_is_answered_after_a_flush(void **state)
{
	struct log_fixture *f = *state;
	struct answer answers[8] = { { 0 } };
	struct event ev = { .op = EVENT_APPEND, .key = B("lines"), .value = B("x") };
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		node_submit_later(f->base->node, &ev, NULL, node_fixture_done, &answers[i]);
	node_flush(f->base->node);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		UNTIL(atomic_load(&answers[i].calls));
		assert_int_equal(answers[i].out.code, OUTCOME_OK);
		if (i > 0)
			assert_true(answers[i].out.offset > answers[i - 1].out.offset);
	}
	char *value = node_fixture_value(f->base->node, "lines", NULL);
	assert_string_equal(value, "xxxxxxxx");
	free(value);
}

#define NTHREADS 4
#define EACH 25

static void *increment(void *arg)
{
	for (int i = 0; i < EACH; i++)
		EXPECT_DO(arg, OK, .op = EVENT_INCR, .key = B("hits"), .by = 1);
	return NULL;
}

static void concurrent_submits_lose_nothing(void **state)
{
	struct log_fixture *f = *state;
	pthread_t threads[NTHREADS];
	for (int i = 0; i < NTHREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, increment, f->base->node), 0);
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(threads[i], NULL);
	char *value = node_fixture_value(f->base->node, "hits", NULL);
	assert_string_equal(value, "100");
	free(value);
}

static void barrier_covers_what_was_answered_before(void **state)
{
	struct log_fixture *f = *state;
	struct outcome out = DO(f->base->node, .op = EVENT_SET, .key = B("key"), .value = B("1"));
	struct answer answer = { 0 };
	node_barrier(f->base->node, CHECK_MS, node_fixture_done, &answer);
	UNTIL(atomic_load(&answer.calls));
	assert_int_equal(answer.out.code, OUTCOME_OK);
	assert_true(answer.out.offset >= out.offset);
	assert_true(node_offset(f->base->node) >= out.offset);
}

static void status_shows_the_end_of_the_log(void **state)
{
	struct log_fixture *f = *state;
	struct outcome out = DO(f->base->node, .op = EVENT_SET, .key = B("key"), .value = B("1"));
	struct node_status status;
	node_status(f->base->node, &status);
	assert_true(status.ready);
	assert_true(status.log_up);
	assert_true(status.applies);
	assert_false(status.behind);
	assert_string_equal(status.why, "");
	assert_string_equal(status.log, f->base->config.log);
	assert_int_equal(status.applied, out.offset);
	assert_int_equal(status.log_end, out.offset);
	assert_int_equal(status.lag_ms, 0);
	assert_int_equal(status.pending, 0);
}

static void value_over_the_limit_is_refused_and_not_logged(void **state)
{
	struct log_fixture *f = *state;
	size_t len = node_max_value(f->base->node) + 1;
	/* Mapped, not filled: the embedded log accepts up to 1 GiB. */
	char *value = calloc(1, len);
	assert_non_null(value);
	uint64_t before = node_offset(f->base->node);
	EXPECT_DO(f->base->node, TOO_LARGE, .op = EVENT_SET, .key = B("key"),
	          .value = { value, len });
	free(value);
	assert_int_equal(node_offset(f->base->node), before);
}

static void event_over_the_quota_is_refused_and_not_logged(void **state)
{
	struct log_fixture *f = *state;
	node_close(f->base->node);
	f->base->config.size_bytes = 4096;
	memset(&f->base->follower, 0, sizeof(f->base->follower));
	open_node(f);
	char value[8192] = { 0 };
	uint64_t before = node_offset(f->base->node);
	EXPECT_DO(f->base->node, NO_SPACE, .op = EVENT_SET, .key = B("key"),
	          .value = { value, sizeof(value) });
	assert_int_equal(node_offset(f->base->node), before);
	EXPECT_DO(f->base->node, OK, .op = EVENT_SET, .key = B("key"), .value = B("small"));
}

static void full_cache_evicts_to_make_space(void **state)
{
	struct log_fixture *f = *state;
	char key[16], value[1024] = { 0 };
	node_close(f->base->node);
	f->base->config.size_bytes = 64 << 10;
	f->base->config.evict = EVICT_LRU;
	memset(&f->base->follower, 0, sizeof(f->base->follower));
	open_node(f);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		EXPECT_DO(f->base->node, OK, .op = EVENT_SET, .key = { key, strlen(key) },
		          .value = { value, sizeof(value) });
	}
	struct txn *txn;
	assert_int_equal(txn_read(node_store(f->base->node), &txn), 0);
	assert_true(txn_meta(txn)->nevicted > 0);
	assert_true(txn_meta(txn)->used_bytes <= f->base->config.size_bytes);
	txn_abort(txn);
}

static void expired_key_is_removed_while_nothing_is_written(void **state)
{
	struct log_fixture *f = *state;
	EXPECT_DO(f->base->node, OK, .op = EVENT_SET, .key = B("key"), .value = B("1"),
	          .ttl = TTL_SET, .ttl_ms = 1);
	UNTIL(atomic_load(&f->base->follower.expired) == 1);
}

static void reopened_node_continues_in_its_log(void **state)
{
	struct log_fixture *f = *state;
	struct outcome out = DO(f->base->node, .op = EVENT_SET, .key = B("key"), .value = B("1"));
	node_close(f->base->node);
	memset(&f->base->follower, 0, sizeof(f->base->follower));
	open_node(f);
	assert_true(node_offset(f->base->node) >= out.offset);
	char *value = node_fixture_value(f->base->node, "key", NULL);
	assert_string_equal(value, "1");
	free(value);
	struct outcome next = DO(f->base->node, .op = EVENT_SET, .key = B("key"), .value = B("2"));
	assert_int_equal(next.code, OUTCOME_OK);
	assert_true(next.offset > out.offset);
}

static void store_of_the_other_log_is_refused(void **state)
{
	struct log_fixture *f = *state;
	struct node_config config = f->base->config;
	struct node *node = NULL;
	char why[1024] = "";
	node_close(f->base->node);
	f->base->node = NULL;
	config.log = f->mock ? "local" : "kafka://127.0.0.1:1/topic";
	if (f->mock) {
		assert_int_equal(node_open(&config, &node, why, sizeof(why)), -EINVAL);
	} else {
		/* Only a broker's answer lets a node compare. */
		void *mock;
		mock_set_up(&mock);
		config.log = ((struct mock *)mock)->url;
		config.max_value = 1 << 20;
		assert_int_equal(node_open(&config, &node, why, sizeof(why)), -EINVAL);
		mock_tear_down(&mock);
	}
	assert_null(node);
	assert_non_null(strstr(why, f->base->dir));
}

static void close_answers_what_was_submitted(void **state)
{
	struct log_fixture *f = *state;
	struct answer answers[16] = { { 0 } };
	struct event ev = { .op = EVENT_SET, .key = B("key"), .value = B("1") };
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		node_submit_later(f->base->node, &ev, NULL, node_fixture_done, &answers[i]);
	node_close(f->base->node);
	f->base->node = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		assert_int_equal(atomic_load(&answers[i].calls), 1);
		assert_int_equal(answers[i].out.code, OUTCOME_OK);
	}
}

#define CASES(X)                                                                                   \
	X(open_chooses_the_log_by_its_url)                                                         \
	X(submit_is_answered_once_with_an_offset_that_grows)                                       \
	X(writer_reads_its_own_write)                                                              \
	X(owned_value_is_freed_by_the_node)                                                        \
	X(submit_later_is_answered_after_a_flush)                                                  \
	X(concurrent_submits_lose_nothing)                                                         \
	X(barrier_covers_what_was_answered_before)                                                 \
	X(status_shows_the_end_of_the_log)                                                         \
	X(value_over_the_limit_is_refused_and_not_logged)                                          \
	X(event_over_the_quota_is_refused_and_not_logged)                                          \
	X(full_cache_evicts_to_make_space)                                                         \
	X(expired_key_is_removed_while_nothing_is_written)                                         \
	X(reopened_node_continues_in_its_log)                                                      \
	X(store_of_the_other_log_is_refused)                                                       \
	X(close_answers_what_was_submitted)

int main(void)
{
	const struct CMUnitTest tests[] = {
#define X(name) { "local: " #name, name, set_up_local, tear_down, NULL },
		CASES(X)
#undef X
#define X(name) { "kafka: " #name, name, set_up_kafka, tear_down, NULL },
		        CASES(X)
#undef X
	};
	return cmocka_run_group_tests_name("log_ops", tests, NULL, NULL);
}
