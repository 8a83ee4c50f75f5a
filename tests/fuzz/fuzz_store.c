/* The store of a fuzzer. */
#include "tests/fuzz/fuzz_store.h"

#include "tests/fuzz/fuzz.h"

#include <unistd.h>

struct store *fuzz_store_open(void)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "bell", "state" };
	char dir[] = "/tmp/keydir-fuzz-XXXXXX", why[200] = "", path[100];
	struct store_config config = { .dir = dir, .sync = STORE_SYNC_OFF };
	struct store *store;

	MUST(mkdtemp(dir));
	if (store_open(&config, &store, why, sizeof(why)) != 0) {
		fprintf(stderr, "cannot open a store: %s\n", why);
		abort();
	}
	/* The open descriptors keep the files. */
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
	return store;
}
