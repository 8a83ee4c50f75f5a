/* Pending: changes that nobody waits for, because their close has returned. */
#ifndef KEYDIR_FS_PENDING_H
#define KEYDIR_FS_PENDING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Beyond these, closing waits. */
#define PENDING_MAX 4096
#define PENDING_BYTES_MAX (64u << 20)

struct op;

/* Waits for pending changes; embedded in what the caller allocated. */
struct pending_wait {
	struct pending_wait *next;
	uint64_t seq;
	/* Called with no lock held, by any thread; must not submit. */
	void (*run)(struct pending_wait *wait);
};

struct pending {
	pthread_mutex_t lock; /* protects what follows */
	struct op *first;     /* oldest first */
	uint64_t last_seq;
	unsigned count;
	uint64_t bytes;
	struct pending_wait *waits; /* oldest first */
	int error;                  /* of a change, to be told; 0: none */
};

void pending_init(struct pending *pending);

/* OP, not sent yet, becomes a change that nobody waits for; pending_done() ends
 * that, with the errno that it came to (0: fine). Without MUST false, and
 * nothing changes, if there are too many. Thread-safe, as all of these. */
bool pending_add(struct pending *pending, struct op *op, bool must);
void pending_done(struct pending *pending, struct op *op, int error);

/* Lets WAIT->run be called when all that are pending now are done. False if
 * there is none: then it is not. */
bool pending_wait(struct pending *pending, struct pending_wait *wait);

/* Takes the first error that was not told to anybody; 0 for none. */
int pending_take_error(struct pending *pending);

#endif
