/* fill: fill a store through a node of its own, for benchmarks that need many keys.
 *
 *     fill STORE N BYTES [LOG]
 *
 * Sets "key:0" to "key:N-1" to values of BYTES, one event each, through the embedded
 * log or LOG. Prints events/s. */
#include "common/node/node.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_uint_fast64_t done_count;
static atomic_uint_fast64_t failed_count;

static void count_outcome(void *arg, const struct outcome *out)
{
	(void)arg;
	if (out->code != OUTCOME_OK && atomic_fetch_add(&failed_count, 1) == 0)
		fprintf(stderr, "fill: %s\n", event_outcome_text(out->code));
	atomic_fetch_add(&done_count, 1);
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: fill STORE N BYTES [LOG]\n");
		return 2;
	}
	uint64_t total = strtoull(argv[2], NULL, 10);
	size_t size = strtoul(argv[3], NULL, 10);
	char *value = malloc(size + 1);
	if (!value)
		return 1;
	memset(value, 'v', size);

	char why[256] = "";
	struct node *node;
	struct node_config config = {
		.store = { .dir = argv[1] },
		.log = argc == 5 ? argv[4] : "local",
		.size_bytes = UINT64_C(1) << 40,
		.max_value = UINT64_C(16) << 20,
		.write_timeout_ms = 10000,
	};
	if (node_open(&config, &node, why, sizeof(why))) {
		fprintf(stderr, "fill: %s\n", why);
		free(value);
		return 1;
	}
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t i = 0; i < total; i++) {
		char key[40];
		int len = snprintf(key, sizeof(key), "key:%" PRIu64, i);
		struct event ev = {
			.op = EVENT_SET,
			.key = { key, (size_t)len },
			.value = { value, size },
		};
		node_submit(node, &ev, NULL, count_outcome, NULL);
		/* At most this many events are in flight. */
		while (i + 1 - atomic_load(&done_count) > 10000)
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	while (atomic_load(&done_count) < total)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	node_close(node);
	free(value);
	printf("%.9g\n", (double)total / ((double)(end.tv_sec - begin.tv_sec) +
	                                  (double)(end.tv_nsec - begin.tv_nsec) / 1e9));
	return atomic_load(&failed_count) ? 1 : 0;
}
