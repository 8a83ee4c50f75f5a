/* Reading and applying the Kafka log. */
#ifndef KEYDIR_KAFKA_APPLY_H
#define KEYDIR_KAFKA_APPLY_H

#include <stdint.h>

struct kafka;

/* Read and apply the log until it stops or something is wrong. FIRST is the first offset in
 * the log, NEXT the next one to apply. Returns 0 when the log stops, or -errno: -ESTALE to
 * start again at once, any other after a pause. For the process that holds consumer.lock, in
 * the consumer's thread. */
int kafka_apply_run(struct kafka *k, uint64_t first, uint64_t next);

#endif
