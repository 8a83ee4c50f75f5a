/* Volume: whether a store and a Kafka log belong together. */
#ifndef KEYDIR_VOLUME_H
#define KEYDIR_VOLUME_H

#include "common/log/kafka.h"
#include "common/node/node.h"

#define VOLUME_NAME_MAX 40 /* with the NUL */

/* Write a new, random name of a volume whose log is of KIND ("local", "kafka") to RET.
 * Returns 0 or -errno. */
int volume_new_name(const char *kind, char ret[VOLUME_NAME_MAX]);
/* Read the meta data of STORE. Returns 0 or -errno. */
int volume_read_meta(struct store *store, struct store_meta *ret);
/* Read the meta data of STORE and the records of its log that it remembers. Returns 1, 0 (it
 * remembers no record yet, and *RET_APPLIED is unchanged), or -errno. */
int volume_load(struct store *store, struct store_meta *ret, struct log_identities *ret_applied);
/* Decide whether a store with META, which remembers the records APPLIED (NULL: unknown), can
 * continue with LOG, which has the offsets from FIRST to just before END. Returns 0, -EAGAIN
 * (no broker), or the reason why not:
 * -ENOTSUP    the store has an embedded log
 * -EOVERFLOW  the store is ahead of the log
 * -ENODATA    the log no longer has the next offset to apply
 * -EXDEV      the store is of another volume
 * -ESTALE     the log has another record than the newest of APPLIED, or its `sure`;
 *             *RET_SAME is the newest known offset with the same record in both, or
 *             UINT64_MAX
 * Blocks on the broker. */
int volume_check(struct log_kafka *log, const struct store_meta *meta,
                 const struct log_identities *applied, uint64_t first, uint64_t end,
                 uint64_t *ret_same);
/* Write to WHY what the error ERR of volume_check() means for NODE, and how to repair it. */
void volume_explain(const struct node *node, int err, const struct store_meta *meta,
                    const struct log_kafka_topic *topic, uint64_t same, char *why, size_t why_size);
/* Return 0 if the node of ARG, a struct node_config, can use a store with META, or if no
 * broker answers; else -errno with a sentence in WHY. For snapshot_fetch(). Blocks. */
int volume_fits(void *arg, const struct store_meta *meta, char *why, size_t why_size);
/* Return the part of CONFIG that concerns the log. It borrows CONFIG's strings. */
struct log_kafka_config volume_log_config(const struct node_config *config);

#endif
