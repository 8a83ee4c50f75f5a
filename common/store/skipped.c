/* Skipped: the row of records that the operator made all nodes skip (EVENTS.md, operation
 * skip).
 *
 * It is in the table meta under the key "skipped" and is part of a snapshot. It depends
 * only on the log, so equal stores have the same row. It does not exist unless a record was
 * skipped.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/skipped.h"

#include "common/store/internal.h"

#include <errno.h>
#include <string.h>

static const MDB_val skipped_key = { 7, (void *)"skipped" };

int store_skipped_get(struct txn *txn, struct store_skipped *ret)
{
	MDB_val key = skipped_key, val;
	int r = table_get(txn, META, &key, &val);
	if (r == -ENOENT) {
		memset(ret, 0, sizeof(*ret));
		return 0;
	}
	if (r == 0 && val.mv_size != sizeof(*ret))
		r = -EIO;
	if (r == 0)
		memcpy(ret, val.mv_data, sizeof(*ret));
	return r;
}

int store_skipped_has(struct txn *txn, uint64_t offset)
{
	struct store_skipped all;
	int r = store_skipped_get(txn, &all);
	for (size_t i = 0; r == 0 && i < STORE_SKIPPED_MAX && all.newest[i]; i++)
		r = all.newest[i] == offset;
	return r;
}

int store_skipped_note(struct txn *txn, uint64_t offset)
{
	struct store_skipped all;
	int r = store_skipped_get(txn, &all);
	if (r != 0)
		return r;
	all.count++;
	memmove(all.newest + 1, all.newest, sizeof(all.newest) - sizeof(all.newest[0]));
	all.newest[0] = offset;
	MDB_val key = skipped_key, val = { sizeof(all), &all };
	return table_put(txn, META, &key, &val, 0);
}
