/* full_load: write new keys, one at a time, into a cache with many keys that is full
 * and evicts, or has space for all.
 *
 *     full_load STORE KEYS BYTES SECONDS POLICY
 *
 * With POLICY none there is space; with lru or ttl the quota is the size of KEYS
 * keys. Before each write, reads a key that was written recently, like the clients of
 * a cache. Prints the 50th, 99th and 99.9th percentile and the maximum of the time
 * from submitting to the outcome, in us. */
#include "common/base/metrics.h"
#include "tests/bench/samples.h"
#include "tests/bench/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_LEN 12
#define TTL_MS 3600000

static void set_key(struct writer *writer, uint64_t i)
{
	char key[32];
	int len = snprintf(key, sizeof(key), "%0*" PRIu64, KEY_LEN, i);
	writer_set(writer, key, (size_t)len, TTL_MS);
}

static void get_key(struct node *node, uint64_t i)
{
	char key[32];
	struct view view;
	struct entry e;
	int len = snprintf(key, sizeof(key), "%0*" PRIu64, KEY_LEN, i);
	if (view_open(node_store(node), &view))
		return;
	if (view_key(&view, key, (size_t)len, &e) == 0)
		node_touch(node, e.ino, view.now_ms);
	view_close(&view);
}

int main(int argc, char **argv)
{
	enum evict_policy policy;
	if (argc != 6 || evict_policy_parse(argv[5], &policy)) {
		fprintf(stderr, "usage: full_load STORE KEYS BYTES SECONDS none|ttl|lru\n");
		return 2;
	}
	uint64_t keys = strtoull(argv[2], NULL, 10);
	size_t size = strtoul(argv[3], NULL, 10);
	double seconds = strtod(argv[4], NULL);
	struct writer writer;
	struct node_config config = {
		.store = { .dir = argv[1] },
		.log = "local",
		.size_bytes = policy == EVICT_NONE ? UINT64_C(1) << 40 :
		                                     keys * (STORE_ENTRY_COST + KEY_LEN + size),
		.evict = policy,
	};
	if (writer_open(&writer, "full_load", &config, size))
		return 1;
	struct node *node = writer.node;
	struct samples samples = { 0 };
	uint64_t i = 0, z = 11;
	for (; i < keys; i++)
		set_key(&writer, i);
	double begin = samples_now();
	while (samples_now() - begin < seconds * 1e6) {
		z = z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		get_key(node, i - 1 - (z >> 33) % (keys / 2 + 1));
		double t = samples_now();
		set_key(&writer, i++);
		samples_add(&samples, samples_now() - t);
	}
	struct txn *txn;
	if (txn_read(node_store(node), &txn) == 0) {
		fprintf(stderr,
		        "full_load: %" PRIu64 " keys, %" PRIu64 " evicted, %" PRIu64
		        " writes waited\n",
		        txn_meta(txn)->nkeys, txn_meta(txn)->nevicted,
		        metrics_get(METRIC_WRITES_HELD));
		txn_abort(txn);
	}
	writer_close(&writer);
	return samples_print_tail(&samples);
}
