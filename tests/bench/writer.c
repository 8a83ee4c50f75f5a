/* Writer: write one value at a time through a node in this process. */
#include "tests/bench/writer.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sem_t came;

static void on_done(void *arg, const struct outcome *out)
{
	const struct writer *writer = arg;
	if (out->code != OUTCOME_OK) {
		fprintf(stderr, "%s: %s\n", writer->program, event_outcome_text(out->code));
		_Exit(1);
	}
	sem_post(&came);
}

int writer_open(struct writer *writer, const char *program, const struct node_config *config,
                size_t size)
{
	char why[256] = "out of memory";
	struct node_config full = *config;
	full.max_value = UINT64_C(16) << 20;
	full.write_timeout_ms = 10000;
	*writer = (struct writer){ .program = program, .value = malloc(size + 1), .size = size };
	if (!writer->value || node_open(&full, &writer->node, why, sizeof(why))) {
		fprintf(stderr, "%s: %s\n", program, why);
		free(writer->value);
		return 1;
	}
	memset(writer->value, 'v', size);
	sem_init(&came, 0, 0);
	return 0;
}

void writer_close(struct writer *writer)
{
	node_close(writer->node);
	free(writer->value);
	sem_destroy(&came);
}

void writer_set(struct writer *writer, const char *key, size_t key_len, int64_t ttl_ms)
{
	struct event ev = {
		.op = EVENT_SET,
		.key = { key, key_len },
		.value = { writer->value, writer->size },
		.ttl = ttl_ms ? TTL_SET : TTL_NONE,
		.ttl_ms = ttl_ms,
	};
	node_submit(writer->node, &ev, NULL, on_done, writer);
	while (sem_wait(&came))
		;
}
