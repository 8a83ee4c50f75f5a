/* store_dump: print the rows of a store, to compare two stores.
 *
 *     store_dump DIR      a line for each row: table, key, value (in hex; a long value
 *                         as its length and hash)
 *     store_dump -s DIR   a line for each table: the number of rows, and a hash of all
 *                         rows
 *
 * Reads one snapshot, also of a store that other processes have open. The output is
 * the same for two stores that applied the same log. */
#include "common/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_BYTES 96
#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define TABLES_MAX 16

struct sum {
	const char *table;
	uint64_t rows;
	uint64_t hash;
};

struct sums {
	struct sum tables[TABLES_MAX];
	size_t n;
};

/* Compute FNV-1a. The length is hashed first, so that bytes cannot move from one row
 * to the next unnoticed. */
static uint64_t hash_bytes(uint64_t hash, struct bytes bytes)
{
	const uint8_t *data = bytes.data;
	hash = (hash ^ bytes.len) * FNV_PRIME;
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ data[i]) * FNV_PRIME;
	return hash;
}

static int add_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct sums *sums = arg;
	struct sum *sum = sums->tables;
	while (sum < sums->tables + sums->n && strcmp(sum->table, table) != 0)
		sum++;
	if (sum == sums->tables + sums->n) {
		if (sums->n == TABLES_MAX)
			return -1;
		*sum = (struct sum){ table, 0, FNV_START };
		sums->n++;
	}
	sum->rows++;
	sum->hash = hash_bytes(hash_bytes(sum->hash, key), value);
	return 0;
}

static void print_hex(struct bytes bytes)
{
	const uint8_t *data = bytes.data;
	if (bytes.len > SHORT_BYTES) {
		printf(" %zu:%016" PRIx64, bytes.len, hash_bytes(FNV_START, bytes));
		return;
	}
	putchar(' ');
	for (size_t i = 0; i < bytes.len; i++)
		printf("%02x", data[i]);
}

static int print_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	(void)arg;
	fputs(table, stdout);
	print_hex(key);
	print_hex(value);
	return putchar('\n') == EOF ? -1 : 0;
}

static int dump_store(struct store *store, bool sum)
{
	struct txn *txn;
	struct sums sums = { .n = 0 };
	int r = txn_read(store, &txn);
	if (r < 0)
		return r;
	r = sum ? store_each_row(txn, add_row, &sums) : store_each_row(txn, print_row, NULL);
	for (size_t i = 0; i < sums.n && r == 0; i++)
		printf("%s %" PRIu64 " %016" PRIx64 "\n", sums.tables[i].table, sums.tables[i].rows,
		       sums.tables[i].hash);
	txn_abort(txn);
	return r;
}

int main(int argc, char **argv)
{
	char why[256] = "", file[4096];
	struct stat st;
	struct store *store;
	bool sum = argc == 3 && strcmp(argv[1], "-s") == 0;
	if (argc != 2 + sum || (argc == 2 && argv[1][0] == '-')) {
		fputs("usage: store_dump [-s] DIR\n", stderr);
		return 2;
	}
	const char *dir = argv[argc - 1];
	/* Opening would create an empty store. */
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	if (stat(file, &st)) {
		fprintf(stderr, "store_dump: there is no store in %s\n", dir);
		return 1;
	}
	struct store_config config = { .dir = dir, .sync = STORE_SYNC_OFF, .logged = true };
	int r = store_open(&config, &store, why, sizeof(why));
	if (r < 0) {
		fprintf(stderr, "store_dump: %s: %s\n", dir, why);
		return 1;
	}
	r = dump_store(store, sum);
	store_close(store);
	if (r || fflush(stdout)) {
		fprintf(stderr, "store_dump: %s: the rows could not be read or printed\n", dir);
		return 1;
	}
	return 0;
}
