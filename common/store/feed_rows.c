/* Feed rows: the rows of the feed and of the idempotency keys, which are kept for the same
 * time.
 *
 * Rows:
 *   feed  num(offset)     -> the effects of the event: event/feed.h
 *   idem  idempotency key -> offset (u64)
 *
 * The feed is a ring: apply/apply.c adds rows at its end and removes rows at its beginning.
 * A node that replays a log may leave rows out (store_feed_skip()). Then
 * `feed_complete_from` is the offset from which on no row is missing, until the ring
 * contains only later rows.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <string.h>

static int feed_decode_key(MDB_val key, uint64_t *ret_offset)
{
	size_t len = store_num_get(key.mv_data, key.mv_size, ret_offset);
	return len && len == key.mv_size ? 0 : -EIO;
}

/* Find the first row at FROM or later. */
static int feed_row(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, from), val;
	int r = table_first(txn, FEED, &key, from > 0, &val);
	if (r < 0)
		return r;
	*ret = (struct bytes){ val.mv_data, val.mv_size };
	return feed_decode_key(key, ret_offset);
}

int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret)
{
	return feed_row(txn, from < txn->feed_complete_from ? txn->feed_complete_from : from,
	                ret_offset, ret);
}

int store_feed_first(struct txn *txn, uint64_t *ret_offset)
{
	struct bytes ignored;
	if (!txn->feed_complete_from)
		return feed_row(txn, 0, ret_offset, &ignored);
	*ret_offset = txn->feed_complete_from;
	return 0;
}

int store_feed_get(struct txn *txn, uint64_t offset, struct bytes *ret)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, offset), val;
	int r = table_get(txn, FEED, &key, &val);
	if (r == 0)
		*ret = (struct bytes){ val.mv_data, val.mv_size };
	return r;
}

int store_feed_oldest(struct txn *txn, uint64_t *ret_offset, struct bytes *ret)
{
	MDB_val key, val;
	int r = table_front(txn, &key, &val);
	if (r < 0)
		return r;
	*ret = (struct bytes){ val.mv_data, val.mv_size };
	return feed_decode_key(key, ret_offset);
}

void store_feed_skip(struct txn *txn, uint64_t offset)
{
	txn->feed_complete_from = offset + 1;
}

int store_feed_put(struct txn *txn, uint64_t offset, struct bytes row)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, offset), val = { row.len, (void *)row.data };
	/* Offsets only grow; filling pages completely keeps the ring small. */
	return table_put(txn, FEED, &key, &val, MDB_APPEND);
}

int store_feed_del(struct txn *txn, uint64_t offset)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, offset), first, val;
	if (table_front(txn, &first, &val) == 0 && first.mv_size == key.mv_size &&
	    memcmp(first.mv_data, key.mv_data, key.mv_size) == 0)
		return table_front_del(txn, &key);
	return table_del(txn, FEED, &key);
}

int store_idem_get(struct txn *txn, struct bytes idem, uint64_t *ret_offset)
{
	MDB_val key = { idem.len, (void *)idem.data }, val;
	int r = table_get(txn, IDEM, &key, &val);
	if (r == 0 && val.mv_size != sizeof(*ret_offset))
		r = -EIO;
	if (r == 0)
		memcpy(ret_offset, val.mv_data, sizeof(*ret_offset));
	return r;
}

int store_idem_put(struct txn *txn, struct bytes idem, uint64_t offset)
{
	MDB_val key = { idem.len, (void *)idem.data }, val = { sizeof(offset), &offset };
	return table_put(txn, IDEM, &key, &val, 0);
}

int store_idem_del(struct txn *txn, struct bytes idem)
{
	MDB_val key = { idem.len, (void *)idem.data };
	return table_del(txn, IDEM, &key);
}
