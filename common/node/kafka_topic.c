/* Checks of the Kafka topic that a node follows.
 *
 * A log that cannot be used (an unfit topic, another volume) stops applying and makes the node not
 * ready. The consumer's thread repeats the check until the log can be used, so that repairing the
 * log is enough. The topic's settings can change while the node runs, so the log-end poller repeats
 * the check from time to time.
 *
 * Lock: kafka.lock guards the last warning; it is not held across a call of the log. */
#include "common/node/kafka_topic.h"

#include "common/base/logger.h"
#include "common/node/internal.h"
#include "common/node/kafka_log.h"
#include "common/node/volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void kafka_topic_raise_end(struct kafka *k, uint64_t end)
{
	uint64_t old = atomic_load(&k->end);
	while (old < end && !atomic_compare_exchange_weak(&k->end, &old, end))
		;
	uint64_t unknown = UINT64_MAX;
	atomic_compare_exchange_strong(&k->target, &unknown, end);
}

/* Log a warning about the topic, once for each that differs from the last. */
static void warn_once(struct kafka *k, const char *what)
{
	pthread_mutex_lock(&k->lock);
	bool is_new = what[0] && strcmp(k->warned, what) != 0;
	snprintf(k->warned, sizeof(k->warned), "%s", what);
	pthread_mutex_unlock(&k->lock);
	if (is_new)
		logger(LOGGER_WARN, "%s", what);
}

/* Accept values as large as the topic takes. */
static void set_value_limit(struct node *node, uint64_t max_value)
{
	uint64_t before = atomic_exchange(&node->max_value, max_value);
	if (max_value < before)
		logger(LOGGER_WARN,
		       "values are limited to %llu bytes, less than --max-value %llu: topic %s takes no "
		       "larger records (max.message.bytes)",
		       (unsigned long long)max_value, (unsigned long long)node->config.max_value,
		       strrchr(node->config.log, '/') + 1);
	else if (max_value > before)
		logger(LOGGER_INFO, "values of up to %llu bytes are accepted now",
		       (unsigned long long)max_value);
}

int kafka_topic_recheck(struct kafka *k, int64_t timeout_ms)
{
	struct log_kafka_topic topic;
	char why[NODE_WHY_MAX];
	int r = log_kafka_check(k->log, timeout_ms, false, &topic, why, sizeof(why));
	if (r == 0)
		set_value_limit(k->node, topic.max_value);
	if (!atomic_load(&k->applies))
		return 0;
	if (r == 0)
		warn_once(k, why);
	return r == -EAGAIN ? 0 : r;
}

int kafka_topic_check(struct kafka *k, const struct log_identity *sure, int64_t timeout_ms,
                      uint64_t *ret_first, uint64_t *ret_next, char *why, size_t why_size)
{
	struct log_kafka_topic topic;
	struct log_identities applied;
	struct store_meta meta;
	uint64_t same;
	/* Load this before asking for the log's end: another process of the node may apply later
	 * records in the meantime. */
	int known = volume_load(k->node->store, &meta, &applied);
	if (known < 0)
		return known;
	/* A topic that disappeared after the store had applied records must not be replaced by an
	 * empty one. */
	int r = log_kafka_check(k->log, timeout_ms, !meta.started, &topic, why, why_size);
	if (r == -ENOENT) {
		snprintf(why, why_size,
		         "there is no topic %.250s, but the store %.60s has applied %llu of its "
		         "records: restore the topic, or use another --store for a new topic",
		         strrchr(k->node->config.log, '/') + 1, store_dir(k->node->store),
		         (unsigned long long)meta.applied + 1);
		return -EINVAL;
	}
	if (r < 0)
		return r;
	set_value_limit(k->node, topic.max_value);
	/* A node with data need not join; if its next records are gone, volume_check()
	 * detects it. */
	if (topic.forgets && !meta.started && !k->node->config.peers) {
		size_t len = strlen(why);
		snprintf(why + len, why_size - len,
		         ". A new node could not join after records are deleted; if you want this "
		         "retention, use --peers to name nodes that provide a snapshot");
		return -EINVAL;
	}
	warn_once(k, why);
	if (known && sure)
		applied.sure = *sure;
	r = volume_check(k->log, &meta, known ? &applied : NULL, topic.first, topic.end, &same);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		volume_explain(k->node, r, &meta, &topic, same, why, why_size);
		return -EINVAL;
	}
	kafka_topic_raise_end(k, topic.end);
	*ret_first = topic.first;
	*ret_next = meta.started ? meta.applied + 1 : 0;
	return 0;
}
