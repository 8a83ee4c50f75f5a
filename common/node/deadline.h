/* Write deadlines: a thread that answers every write that has waited too long. */
#ifndef KEYDIR_DEADLINE_H
#define KEYDIR_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* How much longer than its timeout a write waits for its outcome: the log, which knows
 * whether the event got there, gives up first and may need a second to report it. */
#define DEADLINE_LOG_GRACE_MS 1500

/* Start the thread. Returns 0 or -errno. */
int deadline_open(struct node *node);
/* End the thread. */
void deadline_close(struct node *node);
/* Return the deadline (monotonic ms) of a write that is submitted now. */
int64_t deadline_from_now(const struct node *node);
/* Return the age in ms of the oldest write without an outcome, or 0. Thread-safe. */
int64_t deadline_oldest_ms(struct node *node);
/* Return true if an age of OLDEST_MS shows that applying is blocked. */
bool deadline_is_overdue(const struct node *node, int64_t oldest_ms);

#endif
