/* Checks of the Kafka topic that a node follows.
 *
 * A log that cannot be used (an unfit topic, another volume) stops the applying and makes
 * the node not ready; the consumer's thread checks again until it can be used, so that
 * repairing the log is enough. The topic's settings can change while the node runs: the
 * log-end poller has them checked again from time to time.
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
static void warn(struct kafka *k, const char *what)
{
	pthread_mutex_lock(&k->lock);
	bool news = what[0] && strcmp(k->warned, what) != 0;
	snprintf(k->warned, sizeof(k->warned), "%s", what);
	pthread_mutex_unlock(&k->lock);
	if (news)
		logger(LOGGER_WARN, "%s", what);
}

/* Accept values as large as the topic takes. */
static void set_limit(struct node *node, uint64_t max_value)
{
	uint64_t before = atomic_exchange(&node->max_value, max_value);
	if (max_value < before)
		logger(LOGGER_WARN,
		       "values are limited to %llu bytes, less than --max-value %llu: topic %s takes no "
		       "larger records (max.message.bytes)",
		       (unsigned long long)max_value, (unsigned long long)node->config.max_value,
		       strrchr(node->config.log, '/') + 1);
	else if (max_value > before)
		logger(LOGGER_INFO, "values may have %llu bytes now",
		       (unsigned long long)max_value);
}

int kafka_topic_recheck(struct kafka *k, int64_t timeout_ms)
{
	struct log_kafka_topic topic;
	char why[NODE_WHY_MAX];
	int r = log_kafka_check(k->log, timeout_ms, false, &topic, why, sizeof(why));
	if (r == 0)
		set_limit(k->node, topic.max_value);
	if (!atomic_load(&k->applies))
		return 0;
	if (r == 0)
		warn(k, why);
	return r == -EAGAIN ? 0 : r;
}

int kafka_topic_check(struct kafka *k, const struct log_identity *sure, int64_t timeout_ms,
                      uint64_t *ret_first, uint64_t *ret_next, char *why, size_t why_size)
{
	struct log_kafka_topic topic;
	struct log_identities applied;
	struct store_meta meta;
	uint64_t same;
	/* Before the log is asked for its end: another process of the node may
	 * apply what comes behind that. */
	int known = volume_load(k->node->store, &meta, &applied);
	if (known < 0)
		return known;
	/* A topic that vanished under a store must not come back empty. */
	int r = log_kafka_check(k->log, timeout_ms, !meta.started, &topic, why, why_size);
	if (r == -ENOENT) {
		snprintf(why, why_size,
		         "there is no topic %.250s, of which the store %.60s has applied %llu "
		         "records: bring it back, or use another --store for a new one",
		         strrchr(k->node->config.log, '/') + 1, store_dir(k->node->store),
		         (unsigned long long)meta.applied + 1);
		return -EINVAL;
	}
	if (r < 0)
		return r;
	set_limit(k->node, topic.max_value);
	/* Whoever has data needs no join; that they were cut is noticed below. */
	if (topic.forgets && !meta.started && !k->node->config.peers) {
		size_t len = strlen(why);
		snprintf(
		        why + len, why_size - len,
		        ". A new node could not join once records are gone; if that is meant, name "
		        "nodes to take a snapshot from with --peers");
		return -EINVAL;
	}
	warn(k, why);
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
