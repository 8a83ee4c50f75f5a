/* Expiry: entries by the time at which they expire.
 *
 * Rows: expiry ms (u64 BE) num(ino) -> nothing
 *
 * Each event asks whether an entry has expired. The answer comes from the first row, which
 * a transaction reads once and caches until it writes to the table.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include "common/base/ttl.h"

#include <errno.h>
#include <string.h>

static void be64_put(uint8_t *to, uint64_t n)
{
	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)(n >> (56 - 8 * i));
}

static uint64_t be64_get(const uint8_t *from)
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n = n << 8 | from[i];
	return n;
}

static MDB_val key_expiry(struct store_key *buf, int64_t expiry_ms, uint64_t ino)
{
	be64_put(buf->bytes, (uint64_t)expiry_ms);
	buf->len = 8 + store_num_put(buf->bytes + 8, ino);
	return (MDB_val){ buf->len, buf->bytes };
}

static int expiry_decode(MDB_val key, int64_t *ret_expiry_ms, uint64_t *ret_ino)
{
	const uint8_t *p = key.mv_data;
	if (key.mv_size < 9 || store_num_get(p + 8, key.mv_size - 8, ret_ino) != key.mv_size - 8)
		return -EIO;
	uint64_t ms = be64_get(p);
	if (!*ret_ino || !ms || ms > TTL_MOMENT_MAX_MS)
		return -EIO;
	*ret_expiry_ms = (int64_t)ms;
	return 0;
}

int store_first_expiry(struct txn *txn, int64_t *ret_expiry_ms, uint64_t *ret_ino)
{
	MDB_val key, val;
	int r = table_first(txn, EXPIRY, &key, false, &val);
	return r < 0 ? r : expiry_decode(key, ret_expiry_ms, ret_ino);
}

bool store_may_expire(struct txn *txn, int64_t now_ms)
{
	struct txn *top = txn_top(txn);
	uint64_t ino;
	if (!top->expiry_known) {
		int r = store_first_expiry(txn, &top->expiry_ms, &ino);
		if (r == -ENOENT)
			top->expiry_ms = INT64_MAX;
		else if (r < 0)
			return true;
		top->expiry_known = true;
	}
	return top->expiry_ms <= now_ms;
}

int store_next_expiry(struct txn *txn, int64_t *expiry_ms, uint64_t *ino)
{
	struct store_key buf;
	MDB_val key = key_expiry(&buf, *expiry_ms, *ino + 1), val;
	int r = table_first(txn, EXPIRY, &key, true, &val);
	return r < 0 ? r : expiry_decode(key, expiry_ms, ino);
}

int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct store_key buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino), val = { 0, (void *)"" };
	txn_top(txn)->expiry_known = false;
	return table_put(txn, EXPIRY, &key, &val, 0);
}

int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct store_key buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino);
	txn_top(txn)->expiry_known = false;
	return table_del(txn, EXPIRY, &key);
}
