/* The node: submit events, learn their outcome, follow the feed. */
#ifndef KEYDIR_NODE_H
#define KEYDIR_NODE_H

#include "common/node/evict.h"
#include "common/event/feed.h"
#include "common/node/peer_request.h"
#include "common/node/procs.h"
#include "common/store/store.h"
#include "common/store/view.h"

#include <stdio.h>

struct node;

/* Room for a sentence that says what is wrong with a log, with the command that
 * mends it. */
#define NODE_WHY_MAX PROCS_WHY_MAX

/* What a submitted event came to. Valid during the callback only. */
struct outcome {
	enum event_outcome code;
	uint64_t offset; /* where in the log; 0: never logged, or unknown */
	uint64_t ino;
	uint64_t version; /* of the entry, after; 0: gone */
	int64_t number;   /* incr */
	bool created;
	const struct feed_event *feed; /* all details; NULL if it was not applied */
};

/* Called exactly once for each submit, with no lock held: from the submitting
 * thread (before node_submit returns, when the log is embedded and in memory), from
 * another one that submits, or from one of the node's. It must not wait for
 * anything, nor take a lock that is held around node_submit. */
typedef void node_done(void *arg, const struct outcome *out);

/* Called for each feed event after the node was opened, in order, once, from
 * one thread at a time, with the node's work lock held: copy what is needed
 * and return; no waiting, no node_submit. GAP (with EV NULL): the feed moved
 * on too far, events are missing, forget all that was derived from it. */
typedef void node_follow(void *arg, const struct feed_event *ev, bool gap);

struct node_config {
	struct store_config store;
	const char *log;                 /* "local" or "kafka://..." */
	const char *const *log_settings; /* -X name=value of librdkafka */
	size_t nlog_settings;
	const char *peers; /* URLs to take a snapshot from; NULL: none */
	struct peer_access peer_access;
	uint64_t size_bytes;     /* quota */
	enum evict_policy evict; /* what gives room when the quota is used up */
	uint64_t max_value;      /* bytes of one value; see node_max_value() */
	int64_t write_timeout_ms;
	uint64_t skip_record; /* offset of a record that stops this node, to be skipped; 0: none */
	const char *place;    /* tells this process from others of its program; NULL: nothing */
	bool read_only;       /* submits nothing, also no ticks */
	bool is_mount;        /* acknowledges invalidations, see node_ack */
	node_follow *follow;  /* may be NULL */
	void *follow_arg;
	/* Called about once a second, from one thread, if anything may be evicted:
	 * tells node_pin() of what must not be. May be NULL. */
	void (*in_use)(void *arg, struct node *node);
	void *in_use_arg;
};

/* Opens store and log and starts the node's thread. With an embedded log and
 * a new store the volume is made. 0 and *RET (node_close()), or -errno with a
 * sentence in WHY. */
int node_open(const struct node_config *config, struct node **ret, char *why, size_t why_size);
/* Watch the stop of this process from now on: if another process keeps the store's write
 * transaction, call LAST(ARG) (NULL: nothing) and end the process (node/stop_limit.h). To be
 * called once, before node_close(). */
void node_limit_stop(struct node *node, void (*last)(void *arg), void *arg);
/* Stops: answers what waits (OUTCOME_STOPPING or UNKNOWN), flushes the log
 * with a deadline, closes the store. */
void node_close(struct node *node);

struct store *node_store(struct node *node);
/* Return the process id in the events that this process submits (struct feed_event).
 * Constant; thread-safe. */
uint64_t node_proc(const struct node *node);
const struct node_config *node_get_config(const struct node *node);
/* Return the most bytes of one value that this node accepts now: --max-value, or less if
 * the topic takes only smaller records. Thread-safe. */
uint64_t node_max_value(const struct node *node);

/* Submits a copy of EV (its id is filled in); DONE(ARG) gets the outcome. A
 * value can be handed over instead of copied: OWNED, if not NULL, is the
 * malloc'd block that EV->value lies in and is freed by the node.
 * Checks event_check, quota and value size first. Thread-safe. */
void node_submit(struct node *node, const struct event *ev, void *owned, node_done *done,
                 void *arg);
/* The same for one of several at once: true if EV only waits to be applied, which
 * node_flush() does for all that waits, in one transaction. (So does any other
 * submit, and at the latest the node's thread within a second.) False: as after
 * node_submit(). */
bool node_submit_later(struct node *node, const struct event *ev, void *owned, node_done *done,
                       void *arg);
/* Return why a change that is submitted now cannot be done: EIO while the log is known to
 * be away, what applying waits for, or 0. *RET_SINCE_MS is the time (clock_mono_ms()) since
 * which the log is away; 0 for other reasons. Cheap, thread-safe. */
int node_write_error(struct node *node, int64_t *ret_since_ms);
/* Calls back for what waits, or leaves that to a thread that is about to. */
void node_flush(struct node *node);

/* An inode number to propose for an entry; never the same twice. */
uint64_t node_propose_ino(struct node *node);

/* The entry's value was read at NOW_MS (wall time). Cheap, thread-safe, for every
 * read: see node/recency.h. */
void node_touch(struct node *node, uint64_t ino, int64_t now_ms);
/* The entry is open: this node does not evict it in the next RECENCY_HOLD_MS, or
 * until it is closed. */
void node_pin(struct node *node, uint64_t ino);
void node_unpin(struct node *node, uint64_t ino);

/* Offset up to which this process has followed the feed. */
uint64_t node_offset(struct node *node);

/* Calls DONE when the node has applied (and followed) OFFSET, with OUTCOME_OK,
 * or after TIMEOUT_MS with OUTCOME_UNKNOWN. May call at once. Thread-safe. */
void node_wait(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done, void *arg);
/* The same for the end that the log has now: what DONE then reads is as new
 * as anything acknowledged before this call. OUTCOME_LOG_DOWN if the log
 * cannot say. */
void node_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg);

/* Mounts say how far they have invalidated the kernel's caches ... */
void node_ack(struct node *node, uint64_t offset);
/* ... and a REST server waits until all mounts of the node have: OUTCOME_OK, or after
 * TIMEOUT_MS OUTCOME_UNKNOWN. Calls at once if there is no mount. */
void node_wait_acked(struct node *node, uint64_t offset, int64_t timeout_ms, node_done *done,
                     void *arg);

/* Counts a change whose caller was told that it is done, and which then failed.
 * All processes of the node see it. Thread-safe. */
void node_count_lost(struct node *node);

struct node_status {
	bool ready;        /* caught up to the end the log had at the start, and able to apply */
	bool behind;       /* not there yet: what it would show is long past, or nothing */
	bool log_up;       /* the log answers */
	bool applies;      /* this process applies (holds the lock) */
	uint64_t applied;  /* this node's offset */
	uint64_t log_end;  /* newest offset known of the log */
	int64_t lag_ms;    /* age of the newest applied record while behind; 0: not behind */
	uint64_t pending;  /* submits that wait */
	int64_t oldest_ms; /* age of the oldest of them; 0: there is none */
	uint64_t followed; /* see node_offset */
	uint64_t lost;     /* see node_count_lost */
	uint64_t skipped;  /* records skipped by order (EVENTS.md) ... */
	uint64_t skipped_newest; /* ... and the offset of the newest, 0: none */
	const char *log;         /* as configured */
	char why[NODE_WHY_MAX];  /* why the node is not ready, or "" */
};
void node_status(struct node *node, struct node_status *ret);
/* Write the metrics of this process and of the node, with the counters of its other
 * processes, in Prometheus' text format. Thread-safe. */
void node_metrics_write(struct node *node, FILE *to);
/* False while the node is `behind`: it must not answer what is in the store. A
 * node that cannot ask the log, or cannot go on with it, shows what it has: that
 * is all that anybody can. Cheap once it was ready. Thread-safe. */
bool node_can_read(struct node *node);
/* True while the node cannot apply what it reads from a log outside (a full disk, an
 * operation that it does not know, a process that was stopped): a change would get into
 * the log, and its outcome not be known here. With any log, true while the store's files
 * are removed or replaced. Then node_submit() ends in OUTCOME_LOG_DOWN.
 * Costs a few loads while nothing is wrong. Thread-safe. */
bool node_apply_stalled(struct node *node);

#endif
