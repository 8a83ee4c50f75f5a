/* Checks of the Kafka topic that a node follows. */
#ifndef KEYDIR_KAFKA_TOPIC_H
#define KEYDIR_KAFKA_TOPIC_H

#include "common/log/identity.h"

struct kafka;

/* Note that the log ends at END, the offset after its newest record. Thread-safe. */
void kafka_topic_raise_end(struct kafka *k, uint64_t end);

/* Check topic and store against each other. SURE is a record that the log was last seen to
 * have (NULL: what the store remembers). *RET_FIRST is the first offset in the log,
 * *RET_NEXT the next one to apply. Returns 0; -EAGAIN without a broker; -EINVAL or -EACCES
 * with a sentence in WHY; -errno if the store cannot be read. Blocks for TIMEOUT_MS. */
int kafka_topic_check(struct kafka *k, const struct log_identity *sure, int64_t timeout_ms,
                      uint64_t *ret_first, uint64_t *ret_next, char *why, size_t why_size);

/* Read the topic's settings again, since they may have changed: take over its limit of one
 * value and, in the process that applies, log a new warning. Returns 0, or in the process
 * that applies -errno if the topic is unfit or gone. Blocks for TIMEOUT_MS. */
int kafka_topic_recheck(struct kafka *k, int64_t timeout_ms);

#endif
