/* apply_load: measure how fast the store applies events in batches, as from a log.
 *
 *     apply_load STORE N BYTES
 *
 * Applies N sets of random keys out of N, with values of BYTES, in write transactions
 * of up to 512 events, to a new store. Prints events/s. */
#include "common/apply/apply.h"
#include "common/store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 512

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int r, const char *what)
{
	if (!r)
		return;
	fprintf(stderr, "apply_load: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* Return a number that is the same in each run (splitmix64). */
static uint64_t scrambled(uint64_t n)
{
	n += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: apply_load STORE N BYTES\n");
		return 2;
	}
	uint64_t total = strtoull(argv[2], NULL, 10);
	size_t size = strtoul(argv[3], NULL, 10);
	char *value = malloc(size + 1);
	must(value ? 0 : -ENOMEM, "malloc");
	memset(value, 'v', size);

	char why[256] = "";
	struct store *store;
	struct store_config config = { .dir = argv[1] };
	if (store_open(&config, &store, why, sizeof(why))) {
		fprintf(stderr, "apply_load: %s\n", why);
		free(value);
		return 1;
	}
	double begin = now_s();
	for (uint64_t done = 0; done < total;) {
		struct txn *txn;
		must(txn_write(store, &txn), "txn_write");
		for (int i = 0; i < BATCH && done < total; i++, done++) {
			char key[40];
			int len = snprintf(key, sizeof(key), "key:%" PRIu64,
			                   scrambled(done) % total);
			struct event ev = {
				.op = EVENT_SET,
				.proc = 1,
				.seq = done + 1,
				.key = { key, (size_t)len },
				.value = { value, size },
			};
			enum event_outcome out;
			must(apply_event(txn, &ev, done + 1, 1700000000000 + (int64_t)done / 100,
			                 &out),
			     "apply_event");
			must(out == OUTCOME_OK ? 0 : -EINVAL, event_outcome_text(out));
		}
		must(txn_commit(txn), "txn_commit");
	}
	double took = now_s() - begin;
	store_close(store);
	free(value);
	printf("%.9g\n", (double)total / took);
	return 0;
}
