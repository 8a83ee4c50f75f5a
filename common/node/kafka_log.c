/* The node's part that a log outside needs.
 *
 * Every process of a node produces its own events; one of them, the holder of
 * consumer.lock, reads the log and applies it. The others wait for the lock in
 * turn: the kernel releases it when its holder dies, so they take over at once
 * and go on behind the applied offset that the store has. Applying a batch and
 * moving that offset are one transaction, so nothing is applied twice.
 *
 * A log that cannot be used (unfit topic, another volume) stops the applying and makes
 * the node not ready, with the reason in the status of each of its processes
 * (node/fault.c); the thread looks again every RETRY_MS, so that mending the log is enough.
 *
 * So does a record that needs a newer version. It is skipped only if the log says so, in a
 * record `skip` that names its offset: the consumer reads on from where it stopped,
 * applying nothing, until it finds one, and then begins anew behind the newest record
 * applied. Every node that reads this log does the same, now or later. A process that was
 * started with --skip-record logs that record.
 *
 * Following begins at the newest record that was applied, not behind it: if what the log
 * has there is another one, the log lost records, or is another log, and this node must
 * not go on (log/identity.h). A lost connection or another leader begins it anew.
 * Behind the newest record there may be markers of foreign transactions, which readers
 * never see. The applied offset moves over them, so that it reaches the log's end.
 *
 * A lone write over HTTP wakes one thread after the other: the server's worker for
 * the request, librdkafka's for the producer, its other one for the consumer, ours
 * that applies, and the worker again for the outcome; counted, each once for a write,
 * the producer's twice (for the broker's answer), and the log's own thread every
 * other time. None of them wakes in vain. To take one away, applying would have to
 * spin for the broker's half a millisecond, on a processor that the broker may need.
 *
 * Lock: kafka.lock, to be woken for a stop; it is not held across any call of the log. */
#include "common/node/internal.h"

#include "common/apply/apply.h"
#include "common/base/clock.h"
#include "common/log/kafka.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/store/skipped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define FIRST_CHECK_MS 3000 /* a start waits so long for a broker */
#define CHECK_MS 5000
#define RETRY_MS 500
#define LOCK_POLL_MS 20 /* a dead applier is replaced this fast */
#define POLL_MS 500
#define POLL_RECORDS 4096
#define BATCH_BYTES (8u << 20) /* of values in one transaction, about */
#define FLUSH_MS 5000
/* A log that is longer is read ahead of what is applied. */
#define AHEAD_RECORDS 10000
/* Behind the newest record there may be some that only transactions of a foreign
 * producer know: the feed's ring is kept whole for so many more. */
#define FEED_SPARE 1024
/* A transaction that is open for so long stops the node's writes for people to see. */
#define BLOCKED_MS 3000

struct kafka {
	struct node *node;
	struct log_kafka *log;
	int lock_fd;
	struct log_end_poller *poller;
	pthread_t consumer;
	bool consumer_runs;
	atomic_bool stopping;
	atomic_bool applies;
	_Atomic uint64_t end;    /* of the log, as last heard; offset behind the newest */
	_Atomic uint64_t target; /* the end at the start; UINT64_MAX: not known yet */
	uint64_t stopped_at;     /* behind the record that stopped us; the consumer's own */
	uint64_t skip;           /* offset of a record that the log says to skip; likewise */
	struct skip_order order; /* --skip-record */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	char warned[NODE_WHY_MAX]; /* the last warning; protected by lock */
};

/* An append under way. */
struct ref {
	struct node *node;
	uint64_t seq;
};

/* Sleeps, but not through a stop. */
static void nap(struct kafka *k, int64_t ms)
{
	struct timespec until = clock_mono_in(ms);
	pthread_mutex_lock(&k->lock);
	if (!atomic_load(&k->stopping))
		pthread_cond_timedwait(&k->wake, &k->lock, &until);
	pthread_mutex_unlock(&k->lock);
}

static void raise_end(struct kafka *k, uint64_t end)
{
	uint64_t old = atomic_load(&k->end);
	while (old < end && !atomic_compare_exchange_weak(&k->end, &old, end))
		;
	uint64_t unknown = UINT64_MAX;
	atomic_compare_exchange_strong(&k->target, &unknown, end);
}

void kafka_raise_end(struct node *node, uint64_t end)
{
	raise_end(node->kafka, end);
}

static int read_meta(struct node *node, struct store_meta *ret)
{
	struct txn *txn;
	int r = txn_read(node->store, &txn);
	if (r < 0)
		return r;
	*ret = *txn_meta(txn);
	txn_abort(txn);
	return 0;
}

/* --- producing --- */

static void appended(void *arg, enum log_append how, uint64_t offset)
{
	struct ref *ref = arg;
	static const enum event_outcome codes[] = {
		[LOG_NOT_APPENDED] = OUTCOME_LOG_DOWN,
		[LOG_UNKNOWN] = OUTCOME_UNKNOWN,
		[LOG_TOO_LARGE] = OUTCOME_TOO_LARGE,
	};
	if (how != LOG_APPENDED)
		node_finish(ref->node, ref->seq, codes[how], 0);
	else if (offset != LOG_NO_OFFSET)
		raise_end(ref->node->kafka, offset + 1);
	free(ref);
}

void kafka_submit(struct node *node, const struct event *ev)
{
	struct ref *ref = malloc(sizeof *ref);
	if (!ref) {
		node_finish(node, ev->seq, OUTCOME_NO_MEMORY, 0);
		return;
	}
	*ref = (struct ref){ node, ev->seq };
	log_kafka_append(node->kafka->log, ev, appended, ref);
}

static void ignore_append(void *arg, enum log_append how, uint64_t offset)
{
	(void)arg, (void)how, (void)offset;
}

/* Names the volume. If two nodes do, the first in the log counts. */
static int append_format(struct kafka *k)
{
	uint64_t id[2];
	if (getrandom(id, sizeof id, 0) != sizeof id)
		return -EIO;
	char volume[40];
	snprintf(volume, sizeof volume, "kafka-%016llx%016llx", (unsigned long long)id[0],
	         (unsigned long long)id[1]);
	struct event format = { .op = EVENT_FORMAT,
		                .proc = k->node->proc,
		                .name = { volume, strlen(volume) } };
	log_kafka_append(k->log, &format, ignore_append, NULL);
	return 0;
}

/* --- checking the log --- */

/* Log a warning about the topic, once for each that differs from the last. */
static void warn(struct kafka *k, const char *what)
{
	pthread_mutex_lock(&k->lock);
	bool news = what[0] && strcmp(k->warned, what) != 0;
	snprintf(k->warned, sizeof k->warned, "%s", what);
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

int kafka_look(struct node *node, int64_t timeout_ms)
{
	struct kafka *k = node->kafka;
	struct log_kafka_topic topic;
	char why[NODE_WHY_MAX];
	int r = log_kafka_check(k->log, timeout_ms, false, &topic, why, sizeof why);
	if (r == 0)
		set_limit(node, topic.max_value);
	if (!atomic_load(&k->applies))
		return 0;
	if (r == 0)
		warn(k, why);
	return r == -EAGAIN ? 0 : r;
}

/* Check topic and store against each other. *RET_FIRST is the first offset that the log
 * has, *RET_NEXT the one to be applied next. 0; -EAGAIN without a broker; -EINVAL,
 * -EACCES with a sentence in WHY. */
static int check_log(struct kafka *k, int64_t timeout_ms, uint64_t *ret_first, uint64_t *ret_next,
                     char *why, size_t why_size)
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
	struct log_identity sure;
	if (known && k->poller && log_end_poller_has_doubts(k->poller, &sure))
		applied.sure = sure;
	r = volume_check(k->log, &meta, known ? &applied : NULL, topic.first, topic.end, &same);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		volume_explain(k->node, r, &meta, &topic, same, why, why_size);
		return -EINVAL;
	}
	raise_end(k, topic.end);
	*ret_first = topic.first;
	*ret_next = meta.started ? meta.applied + 1 : 0;
	return 0;
}

/* --- applying --- */

struct batch {
	struct kafka *k;
	struct txn *txn;
	size_t bytes;
	uint64_t count;
	uint64_t next;              /* offset behind the last one applied */
	struct log_identity newest; /* of the records in txn */
	struct log_identity proof;  /* of the record that must come first ... */
	bool prove;                 /* ... until it came */
	bool stopped;               /* at `next`; looking for the record that says to skip it */
	uint64_t feed_skip_below;   /* before this offset, events need no row in the feed */
	int fatal;                  /* why applying must stop, or 0 */
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
		raise_end(b->k, b->next);
		node_shm_wake_others(b->k->node->shm);
	}
	b->count = 0;
	return r;
}

/* The value of the header NAME for people: printable, cut to SIZE, or WITHOUT. */
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

/* Everything before POSITION was given. What lies behind the last record applied are
 * markers of transactions, and then counts as applied. 0 or -errno. */
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

/* REC needs a newer version: applying stops, and says why. */
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
	snprintf(why, sizeof why,
	         "the record at offset %llu (op %s, format version %s) needs a newer "
	         "version of Keydir than %s, which has format version %d: %s. Update "
	         "this node and start it again; until then it applies nothing, and "
	         "reads go on. If no version knows it, start one program of one node with "
	         "--skip-record %llu: then all nodes go on without it",
	         offset, header_text(&raw, "op", "none", op, sizeof op),
	         header_text(&raw, "v", "1", v, sizeof v), KEYDIR_VERSION, RECORD_VERSION,
	         rec->why ? rec->why : "it is unknown", offset);
	node_set_fault(b->k->node, FAULT_LOG, why);
	return 0;
}

/* Decide whether REC says to skip the record at which applying stopped. 0 if not; else
 * -ESTALE, to begin anew. */
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
	       (unsigned long long)rec->offset, header_text(&raw, "op", "none", op, sizeof op),
	       rec->why ? rec->why : "malformed");
}

/* The log differs from what was applied. Applying stops; the check that comes next finds
 * out more. */
static int stop_differing(struct batch *b)
{
	struct log_kafka_topic topic = { .first = 0 };
	struct store_meta meta = { 0 };
	b->fatal = -EXDEV;
	read_meta(b->k->node, &meta);
	volume_explain(b->k->node, -ESTALE, &meta, &topic, UINT64_MAX, b->why, sizeof b->why);
	return b->fatal;
}

/* Compare REC with the newest record that this node applied, which must come first. */
static int prove(struct batch *b, const struct log_record *rec)
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
		return prove(b, rec);
	if (rec->offset < b->next) /* where no reader saw a record before */
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

/* The offset before which the feed's ring will have lost all rows when this node
 * has caught up. Only the first time: later, somebody may wait for an outcome. */
static uint64_t far_from_end(struct kafka *k)
{
	uint64_t target = atomic_load(&k->target), keep = STORE_FEED_SIZE + FEED_SPARE;
	return target != UINT64_MAX && target > keep ? target - keep : 0;
}

/* Say whether applying goes on, or what is in its way. */
static void report(struct kafka *k)
{
	char why[NODE_WHY_MAX];
	uint64_t offset;
	int64_t ms;
	const char *brokers = k->node->config.log + strlen("kafka://");
	const char *topic = strchr(brokers, '/');
	node_set_fault(k->node, FAULT_LOG, "");
	if (!log_kafka_blocked(k->log, &offset, &ms) || ms < BLOCKED_MS) {
		node_set_fault(k->node, FAULT_BLOCKED, "");
		return;
	}
	snprintf(why, sizeof why,
	         "an open transaction of a foreign producer at offset %llu holds back all that "
	         "comes behind it: the change of every writer waits until that producer commits "
	         "or aborts, or the broker ends the transaction (transaction.timeout.ms of the "
	         "producer, usually 60 s). End one that hangs for longer with Kafka's tools: "
	         "kafka-transactions.sh --bootstrap-server %.*s abort --topic %s --partition 0 "
	         "--start-offset %llu",
	         (unsigned long long)offset, (int)(topic - brokers), brokers, topic + 1,
	         (unsigned long long)offset);
	node_set_fault(k->node, FAULT_BLOCKED, why);
}

/* Where to begin to read: at the newest record that is known, if the log has it. */
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

/* Reads and applies until something is wrong. Returns what. NEXT is the offset to be
 * applied next, FIRST the first one that the log has. */
static int consume(struct kafka *k, uint64_t first, uint64_t next)
{
	struct batch b = { .k = k, .next = next, .feed_skip_below = far_from_end(k) };
	struct store_meta meta;
	bool named = false;
	uint64_t from = find_proof(&b, first), end = atomic_load(&k->end);
	int r = log_kafka_follow(k->log, from, end > from + AHEAD_RECORDS ? end : 0);
	struct log_identity doubtful;
	while (r >= 0 && !atomic_load(&k->stopping)) {
		procs_beat_applier(k->node->procs);
		if (log_end_poller_has_doubts(k->poller, &doubtful)) {
			r = -ESTALE;
			break;
		}
		if (!named && b.next >= atomic_load(&k->end)) {
			/* Read to the end, and nobody has named the volume. */
			r = read_meta(k->node, &meta);
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
			r = stop_differing(&b); /* nothing is there */
		int c = r >= 0 && !b.stopped ? pass_markers(&b, position) : 0;
		if (c >= 0 && r >= 0)
			c = batch_commit(&b);
		if (c < 0)
			r = c;
		if (r >= 0) {
			/* Only now: the next record may be what stopped it. */
			if (!b.prove && b.next >= k->stopped_at)
				report(k);
			if (position >= atomic_load(&k->end))
				skip_carry_out(&k->order, true);
			if (r > 0) {
				node_catch_up(k->node);
				node_set_stalled(k->node, 0);
			}
			r = 0;
		}
	}
	/* What came before the log changed, or before a connection was lost, is applied. */
	if (b.fatal || r == -ESTALE)
		batch_commit(&b);
	if (b.txn)
		txn_abort(b.txn);
	node_catch_up(k->node);
	log_kafka_unfollow(k->log);
	if (r == -ENOSPC) /* the pages that the last commit freed may suffice */
		store_advance(k->node->store);
	if (b.fatal)
		node_set_fault(k->node, FAULT_LOG, b.why);
	else if (r == -ENOSPC || r == -ENOMEM || r == -EIO)
		node_set_stalled(k->node, -r);
	return r;
}

static bool take_lock(struct kafka *k)
{
	while (!atomic_load(&k->stopping)) {
		if (flock(k->lock_fd, LOCK_EX | LOCK_NB) == 0) {
			atomic_store(&k->applies, true);
			procs_beat_applier(k->node->procs);
			procs_set_applier(k->node->procs, true);
			return true;
		}
		skip_carry_out(&k->order, false);
		nap(k, LOCK_POLL_MS);
	}
	return false;
}

static void *consumer_run(void *arg)
{
	struct kafka *k = arg;
	char why[NODE_WHY_MAX];
	if (!take_lock(k))
		return NULL;
	while (!atomic_load(&k->stopping)) {
		uint64_t first, next;
		why[0] = '\0';
		procs_beat_applier(k->node->procs);
		int r = check_log(k, CHECK_MS, &first, &next, why, sizeof why);
		if (r == 0) {
			r = consume(k, first, next);
		} else if (r != -EAGAIN) {
			node_set_fault(k->node, FAULT_LOG, why[0] ? why : strerror(-r));
		}
		if (r < 0 && r != -ESTALE)
			nap(k, RETRY_MS);
	}
	return NULL;
}

/* --- starting and stopping --- */

int kafka_open(struct node *node, char *why, size_t why_size)
{
	struct log_kafka_config config = volume_log_config(&node->config);
	struct kafka *k = calloc(1, sizeof *k);
	if (!k) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	k->node = node;
	atomic_store(&k->target, UINT64_MAX);
	k->skip = UINT64_MAX;
	pthread_mutex_init(&k->lock, NULL);
	clock_cond_init(&k->wake);
	k->lock_fd = store_place_file(store_place(node->store), "consumer.lock", O_RDWR | O_CREAT);
	int r = k->lock_fd < 0 ? k->lock_fd : 0;
	if (r < 0) {
		snprintf(why, why_size, "cannot open %.100s/consumer.lock: %s",
		         store_dir(node->store), strerror(-r));
		goto err_free;
	}
	r = log_kafka_open(&config, &k->log, why, why_size);
	if (r < 0)
		goto err_close;
	node->kafka = k;
	skip_init(&k->order, node, k->log);

	/* What is certainly wrong is told now and not in a log later. */
	uint64_t first, next;
	r = check_log(k, FIRST_CHECK_MS, &first, &next, why, why_size);
	if (r == -EAGAIN)
		logger(LOGGER_WARN, "no broker answers yet log=%s", config.url);
	else if (r < 0)
		goto err_log;
	r = log_end_poller_open(node, k->log, &k->poller);
	if (r == 0)
		r = -pthread_create(&k->consumer, NULL, consumer_run, k);
	k->consumer_runs = r == 0;
	if (r == 0)
		return 0;
	snprintf(why, why_size, "cannot start the log's threads: %s", strerror(-r));
	kafka_stop(node);
	kafka_free(node);
	return r;

err_log:
	log_kafka_close(k->log, 0);
	node->kafka = NULL;
err_close:
	close(k->lock_fd);
err_free:
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
	return r;
}

void kafka_stop(struct node *node)
{
	struct kafka *k = node->kafka;
	pthread_mutex_lock(&k->lock);
	atomic_store(&k->stopping, true);
	pthread_cond_broadcast(&k->wake);
	pthread_mutex_unlock(&k->lock);
	log_kafka_wake(k->log);
	if (k->consumer_runs)
		pthread_join(k->consumer, NULL);
	log_end_poller_stop(k->poller);
	log_kafka_close(k->log, FLUSH_MS);
	k->log = NULL;
}

void kafka_free(struct node *node)
{
	struct kafka *k = node->kafka;
	close(k->lock_fd); /* and with it the lock */
	log_end_poller_free(k->poller);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
	node->kafka = NULL;
}

void kafka_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	log_end_poller_barrier(node->kafka->poller, timeout_ms, done, arg);
}

void kafka_status(struct node *node, struct node_status *ret)
{
	struct kafka *k = node->kafka;
	struct store_meta meta = { 0 };
	uint64_t end = atomic_load(&k->end), target = atomic_load(&k->target);
	ret->log_up = log_kafka_up(k->log);
	ret->applies = atomic_load(&k->applies);
	ret->log_end = end ? end - 1 : 0;
	read_meta(node, &meta);
	ret->skipped = skip_count(node, &ret->skipped_newest);
	uint64_t next = meta.started ? meta.applied + 1 : 0;
	if (next < end && meta.started) {
		int64_t lag = clock_wall_ms() - meta.log_time_ms;
		ret->lag_ms = lag > 0 ? lag : 1;
	}
	if (target != UINT64_MAX && next >= target && meta.volume[0])
		atomic_store(&node->ready, true);
	ret->behind = !atomic_load(&node->ready) &&
	              (!meta.started || (target != UINT64_MAX && !ret->why[0]));
	ret->ready = atomic_load(&node->ready) && !ret->why[0];
	if (!ret->ready && !ret->why[0]) {
		if (target == UINT64_MAX)
			snprintf(ret->why, sizeof ret->why, "no broker has answered yet");
		else
			snprintf(ret->why, sizeof ret->why, "catching up: applied %llu of %llu",
			         (unsigned long long)next, (unsigned long long)target);
	}
}
