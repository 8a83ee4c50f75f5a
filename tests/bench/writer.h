/* Writer: write one value at a time through a node in this process. */
#ifndef KEYDIR_BENCH_WRITER_H
#define KEYDIR_BENCH_WRITER_H

#include "common/node/node.h"

struct writer {
	const char *program; /* name of the program, for error messages */
	struct node *node;
	char *value; /* SIZE bytes */
	size_t size;
};

/* Open a node with CONFIG, whose log and quota the caller sets; other limits and
 * timeouts are set so that they never matter. Return 0, or 1 after printing the
 * error. One writer per process. */
int writer_open(struct writer *writer, const char *program, const struct node_config *config,
                size_t size);
void writer_close(struct writer *writer);

/* Set KEY to the value, with a TTL of TTL_MS (0: none), and wait for the outcome.
 * Exit if it is not OK. */
void writer_set(struct writer *writer, const char *key, size_t key_len, int64_t ttl_ms);

#endif
