/* Configuration of the Kafka log: its URL, our settings, and the user's (-X).
 *
 * There are three layers, each applied over the previous one: our defaults, which a user may change
 * (latencies, timeouts); the user's settings; and the settings that Keydir's guarantees depend on.
 * Users cannot change the last ones: a setting that would is refused with its reason instead of
 * being overwritten silently. Producers and consumers get the same settings; librdkafka warns about
 * those that do not apply to one of them, and log/client.c drops these warnings. No state. */
#include "common/log/conf.h"

#include "common/log/internal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_SCHEME "kafka://"
/* The longest name of a topic that brokers accept. */
#define TOPIC_MAX 249
/* Brokers close the connection on a larger request (socket.request.max.bytes is 100 MiB by
 * default), and librdkafka would retry forever. */
#define VALUE_MAX (UINT64_C(96) << 20)
#define RECEIVE_MAX 1100000000 /* of a response, which may have larger records of other nodes */
#define FETCH_MIN 52428800     /* librdkafka's default of fetch.max.bytes */

struct setting {
	const char *name;
	const char *value;
};

/* clang-format off */

/* Defaults that a user may change. */
static const struct setting defaults[] = {
	{ "client.id", "keydir" },
	/* A lone write is sent at once; under load, the writes that arrive while earlier requests
	 * are in flight are sent as one batch. */
	{ "linger.ms", "0" },
	/* Maximum memory of waiting writes. */
	{ "queue.buffering.max.kbytes", "262144" },
	{ "socket.nagle.disable", "true" },
	{ "socket.keepalive.enable", "true" },
	/* A dead connection is given up after this ... */
	{ "socket.timeout.ms", "6000" },
	{ "socket.connection.setup.timeout.ms", "5000" },
	/* ... and a broker that has come back is found soon. */
	{ "reconnect.backoff.ms", "50" },
	{ "reconnect.backoff.max.ms", "1000" },
	{ "retry.backoff.ms", "50" },
	{ "fetch.error.backoff.ms", "50" },
	{ "topic.metadata.refresh.fast.interval.ms", "50" },
	/* The broker responds as soon as there is a record, and after this time without one. */
	{ "fetch.wait.max.ms", "500" },
	/* Prefetch while a replay applies: librdkafka 2.0 pauses for a whole second when this many
	 * messages are queued. */
	{ "queued.min.messages", "1000000" },
	{ "queued.max.messages.kbytes", "65536" },
	{ "log.connection.close", "false" },
};

/* Settings that Keydir's guarantees depend on. */
static const struct setting fixed[] = {
	{ "allow.auto.create.topics", "false" },
	{ "statistics.interval.ms", "1000" }, /* reports which connections are up */
};
static const struct setting fixed_producer[] = {
	{ "enable.idempotence", "true" },
	{ "acks", "all" },
};
static const struct setting fixed_consumer[] = {
	{ "check.crcs", "true" },
	{ "isolation.level", "read_committed" },
	{ "enable.partition.eof", "true" },
	{ "enable.auto.commit", "false" },
	{ "auto.commit.enable", "false" },
	{ "enable.auto.offset.store", "false" },
	{ "auto.offset.reset", "error" },
};

/* clang-format on */

#define WHY_ORDER "the log must hold each event once and in order"
#define WHY_PLACE "a node stores its position in its store, not in a consumer group"
#define WHY_SAME "all nodes must read the same log"
#define WHY_OURS "Keydir uses it itself"

/* Settings that a user may not change, and the values that are accepted because they change
 * nothing. */
static const struct {
	const char *name;
	const char *same[2];
	const char *why;
} refused[] = {
	{ "bootstrap.servers", { NULL }, "the log's URL names the brokers" },
	{ "metadata.broker.list", { NULL }, "the log's URL names the brokers" },
	{ "enable.idempotence", { "true" }, WHY_ORDER },
	{ "acks", { "all", "-1" }, WHY_ORDER },
	{ "request.required.acks", { "all", "-1" }, WHY_ORDER },
	{ "queuing.strategy", { "fifo" }, WHY_ORDER },
	{ "enable.gapless.guarantee", { "false" }, "one event that fails must not end the others" },
	{ "transactional.id", { NULL }, "a transaction is one event (POST /v1/txn)" },
	{ "message.timeout.ms", { NULL }, "--write-timeout sets it" },
	{ "delivery.timeout.ms", { NULL }, "--write-timeout sets it" },
	{ "message.max.bytes", { NULL }, "--max-value sets it" },
	{ "receive.message.max.bytes", { NULL }, "--max-value sets it" },
	{ "fetch.max.bytes", { NULL }, "--max-value sets it" },
	{ "group.id", { NULL }, WHY_PLACE },
	{ "group.instance.id", { NULL }, WHY_PLACE },
	{ "enable.auto.commit", { "false" }, WHY_PLACE },
	{ "auto.commit.enable", { "false" }, WHY_PLACE },
	{ "enable.auto.offset.store", { "false" }, WHY_PLACE },
	{ "auto.offset.reset", { "error" }, WHY_PLACE },
	{ "offset.store.method", { NULL }, WHY_PLACE },
	{ "check.crcs", { "true" }, WHY_SAME },
	{ "isolation.level", { "read_committed" }, WHY_SAME },
	{ "allow.auto.create.topics", { "false" }, "a topic created by the broker is not fit" },
	{ "topic.blacklist", { NULL }, "the log's URL names the topic" },
	{ "enable.partition.eof", { "true" }, WHY_OURS },
	{ "delivery.report.only.error", { "false" }, WHY_OURS },
	{ "statistics.interval.ms", { "1000" }, WHY_OURS },
	{ "log.queue", { "false" }, WHY_OURS },
	{ "enabled_events", { NULL }, WHY_OURS },
};

__attribute__((format(printf, 3, 4))) static int format_invalid(char *why, size_t why_size,
                                                                const char *fmt, ...)
{
	va_list args;

	if (why) {
		va_start(args, fmt);
		vsnprintf(why, why_size, fmt, args);
		va_end(args);
	}
	return -EINVAL;
}

/* Return whether BROKER is host, host:port or [address]:port. */
static bool is_valid_broker(const char *broker, size_t len)
{
	size_t host, i;

	if (len && broker[0] == '[') {
		const char *end = memchr(broker, ']', len);

		if (!end || end == broker + 1)
			return false;
		host = (size_t)(end - broker) + 1;
	} else {
		const char *colon = memchr(broker, ':', len);

		host = colon ? (size_t)(colon - broker) : len;
		for (i = 0; i < host; i++)
			if (!isalnum((unsigned char)broker[i]) && !strchr("-._", broker[i]))
				return false;
	}
	if (!host)
		return false;
	if (host == len)
		return true;
	if (broker[host] != ':' || len - host < 2 || len - host > 6)
		return false;
	for (i = host + 1; i < len; i++)
		if (!isdigit((unsigned char)broker[i]))
			return false;
	return true;
}

static bool is_valid_topic(const char *topic)
{
	size_t len = strlen(topic), i;

	if (!len || len > TOPIC_MAX || strcmp(topic, ".") == 0 || strcmp(topic, "..") == 0)
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)topic[i]) && !strchr("-._", topic[i]))
			return false;
	return true;
}

int log_kafka_url_parse(const char *url, struct log_kafka_url *ret, char *why, size_t why_size)
{
	const char *brokers, *slash, *at;
	struct log_kafka_url parsed;

	if (!url || strncmp(url, URL_SCHEME, strlen(URL_SCHEME)) != 0)
		return format_invalid(
		        why, why_size,
		        "the log must be given as kafka://HOST:PORT,.../TOPIC, not \"%s\"",
		        url ? url : "");
	brokers = url + strlen(URL_SCHEME);
	slash = strchr(brokers, '/');
	if (!slash || slash == brokers)
		return format_invalid(
		        why, why_size,
		        "%s: a broker and a topic are needed: kafka://HOST:PORT,.../TOPIC", url);
	for (at = brokers; at <= slash;) {
		const char *end = memchr(at, ',', (size_t)(slash - at));

		if (!end)
			end = slash;
		if (!is_valid_broker(at, (size_t)(end - at)))
			return format_invalid(why, why_size, "%s: a broker is written HOST:PORT",
			                      url);
		at = end + 1;
	}
	if (!is_valid_topic(slash + 1))
		return format_invalid(
		        why, why_size,
		        "%s: a topic's name has 1 to 249 letters, digits, '.', '_' and '-'", url);
	parsed.brokers = strndup(brokers, (size_t)(slash - brokers));
	parsed.topic = strdup(slash + 1);
	if (!parsed.brokers || !parsed.topic) {
		log_kafka_url_free(&parsed);
		return -ENOMEM;
	}
	*ret = parsed;
	return 0;
}

void log_kafka_url_free(struct log_kafka_url *url)
{
	free(url->brokers);
	free(url->topic);
	url->brokers = url->topic = NULL;
}

static int set_option(rd_kafka_conf_t *conf, const char *name, const char *value, char *why,
                      size_t why_size)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
		return 0;
	/* Do not show the value: it may be a password. */
	return format_invalid(why, why_size, "-X %s: %s", name, text);
}

static int set_number(rd_kafka_conf_t *conf, const char *name, uint64_t number, char *why,
                      size_t why_size)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return set_option(conf, name, text, why, why_size);
}

static int set_options(rd_kafka_conf_t *conf, const struct setting *rows, size_t n, char *why,
                       size_t why_size)
{
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		r = set_option(conf, rows[i].name, rows[i].value, why, why_size);
		if (r)
			return r;
	}
	return 0;
}
#define SET_OPTIONS(conf, rows, why, why_size)                                                     \
	set_options(conf, rows, sizeof(rows) / sizeof((rows)[0]), why, why_size)

/* Return why the user may not set NAME to VALUE, or NULL. */
static const char *refusal_reason(const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (strcmp(refused[i].name, name) != 0)
			continue;
		if (refused[i].same[0] && strcmp(refused[i].same[0], value) == 0)
			return NULL;
		if (refused[i].same[1] && strcmp(refused[i].same[1], value) == 0)
			return NULL;
		return refused[i].why;
	}
	return NULL;
}

/* Apply a setting of the user, "name=value". */
static int set_user_option(rd_kafka_conf_t *conf, const char *setting, char *why, size_t why_size)
{
	const char *equals = strchr(setting, '='), *reason;
	char *name;
	int r;

	if (!equals || equals == setting)
		return format_invalid(why, why_size, "-X takes name=value, not \"%s\"", setting);
	name = strndup(setting, (size_t)(equals - setting));
	if (!name)
		return -ENOMEM;
	reason = refusal_reason(name, equals + 1);
	if (reason)
		r = format_invalid(why, why_size, "-X %s cannot be set: %s", setting, reason);
	else
		r = set_option(conf, name, equals + 1, why, why_size);
	free(name);
	return r;
}

/* Set the size limits for the largest record of this node. Records that nodes with another
 * --max-value wrote must be readable, too. */
static int set_sizes(const struct log_kafka *log, rd_kafka_conf_t *conf, char *why, size_t why_size)
{
	uint64_t fetch = FETCH_MIN;
	int r;

	if (log->max_value > VALUE_MAX)
		return format_invalid(why, why_size,
		                      "--max-value %" PRIu64
		                      " is too large for a Kafka log: a broker takes "
		                      "requests of up to 100 MiB, so give at most 96M",
		                      log->max_value);
	if (fetch < log->max_record)
		fetch = log->max_record;
	r = set_number(conf, "message.max.bytes", log->max_record, why, why_size);
	if (!r)
		r = set_number(conf, "fetch.max.bytes", fetch, why, why_size);
	if (!r)
		r = set_number(conf, "receive.message.max.bytes", RECEIVE_MAX, why, why_size);
	return r;
}

int log_kafka_conf(const struct log_kafka *log, bool producer, rd_kafka_conf_t **ret, char *why,
                   size_t why_size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	size_t i;
	int r;

	r = SET_OPTIONS(conf, defaults, why, why_size);
	for (i = 0; i < log->nsettings && !r; i++)
		r = set_user_option(conf, log->settings[i], why, why_size);
	if (!r)
		r = SET_OPTIONS(conf, fixed, why, why_size);
	if (!r)
		r = set_option(conf, "bootstrap.servers", log->url.brokers, why, why_size);
	if (!r)
		r = set_sizes(log, conf, why, why_size);
	if (!r && producer) {
		r = SET_OPTIONS(conf, fixed_producer, why, why_size);
		if (!r)
			r = set_number(conf, "message.timeout.ms", (uint64_t)log->write_timeout_ms,
			               why, why_size);
	} else if (!r) {
		r = SET_OPTIONS(conf, fixed_consumer, why, why_size);
	}
	if (r) {
		rd_kafka_conf_destroy(conf);
		return r;
	}
	*ret = conf;
	return 0;
}
