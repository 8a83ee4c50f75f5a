/* Volume: whether a store and a Kafka log belong together.
 *
 * A store knows three things about its log, and each must agree with the log: the name of its
 * volume and the offset of the record that set it; the offset up to which it has applied, from
 * which on the log must still have its records; and the newest record that it applied, which the
 * log must have at its offset (log/identity.h). A node checks its own store each time before it
 * follows the log. It checks a snapshot before it is installed as the store, because an operator
 * would have to remove a store that does not fit.
 *
 * A store that differs from its log is left unchanged: it may hold the only copy of records that
 * the log has lost, and another process of the node may have it open. If the log gets its records
 * back, the node continues by itself.
 *
 * No state. */
#include "common/node/volume.h"

#include "common/base/random.h"
#include "common/node/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GET_MS 5000
#define CHECK_MS 3000 /* how long a start waits for a broker */

/* Check that LOG has the format event from which META took the volume. Returns 0, -EAGAIN or
 * -EXDEV. */
static int check_volume_name(struct log_kafka *log, const struct store_meta *meta)
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

/* Find the last record that LOG and the store have in common. *RET_SAME is the newest known offset
 * with the same record in both, or UINT64_MAX if none is known. Returns 0 or -EAGAIN. */
static int find_last_common(struct log_kafka *log, const struct log_identities *applied,
                            uint64_t first, uint64_t *ret_same)
{
	int same = LOG_IDENTITY_LEVELS, differs = 0;
	while (same - differs > 1) {
		int level = (same + differs) / 2;
		const struct log_identity *was = &applied->at[level];
		struct log_identity is;
		/* A record after the `sure` one may have come from the new log. */
		if (was->offset > applied->sure.offset) {
			differs = level;
			continue;
		}
		if (was->offset < first) { /* no longer in the log: unknown */
			same = level;
			continue;
		}
		int r = log_kafka_identify(log, was->offset, GET_MS, &is);
		if (r == -EAGAIN)
			return r;
		if (r == 0 && log_identity_equal(&is, was))
			same = level;
		else
			differs = level;
	}
	*ret_same = same < LOG_IDENTITY_LEVELS && applied->at[same].offset >= first ?
	                    applied->at[same].offset :
	                    UINT64_MAX;
	return 0;
}

/* Check whether LOG still has the record ID. Returns 0, -EAGAIN or -ESTALE. */
static int check_record(struct log_kafka *log, const struct log_identity *id)
{
	struct log_identity is;
	int r = log_kafka_identify(log, id->offset, GET_MS, &is);
	if (r == -EAGAIN || r == -ENOMEM)
		return -EAGAIN;
	return r == 0 && log_identity_equal(&is, id) ? 0 : -ESTALE;
}

int volume_check(struct log_kafka *log, const struct store_meta *meta,
                 const struct log_identities *applied, uint64_t first, uint64_t end,
                 uint64_t *ret_same)
{
	uint64_t next = meta->started ? meta->applied + 1 : 0;
	int r = 0;
	*ret_same = UINT64_MAX;
	if (strncmp(meta->volume, "local-", 6) == 0)
		return -ENOTSUP;
	if (next < first)
		return -ENODATA;
	if (next <= end && applied && applied->at[0].offset >= first) {
		r = check_record(log, &applied->at[0]);
		if (r == 0 && applied->sure.offset >= first &&
		    applied->sure.offset != applied->at[0].offset)
			r = check_record(log, &applied->sure);
		if (r != -ESTALE) /* then all records applied before are the same, too */
			return r;
	}
	if (meta->volume[0] && meta->volume_offset >= first && meta->volume_offset < end) {
		int c = check_volume_name(log, meta);
		if (c < 0)
			return c;
	}
	if (r == 0)
		return next > end ? -EOVERFLOW : 0;
	int p = find_last_common(log, applied, first, ret_same);
	return p < 0 ? p : r;
}

int volume_new_name(const char *kind, char ret[VOLUME_NAME_MAX])
{
	uint64_t id[2];
	int r = random_u64(&id[0]);
	if (r == 0)
		r = random_u64(&id[1]);
	if (r == 0)
		snprintf(ret, VOLUME_NAME_MAX, "%s-%016llx%016llx", kind, (unsigned long long)id[0],
		         (unsigned long long)id[1]);
	return r;
}

int volume_read_meta(struct store *store, struct store_meta *ret)
{
	struct txn *txn;
	int r = txn_read(store, &txn);
	if (r < 0)
		return r;
	*ret = *txn_meta(txn);
	txn_abort(txn);
	return 0;
}

int volume_load(struct store *store, struct store_meta *ret, struct log_identities *ret_applied)
{
	struct txn *txn;
	int r = txn_read(store, &txn);
	if (r < 0)
		return r;
	*ret = *txn_meta(txn);
	r = log_identity_load(txn, ret_applied);
	txn_abort(txn);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

void volume_explain(const struct node *node, int err, const struct store_meta *meta,
                    const struct log_kafka_topic *topic, uint64_t same, char *why, size_t why_size)
{
	const char *dir = store_dir(node->store);
	const char *name = strrchr(node->config.log, '/') + 1;
	unsigned long long next = meta->started ? meta->applied + 1 : 0;
	int n;
	switch (err) {
	case -ENOTSUP:
		snprintf(why, why_size,
		         "the store %.60s has an embedded log; use another --store for this topic",
		         dir);
		return;
	case -ENODATA:
		snprintf(why, why_size,
		         "topic %.250s no longer has offset %llu, only from %llu on: start with an "
		         "empty --store and --peers",
		         name, next, (unsigned long long)topic->first);
		return;
	case -EXDEV:
		snprintf(why, why_size,
		         "the store %.60s belongs to another volume than topic %.250s; use another "
		         "--store",
		         dir, name);
		return;
	case -EOVERFLOW:
		n = snprintf(why, why_size,
		             "the store %.60s has applied %llu records of its log, and topic "
		             "%.250s has no more than %llu: it is another topic, was recreated, or "
		             "lost its newest records",
		             dir, next, name, (unsigned long long)topic->end);
		break;
	default:
		n = snprintf(why, why_size,
		             "topic %.250s has other records than those that the store %.60s has "
		             "applied up to offset %llu: it lost its newest records and got others "
		             "(unclean election, broker without its disk), or was recreated",
		             name, dir, next ? next - 1 : 0);
		if (same != UINT64_MAX && n > 0 && (size_t)n < why_size)
			n += snprintf(why + n, why_size - (size_t)n,
			              "; up to offset %llu both are the same",
			              (unsigned long long)same);
	}
	if (n > 0 && (size_t)n < why_size)
		snprintf(
		        why + n, why_size - (size_t)n,
		        ". If the topic is right, stop this node's programs, move the store away "
		        "(mv %.60s %.60s.old keeps what the topic lost) and start them again: the "
		        "node takes a snapshot from --peers, or reads the topic. Use another --store "
		        "for another topic",
		        dir, dir);
}

struct log_kafka_config volume_log_config(const struct node_config *config)
{
	return (struct log_kafka_config){ .url = config->log,
		                          .settings = config->log_settings,
		                          .nsettings = config->nlog_settings,
		                          .max_value = config->max_value,
		                          .write_timeout_ms = config->write_timeout_ms };
}

static const char *explain_misfit(int err)
{
	switch (err) {
	case -ENOTSUP:
		return "it has an embedded log, and this node follows a topic";
	case -EOVERFLOW:
		return "it is ahead of this topic, so it is of another one";
	case -ENODATA:
		return "it is too old: the topic no longer has its next record";
	case -ESTALE:
		return "it applied other records than the topic has now";
	default:
		return "it belongs to another volume than this topic";
	}
}

int volume_fits(void *arg, const struct store_meta *meta, char *why, size_t why_size)
{
	struct log_kafka_config config = volume_log_config(arg);
	struct log_kafka *log;
	struct log_kafka_topic topic;
	uint64_t same;
	char ignored[256];
	int r = log_kafka_open(&config, &log, why, why_size);
	if (r < 0)
		return r;
	/* Ignore an unfit topic here: the node checks it next and reports it. */
	if (log_kafka_check(log, CHECK_MS, true, &topic, ignored, sizeof(ignored)) == 0) {
		r = volume_check(log, meta, NULL, topic.first, topic.end, &same);
		if (r == -EAGAIN)
			r = 0;
		if (r < 0)
			snprintf(why, why_size, "%s", explain_misfit(r));
	}
	log_kafka_close(log, 0);
	return r;
}
