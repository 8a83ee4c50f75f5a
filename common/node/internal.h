/* The state of a node, for the files of common/node/ only. */
#ifndef KEYDIR_NODE_INTERNAL_H
#define KEYDIR_NODE_INTERNAL_H

#include "common/node/node.h"
#include "common/node/node_shm.h"
#include "common/node/tick.h"

#include <pthread.h>
#include <stdatomic.h>

struct evictor;    /* node/evictor.h */
struct log_ops;    /* node/log.h */
struct submission; /* node/submission.h */
struct waiter;     /* node/wait.h */

struct node {
	struct node_config config;
	_Atomic uint64_t max_value; /* bytes; see node_max_value() */
	struct store *store;
	struct node_shm *shm;
	struct procs *procs;
	const struct log_ops *log;
	void *log_state;               /* the state of that implementation */
	struct stop_limit *stop_limit; /* NULL: not stopping */
	struct recency *recency;       /* NULL: nothing is evicted */
	struct evictor *evictor;       /* NULL: this process does not evict */
	uint64_t proc;                 /* see node_proc() */
	_Atomic uint64_t ino_tag, ino_count;

	pthread_t thread;
	atomic_bool stopping;

	pthread_t deadline_thread;
	pthread_mutex_t deadline_lock; /* for sleeping */
	pthread_cond_t deadline_wake;
	bool deadlines_stop; /* protected by deadline_lock */

	/* Protects seq, queue, pending and waiters. No callback and no function of the log is
	 * called with it held. It is taken inside work_lock, never the other way round. */
	pthread_mutex_t queue_lock;
	uint64_t seq;
	struct submission *queue, **queue_last;
	atomic_bool waiting_for_space; /* the queue waits until the evictor has made space */
	struct submission *pending;    /* submissions without an outcome, indexed by seq */
	struct waiter *waiters;
	_Atomic int nwaiters;
	_Atomic uint64_t inflight_bytes; /* quota that appended, unapplied events may take */

	/* The right to apply (embedded log) and to follow the feed. A submitting thread tries
	 * to take it and then works for all threads; the node's thread does the rest. */
	pthread_mutex_t work_lock;
	_Atomic uint64_t followed; /* offset */
	_Atomic uint64_t acked;    /* offset that all mounts have acknowledged, or a lower one */
	bool any_followed;         /* protected by work_lock */
	bool lost; /* feed rows were dropped before they were read; protected by work_lock */
	atomic_bool again; /* a thread found work_lock taken: look for work again */

	_Atomic int64_t wake_ms; /* wall time at which the node's thread looks at expiry */
	struct ticker ticker;
	int64_t store_check_ms;  /* monotonic time of the next look at the store's files; the
	                          * node's thread only */
	int64_t published_ms;    /* monotonic time of the last numbers_publish(); likewise */
	_Atomic int stalled;     /* the error (errno) that applying waits for, or 0 */
	_Atomic int64_t away_ms; /* monotonic time since which the log is away; 0: it is not */
	atomic_bool ready;       /* has caught up with the log's end at the start */
};

#endif
