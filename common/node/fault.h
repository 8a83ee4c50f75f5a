/* Faults: what keeps the node from working, as its processes see it. All thread-safe. */
#ifndef KEYDIR_NODE_FAULT_H
#define KEYDIR_NODE_FAULT_H

#include "common/node/node.h"

/* Report for all processes of the node that FAULT exists, and WHY; or, with "", that this
 * process no longer sees it. The report also ends with this process. Logs changes. */
void fault_set(struct node *node, enum procs_fault fault, const char *why);
/* Compare the store's files with those that this process has open, if it is time to, and
 * set FAULT_STORE. Returns the ms until the next comparison. For the node's thread. */
int64_t fault_check_store(struct node *node);
/* Report that applying waits because of ERR, a positive errno; or, with 0, that it
 * continues. */
void fault_set_stalled(struct node *node, int err);
/* Write to WHY what keeps the node from working, as any of its processes knows; "" if
 * nothing does. */
void fault_explain(struct node *node, char why[NODE_WHY_MAX]);

#endif
