/* The operations of events, one function each. Internal to apply*.c. */
#ifndef KEYDIR_APPLY_OPS_H
#define KEYDIR_APPLY_OPS_H

#include "apply_tree.h"

/* Runs one operation (not txn, tick, format). Returns OUTCOME_OK (0), another
 * positive outcome (nothing was changed but for purged entries), or a negative
 * errno. Fills ino, version, number and created of AP->feed. */
int apply_op(struct apply *ap, const struct event *ev);

#endif
