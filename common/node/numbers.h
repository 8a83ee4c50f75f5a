/* Numbers: counters and limits that the processes of a node publish to each other. */
#ifndef KEYDIR_NODE_NUMBERS_H
#define KEYDIR_NODE_NUMBERS_H

struct node;

/* Publish this process's counters and limits to the others, at most twice a second. For the node's
 * thread. */
void numbers_publish(struct node *node);
/* Adopt --size and --max-value from the processes that run on the same store; log a warning if they
 * differ and this process makes changes. Call while no other process starts on the store. */
void numbers_adopt_limits(struct node *node);

#endif
