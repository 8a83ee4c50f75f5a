/* Fuzzer of common/apply/: random sequences of events must never crash, never end
 * with an error of the store, and must leave tables that agree with each other.
 *
 * There is one store for the whole run. Each input runs in a write transaction that
 * is aborted, so that inputs do not depend on each other. */
#include "tests/fuzz/fuzz.h"

#include "common/apply/apply.h"
#include "tests/fuzz/fuzz_store.h"
#include "tests/unit/event_random.h"
#include "tests/unit/store_check.h"

#include <string.h>

#define EVENTS_MAX 300
#define START_MS INT64_C(1769860800000)

static struct store *store;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	store = fuzz_store_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_space space;
	struct prng prng = { .data = data, .left = size };
	int64_t time_ms = START_MS;
	struct txn *txn;
	char why[200];

	MUST(txn_write(store, &txn) == 0);
	for (uint64_t offset = 0; prng_left(&prng) && offset < EVENTS_MAX; offset++) {
		enum event_outcome outcome = OUTCOME_COUNT;
		bool malformed = prng_one_in(&prng, 64);
		struct event ev = { 0 };
		int r;

		time_ms = event_random_time(&prng, time_ms);
		ev.time_ms = time_ms;
		event_random(&prng, &space, &ev);
		r = apply_event(txn, malformed ? NULL : &ev, offset, time_ms, &outcome);
		if (r)
			fprintf(stderr, "%s: %d\n", event_op_text(ev.op), r);
		MUST(r == 0);
		MUST(outcome < OUTCOME_COUNT);
	}
	if (store_check(txn, why, sizeof(why)) != 0) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	txn_abort(txn);
	return 0;
}
