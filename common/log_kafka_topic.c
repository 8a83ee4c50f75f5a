/* The Kafka log's topic: made if missing, checked, and where it ends.
 *
 * A topic is fit if it keeps every record, in one order, with the broker's
 * clock as its time, and takes records as large as ours. Whatever is not so is
 * refused with the command that changes it; nothing of an existing topic is
 * changed by us. A finite retention only makes a warning: it hurts nobody until
 * it has cut off what some node needs, and whoever opens the log checks that.
 *
 * All of this asks brokers and waits for the answer, in slices, so that a
 * failed authentication, which librdkafka tells elsewhere, ends the wait at
 * once. Uses the producer's instance, whose connection no fetch blocks. No
 * lock is held while waiting. */
#include "log_kafka_internal.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE_MS 1000
#define PAUSE_US 50000
#define LIST_MAX 512

/* What a setting that differs means. */
enum weight { REFUSE, WARN };

/* The settings of a topic that matter. NULL stands for the largest record. */
static const struct {
	const char *name;
	const char *value;
	enum weight weight;
} wanted[] = {
	{ "cleanup.policy", "delete", REFUSE },
	{ "message.timestamp.type", "LogAppendTime", REFUSE },
	{ "max.message.bytes", NULL, REFUSE },
	{ "unclean.leader.election.enable", "false", REFUSE },
	{ "retention.ms", "-1", WARN },
	{ "retention.bytes", "-1", WARN },
};
#define NWANTED (sizeof(wanted) / sizeof(wanted[0]))

/* One question to the brokers, or a row of them. */
struct inquiry {
	struct log_kafka *log;
	struct log_kafka_client *client;
	int64_t until_ms;
	char *why;
	size_t why_size;
};

/* Comma-separated text under construction; what does not fit is cut. */
struct list {
	char text[LIST_MAX];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void list_add(struct list *list, const char *fmt, ...)
{
	va_list args;
	int n;

	if (list->len && list->len + 1 < LIST_MAX)
		list->text[list->len++] = ',';
	va_start(args, fmt);
	n = vsnprintf(list->text + list->len, LIST_MAX - list->len, fmt, args);
	va_end(args);
	if (n > 0)
		list->len += (size_t)n;
	if (list->len >= LIST_MAX)
		list->len = LIST_MAX - 1;
}

__attribute__((format(printf, 3, 4))) static int fail(struct inquiry *inq, int err, const char *fmt,
                                                      ...)
{
	va_list args;

	if (inq->why) {
		va_start(args, fmt);
		vsnprintf(inq->why, inq->why_size, fmt, args);
		va_end(args);
	}
	return err;
}

/* Milliseconds for one attempt; 0 when the time is over. */
static int slice_ms(const struct inquiry *inq)
{
	int64_t left_ms = inq->until_ms - clock_mono_ms();

	if (left_ms <= 0)
		return 0;
	return left_ms < SLICE_MS ? (int)left_ms : SLICE_MS;
}

static bool is_denial(rd_kafka_resp_err_t err)
{
	switch (err) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return true;
	default:
		return false;
	}
}

/* What asking for WHAT failed with: 0 to try again, an error to give up. */
static int judge(struct inquiry *inq, rd_kafka_resp_err_t err, const char *what, const char *text)
{
	char last[LOG_KAFKA_TEXT_MAX];

	log_kafka_errors(inq->log, last, sizeof(last));
	if (is_denial(err))
		return fail(inq, -EACCES, "the broker refused %s of topic %s: %s", what,
		            inq->log->url.topic, text ? text : rd_kafka_err2str(err));
	if (inq->client->denied)
		return fail(inq, -EACCES, "the broker %s refused the connection: %s",
		            inq->log->url.brokers, last);
	if (err == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
		return fail(inq, -EINVAL, "the broker %s is too old: %s", inq->log->url.brokers,
		            text ? text : rd_kafka_err2str(err));
	if (!slice_ms(inq))
		return fail(inq, -EAGAIN, "no answer from %s (%s of topic %s): %s",
		            inq->log->url.brokers, what, inq->log->url.topic,
		            last[0] ? last : rd_kafka_err2str(err));
	usleep(PAUSE_US);
	return 0;
}

/* Asks how many partitions the topic has; 0: there is no such topic. */
static int count_partitions(struct inquiry *inq, int *ret)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	int n, refusal;

	for (;;) {
		err = rd_kafka_metadata(inq->client->rk, 0, inq->client->topic, &metadata,
		                        slice_ms(inq));
		if (!err) {
			n = 0;
			err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			if (metadata->topic_cnt == 1) {
				n = metadata->topics[0].partition_cnt;
				err = metadata->topics[0].err;
			}
			rd_kafka_metadata_destroy(metadata);
			if (!err || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
				*ret = err ? 0 : n;
				return 0;
			}
		}
		refusal = judge(inq, err, "the description", NULL);
		if (refusal)
			return refusal;
	}
}

/* Waits for the answer to an admin request on QUEUE; *RET is NULL without one. */
static rd_kafka_resp_err_t wait_event(struct inquiry *inq, rd_kafka_queue_t *queue,
                                      rd_kafka_event_t **ret)
{
	rd_kafka_resp_err_t err;

	/* It ends by the request's own time limit; the rest is for its delivery. */
	*ret = rd_kafka_queue_poll(queue, slice_ms(inq) + SLICE_MS);
	if (!*ret)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	err = rd_kafka_event_error(*ret);
	if (err) {
		log_kafka_note(inq->log, "%s", rd_kafka_event_error_string(*ret));
		rd_kafka_event_destroy(*ret);
		*ret = NULL;
	}
	return err;
}

static rd_kafka_AdminOptions_t *admin_options(struct inquiry *inq, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(inq->client->rk, op);
	char text[LOG_KAFKA_TEXT_MAX];
	int ms = slice_ms(inq);

	rd_kafka_AdminOptions_set_request_timeout(options, ms ? ms : 1, text, sizeof(text));
	return options;
}

/* Writes what setting I of a topic should be. */
static void wanted_value(const struct log_kafka *log, size_t i, char *text, size_t size)
{
	if (wanted[i].value)
		snprintf(text, size, "%s", wanted[i].value);
	else
		snprintf(text, size, "%" PRIu64, log->max_record);
}

/* One attempt to make the topic. TEXT says what the broker said. */
static rd_kafka_resp_err_t try_create(struct inquiry *inq, char *text, size_t size)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = admin_options(inq, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	const rd_kafka_topic_result_t **results;
	rd_kafka_NewTopic_t *topic;
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t err;
	char value[LOG_KAFKA_TEXT_MAX];
	size_t i, n;

	/* As many replicas as the brokers' default.replication.factor says. */
	topic = rd_kafka_NewTopic_new(inq->log->url.topic, 1, -1, text, size);
	for (i = 0; i < NWANTED; i++) {
		wanted_value(inq->log, i, value, sizeof(value));
		rd_kafka_NewTopic_set_config(topic, wanted[i].name, value);
	}
	rd_kafka_CreateTopics(inq->client->rk, &topic, 1, options, queue);
	err = wait_event(inq, queue, &event);
	snprintf(text, size, "%s", rd_kafka_err2str(err));
	if (event) {
		results = rd_kafka_CreateTopics_result_topics(
		        rd_kafka_event_CreateTopics_result(event), &n);
		if (n) {
			err = rd_kafka_topic_result_error(results[0]);
			if (err && rd_kafka_topic_result_error_string(results[0]))
				snprintf(text, size, "%s",
				         rd_kafka_topic_result_error_string(results[0]));
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return err;
}

/* Makes the topic; that another node was faster is fine. */
static int create(struct inquiry *inq)
{
	char text[LOG_KAFKA_TEXT_MAX];
	rd_kafka_resp_err_t err;
	int refusal;

	for (;;) {
		err = try_create(inq, text, sizeof(text));
		switch (err) {
		case RD_KAFKA_RESP_ERR_NO_ERROR:
		case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
			return 0;
		case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return fail(inq, -EINVAL,
			            "the broker would not make topic %s: %s. Make it yourself: "
			            "kafka-topics.sh --bootstrap-server %s --create --topic %s "
			            "--partitions 1",
			            inq->log->url.topic, text, inq->log->url.brokers,
			            inq->log->url.topic);
		default:
			/* Fewer brokers than replicas wanted passes when they come up. */
			log_kafka_note(inq->log, "%s", text);
			refusal = judge(inq, err, "the creation", text);
			if (refusal)
				return refusal;
		}
	}
}

/* True if VALUE is fit for setting I. */
static bool fits(const struct log_kafka *log, size_t i, const char *value)
{
	if (!wanted[i].value)
		return strtoull(value, NULL, 10) >= log->max_record;
	/* An empty policy, of newer brokers, removes nothing at all. */
	if (!strcmp(wanted[i].name, "cleanup.policy") && !*value)
		return true;
	return !strcmp(wanted[i].value, value);
}

/* Compares the topic's settings with what is wanted. */
static int judge_settings(struct inquiry *inq, const rd_kafka_ConfigEntry_t **entries, size_t n)
{
	struct list faults = { .len = 0 }, fixes = { .len = 0 };
	enum weight weight = WARN;
	char value[LOG_KAFKA_TEXT_MAX];
	size_t i, k;

	for (k = 0; k < n; k++) {
		const char *name = rd_kafka_ConfigEntry_name(entries[k]);
		const char *now = rd_kafka_ConfigEntry_value(entries[k]);

		for (i = 0; i < NWANTED && strcmp(wanted[i].name, name) != 0; i++)
			;
		if (i == NWANTED || !now || fits(inq->log, i, now))
			continue;
		if (wanted[i].weight == REFUSE)
			weight = REFUSE;
		wanted_value(inq->log, i, value, sizeof(value));
		list_add(&faults, "%s=%s", name, now);
		list_add(&fixes, "%s=%s", name, value);
	}
	if (!faults.len)
		return 0;
	fail(inq, 0,
	     "topic %s %s %s; change it: kafka-configs.sh --bootstrap-server %s "
	     "--alter --entity-type topics --entity-name %s --add-config %s",
	     inq->log->url.topic, weight == REFUSE ? "is not fit, it has" : "forgets by",
	     faults.text, inq->log->url.brokers, inq->log->url.topic, fixes.text);
	return weight == REFUSE ? -EINVAL : 0;
}

/* One attempt to read and judge the topic's settings; *RET counts without an
 * error of Kafka's. */
static rd_kafka_resp_err_t try_settings(struct inquiry *inq, int *ret)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = admin_options(inq, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_ConfigResource_t *topic;
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t err;
	size_t n;

	topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, inq->log->url.topic);
	rd_kafka_DescribeConfigs(inq->client->rk, &topic, 1, options, queue);
	err = wait_event(inq, queue, &event);
	if (event) {
		resources = rd_kafka_DescribeConfigs_result_resources(
		        rd_kafka_event_DescribeConfigs_result(event), &n);
		err = n ? rd_kafka_ConfigResource_error(resources[0]) :
		          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		if (!err) {
			entries = rd_kafka_ConfigResource_configs(resources[0], &n);
			*ret = judge_settings(inq, entries, n);
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy(topic);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return err;
}

static int check_settings(struct inquiry *inq)
{
	rd_kafka_resp_err_t err;
	int result = 0, refusal;

	for (;;) {
		err = try_settings(inq, &result);
		if (!err)
			return result;
		refusal = judge(inq, err, "the settings", NULL);
		if (refusal)
			return refusal;
	}
}

/* Asks the leader for one offset: RD_KAFKA_OFFSET_BEGINNING or _END. It goes
 * through the look-up by time, whose special times these are: librdkafka 2.0's
 * rd_kafka_query_watermark_offsets() waits without end for a broker that is
 * down, whatever its timeout says (its issue 2588, mended in 2.3). */
static int ask_offset(struct inquiry *inq, int64_t which, uint64_t *ret)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;
	int64_t offset;
	int refusal;

	for (;;) {
		list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_topic_partition_list_add(list, inq->log->url.topic, 0)->offset = which;
		err = rd_kafka_offsets_for_times(inq->client->rk, list, slice_ms(inq));
		if (!err)
			err = list->elems[0].err;
		offset = list->elems[0].offset;
		rd_kafka_topic_partition_list_destroy(list);
		if (!err && offset >= 0)
			break;
		refusal = judge(inq, err ? err : RD_KAFKA_RESP_ERR__TIMED_OUT, "the end", NULL);
		if (refusal)
			return refusal;
	}
	*ret = (uint64_t)offset;
	return 0;
}

/* Asks the leader for the first offset and the end. */
static int ask_ends(struct inquiry *inq, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t first;
	int err;

	err = ask_offset(inq, RD_KAFKA_OFFSET_BEGINNING, &first);
	if (!err)
		err = ask_offset(inq, RD_KAFKA_OFFSET_END, ret_end);
	if (!err)
		*ret_first = first;
	return err;
}

static int check(struct inquiry *inq, uint64_t *ret_first, uint64_t *ret_end)
{
	int npartitions, err;

	err = count_partitions(inq, &npartitions);
	if (err)
		return err;
	if (!npartitions) {
		err = create(inq);
		if (err)
			return err;
	} else if (npartitions != 1) {
		return fail(inq, -EINVAL,
		            "topic %s has %d partitions, which have no order among each other, "
		            "and partitions cannot be taken away; give the name of a topic with "
		            "one, or of none that exists: it is made",
		            inq->log->url.topic, npartitions);
	}
	err = check_settings(inq);
	if (!err)
		err = ask_ends(inq, ret_first, ret_end);
	return err;
}

int log_kafka_check(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_first,
                    uint64_t *ret_end, char *why, size_t why_size)
{
	struct inquiry inq = { log, log_kafka_producer_ref(log), clock_mono_ms() + timeout_ms, why,
		               why_size };
	int err;

	if (why && why_size)
		*why = '\0';
	err = check(&inq, ret_first, ret_end);
	if (!err)
		log_kafka_seen(inq.client);
	log_kafka_producer_unref(inq.client);
	return err;
}

int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end)
{
	struct inquiry inq = { log, log_kafka_producer_ref(log), clock_mono_ms() + timeout_ms, NULL,
		               0 };
	int err;

	err = ask_offset(&inq, RD_KAFKA_OFFSET_END, ret_end);
	if (!err)
		log_kafka_seen(inq.client);
	log_kafka_producer_unref(inq.client);
	return err ? -EAGAIN : 0;
}
