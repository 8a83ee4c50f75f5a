/* Ticks: events that move log time, so that expired entries are removed. */
#ifndef KEYDIR_TICK_H
#define KEYDIR_TICK_H

#include <stdatomic.h>
#include <stdint.h>

struct node;

/* State of a node's ticks. Only the node's thread uses the fields that are not atomic. */
struct ticker {
	atomic_bool submitted; /* a tick has no outcome yet */
	_Atomic uint64_t
	        last_proc; /* process id of the newest tick in the feed, set by follow.c; 0: unknown */
	_Atomic int64_t behind_ms; /* how far log time lags this process's clock */
	int64_t expiry_ms;         /* wall time of the next expiry ... */
	uint64_t ino;              /* ... of this entry ... */
	int64_t at_ms;             /* ... and when this process logs a tick for it; monotonic */
	int64_t sent_ms;           /* wall time of the last tick submitted */
};

/* Submit a tick if an entry has expired and this process is to log the tick. Returns the ms
 * until the next look, IDLE_MS if nothing expires. For the node's thread. */
int64_t tick_if_due(struct node *node, int64_t idle_ms);

#endif
