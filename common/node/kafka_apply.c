/* Reading and applying the Kafka log.
 *
 * Reading starts at the newest record that was applied, not after it: if the log has another
 * record there, it lost records or is another log, and this node must not continue
 * (log/identity.h). A lost connection or another leader starts it anew. After the newest
 * record there may be transaction markers of foreign producers, which readers never see. The
 * applied offset moves over them, so that it reaches the log's end.
 *
 * A record that needs a newer version stops the applying. It is skipped only if the log says
 * so, in a record `skip` that names its offset: the consumer reads on without applying until
 * it finds one, and then starts anew after the newest record applied. Every node that reads
 * this log does the same, now or later. A process that was started with --skip-record logs
 * that record (node/skip.c).
 *
 * No lock: all of it runs in the consumer's thread. */
#include "common/node/kafka_apply.h"

#include "common/apply/apply.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/node/fault.h"
#include "common/node/internal.h"
#include "common/node/kafka_log.h"
#include "common/node/kafka_topic.h"
#include "common/node/log_end_poller.h"
#include "common/node/volume.h"
#include "common/node/work.h"
#include "common/store/skipped.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ignore_append(void *arg, enum log_append how, uint64_t offset)
{
	(void)arg, (void)how, (void)offset;
}

/* Log the name of the volume. If two nodes do, the first in the log counts. */
static int append_format(struct kafka *k)
{
	char volume[VOLUME_NAME_MAX];
	int r = volume_new_name("kafka", volume);
	if (r < 0)
		return r;
	struct event format = { .op = EVENT_FORMAT,
		                .proc = k->node->proc,
		                .name = { volume, strlen(volume) } };
	log_kafka_append(k->log, &format, ignore_append, NULL);
	return 0;
}

#define POLL_MS 500
#define POLL_RECORDS 4096
#define BATCH_BYTES (8u << 20) /* of values in one transaction, approximately */
/* If the log has more records than this, a thread prefetches them. */
#define READ_AHEAD_RECORDS 10000
/* After the newest record there may be offsets of transaction markers of a foreign producer, so the
 * feed is kept for this many more offsets. */
#define FEED_SPARE 1024
/* An open transaction is reported as a fault after this time. */
#define BLOCKED_MS 3000

struct batch {
	struct kafka *k;
	struct txn *txn;
	size_t bytes;
	uint64_t count;
	uint64_t next;              /* offset after the last record applied */
	struct log_identity newest; /* of the records in txn */
	struct log_identity proof;  /* of the record that must come first, ... */
	bool prove;                 /* ... while this is set */
	bool stopped; /* stopped at `next`, reading on for the record that orders to skip it */
	uint64_t feed_skip_below; /* events before this offset get no feed row */
	int fatal;                /* why applying must stop, or 0 */
	char why[NODE_WHY_MAX];
};

static int batch_commit(struct batch *b)
{
	if (!b->txn)
		return 0;
	int r = 0;
	if (b->count) {
		struct log_identity sure;
		log_end_poller_note_applied(b->k->poller, &b->newest, &sure);
		r = log_identity_note(b->txn, &b->newest, &sure);
	}
	if (r == 0)
		r = txn_commit(b->txn);
	else
		txn_abort(b->txn);
	b->txn = NULL;
	b->bytes = 0;
	if (r == 0) {
		metrics_add(METRIC_EVENTS_APPLIED, b->count);
		kafka_topic_raise_end(b->k, b->next);
		node_shm_wake_others(b->k->node->shm);
	}
	b->count = 0;
	return r;
}

/* Return the value of the header NAME in printable characters, cut to SIZE, or WITHOUT. */
static const char *header_text(const struct record *rec, const char *name, const char *without,
                               char *buf, size_t size)
{
	for (size_t i = 0; i < rec->nheaders && i < RECORD_HEADERS_MAX; i++) {
		struct bytes n = rec->headers[i].name, value = rec->headers[i].value;
		size_t len = value.len < size ? value.len : size - 1;
		if (n.len != strlen(name) || memcmp(n.data, name, n.len) != 0)
			continue;
		for (size_t k = 0; k < len; k++) {
			unsigned char c = ((const unsigned char *)value.data)[k];
			buf[k] = c > ' ' && c < 0x7f && c != '"' && c != '\\' ? (char)c : '?';
		}
		buf[len] = '\0';
		return buf;
	}
	return without;
}

/* Mark the offsets up to POSITION, before which all records were read, as applied: after the last
 * record applied there are only transaction markers. Returns 0 or -errno. */
static int pass_markers(struct batch *b, uint64_t position)
{
	if (position <= b->next)
		return 0;
	int r = b->txn ? 0 : txn_write(b->k->node->store, &b->txn);
	if (r < 0)
		return r;
	if (txn_meta(b->txn)->started)
		txn_meta(b->txn)->applied = position - 1;
	b->next = position;
	return 0;
}

/* Stop applying at REC, which needs a newer version, and report the fault. */
static int stop_at(struct batch *b, const struct log_record *rec)
{
	struct record raw;
	char op[40], v[40], why[NODE_WHY_MAX];
	unsigned long long offset = rec->offset;
	int r = pass_markers(b, rec->offset);
	if (r == 0)
		r = batch_commit(b);
	if (r < 0)
		return r;
	b->stopped = true;
	b->k->stopped_at = rec->offset + 1;
	log_record_raw(rec, &raw);
	snprintf(why, sizeof(why),
	         "the record at offset %llu (op %s, format version %s) needs a newer "
	         "version of Keydir than %s, which has format version %d: %s. Update "
	         "this node and start it again; until then it applies nothing, and "
	         "reads continue. If no version knows it, start one program of one node with "
	         "--skip-record %llu: then all nodes skip it",
	         offset, header_text(&raw, "op", "none", op, sizeof(op)),
	         header_text(&raw, "v", "1", v, sizeof(v)), KEYDIR_VERSION, RECORD_VERSION,
	         rec->why ? rec->why : "it is unknown", offset);
	fault_set(b->k->node, FAULT_LOG, why);
	return 0;
}

/* Check whether REC orders to skip the record at which applying stopped. Returns 0 if not; else
 * -ESTALE, to start again. */
static int look_for_skip(struct batch *b, const struct log_record *rec)
{
	uint64_t at = b->k->stopped_at - 1;
	if (!rec->ev || rec->ev->op != EVENT_SKIP || rec->ev->at != at)
		return 0;
	b->k->skip = at;
	return -ESTALE;
}

static void log_rejected(const struct log_record *rec)
{
	struct record raw;
	char op[40];
	log_record_raw(rec, &raw);
	logger(LOGGER_WARN, "record rejected offset=%llu op=%s why=\"%s\"",
	       (unsigned long long)rec->offset, header_text(&raw, "op", "none", op, sizeof(op)),
	       rec->why ? rec->why : "malformed");
}

/* Stop applying because the log differs from the records applied. The next check finds out more. */
static int stop_differing(struct batch *b)
{
	struct log_kafka_topic topic = { .first = 0 };
	struct store_meta meta = { 0 };
	b->fatal = -EXDEV;
	volume_read_meta(b->k->node->store, &meta);
	volume_explain(b->k->node, -ESTALE, &meta, &topic, UINT64_MAX, b->why, sizeof(b->why));
	return b->fatal;
}

/* Compare REC with the newest record that this node applied, which must come first. */
static int compare_newest(struct batch *b, const struct log_record *rec)
{
	struct log_identity is = log_record_identity(rec);
	if (!log_identity_equal(&is, &b->proof))
		return stop_differing(b);
	b->prove = false;
	return 0;
}

static int apply_record(void *arg, const struct log_record *rec)
{
	struct batch *b = arg;
	enum event_outcome outcome;
	if (b->prove)
		return compare_newest(b, rec);
	if (rec->offset <
	    b->next) /* at an offset at which there was no record for readers before */
		return stop_differing(b);
	if (rec->err && rec->err != -EBADMSG && rec->err != -ENOTSUP)
		return rec->err;
	if (b->stopped)
		return look_for_skip(b, rec);
	bool skip = rec->err == -ENOTSUP;
	if (skip && rec->offset != b->k->skip)
		return stop_at(b, rec);
	int r = 0;
	if (!b->txn) {
		procs_beat_applier(b->k->node->procs);
		r = txn_write(b->k->node->store, &b->txn);
	}
	if (r < 0)
		return r;
	if (!rec->ev)
		log_rejected(rec);
	bool skip_feed = rec->offset < b->feed_skip_below &&
	                 (!rec->ev || rec->ev->proc != b->k->node->proc);
	r = (skip_feed ? apply_event_no_feed : apply_event)(b->txn, rec->ev, rec->offset,
	                                                    rec->time_ms, &outcome);
	if (r == 0 && skip)
		r = store_skipped_note(b->txn, rec->offset);
	if (r < 0) {
		txn_abort(b->txn);
		b->txn = NULL;
		b->count = 0;
		return r;
	}
	if (outcome == OUTCOME_REJECTED)
		metrics_add(METRIC_EVENTS_REJECTED, 1);
	b->count++;
	b->newest = log_record_identity(rec);
	b->next = rec->offset + 1;
	b->bytes += rec->value_bytes;
	bool enough = b->bytes > BATCH_BYTES || txn_pages(b->txn) > STORE_TXN_PAGES;
	return enough ? batch_commit(b) : 0;
}

/* Return the offset before which the feed will have dropped all rows when this node has caught up.
 * Only for the first time: later, a caller may wait for an outcome. */
static uint64_t feed_skip_below(struct kafka *k)
{
	uint64_t target = atomic_load(&k->target), keep = STORE_FEED_SIZE + FEED_SPARE;
	return target != UINT64_MAX && target > keep ? target - keep : 0;
}

/* Report whether applying continues or is blocked by a transaction. */
static void report_progress(struct kafka *k)
{
	char why[NODE_WHY_MAX];
	uint64_t offset;
	int64_t ms;
	const char *brokers = k->node->config.log + strlen(KAFKA_SCHEME);
	const char *topic = strchr(brokers, '/');
	fault_set(k->node, FAULT_LOG, "");
	if (!log_kafka_blocked(k->log, &offset, &ms) || ms < BLOCKED_MS) {
		fault_set(k->node, FAULT_BLOCKED, "");
		return;
	}
	snprintf(why, sizeof(why),
	         "an open transaction of a foreign producer at offset %llu withholds all "
	         "later records: the changes of all writers wait until that producer commits "
	         "or aborts, or the broker ends the transaction (transaction.timeout.ms of the "
	         "producer, usually 60 s). If it hangs for longer, end it with Kafka's tools: "
	         "kafka-transactions.sh --bootstrap-server %.*s abort --topic %s --partition 0 "
	         "--start-offset %llu",
	         (unsigned long long)offset, (int)(topic - brokers), brokers, topic + 1,
	         (unsigned long long)offset);
	fault_set(k->node, FAULT_BLOCKED, why);
}

/* Return the offset at which to start reading: the newest record applied, if the log has it. */
static uint64_t find_proof(struct batch *b, uint64_t first)
{
	struct log_identities applied;
	struct store_meta meta;
	if (volume_load(b->k->node->store, &meta, &applied) <= 0 || applied.at[0].offset < first ||
	    applied.at[0].offset >= b->next) {
		log_end_poller_begin_audit(b->k->poller, NULL);
		return b->next;
	}
	log_end_poller_begin_audit(b->k->poller, &applied.at[0]);
	b->proof = applied.at[0];
	b->prove = true;
	return b->proof.offset;
}

int kafka_apply_run(struct kafka *k, uint64_t first, uint64_t next)
{
	struct batch b = { .k = k, .next = next, .feed_skip_below = feed_skip_below(k) };
	struct store_meta meta;
	bool named = false;
	uint64_t from = find_proof(&b, first), end = atomic_load(&k->end);
	int r = log_kafka_follow(k->log, from, end > from + READ_AHEAD_RECORDS ? end : 0);
	struct log_identity doubtful;
	while (r >= 0 && !atomic_load(&k->stopping)) {
		procs_beat_applier(k->node->procs);
		if (log_end_poller_has_doubts(k->poller, &doubtful)) {
			r = -ESTALE;
			break;
		}
		if (!named && b.next >= atomic_load(&k->end)) {
			/* The log was read to its end, and no record names the volume. */
			r = volume_read_meta(k->node->store, &meta);
			if (r == 0 && !meta.volume[0])
				r = append_format(k);
			named = r == 0;
		}
		if (r == 0)
			r = log_kafka_poll(k->log, POLL_MS, POLL_RECORDS, apply_record, &b);
		if (r == -EAGAIN)
			r = 0; /* no broker now; librdkafka connects again by itself */
		uint64_t position = log_kafka_position(k->log);
		if (b.prove && position > b.proof.offset)
			r = stop_differing(&b); /* no record is there any more */
		int c = r >= 0 && !b.stopped ? pass_markers(&b, position) : 0;
		if (c >= 0 && r >= 0)
			c = batch_commit(&b);
		if (c < 0)
			r = c;
		if (r >= 0) {
			/* Only report it now: the next record may be the one that stopped
			 * applying. */
			if (!b.prove && b.next >= k->stopped_at)
				report_progress(k);
			if (position >= atomic_load(&k->end))
				skip_carry_out(&k->order, true);
			if (r > 0) {
				work_catch_up(k->node);
				fault_set_stalled(k->node, 0);
			}
			r = 0;
		}
	}
	/* Keep the records read before the log changed or a connection was lost. */
	if (b.fatal || r == -ESTALE)
		batch_commit(&b);
	if (b.txn)
		txn_abort(b.txn);
	work_catch_up(k->node);
	log_kafka_unfollow(k->log);
	if (r == -ENOSPC) /* the pages that the last commit freed may suffice */
		store_advance(k->node->store);
	if (b.fatal)
		fault_set(k->node, FAULT_LOG, b.why);
	else if (r == -ENOSPC || r == -ENOMEM || r == -EIO)
		fault_set_stalled(k->node, -r);
	return r;
}
