/* Numbers that the processes of a node publish to each other: counters and limits. */
#ifndef KEYDIR_NODE_METRICS_H
#define KEYDIR_NODE_METRICS_H

struct node;

/* Publish this process's counters and limits to the others, at most twice a second. For the
 * node's thread. */
void node_publish_numbers(struct node *node);
/* Take over --size and --max-value from the processes that run on the same store; log a
 * warning if they differ and this process makes changes. Call while no other process starts
 * on the store. */
void node_adopt_limits(struct node *node);

#endif
