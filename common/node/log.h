/* Log: the interface to the log that a node follows, and its two implementations.
 *
 * local_log.c is the embedded log: the submitting threads apply events to the store, which
 * is the log. kafka_log.c is a Kafka topic: events are appended to it, and one process of
 * each node reads them back and applies them. Only node.c chooses between the two; all other
 * files of the node call the log through node->log. */
#ifndef KEYDIR_NODE_LOG_H
#define KEYDIR_NODE_LOG_H

#include "common/node/node.h"

struct completions;
struct submission;

struct log_ops {
	/* Threads of the submitting process apply queued events, under work_lock. False:
	 * events go to the log at once, and one process of the node applies for all. */
	bool workers_apply;
	/* The log keeps its events, so that a lost store can be built from it again. */
	bool keeps_events;
	/* A tick that would remove nothing is not logged, so an early one costs nothing. */
	bool drops_idle_ticks;
	/* Faults (1 << enum procs_fault) during which the log still takes events. */
	unsigned tolerated_faults;

	/* Return whether URL, the value of --log, means this log. */
	bool (*matches)(const char *url);
	/* Open the log of node->config.log and start its threads; the store is open. Refuse a
	 * store that belongs to another log. Set node->ready, at once or when the node has
	 * caught up. Returns 0, or -errno with a sentence in WHY; then nothing is left open. */
	int (*open)(struct node *node, char *why, size_t why_size);
	/* Answer the submissions that can get no outcome any more, wait for the others with a
	 * deadline, and end the log's threads. The evictor has ended. */
	void (*stop)(struct node *node);
	/* Free the state after stop(). */
	void (*free)(struct node *node);

	/* Decide whether EV, which is valid by itself, may be submitted. Returns OUTCOME_OK
	 * or the reason why not; sets *RET_WAIT if EV must wait for space first.
	 * Thread-safe. */
	enum event_outcome (*admit)(struct node *node, const struct event *ev, bool *ret_wait);
	/* Hand EV, whose submission has the number SEQ, to the log; EV is borrowed. With
	 * workers_apply the submission is queued already; LATER then leaves the applying to
	 * node_flush(). Returns whether node_flush() has something to do. The outcome may come
	 * before this returns. Call with no lock held; thread-safe. */
	bool (*submit)(struct node *node, const struct event *ev, uint64_t seq, bool later);
	/* Call DONE once this process has followed the log up to its end of now: node_barrier().
	 * Thread-safe. */
	void (*barrier)(struct node *node, int64_t timeout_ms, node_done *done, void *arg);
	/* Fill in the fields of RET that concern the log; RET->why has the node's fault
	 * already, or "". Thread-safe. */
	void (*status)(struct node *node, struct node_status *ret);

	/* Apply queued events and add those that need no feed row to DONE. Call with
	 * work_lock held. NULL: nothing is ever queued. */
	void (*apply_queued)(struct node *node, struct completions *done);
	/* Find out whether applying, which is stalled, can continue, and set node->stalled.
	 * For the node's thread. NULL: the log's own thread does that. */
	void (*retry_stalled)(struct node *node);

	/* Return how many bytes must be freed before P, which waits for space, fits. TXN is a
	 * snapshot. For the evictor's thread, like the functions that follow. */
	uint64_t (*missing_bytes)(struct node *node, struct txn *txn, const struct submission *p);
	/* Submit, in order, the waiting submissions that fit by now. */
	void (*resume_waiting)(struct node *node);
	/* Submit LIST, which has events of evictions, not registered yet. Takes ownership. */
	void (*submit_evictions)(struct node *node, struct submission *list);
	/* Apply the evictions that no submitting thread has applied. NULL if submit_evictions()
	 * leaves none. */
	void (*apply_evictions)(struct node *node);
};

extern const struct log_ops local_log_ops; /* node/local_log.c */
extern const struct log_ops kafka_log_ops; /* node/kafka_log.c */

#endif
