/* Configuration of the Kafka log: its URL and the settings of librdkafka. */
#ifndef KEYDIR_LOG_CONF_H
#define KEYDIR_LOG_CONF_H

#include <stdbool.h>
#include <stddef.h>

struct log_kafka;
struct rd_kafka_conf_s;

/* The parts of a log's URL. */
struct log_kafka_url {
	char *brokers; /* "host:port,host:port" */
	char *topic;
};

/* Parse URL. Returns 0 with *RET (log_kafka_url_free()), -EINVAL with a sentence in WHY, or
 * -ENOMEM. */
int log_kafka_url_parse(const char *url, struct log_kafka_url *ret, char *why, size_t why_size);
void log_kafka_url_free(struct log_kafka_url *url);

/* Create the configuration of a producer or a consumer from LOG's settings. Returns 0 with *RET,
 * which the caller destroys or passes to rd_kafka_new(), or an error of log_kafka_url_parse(). */
int log_kafka_conf(const struct log_kafka *log, bool producer, struct rd_kafka_conf_s **ret,
                   char *why, size_t why_size);

#endif
