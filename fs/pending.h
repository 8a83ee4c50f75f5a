/* Pending: changes that no caller waits for any more (after close with -o async_close, or at
 * release). */
#ifndef KEYDIR_FS_PENDING_H
#define KEYDIR_FS_PENDING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Above these limits close waits until its change is applied. */
#define PENDING_MAX 4096
#define PENDING_BYTES_MAX (64u << 20)

struct op;

/* A wait for pending changes; embedded in an object that the caller allocated and owns. */
struct pending_wait {
	struct pending_wait *next;
	uint64_t seq;
	/* Called with no lock held, by any thread; must not submit events. */
	void (*run)(struct pending_wait *wait);
};

struct pending {
	pthread_mutex_t lock; /* protects all fields below */
	struct op *first;     /* oldest first */
	uint64_t last_seq;
	unsigned count;
	uint64_t bytes;
	struct pending_wait *waits; /* oldest first */
	int error;                  /* errno of a change, not reported yet; 0: none */
};

void pending_init(struct pending *pending);

/* Add OP, which was not sent yet. Above the limits, return false and change nothing, unless MUST.
 * Thread-safe, like all functions here. */
bool pending_add(struct pending *pending, struct op *op, bool must);
/* Remove OP, which ended with ERROR, an errno or 0. */
void pending_done(struct pending *pending, struct op *op, int error);

/* Call WAIT->run once all changes that are pending now are done. If there are none, return false
 * and do not call it. */
bool pending_wait(struct pending *pending, struct pending_wait *wait);

/* Return the first error that was not reported, 0 for none, and clear it. */
int pending_take_error(struct pending *pending);

#endif
