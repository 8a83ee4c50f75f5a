/* kafka_peer: librdkafka alone, to compare writes on Kafka with.
 *
 *     kafka_peer delay BROKERS TOPIC SECONDS BYTES
 *             us from producing a record to having consumed it, one at a time:
 *             the 50th and the 99th percentile
 *     kafka_peer rate BROKERS TOPIC SECONDS BYTES WRITERS
 *             records/s: WRITERS writers, each with one record in flight, from
 *             produce to consume
 *
 * The records are like those of a plain change, with the same guarantees (idempotent,
 * acks=all), and with the settings that make librdkafka answer fastest: no linger, no
 * Nagle, and fetches that the broker holds until there is a record. The topic exists
 * and has one partition. One thread produces, and sleeps on the consumer's queue
 * until its record arrives: this is the minimum of work. */
#include "tests/bench/samples.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 20000
#define WARM_UP 200 /* records that are not counted */

struct peer {
	rd_kafka_t *producer, *consumer;
	rd_kafka_topic_t *to, *from;
	rd_kafka_queue_t *queue;
	char *value;
	size_t size;
	uint64_t next;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "kafka_peer: %s: %s\n", what, why);
	exit(1);
}

static rd_kafka_t *start_peer(rd_kafka_type_t type, const char *brokers)
{
	static const char *const settings[][2] = {
		{ "socket.nagle.disable", "true" },  { "linger.ms", "0" },
		{ "enable.idempotence", "true" },    { "acks", "all" },
		{ "enable.auto.commit", "false" },   { "auto.commit.enable", "false" },
		{ "fetch.wait.max.ms", "500" },      { "fetch.error.backoff.ms", "10" },
		{ "queued.min.messages", "100000" }, { "log_level", "3" },
	};
	char text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text)))
		die("BROKERS", text);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof(text)))
			die(settings[i][0], text);
	rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
	if (!rk)
		die("start", text);
	return rk;
}

static void produce_record(struct peer *peer)
{
	char key[24];
	int len = snprintf(key, sizeof(key), "key:%" PRIu64, peer->next % 100000);
	memcpy(peer->value, &peer->next, sizeof(peer->next));
	peer->next++;
	if (rd_kafka_produce(peer->to, 0, RD_KAFKA_MSG_F_COPY, peer->value, peer->size, key,
	                     (size_t)len, NULL))
		die("produce", rd_kafka_err2str(rd_kafka_last_error()));
}

/* Consume the next record, which must have this number. */
static void consume_record(struct peer *peer, uint64_t expected)
{
	rd_kafka_message_t *msg = rd_kafka_consume_queue(peer->queue, WAIT_MS);
	uint64_t number;
	if (!msg)
		die("consume", "no data");
	if (msg->err)
		die("consume", rd_kafka_message_errstr(msg));
	memcpy(&number, msg->payload, sizeof(number));
	if (msg->len != peer->size || number != expected)
		die("consume", "received another record");
	rd_kafka_message_destroy(msg);
}

static int time_each(struct peer *peer, double seconds)
{
	struct samples samples = { 0 };
	double begin = samples_now();
	for (uint64_t i = 0; i < WARM_UP || samples_now() - begin < seconds * 1e6; i++) {
		double t = samples_now();
		produce_record(peer);
		consume_record(peer, i);
		if (i >= WARM_UP)
			samples_add(&samples, samples_now() - t);
		else
			begin = samples_now();
	}
	return samples_print(&samples);
}

static int count_records(struct peer *peer, double seconds, uint64_t writers)
{
	uint64_t got = 0, counted = 0;
	double begin = samples_now(), end = begin;
	while (peer->next < writers)
		produce_record(peer);
	while (end - begin < seconds * 1e6) {
		consume_record(peer, got++);
		produce_record(peer);
		if (got == WARM_UP * writers / 10 + 1) {
			begin = samples_now();
			counted = got;
		}
		end = samples_now();
	}
	printf("%.9g\n", (double)(got - counted) / (end - begin) * 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	bool rates = argc == 7 && strcmp(argv[1], "rate") == 0;
	if (!rates && (argc != 6 || strcmp(argv[1], "delay") != 0)) {
		fprintf(stderr,
		        "usage: kafka_peer delay|rate BROKERS TOPIC SECONDS BYTES [WRITERS]\n");
		return 2;
	}
	double seconds = strtod(argv[4], NULL);
	struct peer peer = { .size = strtoul(argv[5], NULL, 10) };
	if (peer.size < sizeof(peer.next))
		die("BYTES", "a record must be long enough for its number");
	peer.value = calloc(1, peer.size);
	if (!peer.value)
		die("value", "out of memory");
	peer.producer = start_peer(RD_KAFKA_PRODUCER, argv[2]);
	peer.consumer = start_peer(RD_KAFKA_CONSUMER, argv[2]);
	peer.to = rd_kafka_topic_new(peer.producer, argv[3], NULL);
	peer.from = rd_kafka_topic_new(peer.consumer, argv[3], NULL);
	peer.queue = rd_kafka_queue_new(peer.consumer);

	/* Start at the end of the topic, wherever an earlier run stopped. */
	int64_t low, high;
	rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(peer.consumer, argv[3], 0, &low,
	                                                           &high, WAIT_MS);
	if (err || rd_kafka_consume_start_queue(peer.from, 0, high, peer.queue))
		die(argv[3], rd_kafka_err2str(err ? err : rd_kafka_last_error()));
	int r = rates ? count_records(&peer, seconds, strtoul(argv[6], NULL, 10)) :
	                time_each(&peer, seconds);

	rd_kafka_flush(peer.producer, WAIT_MS);
	rd_kafka_consume_stop(peer.from, 0);
	rd_kafka_queue_destroy(peer.queue);
	rd_kafka_topic_destroy(peer.from);
	rd_kafka_topic_destroy(peer.to);
	rd_kafka_destroy(peer.consumer);
	rd_kafka_destroy(peer.producer);
	free(peer.value);
	return r;
}
