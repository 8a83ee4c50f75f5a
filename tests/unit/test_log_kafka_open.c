/* Tests of opening the Kafka log: URLs, settings, and checking the topic
 * (common/log/kafka.c, log/conf.c, log/topic.c). The settings of a topic are tested
 * with a real broker: tests/bats/kafka_log.bats. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/mock_kafka.h"

#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Open and close a log that needs no broker. WHY must contain TEXT. */
static int open_with(const char *url, const char *setting, uint64_t max_value, const char *text)
{
	struct log_kafka_config config = { .url = url,
		                           .settings = &setting,
		                           .nsettings = setting ? 1 : 0,
		                           .max_value = max_value,
		                           .write_timeout_ms = 1000 };
	struct log_kafka *log = NULL;
	char why[512] = "";
	int r = log_kafka_open(&config, &log, why, sizeof(why));

	if (!r) {
		assert_non_null(log);
		log_kafka_close(log, 0);
	} else {
		assert_null(log);
	}
	if (text && !strstr(why, text))
		fail_msg("\"%s\" does not contain \"%s\"", why, text);
	return r;
}

/* A port on which no process listens. */
#define NO_BROKER "127.0.0.1:1"

static void test_urls_are_validated(void **state)
{
	static const char *const good[] = {
		"kafka://" NO_BROKER "/t",
		"kafka://localhost/topic",
		"kafka://[::1]:1/t",
		"kafka://[::1]/t",
		"kafka://" NO_BROKER "," NO_BROKER "/a.b_c-D9",
	};
	static const struct {
		const char *url, *text;
	} bad[] = {
		{ "", "kafka://HOST:PORT" },
		{ "local", "kafka://HOST:PORT" },
		{ "http://h:1/t", "kafka://HOST:PORT" },
		{ "kafka://", "a broker and a topic" },
		{ "kafka:///t", "a broker and a topic" },
		{ "kafka://h:1", "a broker and a topic" },
		{ "kafka://h:1/", "a topic's name" },
		{ "kafka://h:1/.", "a topic's name" },
		{ "kafka://h:1/..", "a topic's name" },
		{ "kafka://h:1/a/b", "a topic's name" },
		{ "kafka://h:1/a b", "a topic's name" },
		{ "kafka://h:1/t?x", "a topic's name" },
		{ "kafka://,/t", "HOST:PORT" },
		{ "kafka://h:1,/t", "HOST:PORT" },
		{ "kafka://,h:1/t", "HOST:PORT" },
		{ "kafka://h:/t", "HOST:PORT" },
		{ "kafka://:1/t", "HOST:PORT" },
		{ "kafka://h:1x/t", "HOST:PORT" },
		{ "kafka://h:123456/t", "HOST:PORT" },
		{ "kafka://h h:1/t", "HOST:PORT" },
		{ "kafka://[::1:1/t", "HOST:PORT" },
		{ "kafka://[]:1/t", "HOST:PORT" },
		{ "kafka://[::1]x/t", "HOST:PORT" },
	};
	char url[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_row_equal(good[i], open_with(good[i], NULL, 1 << 20, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (open_with(bad[i].url, NULL, 1 << 20, bad[i].text) != -EINVAL)
			fail_msg("%s was accepted", bad[i].url);
	/* The longest name of a topic, and one byte more. */
	snprintf(url, sizeof(url), "kafka://h:1/%0249d", 0);
	assert_int_equal(open_with(url, NULL, 1 << 20, NULL), 0);
	snprintf(url, sizeof(url), "kafka://h:1/%0250d", 0);
	assert_int_equal(open_with(url, NULL, 1 << 20, "a topic's name"), -EINVAL);
}

static void test_settings_are_validated(void **state)
{
	static const char *const good[] = {
		"linger.ms=5",
		"compression.type=lz4",
		"security.protocol=plaintext",
		"sasl.password=a=b",
		"sasl.username=",
		"client.id=me",
		"queued.min.messages=5",
		/* Settings that hold anyway may be given. */
		"enable.idempotence=true",
		"acks=all",
		"request.required.acks=-1",
		"isolation.level=read_committed",
		"auto.offset.reset=error",
	};
	static const struct {
		const char *setting, *text;
	} bad[] = {
		{ "linger.ms", "-X takes name=value, not \"linger.ms\"" },
		{ "=5", "-X takes name=value" },
		{ "", "-X takes name=value" },
		{ "no.such.setting=1", "no.such.setting" },
		{ "linger.ms=abc", "linger.ms" },
		{ "linger.ms=-1", "linger.ms" },
		{ "security.protocol=magic", "magic" },
		{ "bootstrap.servers=h:1", "URL" },
		{ "metadata.broker.list=h:1", "URL" },
		{ "enable.idempotence=false", "once and in order" },
		{ "acks=1", "once and in order" },
		{ "acks=0", "once and in order" },
		{ "request.required.acks=1", "once and in order" },
		{ "queuing.strategy=lifo", "once and in order" },
		{ "transactional.id=x", "one event" },
		{ "message.timeout.ms=5", "--write-timeout" },
		{ "delivery.timeout.ms=5", "--write-timeout" },
		{ "message.max.bytes=1000", "--max-value" },
		{ "receive.message.max.bytes=1000", "--max-value" },
		{ "group.id=x", "consumer group" },
		{ "enable.auto.commit=true", "consumer group" },
		{ "auto.offset.reset=earliest", "consumer group" },
		{ "check.crcs=false", "the same log" },
		{ "isolation.level=read_uncommitted", "the same log" },
		{ "allow.auto.create.topics=true", "not fit" },
		{ "topic.blacklist=t", "names the topic" },
		{ "statistics.interval.ms=0", "uses it itself" },
		/* librdkafka refuses what contradicts a fixed setting. */
		{ "max.in.flight=6", "max.in.flight" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (open_with("kafka://" NO_BROKER "/t", good[i], 1 << 20, NULL))
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (open_with("kafka://" NO_BROKER "/t", bad[i].setting, 1 << 20, bad[i].text) !=
		    -EINVAL)
			fail_msg("%s was accepted", bad[i].setting);
}

static void test_a_setting_may_depend_on_another(void **state)
{
	/* A certificate is read only for TLS. */
	const char *settings[] = { "security.protocol=ssl", "ssl.ca.location=/no/such/file" };
	struct log_kafka_config config = { .url = "kafka://" NO_BROKER "/t",
		                           .settings = settings,
		                           .nsettings = 2,
		                           .max_value = 1,
		                           .write_timeout_ms = 1000 };
	struct log_kafka *log = NULL;
	char why[512] = "";

	(void)state;
	assert_int_equal(log_kafka_open(&config, &log, why, sizeof(why)), -EINVAL);
	assert_null(log);
	assert_non_null(strstr(why, "ssl.ca.location"));
	/* WHY may be NULL. */
	assert_int_equal(log_kafka_open(&config, &log, NULL, 0), -EINVAL);
}

static void test_the_largest_value_is_limited(void **state)
{
	(void)state;
	assert_int_equal(open_with("kafka://" NO_BROKER "/t", NULL, 0, NULL), 0);
	assert_int_equal(open_with("kafka://" NO_BROKER "/t", NULL, UINT64_C(96) << 20, NULL), 0);
	assert_int_equal(open_with("kafka://" NO_BROKER "/t", NULL, 1000000000, "--max-value"),
	                 -EINVAL);
}

/* Check the topic. WHY must contain TEXT, and the timeout must be kept. */
static int check_topic(struct mock *mock, int64_t timeout_ms, const char *text)
{
	struct log_kafka_topic topic;
	char why[512] = "?";
	int64_t start_ms = clock_mono_ms();
	int r = log_kafka_check(mock->log, timeout_ms, true, &topic, why, sizeof(why));

	assert_true(clock_mono_ms() - start_ms < timeout_ms + 3000);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not contain \"%s\"", why, text);
	return r;
}

static void test_a_check_without_a_broker_times_out(void **state)
{
	struct mock *mock = *state;
	uint64_t end;

	mock_set_brokers(mock, false);
	mock_open(mock, 1000, NULL);
	assert_false(log_kafka_up(mock->log));
	assert_int_equal(check_topic(mock, 500, "no answer from"), -EAGAIN);
	assert_int_equal(log_kafka_end(mock->log, 300, &end), -EAGAIN);
	assert_int_equal(check_topic(mock, 0, "no answer from"), -EAGAIN);
}

/* Open mock->log on TOPIC, which need not be fit for a log. */
static void open_topic(struct mock *mock, const char *topic)
{
	struct log_kafka_config config = { .max_value = 1, .write_timeout_ms = 1000 };
	char url[1024];

	snprintf(url, sizeof(url), "kafka://%s/%s", rd_kafka_mock_cluster_bootstraps(mock->cluster),
	         topic);
	config.url = url;
	assert_int_equal(log_kafka_open(&config, &mock->log, NULL, 0), 0);
}

static void test_a_topic_must_have_one_partition(void **state)
{
	struct mock *mock = *state;

	rd_kafka_mock_topic_create(mock->cluster, "three", 3, 1);
	open_topic(mock, "three");
	assert_int_equal(check_topic(mock, 5000, "topic three has 3 partitions"), -EINVAL);
}

/* As from a real broker, the metadata of a topic with an error lists no partitions:
 * if it lists one that the client does not know yet, librdkafka 2.8 dereferences NULL
 * (rd_kafka_topic_metadata_update()). */
static void test_missing_authorization_is_reported(void **state)
{
	struct mock *mock = *state;

	rd_kafka_mock_topic_create(mock->cluster, "secret", 0, 1);
	rd_kafka_mock_topic_set_error(mock->cluster, "secret",
	                              RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	open_topic(mock, "secret");
	assert_int_equal(check_topic(mock, 5000, "refused the description of topic secret"),
	                 -EACCES);
}

/* Metadata arrives but names no leader: first for a while, then without end. */
static void test_the_end_is_unknown_without_a_leader(void **state)
{
	struct mock *mock = *state;
	uint64_t end;

	mock_open(mock, 1000, NULL);
	mock_fail(mock, MOCK_LIST_OFFSETS, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, 4);
	assert_int_equal(log_kafka_end(mock->log, 5000, &end), 0);
	assert_int_equal(end, 0);
	mock_fail(mock, MOCK_LIST_OFFSETS, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, 1000);
	assert_int_equal(log_kafka_end(mock->log, 700, &end), -EAGAIN);
	rd_kafka_mock_clear_request_errors(mock->cluster, MOCK_LIST_OFFSETS);
	assert_int_equal(log_kafka_end(mock->log, 5000, &end), 0);
}

/* The mock has no controller, as a real cluster for a moment. */
static void test_a_check_without_a_controller_times_out(void **state)
{
	struct mock *mock = *state;

	mock_open(mock, 1000, NULL);
	assert_int_equal(check_topic(mock, 1500, "no answer from"), -EAGAIN);
}

static bool is_up(void *arg)
{
	return log_kafka_up(((struct mock *)arg)->log);
}

static bool is_down(void *arg)
{
	return !is_up(arg);
}

static void test_up_follows_the_brokers(void **state)
{
	struct mock *mock = *state;
	char last[300];
	char cut[4];

	mock_open(mock, 1000, NULL);
	assert_int_equal(log_kafka_errors(mock->log, last, sizeof(last)), 0);
	assert_string_equal(last, "");
	mock_wait_for(is_up, mock, 5000);
	mock_set_brokers(mock, false);
	mock_wait_for(is_down, mock, 10000);
	assert_true(log_kafka_errors(mock->log, last, sizeof(last)) > 0);
	assert_true(strlen(last) > 10);
	log_kafka_errors(mock->log, cut, sizeof(cut));
	assert_int_equal(strlen(cut), 3);
	log_kafka_errors(mock->log, NULL, 0);
	mock_set_brokers(mock, true);
	mock_wait_for(is_up, mock, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls_are_validated),
		cmocka_unit_test(test_settings_are_validated),
		cmocka_unit_test(test_a_setting_may_depend_on_another),
		cmocka_unit_test(test_the_largest_value_is_limited),
		cmocka_unit_test_setup_teardown(test_a_check_without_a_broker_times_out,
		                                mock_set_up, mock_tear_down),
		cmocka_unit_test_setup_teardown(test_a_topic_must_have_one_partition, mock_set_up,
		                                mock_tear_down),
		cmocka_unit_test_setup_teardown(test_missing_authorization_is_reported, mock_set_up,
		                                mock_tear_down),
		cmocka_unit_test_setup_teardown(test_the_end_is_unknown_without_a_leader,
		                                mock_set_up, mock_tear_down),
		cmocka_unit_test_setup_teardown(test_a_check_without_a_controller_times_out,
		                                mock_set_up, mock_tear_down),
		cmocka_unit_test_setup_teardown(test_up_follows_the_brokers, mock_set_up,
		                                mock_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
