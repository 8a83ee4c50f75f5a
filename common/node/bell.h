/* The bell: how the processes of a node wake each other (one shared page). */
#ifndef KEYDIR_BELL_H
#define KEYDIR_BELL_H

#include <stdbool.h>
#include <stdint.h>

#define BELL_SLOTS 60 /* processes of one node */

struct bell;

/* Opens DIR/bell and takes a free slot in it (held by a lock that dies with
 * the process). 0, -EUSERS if all slots are taken, or -errno. */
int bell_open(const char *dir, bool is_mount, struct bell **ret);
/* Gives the slot back. No thread may be waiting. NULL is fine. */
void bell_close(struct bell *bell);

/* The number that bell_wait compares with: read it, look for work, then wait. */
uint32_t bell_ticket(struct bell *bell);
/* Sleeps until this slot was rung after TICKET was read, or TIMEOUT_MS passed.
 * For one thread per process. */
void bell_wait(struct bell *bell, uint32_t ticket, int64_t timeout_ms);
/* Wakes this process's waiter; from any thread. Costs a system call only if
 * it sleeps. */
void bell_ring_self(struct bell *bell);
/* Wakes all other processes of the node. */
void bell_ring_others(struct bell *bell);

/* Counts a change that failed after its caller was told that it is done, for all
 * processes of the node to see; and how many there were since the page was
 * made. */
void bell_count_lost(struct bell *bell);
uint64_t bell_lost(struct bell *bell);

/* This mount has invalidated up to OFFSET; wakes the others. Never goes back. */
void bell_ack(struct bell *bell, uint64_t offset);
/* True if all living mounts of the node have acknowledged OFFSET (or there is
 * none). */
bool bell_acked(struct bell *bell, uint64_t offset);

#endif
