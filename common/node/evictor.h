/* Evictor: a thread that makes space, and writes that wait for it. */
#ifndef KEYDIR_EVICTOR_H
#define KEYDIR_EVICTOR_H

#include "common/node/node.h"

struct submission;

/* Start the thread, if the configuration asks for eviction. Returns 0 or -errno; call
 * evictor_free() in both cases. */
int evictor_open(struct node *node);
/* End the thread. Submissions that wait for space stay in the queue. */
void evictor_stop(struct node *node);
void evictor_free(struct node *node);

/* Report to the evictor that USED_BYTES of the quota are used, or will be. Cheap; does nothing
 * without an evictor. Thread-safe. */
void evictor_note_usage(struct node *node, uint64_t used_bytes);
/* Return whether P may wait for space: it adds GROWTH bytes, and the longest value that it
 * makes has LONGEST bytes. False without an evictor. */
bool evictor_may_wait(struct node *node, const struct submission *p, uint64_t growth,
                      uint64_t longest);
/* Return whether EV, which has not been submitted yet, may wait for space. False without an
 * evictor. */
bool evictor_event_may_wait(struct node *node, struct txn *txn, const struct event *ev);
/* Put LIST, whose first submission waits for space, back at the front of the queue and wake
 * the evictor. */
void evictor_requeue(struct node *node, struct submission *list);
/* Wake the evictor for a submission that was just queued and waits for space. */
void evictor_wake(struct node *node);
/* End submissions that wait for space with CODE: the first one, or ALL. Call with no lock
 * held. */
void evictor_refuse_waiting(struct node *node, enum event_outcome code, bool all);

#endif
