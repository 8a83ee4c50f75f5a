/* What the files of the node share. Internal to node*.c. */
#ifndef KEYDIR_NODE_INTERNAL_H
#define KEYDIR_NODE_INTERNAL_H

#include "common/node/node_shm.h"
#include "common/log/kafka.h"
#include "common/node/node.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

/* A submitted event and, once it is known, what came of it. */
struct submission {
	UT_hash_handle hh; /* in node->pending, by seq */
	uint64_t seq;
	struct event *ev;    /* until it was applied; with a log outside, while it is held */
	void *owned;         /* the caller's block that ev->value lies in */
	uint64_t growth;     /* counted in node->inflight_bytes while under way */
	int64_t deadline_ms; /* monotonic */
	bool unlogged;       /* was not logged: out has the outcome */
	bool queued;         /* in node->queue; protected by queue_lock */
	bool waiting_for_space;
	uint64_t missing_bytes; /* ... so many bytes */
	node_done *done;        /* NULL: called already; protected by queue_lock */
	void *arg;
	struct outcome out;      /* for the callback */
	struct feed_event *feed; /* owned */
	struct submission *next; /* in the queue, or in a list of finished ones */
};

/* Somebody who waits for an offset. */
struct waiter {
	uint64_t offset;
	int64_t deadline_ms;
	bool acked; /* ... to be acknowledged by the mounts */
	node_done *done;
	void *arg;
	enum event_outcome code;
	struct waiter *next;
};

/* Callbacks to be made once no lock is held. */
struct completions {
	struct submission *first, **last;
	struct waiter *waiters;
};

/* What the node knows of ticks, node/tick.c. The node's thread's, but for what is atomic. */
struct ticker {
	atomic_bool under_way;      /* one was submitted, and its outcome is not known */
	_Atomic uint64_t last_proc; /* whose tick came last in the log; 0: not known */
	_Atomic int64_t behind_ms;  /* how far the log's clock is behind this one */
	int64_t expiry_ms;          /* of the entry that is to expire first ... */
	uint64_t ino;
	int64_t at_ms;   /* ... and when this process logs a tick for it; monotonic */
	int64_t sent_ms; /* wall time of the last tick submitted */
};

struct log_end_poller; /* node/log_end_poller.c */
struct kafka;          /* node/kafka_log.c */
struct evictor;        /* node/evictor.c */

/* A write waits so much longer than the log, which says it late. */
#define LOG_GRACE_MS 1500
/* A write older than its timeout by this much shows that applying is blocked. */
#define HELD_UP_MS 1000

struct node {
	struct node_config config;
	_Atomic uint64_t max_value; /* see node_max_value() */
	struct store *store;
	struct node_shm *shm;
	struct procs *procs;
	struct kafka *kafka;     /* NULL: embedded log */
	struct recency *recency; /* NULL: nothing is evicted */
	struct evictor *evictor; /* NULL: nothing is evicted by this process */
	uint64_t proc;           /* first half of event ids */
	_Atomic uint64_t ino_tag, ino_count;

	pthread_t thread;
	atomic_bool stopping;

	pthread_t deadline_thread;
	pthread_mutex_t deadline_lock; /* for sleeping */
	pthread_cond_t deadline_wake;
	bool deadlines_stop; /* protected by deadline_lock */

	/* Protects seq, queue, pending and waiters. Nothing is called with it
	 * held. Taken inside work_lock, never the other way round. */
	pthread_mutex_t queue_lock;
	uint64_t seq;
	struct submission *queue, **queue_last;
	atomic_bool waiting_for_space; /* the queue waits until the evictor has made space */
	struct submission *pending;
	struct waiter *waiters;
	_Atomic int nwaiters;
	_Atomic uint64_t inflight_bytes; /* quota that submitted events may use */

	/* The right to apply (embedded log) and to follow the feed. Whoever
	 * submits tries to take it and does the work of all; the node's thread
	 * does what is left. */
	pthread_mutex_t work_lock;
	_Atomic uint64_t followed;
	_Atomic uint64_t acked; /* by all mounts, at least; see is_acked() */
	bool any_followed;      /* protected by work_lock */
	bool lost;              /* rows left the feed unread; protected by work_lock */
	atomic_bool again;      /* somebody found work_lock taken: look again */

	_Atomic int64_t wake_ms; /* wall time at which the thread looks at expiry */
	struct ticker ticker;
	int64_t store_look_ms;   /* when to look at the store's files; the thread's, monotonic */
	int64_t published_ms;    /* when the others got this process's numbers; the thread's */
	_Atomic int stalled;     /* errno that applying waits for, or 0 */
	_Atomic int64_t away_ms; /* since when a log outside is away (monotonic); 0: it is not */
	atomic_bool ready;
};

/* Following, node/follow.c. */
void completions_init(struct completions *done);
void completions_add(struct completions *done, struct submission *p);
/* Calls the callbacks and frees; with no lock held. */
void completions_run(struct completions *done);

/* Takes P out of the index (if it is in it). With queue_lock held. */
void node_forget(struct node *node, struct submission *p);
/* Finishes the event SEQ without a feed event, if it still waits. */
void node_finish(struct node *node, uint64_t seq, enum event_outcome code, uint64_t offset);
/* Follows the feed up to its end: completions, the follow callback, waiters.
 * With work_lock held. */
void node_follow_feed(struct node *node, struct completions *done);
/* Moves the waiters whose wish came true, or whose time is over, to DONE. */
void node_settle_waiters(struct node *node, struct completions *done);

/* Applies what is queued (embedded log) and follows, if nobody else does. */
void node_work(struct node *node);

/* Follows the feed now, waiting for who does it already. For threads that may. */
void node_catch_up(struct node *node);
/* A random number. 0 or -errno. */
int node_random(uint64_t *ret);

/* What is wrong with the node, node/fault.c. All are thread-safe. */
/* Say for all processes of the node that FAULT is there, and WHY, until this process says
 * "" or ends. Logs what is news. */
void node_set_fault(struct node *node, enum procs_fault fault, const char *why);
/* Compare the store's files with those that this process has open, if it is time to, and
 * set FAULT_STORE. Returns the ms until it is time again. For the node's thread. */
int64_t node_look_at_store(struct node *node);
/* Say that applying waits for ERR (positive) or, with 0, that it goes on. */
void node_set_stalled(struct node *node, int err);
/* Say in WHY what keeps the node from working, as any of its processes knows; "" if
 * nothing does. */
void node_why(struct node *node, char why[NODE_WHY_MAX]);

/* Write deadlines, node/deadline.c. */
/* Start the thread. 0 or -errno. */
/* Warn if --size cannot be what was meant: too small to hold anything, or more than the
 * store's file system or the memory. The store is open. */
void node_size_warn(const struct node *node);

int deadlines_open(struct node *node);
void deadlines_close(struct node *node);
/* Return the age in ms of the oldest write without an outcome, 0 without one. */
int64_t deadlines_oldest_ms(struct node *node);
/* True if an age of OLDEST_MS shows that applying is blocked. */
bool deadlines_held_up(struct node *node, int64_t oldest_ms);

/* Show this process's counters and limits to the others, now and then; node/metrics.c. For
 * the node's thread. */
void node_publish_numbers(struct node *node);
/* Take over the --size and --max-value of the processes that run on the same store, with a
 * warning if they are others and this process makes changes. To be called while no other process starts there. */
void node_adopt_limits(struct node *node);

/* Ticks, node/tick.c. */
/* Submit a tick if an entry's time is over and it is this process's turn. Returns the
 * milliseconds until there is something to do, IDLE_MS if nothing expires. For the node's
 * thread. */
int64_t tick_if_due(struct node *node, int64_t idle_ms);
/* Note that EV is in the log. */
void tick_seen(struct node *node, const struct feed_event *ev);

/* The embedded log's part, node/local_log.c. */
/* Makes the volume in a new store; checks that an old one has this kind of log.
 * 0 or -errno with a sentence in WHY. */
int local_open(struct node *node, char *why, size_t why_size);
/* Takes a batch off the queue, in order. */
struct submission *local_take_batch(struct node *node);
/* Applies BATCH whole or, if that fails, event by event, so that one that finds
 * no room does not take the others with it. What gets no feed event goes to DONE.
 * With work_lock held. */
void local_apply(struct node *node, struct submission *batch, struct completions *done);
/* Tries whether there is room again. A commit as small as this one may find some
 * in the store where what failed did not. */
void local_probe(struct node *node);

/* Eviction, node/evictor.c. All but the first are fine without an evictor. */
/* Starts the thread, if the configuration says so. 0 or -errno. */
int evictor_open(struct node *node);
/* Ends the thread; what is held with a log outside is told that the node stops. */
void evictor_stop(struct node *node);
void evictor_free(struct node *node);
/* Says that so many bytes of the quota are used, or will be. */
void evictor_note_usage(struct node *node, uint64_t used_bytes);
/* Whether P, which adds so many bytes and makes a value this long, may wait for
 * room that it lacks now. */
bool evictor_may_wait(struct node *node, const struct submission *p, uint64_t growth,
                      uint64_t longest);
/* The same for an event that was not submitted yet. */
bool evictor_event_may_wait(struct node *node, struct txn *txn, const struct event *ev);
/* Puts PENDINGS, the first of which is held, back to the front of the queue. */
void evictor_requeue(struct node *node, struct submission *pendings);
/* Puts evictions that wait for it in front of BATCH, which has NEVENTS events with
 * so many bytes of values. Returns the whole. With queue_lock held. */
struct submission *evictor_piggyback(struct node *node, size_t nevents, size_t bytes,
                                     struct submission *batch);
/* Wakes the evictor for what was just put into the queue and is held. */
void evictor_wake(struct node *node);

/* Kafka's part, node/kafka_log.c. */
/* Opens the log and starts its threads; with a broker that answers, an unfit
 * topic is refused here. 0 or -errno with a sentence in WHY. */
int kafka_open(struct node *node, char *why, size_t why_size);
/* Ends the threads and flushes what was submitted; its callbacks come. */
void kafka_stop(struct node *node);
void kafka_free(struct node *node);
/* Produces EV, whose id is filled in; an event that is not logged ends in
 * node_finish. Called with no lock held. */
void kafka_submit(struct node *node, const struct event *ev);
void kafka_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg);
/* Fill in what concerns the log; RET->why has what is wrong already. */
void kafka_status(struct node *node, struct node_status *ret);

/* Look at the topic again: its limit holds from now on; the process that applies logs a
 * warning that is new. 0, or there -errno if the topic is unfit or gone. Blocks; for the poller's thread. */
int kafka_look(struct node *node, int64_t timeout_ms);
/* Notes that a log outside ends at END, the offset behind its newest record. */
void kafka_raise_end(struct node *node, uint64_t end);

/* Skipping a record of a log outside by order of the operator, node/skip.c. */
struct skip_order {
	struct node *node;
	struct log_kafka *log;
	atomic_bool waits; /* is still to be carried out */
};
void skip_init(struct skip_order *order, struct node *node, struct log_kafka *log);
/* Carry out --skip-record, once: log a record `skip` if this node is stopped at the record
 * that it names, refuse it if the node is not. Does nothing until that is known. AT_END:
 * this process has read the whole log. For the consumer's thread; blocks on the broker. */
void skip_carry_out(struct skip_order *order, bool at_end);
/* Return how many records were skipped; *RET_NEWEST is the newest one's offset, or 0. */
uint64_t skip_count(struct node *node, uint64_t *ret_newest);

/* Asking a log outside for its end, node/log_end_poller.c. */
/* Starts the thread. 0, -ENOMEM or -EAGAIN. */
int log_end_poller_open(struct node *node, struct log_kafka *log, struct log_end_poller **ret);
/* Begin to audit: the log has NEWEST, which was applied (NULL: nothing is known yet). */
void log_end_poller_begin_audit(struct log_end_poller *poller, const struct log_identity *newest);
/* The newest record applied is NEWEST now; *RET_SURE is the newest that the log was asked
 * for since. */
void log_end_poller_note_applied(struct log_end_poller *poller, const struct log_identity *newest,
                                 struct log_identity *ret_sure);
/* Return whether the topic is unfit since log_end_poller_begin_audit(), or seems to have lost a record that
 * was applied: compare *RET_SURE, which was sure before. */
bool log_end_poller_has_doubts(struct log_end_poller *poller, struct log_identity *ret_sure);
/* node_barrier() with a log outside. DONE is called by the thread, or at once. */
void log_end_poller_barrier(struct log_end_poller *poller, int64_t timeout_ms, node_done *done,
                            void *arg);
/* Ends the thread; who waits for it is told that the node stops. NULL is fine. */
void log_end_poller_stop(struct log_end_poller *poller);
void log_end_poller_free(struct log_end_poller *poller);

/* Whether a store belongs to a log, node/volume.c. */
/* Read what STORE knows of its log: 1, 0 (no identities yet: *RET_APPLIED is not
 * written), or -errno. */
int volume_load(struct store *store, struct store_meta *ret, struct log_identities *ret_applied);
/* Decide whether a store with META and the identities APPLIED (NULL: unknown) can go on
 * with LOG, which has the offsets from FIRST to before END. 0, -EAGAIN (no broker), or:
 * -ENOTSUP (it has an embedded log), -EOVERFLOW (it is ahead of the log), -ENODATA (the
 * log has been cut short of it), -EXDEV (it is of another volume), -ESTALE (the log has
 * another record than APPLIED's newest, or its `sure`; *RET_SAME is the newest offset known that has the same
 * one, or UINT64_MAX). Blocks. */
int volume_check(struct log_kafka *log, const struct store_meta *meta,
                 const struct log_identities *applied, uint64_t first, uint64_t end,
                 uint64_t *ret_same);
/* Write to WHY what an error of volume_check() means for NODE, and what to do. */
void volume_explain(const struct node *node, int err, const struct store_meta *meta,
                    const struct log_kafka_topic *topic, uint64_t same, char *why, size_t why_size);
/* Whether the node of ARG, a struct node_config, can use a store with META; one
 * that cannot be told without a broker is good enough. 0 or -errno with a
 * sentence in WHY. For snapshot_fetch(). Blocks. */
int volume_fits(void *arg, const struct store_meta *meta, char *why, size_t why_size);
/* CONFIG's part that concerns the log. */
struct log_kafka_config volume_log_config(const struct node_config *config);

#endif
