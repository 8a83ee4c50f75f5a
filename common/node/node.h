/* Node: submit events, get their outcomes, and follow the feed. */
#ifndef KEYDIR_NODE_H
#define KEYDIR_NODE_H

#include "common/event/feed.h"
#include "common/node/evict.h"
#include "common/node/peer_request.h"
#include "common/node/procs.h"
#include "common/store/store.h"
#include "common/store/view.h"

#include <stdio.h>

struct node;

/* Size of a text that explains what is wrong with a log and how to repair it. */
#define NODE_WHY_MAX PROCS_WHY_MAX

/* The outcome of a submitted event. Valid only during the callback. */
struct outcome {
	enum event_outcome code;
	uint64_t offset; /* in the log; 0: never logged, or unknown */
	uint64_t ino;
	uint64_t version; /* of the entry after the event; 0: it was removed */
	int64_t number;   /* incr */
	bool created;
	const struct feed_event *feed; /* all details; NULL if it was not applied */
};

/* The callback of a submission. It is called exactly once, with no lock held: by the submitting
 * thread (before node_submit() returns, if the embedded log is in memory), by another submitting
 * thread, or by a thread of the node. It must not block, nor take a lock that is held around
 * node_submit(). */
typedef void node_done(void *arg, const struct outcome *out);

/* The follow callback. It is called once for each feed event after node_open(), in order, by one
 * thread at a time, with work_lock held. It must copy the data that it needs and return; it must
 * not block or call node_submit(). With GAP, EV is NULL: the feed was followed too late and events
 * are missing, so everything derived from it must be discarded. */
typedef void node_follow(void *arg, const struct feed_event *ev, bool gap);

struct node_config {
	struct store_config store;
	const char *log;                 /* "local" or "kafka://..." */
	const char *const *log_settings; /* -X name=value of librdkafka */
	size_t nlog_settings;
	const char *peers; /* URLs to take a snapshot from; NULL: none */
	struct peer_access peer_access;
	uint64_t size_bytes;     /* quota */
	enum evict_policy evict; /* which entries are evicted when the quota is used up */
	uint64_t max_value;      /* bytes of one value; see node_max_value() */
	int64_t write_timeout_ms;
	uint64_t skip_record; /* offset of a record that stops this node, to be skipped; 0: none */
	const char *place; /* distinguishes this process from others of its program; may be NULL */
	bool read_only;    /* submits nothing, not even ticks */
	bool is_mount;     /* acknowledges invalidations, see node_ack */
	node_follow *follow; /* may be NULL */
	void *follow_arg;
	/* Called about once a second, by one thread, if entries may be evicted: calls node_pin()
	 * for each entry that must not be. May be NULL. */
	void (*in_use)(void *arg, struct node *node);
	void *in_use_arg;
};

/* Open the store and the log, and start the node's threads. With the embedded log, the volume of a
 * new store is created. Returns 0 with *RET (node_close()), or -errno with a sentence in WHY. */
int node_open(const struct node_config *config, struct node **ret, char *why, size_t why_size);
/* Watch the stop of this process from now on: if another process keeps the store's write
 * transaction, call LAST(ARG) (NULL: nothing) and end the process (node/stop_limit.h). To be
 * called once, before node_close(). */
void node_limit_stop(struct node *node, void (*last)(void *arg), void *arg);
/* Stop the node: answer the waiting submissions (OUTCOME_STOPPING or OUTCOME_UNKNOWN), flush the
 * log with a deadline, and close the store. */
void node_close(struct node *node);

struct store *node_store(struct node *node);
/* Return the process id in the events that this process submits (struct feed_event).
 * Constant; thread-safe. */
uint64_t node_proc(const struct node *node);
const struct node_config *node_get_config(const struct node *node);
/* Return the most bytes of one value that this node accepts now: --max-value, or less if
 * the topic takes only smaller records. Thread-safe. */
uint64_t node_max_value(const struct node *node);

/* Submit a copy of EV, with its id filled in; DONE(ARG) gets the outcome. To hand over the value
 * instead of having it copied, pass as OWNED the malloc'd block that contains EV->value: the node
 * frees it, also when the event is refused. OWNED may be NULL. Checks event_check(), the quota and
 * the value's size first. Thread-safe. */
void node_submit(struct node *node, const struct event *ev, void *owned, node_done *done,
                 void *arg);
/* Submit one of several events, like node_submit(). Returns true if EV is only queued: node_flush()
 * then applies all queued events in one transaction. (So does any other submit, and the node's
 * thread within a second.) Returns false if nothing is left to do, as after node_submit().
 * Thread-safe. */
bool node_submit_later(struct node *node, const struct event *ev, void *owned, node_done *done,
                       void *arg);
/* Return why a change that is submitted now would fail: EIO while the log is known to be away, the
 * error that applying waits for, or 0. *RET_SINCE_MS is the time (clock_mono_ms()) since which the
 * log is away; 0 for other reasons. Cheap, thread-safe. */
int node_write_error(struct node *node, int64_t *ret_since_ms);
/* Apply the queued events and make their callbacks, or leave that to a thread that is about to do
 * it. */
void node_flush(struct node *node);

/* Return an inode number to propose for a new entry; never the same one twice. Thread-safe. */
uint64_t node_propose_ino(struct node *node);

/* Record that the entry's value was read at NOW_MS (wall time). Cheap enough for every read;
 * thread-safe. See node/recency.h. */
void node_touch(struct node *node, uint64_t ino, int64_t now_ms);
/* Record that the entry is open: this node does not evict it in the next RECENCY_HOLD_MS, or until
 * node_unpin(). */
void node_pin(struct node *node, uint64_t ino);
void node_unpin(struct node *node, uint64_t ino);

/* Return the offset up to which this process has followed the feed. Thread-safe. */
uint64_t node_offset(struct node *node);

/* Call DONE with OUTCOME_OK once the node has applied and followed OFFSET, or with OUTCOME_UNKNOWN
 * after TIMEOUT_MS. May call at once. Thread-safe. */
void node_wait(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done, void *arg);
/* Do the same for the log's current end: data that DONE reads is as new as every change
 * acknowledged before this call. OUTCOME_LOG_DOWN if the log does not report its end.
 * Thread-safe. */
void node_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg);

/* Report that this mount has invalidated the kernel's caches up to OFFSET. Thread-safe. */
void node_ack(struct node *node, uint64_t offset);
/* Call DONE with OUTCOME_OK once all mounts of the node have acknowledged OFFSET, or with
 * OUTCOME_UNKNOWN after TIMEOUT_MS. Calls at once if the node has no other mount. Thread-safe. */
void node_wait_acked(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done,
                     void *arg);

/* Count a change that failed after its caller had been answered with success. The count is shared
 * by all processes of the node. Thread-safe. */
void node_count_lost(struct node *node);

struct node_status {
	bool ready;              /* has caught up with the log's end at the start, and can apply */
	bool behind;             /* has not caught up yet: its data is old or missing */
	bool log_up;             /* the log answers */
	bool applies;            /* this process applies (holds the lock) */
	uint64_t applied;        /* this node's offset */
	uint64_t log_end;        /* newest offset known of the log */
	int64_t lag_ms;          /* age of the newest applied record; 0 if not behind */
	uint64_t pending;        /* submissions without an outcome */
	int64_t oldest_ms;       /* age of the oldest of them; 0 without any */
	uint64_t followed;       /* see node_offset() */
	uint64_t lost;           /* see node_count_lost() */
	uint64_t skipped;        /* records skipped by an operator's order (EVENTS.md) ... */
	uint64_t skipped_newest; /* ... and the offset of the newest one, or 0 */
	const char *log;         /* as configured */
	char why[NODE_WHY_MAX];  /* why the node is not ready, or "" */
};
void node_status(struct node *node, struct node_status *ret);
/* Write the metrics of this process and of the node, with the counters of its other
 * processes, in Prometheus' text format. Thread-safe. */
void node_metrics_write(struct node *node, FILE *to);
/* Return false while the node is behind and must not answer from its store. A node that cannot
 * reach the log, or cannot continue with it, answers with the data that it has. Cheap once the node
 * has been ready. Thread-safe. */
bool node_can_read(struct node *node);
/* Return true while the node cannot apply what it reads from a Kafka log (a full disk, an unknown
 * operation, a stopped process): a change would get into the log, and its outcome would not be
 * known here. With either log, return true while the store's files are removed or replaced.
 * Meanwhile node_submit() ends with OUTCOME_LOG_DOWN. Costs a few loads without a fault.
 * Thread-safe. */
bool node_apply_stalled(struct node *node);

#endif
