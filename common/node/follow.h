/* Following the feed: outcomes of this process's events, and the follow callback. */
#ifndef KEYDIR_FOLLOW_H
#define KEYDIR_FOLLOW_H

struct completions;
struct node;

/* Follow the feed up to its end: call the follow callback for each event, and add to DONE
 * the submissions and the waiters that have their outcome. Call with work_lock held. */
void follow_feed(struct node *node, struct completions *done);

#endif
