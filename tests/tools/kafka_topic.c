/* kafka_topic: create, delete and truncate topics, for tests of unsuitable topics.
 *
 *     kafka_topic BROKER create TOPIC PARTITIONS [NAME=VALUE...]
 *     kafka_topic BROKER delete TOPIC
 *     kafka_topic BROKER set TOPIC NAME=VALUE...    all others get their defaults
 *     kafka_topic BROKER cut TOPIC OFFSET     delete the records before OFFSET, as a
 *                                             retention limit does
 *
 * The broker's own tools do the same, but Java takes a second to start. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 10000

static int usage(void)
{
	fputs("usage: kafka_topic BROKER create TOPIC PARTITIONS [NAME=VALUE...]\n"
	      "       kafka_topic BROKER delete TOPIC\n"
	      "       kafka_topic BROKER set TOPIC NAME=VALUE...\n"
	      "       kafka_topic BROKER cut TOPIC OFFSET\n",
	      stderr);
	return 2;
}

static int print_error(const char *what, rd_kafka_resp_err_t err, const char *text)
{
	fprintf(stderr, "kafka_topic: %s: %s\n", what,
	        text && *text ? text : rd_kafka_err2str(err));
	return 1;
}

/* Wait for the result and print an error. Return 0 on success. */
static int await_result(rd_kafka_queue_t *queue, const char *what)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	const rd_kafka_topic_result_t **topics = NULL;
	const rd_kafka_topic_partition_list_t *parts;
	const rd_kafka_ConfigResource_t **resources;
	size_t n = 0, nresources;
	int r = 0;
	if (!event)
		return print_error(what, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL);
	if (rd_kafka_event_error(event)) {
		r = print_error(what, rd_kafka_event_error(event),
		                rd_kafka_event_error_string(event));
		goto out;
	}
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_CREATETOPICS_RESULT:
		topics = rd_kafka_CreateTopics_result_topics(
		        rd_kafka_event_CreateTopics_result(event), &n);
		break;
	case RD_KAFKA_EVENT_DELETETOPICS_RESULT:
		topics = rd_kafka_DeleteTopics_result_topics(
		        rd_kafka_event_DeleteTopics_result(event), &n);
		break;
	case RD_KAFKA_EVENT_ALTERCONFIGS_RESULT:
		resources = rd_kafka_AlterConfigs_result_resources(
		        rd_kafka_event_AlterConfigs_result(event), &nresources);
		for (size_t i = 0; i < nresources; i++)
			if (rd_kafka_ConfigResource_error(resources[i]))
				r = print_error(what, rd_kafka_ConfigResource_error(resources[i]),
				                rd_kafka_ConfigResource_error_string(resources[i]));
		break;
	case RD_KAFKA_EVENT_DELETERECORDS_RESULT:
		parts = rd_kafka_DeleteRecords_result_offsets(
		        rd_kafka_event_DeleteRecords_result(event));
		for (int i = 0; i < parts->cnt; i++)
			if (parts->elems[i].err)
				r = print_error(what, parts->elems[i].err, NULL);
		break;
	default:
		r = print_error(what, RD_KAFKA_RESP_ERR__FAIL, NULL);
	}
	for (size_t i = 0; i < n; i++)
		if (rd_kafka_topic_result_error(topics[i]))
			r = print_error(what, rd_kafka_topic_result_error(topics[i]),
			                rd_kafka_topic_result_error_string(topics[i]));
out:
	rd_kafka_event_destroy(event);
	return r;
}

static int create_topic(rd_kafka_t *rk, rd_kafka_queue_t *queue, int argc, char **argv)
{
	char text[256] = "", *end;
	long partitions = strtol(argv[1], &end, 10);
	int r;
	if (*end || partitions < 1 || partitions > 1000)
		return usage();
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(argv[0], (int)partitions, 1, text,
	                                                   sizeof(text));
	if (!topic)
		return print_error("create", RD_KAFKA_RESP_ERR__INVALID_ARG, text);
	for (int i = 2; i < argc; i++) {
		char *eq = strchr(argv[i], '=');
		if (!eq) {
			rd_kafka_NewTopic_destroy(topic);
			return usage();
		}
		*eq = '\0';
		rd_kafka_NewTopic_set_config(topic, argv[i], eq + 1);
	}
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	r = await_result(queue, "create");
	rd_kafka_NewTopic_destroy(topic);
	return r;
}

static int remove_topic(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *name)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
	rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	int r = await_result(queue, "delete");
	rd_kafka_DeleteTopic_destroy(topic);
	return r;
}

/* Give the topic these settings and no others. */
static int set_configs(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *name, int argc,
                       char **argv)
{
	rd_kafka_ConfigResource_t *topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
	                                                               name);
	int r = 0;
	for (int i = 0; i < argc && r == 0; i++) {
		char *eq = strchr(argv[i], '=');
		if (!eq) {
			r = usage();
			break;
		}
		*eq = '\0';
		rd_kafka_ConfigResource_set_config(topic, argv[i], eq + 1);
	}
	if (r == 0) {
		rd_kafka_AlterConfigs(rk, &topic, 1, NULL, queue);
		r = await_result(queue, "set");
	}
	rd_kafka_ConfigResource_destroy(topic);
	return r;
}

static int delete_records(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *name,
                          const char *offset)
{
	char *end;
	long long first = strtoll(offset, &end, 10);
	if (*end || first < 0)
		return usage();
	rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(parts, name, 0)->offset = first;
	rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(parts);
	rd_kafka_DeleteRecords(rk, &records, 1, NULL, queue);
	int r = await_result(queue, "cut");
	rd_kafka_DeleteRecords_destroy(records);
	rd_kafka_topic_partition_list_destroy(parts);
	return r;
}

int main(int argc, char **argv)
{
	char text[256] = "";
	if (argc < 4)
		return usage();
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], text, sizeof(text)))
		return print_error("BROKER", RD_KAFKA_RESP_ERR__INVALID_ARG, text);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (!rk)
		return print_error("start", RD_KAFKA_RESP_ERR__FAIL, text);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	int r = 2;
	if (strcmp(argv[2], "create") == 0 && argc >= 5)
		r = create_topic(rk, queue, argc - 3, argv + 3);
	else if (strcmp(argv[2], "delete") == 0 && argc == 4)
		r = remove_topic(rk, queue, argv[3]);
	else if (strcmp(argv[2], "set") == 0 && argc >= 5)
		r = set_configs(rk, queue, argv[3], argc - 4, argv + 4);
	else if (strcmp(argv[2], "cut") == 0 && argc == 5)
		r = delete_records(rk, queue, argv[3], argv[4]);
	else
		usage();
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
	return r;
}
