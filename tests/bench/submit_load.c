/* Submits one event at a time to a node of its own: a write without HTTP or a
 * mount around it.
 *
 *     submit_load STORE LOG SECONDS BYTES
 *
 * Prints the 50th and the 99th percentile in us from submitting to the
 * outcome. */
#include "node.h"
#include "tests/bench/samples.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 1000
#define WARM_UP 200 /* events that are not counted */

static sem_t came;

static void done(void *arg, const struct outcome *out)
{
	(void)arg;
	if (out->code != OUTCOME_OK) {
		fprintf(stderr, "submit_load: %s\n", event_outcome_text(out->code));
		_Exit(1);
	}
	sem_post(&came);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: submit_load STORE LOG SECONDS BYTES\n");
		return 2;
	}
	double seconds = strtod(argv[3], NULL);
	size_t size = strtoul(argv[4], NULL, 10);
	char *value = malloc(size + 1);
	if (!value)
		return 1;
	memset(value, 'v', size);
	sem_init(&came, 0, 0);

	char why[256] = "";
	struct node *node;
	struct node_config config = {
		.store = { .dir = argv[1] },
		.log = argv[2],
		.size_bytes = UINT64_C(1) << 40,
		.max_value = UINT64_C(16) << 20,
		.write_timeout_ms = 10000,
	};
	if (node_open(&config, &node, why, sizeof(why))) {
		fprintf(stderr, "submit_load: %s\n", why);
		free(value);
		return 1;
	}
	struct samples samples = { 0 };
	double begin = samples_now();
	for (uint64_t i = 0; i < WARM_UP || samples_now() - begin < seconds * 1e6; i++) {
		char key[40];
		int len = snprintf(key, sizeof(key), "key:%" PRIu64, i % KEYS);
		struct event ev = {
			.op = EVENT_SET,
			.key = { key, (size_t)len },
			.value = { value, size },
		};
		double t = samples_now();
		node_submit(node, &ev, NULL, done, NULL);
		while (sem_wait(&came))
			;
		if (i >= WARM_UP)
			samples_add(&samples, samples_now() - t);
		else
			begin = samples_now();
	}
	node_close(node);
	free(value);
	return samples_print(&samples);
}
