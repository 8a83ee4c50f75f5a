/* Work: apply queued events (embedded log), follow the feed, call back. */
#ifndef KEYDIR_WORK_H
#define KEYDIR_WORK_H

struct node;

/* Apply all queued events and follow the feed, unless another thread does: then that thread
 * looks for work once more. Makes callbacks; call with no lock held. Thread-safe. */
void work_run(struct node *node);
/* Follow the feed up to its end now, and wait for the thread that does so already. For
 * threads of the node that may wait; call with no lock held. */
void work_catch_up(struct node *node);

#endif
