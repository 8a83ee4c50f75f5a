/* Whether a store and a Kafka log belong together.
 *
 * A store knows the volume that it came from and where in the log that was said;
 * the record there must say the same. It knows how far it has applied; the log
 * must still have what comes next. Asked of a node's own store each time that it
 * is about to follow the log, and of a snapshot before it becomes one: a store
 * that was put in place and does not fit would need somebody to remove it.
 *
 * No state. */
#include "node_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GET_MS 5000
#define CHECK_MS 3000 /* a start waits so long for a broker */

/* Whether LOG has the format event that META came from. 0, -EAGAIN or -EXDEV. */
static int check_name(struct log_kafka *log, const struct store_meta *meta)
{
	struct event *ev;
	int r = log_kafka_get(log, meta->volume_offset, GET_MS, &ev);
	if (r == -EAGAIN)
		return r;
	bool same = r == 0 && ev->op == EVENT_FORMAT && ev->name.len == strlen(meta->volume) &&
	            memcmp(ev->name.data, meta->volume, ev->name.len) == 0;
	if (r == 0)
		event_free(ev);
	return same ? 0 : -EXDEV;
}

int volume_check(struct log_kafka *log, const struct store_meta *meta, uint64_t first, uint64_t end)
{
	uint64_t from = meta->started ? meta->applied + 1 : 0;
	if (strncmp(meta->volume, "local-", 6) == 0)
		return -ENOTSUP;
	if (from > end)
		return -EOVERFLOW;
	if (from < first)
		return -ENODATA;
	if (!meta->volume[0] || meta->volume_offset < first)
		return 0;
	return check_name(log, meta);
}

struct log_kafka_config volume_log_config(const struct node_config *config)
{
	return (struct log_kafka_config){ .url = config->log,
		                          .settings = config->log_settings,
		                          .nsettings = config->nlog_settings,
		                          .max_value = config->max_value,
		                          .write_timeout_ms = config->write_timeout_ms };
}

static const char *misfit(int err)
{
	switch (err) {
	case -ENOTSUP:
		return "it has an embedded log, and this node follows a topic";
	case -EOVERFLOW:
		return "it is ahead of this topic, so it is of another one";
	case -ENODATA:
		return "it is too old: the topic no longer has what comes next";
	default:
		return "it belongs to another volume than this topic";
	}
}

int volume_fits(void *arg, const struct store_meta *meta, char *why, size_t why_size)
{
	struct log_kafka_config config = volume_log_config(arg);
	struct log_kafka *log;
	uint64_t first, end;
	char ignored[256];
	int r = log_kafka_open(&config, &log, why, why_size);
	if (r < 0)
		return r;
	/* An unfit topic is the node's to tell, which looks at it next. */
	if (log_kafka_check(log, CHECK_MS, &first, &end, ignored, sizeof ignored) == 0) {
		r = volume_check(log, meta, first, end);
		if (r == -EAGAIN)
			r = 0;
		if (r < 0)
			snprintf(why, why_size, "%s", misfit(r));
	}
	log_kafka_close(log, 0);
	return r;
}
