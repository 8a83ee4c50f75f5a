/* Fuzzer of a store's rows, as in a peer's snapshot or a damaged file: rows are
 * changed, then audited, read as requests read them, and changed by events as the
 * node changes them. LMDB's own pages are not fuzzed. A run must end without a memory
 * error or an endless loop, and events may fail only with an error of the store.
 *
 * There is one store for the whole run. Each input runs in a write transaction that
 * is aborted. An input is a list of changes: the table, how many rows to skip, how to
 * change the next row, the number of bytes that follow, and these bytes. */
#include "tests/fuzz/fuzz.h"

#include "common/apply/apply.h"
#include "common/event/feed.h"
#include "common/store/audit.h"
#include "common/store/internal.h"
#include "tests/fuzz/fuzz_store.h"
#include "tests/unit/event_random.h"

#include <string.h>

#define START_MS INT64_C(1769860800000)
#define FIRST_EVENTS 300
#define MORE_EVENTS 40
#define NOISE_BYTES 60000
#define KEY_BYTES 511 /* LMDB's longest key */
#define READ_MAX 4096

enum how { FLIP, CUT, LENGTHEN, OTHER_KEY, HOWS };

static struct store *store;
static struct event_space space;
static uint8_t noise[NOISE_BYTES];

/* Apply up to N events made from noise, from offset FROM on. Stop at an error. */
static int apply_events(struct txn *txn, uint64_t from, uint64_t n)
{
	struct prng prng = { .data = noise + from % 1000, .left = sizeof(noise) - 1000 };

	for (uint64_t offset = from; offset < from + n && prng_left(&prng); offset++) {
		struct event ev = { 0 };
		enum event_outcome outcome;
		int64_t time_ms = START_MS + (int64_t)(offset - from) * (from ? 1000 : 1);

		event_random(&prng, &space, &ev);
		ev.time_ms = time_ms;
		int r = apply_event(txn, &ev, offset, time_ms, &outcome);
		if (r < 0)
			return r;
	}
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct txn *txn;

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 2654435761u >> 13);
	store = fuzz_store_open();
	MUST(txn_write(store, &txn) == 0);
	MUST(apply_events(txn, 0, FIRST_EVENTS) == 0);
	MUST(txn_commit(txn) == 0);
	return 0;
}

/* --- changing a row --- */

/* A copy of the row that is SKIP rows after the first one. */
struct row {
	unsigned skip;
	uint8_t key[KEY_BYTES];
	size_t key_len;
	uint8_t *value; /* followed by MORE bytes of space */
	size_t len, more;
};

static int take_row(void *arg, struct bytes key, struct bytes value)
{
	struct row *row = arg;

	if (row->skip--)
		return 0;
	memcpy(row->key, key.data, key.len);
	row->key_len = key.len;
	row->value = malloc(value.len + row->more + 1);
	MUST(row->value);
	if (value.len)
		memcpy(row->value, value.data, value.len);
	row->len = value.len;
	return 1;
}

static void change_row(struct txn *txn, enum table table, uint8_t skip, uint8_t how,
                       const uint8_t *data, size_t size)
{
	struct row row = { .skip = skip, .more = size };
	unsigned at = how / HOWS;

	if (table_each(txn, table, take_row, &row) != 1)
		return;
	switch ((enum how)(how % HOWS)) {
	case FLIP:
		for (size_t i = 0; row.len && i < size; i++)
			row.value[(at + i) % row.len] ^= data[i];
		break;
	case CUT:
		row.len = at < row.len ? at : row.len;
		break;
	case LENGTHEN:
		memcpy(row.value + row.len, data, size);
		row.len += size;
		break;
	case OTHER_KEY:
		if (size) {
			memcpy(row.key, data, size);
			row.key_len = size;
		}
		break;
	case HOWS:
		break;
	}
	MDB_val key = { row.key_len, row.key }, value = { row.len, row.value };
	table_put(txn, table, &key, &value, 0);
	free(row.value);
}

/* --- reading --- */

static int read_entry(void *arg, struct bytes key, struct bytes value)
{
	struct txn *txn = arg;
	struct entry e;

	if (store_inode_decode(txn, key, value, &e) < 0)
		return 0;
	MUST(e.name_len <= 255 && (!e.is_inline || e.size <= STORE_INLINE_MAX));
	size_t size = e.size < READ_MAX ? e.size : READ_MAX;
	char *buf = malloc(size + 1);
	MUST(buf);
	int64_t n = store_read(txn, &e, 0, buf, size);
	MUST(n < 0 || (uint64_t)n <= e.size);
	free(buf);
	return 0;
}

static int read_event(void *arg, struct bytes key, struct bytes value)
{
	struct feed_event *ev;
	(void)arg, (void)key;

	if (feed_decode(7, value, &ev) == 0)
		free(ev);
	return 0;
}

static int read_name(void *arg, struct bytes key, struct bytes value)
{
	struct txn *txn = arg;
	struct scan *scan;
	const char *name;
	size_t len;
	uint64_t parent, ino;

	(void)value;
	if (!store_num_get(key.data, key.len, &parent))
		return 0;
	MUST(scan_open(txn, parent, NULL, 0, &scan) == 0);
	if (scan_next(scan, &name, &len, &ino, NULL) == 0)
		MUST(len >= 1 && len <= 255);
	scan_close(scan);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct txn *txn;
	char why[200];

	MUST(txn_write(store, &txn) == 0);
	while (size > 4) {
		size_t n = data[3] < size - 4 ? data[3] : size - 4;

		change_row(txn, (enum table)(data[0] % TABLES), data[1], data[2], data + 4, n);
		data += 4 + n;
		size -= 4 + n;
	}
	bool sound = txn_load_meta(txn) == 0 && store_audit(txn, why, sizeof(why)) == 0;
	table_each(txn, INODES, read_entry, txn);
	table_each(txn, NAMES, read_name, txn);
	table_each(txn, FEED, read_event, txn);
	/* A store that passes the audit can be changed like any other. */
	int r = apply_events(txn, txn_meta(txn)->applied + 1, MORE_EVENTS);
	MUST(r == 0 || !sound);
	txn_abort(txn);
	return 0;
}
