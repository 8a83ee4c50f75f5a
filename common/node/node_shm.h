/* Shared page of a node: its processes wake each other, and mounts acknowledge changes. */
#ifndef KEYDIR_NODE_SHM_H
#define KEYDIR_NODE_SHM_H

#include <stdbool.h>
#include <stdint.h>

#define NODE_SHM_SLOTS 60 /* processes of one node */

struct node_shm;

/* Map DIR/bell and take a free slot in it, held by a lock that the kernel releases when
 * the process dies. IS_MOUNT: other processes wait for this one's acknowledgements. Returns
 * 0 with *RET (node_shm_close()), -EUSERS if all slots are taken, or -errno. */
int node_shm_open(const char *dir, bool is_mount, struct node_shm **ret);
/* Release the slot. No thread may be asleep in node_shm_sleep(). NULL is fine. */
void node_shm_close(struct node_shm *shm);

/* Return how often this process was woken. To sleep without missing a wake-up: read the
 * count, look for work, then pass the count to node_shm_sleep(). */
uint32_t node_shm_wake_count(struct node_shm *shm);
/* Sleep until this process is woken after WAKE_COUNT was read, or until TIMEOUT_MS have
 * passed. One thread per process may sleep. */
void node_shm_sleep(struct node_shm *shm, uint32_t wake_count, int64_t timeout_ms);
/* Wake this process's sleeping thread. Makes a system call only if it sleeps.
 * Thread-safe. */
void node_shm_wake_self(struct node_shm *shm);
/* Wake all other processes of the node. Thread-safe. */
void node_shm_wake_others(struct node_shm *shm);

/* Count a change that failed after its caller had been answered with success.
 * Thread-safe. */
void node_shm_count_lost(struct node_shm *shm);
/* Return the number of such changes of all processes since the page was created. */
uint64_t node_shm_lost(struct node_shm *shm);

/* Record that this mount has invalidated the kernel's caches up to OFFSET, and wake the
 * other processes. A lower offset than before is ignored. */
void node_shm_ack(struct node_shm *shm, uint64_t offset);
/* Return true if every living mount of the node, except this process, has acknowledged
 * OFFSET. */
bool node_shm_acked(struct node_shm *shm, uint64_t offset);

#endif
