/* The Kafka log's topic: made if missing, checked, and where it ends.
 *
 * A topic is fit if it keeps every record, in one order, and with the broker's
 * clock as its time. Whatever is not so is refused with the command that changes it.
 * A finite retention and few replicas make a warning: they hurt nobody until
 * records are gone, and whoever opens the log checks that.
 * Of an existing topic we change one thing: if it has the settings that we make
 * topics with, and no others, its limit of one record is raised to ours.
 *
 * All of this asks brokers and waits for the answer, in slices, so that a
 * failed authentication, which librdkafka tells elsewhere, ends the wait at
 * once. Uses the producer's instance, whose connection no fetch blocks. No
 * lock is held while waiting. */
#include "common/log/internal.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/log/client.h"

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

/* A record smaller than this is refused by no broker with default settings
 * (message.max.bytes, 1,048,588), and a batch of librdkafka's (batch.size) fits. */
#define LEAST_RECORD 1048576
#define REPLICAS 3 /* of a topic that we make, if there are as many brokers ... */
#define IN_SYNC 2  /* ... and how many have a record before a write is answered */

/* What a setting that differs means. */
enum weight { REFUSE, FORGETS, WARN };

/* The settings of a topic that matter. NULL stands for a number of ours. */
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
#define NFIXED 5 /* those with a value */
enum { MAX_MESSAGE = NFIXED, MIN_INSYNC };

/* One question to the brokers, or a row of them. */
struct inquiry {
	struct log_kafka *log;
	struct log_kafka_client *client;
	int64_t until_ms;
	char *why;
	size_t why_size;
	/* What was learnt. */
	int npartitions, nbrokers, nreplicas;
	uint64_t max_record; /* the topic's limit */
	uint64_t min_insync;
	bool forgets;
	bool ours; /* it has our settings, and no others */
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

/* Ask how many partitions and replicas the topic has, and how many brokers there are;
 * no partitions: there is no such topic. */
static int describe(struct inquiry *inq)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	int refusal;

	for (;;) {
		err = rd_kafka_metadata(inq->client->rk, 0, inq->client->topic, &metadata,
		                        slice_ms(inq));
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
		log_kafka_note_error(inq->log, "%s", rd_kafka_event_error_string(*ret));
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

/* How many replicas a topic of ours has on these brokers, and how many of a topic with
 * so many must have a record before it counts. */
static int wanted_replicas(const struct inquiry *inq)
{
	return inq->nbrokers < REPLICAS ? inq->nbrokers : REPLICAS;
}
static int wanted_in_sync(int nreplicas)
{
	return nreplicas < REPLICAS ? 1 : IN_SYNC;
}

/* Writes what setting I of a topic with NREPLICAS should be. */
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

	topic = rd_kafka_NewTopic_new(inq->log->url.topic, 1, wanted_replicas(inq), text, size);
	for (i = 0; i < NWANTED; i++) {
		wanted_value(inq, i, wanted_replicas(inq), value, sizeof(value));
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
			return fail(
			        inq, -EINVAL,
			        "the broker would not make topic %s: %s. Make it with "
			        "Kafka's tools: kafka-topics.sh --bootstrap-server %s --create --topic %s "
			        "--partitions 1",
			        inq->log->url.topic, text, inq->log->url.brokers,
			        inq->log->url.topic);
		default:
			/* Fewer brokers than replicas wanted passes when they come up. */
			log_kafka_note_error(inq->log, "%s", text);
			refusal = judge(inq, err, "the creation", text);
			if (refusal)
				return refusal;
		}
	}
}

/* True if VALUE is fit for setting I. */
static bool fits(const struct inquiry *inq, size_t i, const char *value)
{
	if (i == MAX_MESSAGE)
		return strtoull(value, NULL, 10) >= LEAST_RECORD;
	if (i == MIN_INSYNC)
		return strtol(value, NULL, 10) >= wanted_in_sync(inq->nreplicas) &&
		       strtol(value, NULL, 10) <= inq->nreplicas;
	/* An empty policy, of newer brokers, removes nothing at all. */
	if (!strcmp(wanted[i].name, "cleanup.policy") && !*value)
		return true;
	return !strcmp(wanted[i].value, value);
}

/* Look at one setting of the topic; return its number in `wanted`, or NWANTED. */
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
	if (i < NFIXED && own && now && !strcmp(wanted[i].value, now))
		++*nours;
	else if (own && i != MAX_MESSAGE && i != MIN_INSYNC)
		inq->ours = false;
	return now ? i : NWANTED;
}

/* Compares the topic's settings with what is wanted. */
static int judge_settings(struct inquiry *inq, const rd_kafka_ConfigEntry_t **entries, size_t n)
{
	struct list faults = { .len = 0 }, fixes = { .len = 0 };
	enum weight weight = WARN;
	char value[LOG_KAFKA_TEXT_MAX];
	const char *how = "is not fit, it has";
	int nours = 0;

	inq->ours = true;
	inq->forgets = false;
	for (size_t k = 0; k < n; k++) {
		size_t i = note_setting(inq, entries[k], &nours);
		const char *now = rd_kafka_ConfigEntry_value(entries[k]);

		if (i == NWANTED || fits(inq, i, now))
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
		how = "forgets by";
	else if (weight == WARN)
		how = "can lose what was acknowledged, or refuse writes, by";
	fail(inq, 0,
	     "topic %s %s %s; change it with Kafka's tools: kafka-configs.sh --bootstrap-server %s "
	     "--alter --entity-type topics --entity-name %s --add-config %s",
	     inq->log->url.topic, how, faults.text, inq->log->url.brokers, inq->log->url.topic,
	     fixes.text);
	return weight == REFUSE ? -EINVAL : 0;
}

/* Raise the limit of one record of a topic that we made. Returns whether the broker did
 * it. librdkafka 2.0 can only replace all settings of a topic, and these are all. */
static bool raise_limit(struct inquiry *inq)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(inq->client->rk);
	rd_kafka_AdminOptions_t *options = admin_options(inq, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
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
	wait_event(inq, queue, &event);
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

/* Make the topic take our records, if it is ours. */
static void judge_limit(struct inquiry *inq)
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

/* The largest value of a topic that takes records of MAX_RECORD bytes. Little ones need
 * little room beside it. */
static uint64_t largest_value(uint64_t max_record)
{
	uint64_t room = max_record / 8 < LOG_RECORD_ROOM ? max_record / 8 : LOG_RECORD_ROOM;

	return max_record - room;
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

/* Asks the leader for one offset: RD_KAFKA_OFFSET_BEGINNING or _END, or the first one
 * with a timestamp of at least WHICH (none: UINT64_MAX). It goes
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
		if (!err && (offset >= 0 || which >= 0))
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

static int check(struct inquiry *inq, bool make, struct log_kafka_topic *ret)
{
	int err = describe(inq);

	if (err)
		return err;
	if (!inq->npartitions && !make)
		return fail(inq, -ENOENT, "there is no topic %s", inq->log->url.topic);
	if (!inq->npartitions) {
		err = create(inq);
		if (err)
			return err;
		inq->nreplicas = wanted_replicas(inq);
	} else if (inq->npartitions != 1) {
		return fail(inq, -EINVAL,
		            "topic %s has %d partitions, which have no order among each other, "
		            "and partitions cannot be taken away; give the name of a topic with "
		            "one, or of none that exists: it is made",
		            inq->log->url.topic, inq->npartitions);
	}
	err = check_settings(inq);
	if (err)
		return err;
	judge_limit(inq);
	if (inq->why && !*inq->why && inq->nreplicas < wanted_replicas(inq))
		fail(inq, 0,
		     "topic %s has %d replica(s) on %d brokers: the loss of a broker's disk can lose "
		     "it; give it %d with Kafka's tools: kafka-reassign-partitions.sh",
		     inq->log->url.topic, inq->nreplicas, inq->nbrokers, wanted_replicas(inq));
	err = ask_ends(inq, &ret->first, &ret->end);
	if (err)
		return err;
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
	int err;

	if (why && why_size)
		*why = '\0';
	err = check(&inq, make, &found);
	if (!err) {
		log_kafka_note_answer(inq.client);
		*ret = found;
	}
	log_kafka_producer_unref(inq.client);
	return err;
}

int log_kafka_end(struct log_kafka *log, int64_t timeout_ms, uint64_t *ret_end)
{
	struct inquiry inq = { .log = log,
		               .client = log_kafka_producer_ref(log),
		               .until_ms = clock_mono_ms() + timeout_ms };
	int err;

	err = ask_offset(&inq, RD_KAFKA_OFFSET_END, ret_end);
	if (!err)
		log_kafka_note_answer(inq.client);
	log_kafka_producer_unref(inq.client);
	return err ? -EAGAIN : 0;
}

int log_kafka_audit(struct log_kafka *log, const struct log_identity *id, int64_t timeout_ms)
{
	struct inquiry inq = { .log = log,
		               .client = log_kafka_producer_ref(log),
		               .until_ms = clock_mono_ms() + timeout_ms };
	uint64_t newer = UINT64_MAX;
	int err = ask_offset(&inq, id->time_ms + 1, &newer);

	log_kafka_producer_unref(inq.client);
	if (err)
		return -EAGAIN;
	return newer <= id->offset ? -ESTALE : 0;
}
