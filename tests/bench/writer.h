/* Writes, one at a time, through a node of the benchmark's own. */
#ifndef KEYDIR_BENCH_WRITER_H
#define KEYDIR_BENCH_WRITER_H

#include "common/node/node.h"

struct writer {
	const char *program; /* its name, for what goes wrong */
	struct node *node;
	char *value; /* of SIZE bytes */
	size_t size;
};

/* Opens a node; its log and quota are in CONFIG, limits and time-outs that never
 * matter are added. 0, or 1 after it said why not. One writer in a process. */
int writer_open(struct writer *writer, const char *program, const struct node_config *config,
                size_t size);
void writer_close(struct writer *writer);

/* Sets KEY to the value, with a TTL of TTL_MS (0: none), and waits for the outcome.
 * Ends the program if that is not "done". */
void writer_set(struct writer *writer, const char *key, size_t key_len, int64_t ttl_ms);

#endif
