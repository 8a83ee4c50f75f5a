/* Invalidator: the queue and state that inval.c and inval_queue.c share. */
#ifndef KEYDIR_FS_INVAL_INTERNAL_H
#define KEYDIR_FS_INVAL_INTERNAL_H

#include "common/base/bytes.h"
#include "fs/notifier.h"

#include <pthread.h>
#include <stdatomic.h>

struct inval {
	struct mount *mount;
	_Atomic uint64_t own_proc;           /* of the mount's node; 0 until inval_start() */
	_Atomic uint64_t invalidated_offset; /* see inval_offset() */
	pthread_mutex_t lock;                /* protects all fields below */
	pthread_cond_t wake;                 /* on the monotonic clock */
	pthread_cond_t ended;                /* signalled when a thread ends */
	struct invalidation *first;
	struct invalidation **last;
	struct invalidation *syncs; /* unanswered fsyncs in the queue, linked by next_sync */
	uint64_t offset;            /* of the last event followed */
	bool wanted;                /* there is work, or an offset to acknowledge */
	bool idle;                  /* the active thread waits, and has no retries */
	bool stop;
	unsigned nthreads;
	struct notifier *notifier; /* of the active thread; NULL: not started */
	/* Only used by the active thread, except where another takes over (inval.c). */
	struct invalidation *current; /* in progress */
	struct invalidation *round;   /* taken off the queue, to process next */
	uint64_t round_offset;        /* of the last event of the round */
	bool round_acks;              /* acknowledge it after the round */
	struct invalidation *retries; /* to try again, oldest first */
	struct invalidation **retries_last;
	size_t nretries;
};

/* The events that make an item necessary; see struct invalidation. */
struct origin {
	uint64_t proc;
	bool own_as_well;
};

/* Append an item of KIND to the queue, with INVAL->lock held. Returns it, or NULL without memory;
 * it stays the queue's. */
struct invalidation *inval_queue_item(struct inval *inval, struct origin origin,
                                      enum invalidation_kind kind, uint64_t ino, uint64_t parent,
                                      struct bytes name);

#endif
