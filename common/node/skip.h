/* Skip: passes over a record that stops the node, on the operator's order (--skip-record). */
#ifndef KEYDIR_SKIP_H
#define KEYDIR_SKIP_H

#include "common/log/kafka.h"

#include <stdatomic.h>

struct node;

struct skip_order {
	struct node *node;
	struct log_kafka *log;
	atomic_bool pending; /* not carried out yet */
};

/* Prepare the order of node->config.skip_record, if there is one. */
void skip_init(struct skip_order *order, struct node *node, struct log_kafka *log);
/* Carry the order out, once: append a record `skip` if the node is stopped at the record
 * that it names, or else refuse it with a warning. Does nothing until that is known. AT_END:
 * this process has read the log to its end. For the consumer's thread; blocks on the
 * broker. */
void skip_carry_out(struct skip_order *order, bool at_end);
/* Return how many records were skipped. *RET_NEWEST is the offset of the newest one, or 0.
 * Thread-safe. */
uint64_t skip_count(struct node *node, uint64_t *ret_newest);

#endif
