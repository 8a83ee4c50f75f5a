/* Prefetch: a thread that reads and decodes records ahead of the one that applies them. */
#ifndef KEYDIR_LOG_PREFETCH_H
#define KEYDIR_LOG_PREFETCH_H

#include <stdbool.h>
#include <stdint.h>

struct log_kafka_batch;
struct log_kafka_client;
struct log_kafka_prefetch;

/* All functions except log_kafka_prefetch_wake() are for the reading thread. */

/* Start to prefetch the records that CLIENT, a consumer, receives, up to the offset UNTIL. Returns
 * 0 with *RET, -ENOMEM or -EAGAIN (no thread). */
int log_kafka_prefetch_start(struct log_kafka_client *client, uint64_t until,
                             struct log_kafka_prefetch **ret);
/* Wait up to TIMEOUT_MS for the next batch and return it. The caller owns it until it passes
 * it to the next call as USED (NULL: no batch to return). Returns NULL if none arrived, after
 * log_kafka_prefetch_wake(), or, with *RET_OVER, at the end. */
struct log_kafka_batch *log_kafka_prefetch_next(struct log_kafka_prefetch *prefetch,
                                                struct log_kafka_batch *used, int64_t timeout_ms,
                                                bool *ret_over);
/* Make the current call of log_kafka_prefetch_next(), or the next one, return early.
 * Thread-safe. */
void log_kafka_prefetch_wake(struct log_kafka_prefetch *prefetch);
/* End the thread and free everything except a batch that the caller still owns. Returns
 * whether a wake-up was not seen yet. */
bool log_kafka_prefetch_stop(struct log_kafka_prefetch *prefetch);

#endif
