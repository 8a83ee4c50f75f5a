/* submit_load: submit one event at a time to a node in this process, without HTTP or
 * a mount.
 *
 *     submit_load STORE LOG SECONDS BYTES
 *
 * Prints the 50th and the 99th percentile of the time from submitting to the outcome,
 * in us. */
#include "tests/bench/samples.h"
#include "tests/bench/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 1000
#define WARM_UP 200 /* events that are not counted */

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: submit_load STORE LOG SECONDS BYTES\n");
		return 2;
	}
	double seconds = strtod(argv[3], NULL);
	struct writer writer;
	struct node_config config = {
		.store = { .dir = argv[1] },
		.log = argv[2],
		.size_bytes = UINT64_C(1) << 40,
	};
	if (writer_open(&writer, "submit_load", &config, strtoul(argv[4], NULL, 10)))
		return 1;
	struct samples samples = { 0 };
	double begin = samples_now();
	for (uint64_t i = 0; i < WARM_UP || samples_now() - begin < seconds * 1e6; i++) {
		char key[40];
		int len = snprintf(key, sizeof(key), "key:%" PRIu64, i % KEYS);
		double t = samples_now();
		writer_set(&writer, key, (size_t)len, 0);
		if (i >= WARM_UP)
			samples_add(&samples, samples_now() - t);
		else
			begin = samples_now();
	}
	writer_close(&writer);
	return samples_print(&samples);
}
