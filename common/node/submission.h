/* Submission: an event that was submitted and has no outcome yet. */
#ifndef KEYDIR_SUBMISSION_H
#define KEYDIR_SUBMISSION_H

#include "common/node/node.h"

#include <uthash.h>

struct submission {
	UT_hash_handle hh; /* in node->pending, by seq */
	uint64_t seq;
	struct event *ev;       /* owned; NULL once the log has a copy */
	void *owned;            /* the caller's block with the bytes of ev->value; or NULL */
	uint64_t growth;        /* its share of node->inflight_bytes */
	int64_t deadline_ms;    /* monotonic */
	bool unlogged;          /* it was not logged; `out` has the outcome */
	bool queued;            /* in node->queue; protected by queue_lock */
	bool waiting_for_space; /* until the evictor has freed ... */
	uint64_t missing_bytes; /* ... this much */
	node_done *done;        /* NULL: already called; protected by queue_lock */
	void *arg;
	struct outcome out;      /* for the callback */
	struct feed_event *feed; /* owned */
	struct submission *next; /* in the queue, a batch, or a list of completions */
};

/* Free P and what it owns. NULL is fine. */
void submission_free(struct submission *p);

/* Assign the next sequence number to P and add P to the node's index. Returns the number. Call with
 * queue_lock held. */
uint64_t submission_register(struct node *node, struct submission *p);
/* Remove P from the node's index. Call with queue_lock held. */
void submission_unregister(struct node *node, struct submission *p);

/* Take the first submission off the queue, which is not empty. Call with queue_lock held. */
struct submission *submission_dequeue(struct node *node);
/* Return the first submission that waits for space, or NULL. It stays in the queue as long
 * as the evictor's thread, the only one that may call this, leaves it there. */
struct submission *submission_first_waiting(struct node *node);
/* Cut the first N submissions (at least 1) off *LIST and return them; NULL if *LIST is
 * empty. Call with queue_lock held if the submissions are in the index. */
struct submission *submission_cut(struct submission **list, size_t n);

#endif
