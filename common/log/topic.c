/* Topic: create the log's topic if it is missing, check it, and query its end.
 *
 * A topic is fit if it keeps every record, in one order, with the broker's clock as its time.
 * Anything else is refused, with the command that changes it. A finite retention and too few
 * replicas only cause a warning: they do no harm until records are lost, and opening the log checks
 * for that. Keydir changes only one setting of an existing topic: if the topic has exactly the
 * settings that Keydir creates topics with, its limit of one record is raised to this node's.
 *
 * All functions wait for brokers (log/inquiry.h). No lock is held while waiting. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/log/client.h"
#include "common/log/inquiry.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 512

/* Brokers with default settings accept records of this size (message.max.bytes, 1,048,588), and a
 * batch of librdkafka's (batch.size) fits into it. */
#define LEAST_RECORD 1048576
#define REPLICAS 3 /* replicas of a new topic, if there are enough brokers ... */
#define IN_SYNC 2  /* ... and how many have a record before a write is acknowledged */

/* What follows from a setting with another value. */
enum weight { REFUSE, FORGETS, WARN };

/* The relevant settings of a topic. NULL: the value is a number that depends on the node. */
static const struct {
	const char *name;
	const char *value;
	enum weight weight;
} wanted[] = {
	{ "cleanup.policy", "delete", REFUSE },
	{ "message.timestamp.type", "LogAppendTime", REFUSE },
	{ "unclean.leader.election.enable", "false", REFUSE },
	{ "retention.ms", "-1", FORGETS },
	{ "retention.bytes", "-1", FORGETS },
	{ "max.message.bytes", NULL, REFUSE },
	{ "min.insync.replicas", NULL, WARN },
};
#define NWANTED (sizeof(wanted) / sizeof(wanted[0]))
#define NFIXED 5 /* the settings with a fixed value */
enum { MAX_MESSAGE = NFIXED, MIN_INSYNC };

/* A comma-separated text under construction; it is cut at its maximum size. */
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

/* Query how many partitions and replicas the topic has, and how many brokers there are. 0
 * partitions: the topic does not exist. */
static int describe_topic(struct inquiry *inq)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	int refusal;

	for (;;) {
		err = rd_kafka_metadata(inq->client->rk, 0, inq->client->topic, &metadata,
		                        inquiry_slice_ms(inq));
		if (!err) {
			err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
			inq->npartitions = inq->nreplicas = 0;
			inq->nbrokers = metadata->broker_cnt;
			if (metadata->topic_cnt == 1)
				err = metadata->topics[0].err;
			if (!err) {
				inq->npartitions = metadata->topics[0].partition_cnt;
				if (inq->npartitions)
					inq->nreplicas =
					        metadata->topics[0].partitions[0].replica_cnt;
			}
			rd_kafka_metadata_destroy(metadata);
			if (!err || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
				return 0;
		}
		refusal = inquiry_retry(inq, err, "the description", NULL);
		if (refusal)
			return refusal;
	}
}

/* Return how many replicas a new topic gets on the existing brokers. */
static int wanted_replicas(const struct inquiry *inq)
{
	return inq->nbrokers < REPLICAS ? inq->nbrokers : REPLICAS;
}
static int wanted_in_sync(int nreplicas)
{
	return nreplicas < REPLICAS ? 1 : IN_SYNC;
}

/* Write the wanted value of setting I, for a topic with NREPLICAS, to TEXT. */
static void wanted_value(const struct inquiry *inq, size_t i, int nreplicas, char *text,
                         size_t size)
{
	if (wanted[i].value)
		snprintf(text, size, "%s", wanted[i].value);
	else if (i == MAX_MESSAGE)
		snprintf(text, size, "%" PRIu64, inq->log->max_record);
	else
		snprintf(text, size, "%d", wanted_in_sync(nreplicas));
}

/* Try once to create the topic. TEXT receives the broker's message. */
static rd_kafka_resp_err_t try_create(struct inquiry *inq, char *text, size_t size)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = inquiry_admin_options(inq,
	                                                         RD_KAFKA_ADMIN_OP_CREATETOPICS);
	const rd_kafka_topic_result_t **results;
	rd_kafka_NewTopic_t *topic;
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t err;
	char value[LOG_KAFKA_TEXT_MAX];
	size_t i, n;

	topic = rd_kafka_NewTopic_new(inq->log->url.topic, 1, wanted_replicas(inq), text, size);
	for (i = 0; i < NWANTED; i++) {
		wanted_value(inq, i, wanted_replicas(inq), value, sizeof(value));
		rd_kafka_NewTopic_set_config(topic, wanted[i].name, value);
	}
	rd_kafka_CreateTopics(inq->client->rk, &topic, 1, options, queue);
	err = inquiry_wait(inq, queue, &event);
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

/* Create the topic. It is no error if another node was faster. */
static int create_topic(struct inquiry *inq)
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
			return inquiry_fail(
			        inq, -EINVAL,
			        "the broker refused to create topic %s: %s. Create it with "
			        "Kafka's tools: kafka-topics.sh --bootstrap-server %s --create --topic %s "
			        "--partitions 1",
			        inq->log->url.topic, text, inq->log->url.brokers,
			        inq->log->url.topic);
		default:
			/* Retry also if there are fewer brokers than wanted replicas: more may come
			 * up. */
			log_kafka_note_error(inq->log, "%s", text);
			refusal = inquiry_retry(inq, err, "the creation", text);
			if (refusal)
				return refusal;
		}
	}
}

/* Return whether VALUE is fit for setting I. */
static bool setting_fits(const struct inquiry *inq, size_t i, const char *value)
{
	if (i == MAX_MESSAGE)
		return strtoull(value, NULL, 10) >= LEAST_RECORD;
	if (i == MIN_INSYNC)
		return strtol(value, NULL, 10) >= wanted_in_sync(inq->nreplicas) &&
		       strtol(value, NULL, 10) <= inq->nreplicas;
	/* An empty policy, in newer brokers, deletes nothing. */
	if (strcmp(wanted[i].name, "cleanup.policy") == 0 && !*value)
		return true;
	return strcmp(wanted[i].value, value) == 0;
}

/* Note one setting of the topic. Returns its index in `wanted`, or NWANTED. */
static size_t note_setting(struct inquiry *inq, const rd_kafka_ConfigEntry_t *entry, int *nours)
{
	const char *name = rd_kafka_ConfigEntry_name(entry);
	const char *now = rd_kafka_ConfigEntry_value(entry);
	bool own = rd_kafka_ConfigEntry_source(entry) ==
	           RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
	size_t i;

	for (i = 0; i < NWANTED && strcmp(wanted[i].name, name) != 0; i++)
		;
	if (i == MAX_MESSAGE && now)
		inq->max_record = strtoull(now, NULL, 10);
	if (i == MIN_INSYNC && now)
		inq->min_insync = strtoull(now, NULL, 10);
	if (i < NFIXED && own && now && strcmp(wanted[i].value, now) == 0)
		++*nours;
	else if (own && i != MAX_MESSAGE && i != MIN_INSYNC)
		inq->ours = false;
	return now ? i : NWANTED;
}

/* Compare the topic's settings with the wanted ones. Returns 0, with INQ->why empty or a warning,
 * or -EINVAL. */
static int compare_settings(struct inquiry *inq, const rd_kafka_ConfigEntry_t **entries, size_t n)
{
	struct list faults = { .len = 0 }, fixes = { .len = 0 };
	enum weight weight = WARN;
	char value[LOG_KAFKA_TEXT_MAX];
	const char *how = "is not fit: it has";
	int nours = 0;

	inq->ours = true;
	inq->forgets = false;
	for (size_t k = 0; k < n; k++) {
		size_t i = note_setting(inq, entries[k], &nours);
		const char *now = rd_kafka_ConfigEntry_value(entries[k]);

		if (i == NWANTED || setting_fits(inq, i, now))
			continue;
		if (wanted[i].weight < weight)
			weight = wanted[i].weight;
		inq->forgets = inq->forgets || wanted[i].weight == FORGETS;
		wanted_value(inq, i, inq->nreplicas, value, sizeof(value));
		list_add(&faults, "%s=%s", wanted[i].name, now);
		list_add(&fixes, "%s=%s", wanted[i].name, value);
	}
	inq->ours = inq->ours && nours == NFIXED;
	if (!faults.len)
		return 0;
	if (weight == FORGETS)
		how = "deletes records by";
	else if (weight == WARN)
		how = "can lose acknowledged writes, or refuse writes, by";
	inquiry_fail(
	        inq, 0,
	        "topic %s %s %s; change it with Kafka's tools: kafka-configs.sh --bootstrap-server %s "
	        "--alter --entity-type topics --entity-name %s --add-config %s",
	        inq->log->url.topic, how, faults.text, inq->log->url.brokers, inq->log->url.topic,
	        fixes.text);
	return weight == REFUSE ? -EINVAL : 0;
}

/* Raise the limit of one record of a topic that Keydir created. Returns whether the broker did it.
 * librdkafka 2.0 can only replace all settings of a topic, so this sets all that it has. */
static bool raise_limit(struct inquiry *inq)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = inquiry_admin_options(inq,
	                                                         RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
	const rd_kafka_ConfigResource_t **resources;
	rd_kafka_ConfigResource_t *topic;
	rd_kafka_event_t *event;
	char value[LOG_KAFKA_TEXT_MAX];
	bool done = false;
	size_t n;

	topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, inq->log->url.topic);
	for (size_t i = 0; i < NWANTED; i++) {
		wanted_value(inq, i, inq->nreplicas, value, sizeof(value));
		if (i == MIN_INSYNC)
			snprintf(value, sizeof(value), "%" PRIu64, inq->min_insync);
		rd_kafka_ConfigResource_set_config(topic, wanted[i].name, value);
	}
	rd_kafka_AlterConfigs(inq->client->rk, &topic, 1, options, queue);
	inquiry_wait(inq, queue, &event);
	if (event) {
		resources = rd_kafka_AlterConfigs_result_resources(
		        rd_kafka_event_AlterConfigs_result(event), &n);
		done = n && !rd_kafka_ConfigResource_error(resources[0]);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_ConfigResource_destroy(topic);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return done;
}

/* Raise the topic's limit to this node's records if Keydir created it. */
static void raise_limit_if_ours(struct inquiry *inq)
{
	const char *name = inq->log->url.topic;

	if (inq->max_record >= inq->log->max_record)
		return;
	if (inq->ours && raise_limit(inq)) {
		logger(LOGGER_INFO, "topic %s now takes larger values max.message.bytes=%" PRIu64,
		       name, inq->log->max_record);
		inq->max_record = inq->log->max_record;
	}
}

/* Return the largest value of a topic that accepts records of MAX_RECORD bytes. Small records need
 * less space for their other parts. */
static uint64_t largest_value(uint64_t max_record)
{
	uint64_t room = max_record / 8 < LOG_RECORD_ROOM ? max_record / 8 : LOG_RECORD_ROOM;

	return max_record - room;
}

/* Try once to read and compare the topic's settings. *RET is valid only without an error of
 * Kafka's. */
static rd_kafka_resp_err_t try_settings(struct inquiry *inq, int *ret)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = inquiry_admin_options(inq,
	                                                         RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_ConfigResource_t *topic;
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	rd_kafka_event_t *event;
	rd_kafka_resp_err_t err;
	size_t n;

	topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, inq->log->url.topic);
	rd_kafka_DescribeConfigs(inq->client->rk, &topic, 1, options, queue);
	err = inquiry_wait(inq, queue, &event);
	if (event) {
		resources = rd_kafka_DescribeConfigs_result_resources(
		        rd_kafka_event_DescribeConfigs_result(event), &n);
		err = n ? rd_kafka_ConfigResource_error(resources[0]) :
		          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		if (!err) {
			entries = rd_kafka_ConfigResource_configs(resources[0], &n);
			*ret = compare_settings(inq, entries, n);
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
		refusal = inquiry_retry(inq, err, "the settings", NULL);
		if (refusal)
			return refusal;
	}
}

/* Query the leader for one offset: RD_KAFKA_OFFSET_BEGINNING or _END, or the first one with a
 * timestamp of at least WHICH (UINT64_MAX if there is none). This uses the look-up by time, of
 * which those two are special times, because librdkafka 2.0's rd_kafka_query_watermark_offsets()
 * waits forever for a broker that is down, whatever its timeout (issue 2588, fixed in 2.3). */
static int query_offset(struct inquiry *inq, int64_t which, uint64_t *ret)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;
	int64_t offset;
	int refusal;

	for (;;) {
		list = rd_kafka_topic_partition_list_new(1);
		rd_kafka_topic_partition_list_add(list, inq->log->url.topic, 0)->offset = which;
		err = rd_kafka_offsets_for_times(inq->client->rk, list, inquiry_slice_ms(inq));
		if (!err)
			err = list->elems[0].err;
		offset = list->elems[0].offset;
		rd_kafka_topic_partition_list_destroy(list);
		if (!err && (offset >= 0 || which >= 0))
			break;
		refusal = inquiry_retry(inq, err ? err : RD_KAFKA_RESP_ERR__TIMED_OUT, "the end",
		                        NULL);
		if (refusal)
			return refusal;
	}
	*ret = (uint64_t)offset;
	return 0;
}

/* Query the leader for the first offset and the end. */
static int query_ends(struct inquiry *inq, uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t first;
	int r;

	r = query_offset(inq, RD_KAFKA_OFFSET_BEGINNING, &first);
	if (!r)
		r = query_offset(inq, RD_KAFKA_OFFSET_END, ret_end);
	if (!r)
		*ret_first = first;
	return r;
}

static int check_topic(struct inquiry *inq, bool make, struct log_kafka_topic *ret)
{
	int r = describe_topic(inq);

	if (r)
		return r;
	if (!inq->npartitions && !make)
		return inquiry_fail(inq, -ENOENT, "there is no topic %s", inq->log->url.topic);
	if (!inq->npartitions) {
		r = create_topic(inq);
		if (r)
			return r;
		inq->nreplicas = wanted_replicas(inq);
	} else if (inq->npartitions != 1) {
		return inquiry_fail(
		        inq, -EINVAL,
		        "topic %s has %d partitions, which have no common order, "
		        "and partitions cannot be removed; give the name of a topic with "
		        "one, or of a new topic, which is then created",
		        inq->log->url.topic, inq->npartitions);
	}
	r = check_settings(inq);
	if (r)
		return r;
	raise_limit_if_ours(inq);
	if (inq->why && !*inq->why && inq->nreplicas < wanted_replicas(inq))
		inquiry_fail(
		        inq, 0,
		        "topic %s has %d replica(s) on %d brokers: the loss of a broker's disk can lose "
		        "it; give it %d with Kafka's tools: kafka-reassign-partitions.sh",
		        inq->log->url.topic, inq->nreplicas, inq->nbrokers, wanted_replicas(inq));
	r = query_ends(inq, &ret->first, &ret->end);
	if (r)
		return r;
	ret->forgets = inq->forgets;
	ret->max_value = largest_value(inq->max_record);
	if (ret->max_value > inq->log->max_value)
		ret->max_value = inq->log->max_value;
	return 0;
}

int log_kafka_check(struct log_kafka *log, int64_t timeout_ms, bool make,
                    struct log_kafka_topic *ret, char *why, size_t why_size)
{
	struct inquiry inq = { .log = log,
		               .client = log_kafka_producer_ref(log),
		               .until_ms = clock_mono_ms() + timeout_ms,
		               .why = why,
		               .why_size = why_size };
	struct log_kafka_topic found;
	int r;

	if (why && why_size)
		*why = '\0';
	r = check_topic(&inq, make, &found);
	if (!r) {
		log_kafka_note_answer(inq.client);
		*ret = found;
	}
	log_kafka_producer_unref(inq.client);
	return r;
}

int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end)
{
	struct inquiry inq = { .log = log,
		               .client = log_kafka_producer_ref(log),
		               .until_ms = clock_mono_ms() + timeout_ms };
	int r;

	r = query_offset(&inq, RD_KAFKA_OFFSET_END, ret_end);
	if (!r)
		log_kafka_note_answer(inq.client);
	log_kafka_producer_unref(inq.client);
	return r ? -EAGAIN : 0;
}

int log_kafka_audit(struct log_kafka *log, const struct log_identity *id, int64_t timeout_ms)
{
	struct inquiry inq = { .log = log,
		               .client = log_kafka_producer_ref(log),
		               .until_ms = clock_mono_ms() + timeout_ms };
	uint64_t newer = UINT64_MAX;
	int r = query_offset(&inq, id->time_ms + 1, &newer);

	log_kafka_producer_unref(inq.client);
	if (r)
		return -EAGAIN;
	return newer <= id->offset ? -ESTALE : 0;
}
