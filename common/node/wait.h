/* Waiting for an offset to be followed, or to be acknowledged by the mounts. */
#ifndef KEYDIR_WAIT_H
#define KEYDIR_WAIT_H

#include "common/node/node.h"

struct completions;

/* A caller of node_wait() or node_wait_acked(). */
struct waiter {
	uint64_t offset;
	int64_t deadline_ms; /* monotonic */
	bool acked;          /* waits for the acknowledgement of all mounts */
	node_done *done;
	void *arg;
	enum event_outcome code; /* for the callback */
	struct waiter *next;
};

/* Move the waiters whose offset was reached, or whose time is over, to DONE. Thread-safe;
 * takes queue_lock. */
void wait_settle(struct node *node, struct completions *done);
/* Move all waiters to DONE, because the node stops. */
void wait_stop(struct node *node, struct completions *done);
/* Call back the waiters whose time is over. Returns the ms until the next timeout,
 * INT64_MAX if nothing waits. Call with no lock held. */
int64_t wait_check(struct node *node);

#endif
