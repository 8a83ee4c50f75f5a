/* Log-end poller: a thread that asks a Kafka log for its end, and audits the log. */
#ifndef KEYDIR_LOG_END_POLLER_H
#define KEYDIR_LOG_END_POLLER_H

#include "common/log/identity.h"
#include "common/node/node.h"

struct kafka;
struct log_end_poller;

/* Start the thread. Returns 0 with *RET, -ENOMEM or -EAGAIN. */
int log_end_poller_open(struct kafka *k, struct log_end_poller **ret);
/* Start an audit: the log has the record NEWEST, which was applied. NULL: none is known to
 * be in both yet. */
void log_end_poller_begin_audit(struct log_end_poller *poller, const struct log_identity *newest);
/* Note that NEWEST is the newest record applied. *RET_SURE is the newest record that the log
 * was seen to have since the audit began. */
void log_end_poller_note_applied(struct log_end_poller *poller, const struct log_identity *newest,
                                 struct log_identity *ret_sure);
/* Return whether the log may be another one since log_end_poller_begin_audit(): the topic is
 * unfit, or seems to have lost a record that was applied. *RET_SURE is the record to compare.
 * Cheap. */
bool log_end_poller_has_doubts(struct log_end_poller *poller, struct log_identity *ret_sure);
/* Do a node_barrier(): ask for the log's end, then wait until it is followed. DONE is called
 * by a thread of the node, or at once. Thread-safe. */
void log_end_poller_barrier(struct log_end_poller *poller, int64_t timeout_ms, node_done *done,
                            void *arg);
/* End the thread and answer waiting barriers with OUTCOME_STOPPING. NULL is fine. */
void log_end_poller_stop(struct log_end_poller *poller);
void log_end_poller_free(struct log_end_poller *poller);

#endif
