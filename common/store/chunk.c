/* Chunks: reads the bytes of values, and writes those that are not inline.
 *
 * Rows: num(ino) [chunk, u32 BE] -> bytes; the first chunk has no number
 *
 * Metadata and values are separate rows. Nevertheless a value of up to
 * STORE_INLINE_MAX bytes is stored in its inode's row (store/inode.c): that saves 20 bytes
 * per key and one look-up per GET, and copying so few bytes when the TTL changes costs less
 * than that look-up. Longer values are cut into chunks, so that an append or a write in the
 * middle copies at most one chunk at each end, and LMDB never searches for thousands of
 * contiguous free pages.
 *
 * No lock: a transaction belongs to one thread, and the only writer uses the scratch
 * buffer. */
#include "common/store/internal.h"

#include <errno.h>
#include <string.h>

static MDB_val key_chunk(struct store_key *buf, uint64_t ino, uint32_t chunk)
{
	buf->len = store_num_put(buf->bytes, ino);
	if (chunk) {
		for (int i = 0; i < 4; i++)
			buf->bytes[buf->len++] = (uint8_t)(chunk >> (24 - 8 * i));
	}
	return (MDB_val){ buf->len, buf->bytes };
}

/* Read a chunk. A longer row is damaged, and would not fit into the scratch buffer. */
static int chunk_get(struct txn *txn, MDB_val *key, MDB_val *ret)
{
	int r = table_get(txn, VALUES, key, ret);
	return r == 0 && ret->mv_size > STORE_CHUNK_SIZE ? -EIO : r;
}

int64_t store_read(struct txn *txn, const struct entry *e, uint64_t off, void *buf, size_t len)
{
	if (off >= e->size)
		return 0;
	if (len > e->size - off)
		len = (size_t)(e->size - off);
	if (e->is_inline) {
		memcpy(buf, (const char *)e->inline_value + off, len);
		return (int64_t)len;
	}
	uint8_t *to = buf;
	size_t done = 0;
	while (done < len) {
		uint32_t chunk = (uint32_t)((off + done) / STORE_CHUNK_SIZE);
		size_t in = (size_t)((off + done) % STORE_CHUNK_SIZE);
		size_t want = STORE_CHUNK_SIZE - in;
		if (want > len - done)
			want = len - done;
		struct store_key kb;
		MDB_val key = key_chunk(&kb, e->ino, chunk), val;
		int r = chunk_get(txn, &key, &val);
		if (r < 0 && r != -ENOENT)
			return r;
		size_t have = r < 0 || val.mv_size <= in ? 0 : val.mv_size - in;
		if (have > want)
			have = want;
		if (have)
			memcpy(to + done, (const uint8_t *)val.mv_data + in, have);
		memset(to + done + have, 0, want - have);
		done += want;
	}
	return (int64_t)len;
}

int store_chunks_write(struct txn *txn, uint64_t ino, uint64_t off, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint8_t *scratch = txn->store->scratch;
	while (len) {
		uint32_t chunk = (uint32_t)(off / STORE_CHUNK_SIZE);
		size_t in = (size_t)(off % STORE_CHUNK_SIZE);
		size_t n = STORE_CHUNK_SIZE - in;
		if (n > len)
			n = len;
		struct store_key kb;
		MDB_val key = key_chunk(&kb, ino, chunk), val;
		int r = n == STORE_CHUNK_SIZE ? -ENOENT : chunk_get(txn, &key, &val);
		if (r < 0 && r != -ENOENT)
			return r;
		size_t old = r < 0 ? 0 : val.mv_size;
		if (in == 0 && old <= n) { /* replaces the whole chunk */
			val = (MDB_val){ n, (void *)from };
		} else {
			/* Build the row in the scratch buffer: its page may move while it
			 * is written. */
			size_t size = old > in + n ? old : in + n;
			if (old)
				memcpy(scratch, val.mv_data, old);
			if (old < in)
				memset(scratch + old, 0, in - old);
			memcpy(scratch + in, from, n);
			val = (MDB_val){ size, scratch };
		}
		r = table_put(txn, VALUES, &key, &val, 0);
		if (r < 0)
			return r;
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

int store_chunks_cut(struct txn *txn, uint64_t ino, uint64_t size)
{
	uint32_t chunk = (uint32_t)(size / STORE_CHUNK_SIZE);
	size_t keep = (size_t)(size % STORE_CHUNK_SIZE);
	struct store_key kb, pb;
	MDB_cursor *cursor;
	MDB_val prefix = store_key_num(&pb, ino);
	MDB_val key = key_chunk(&kb, ino, chunk), val;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[VALUES], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && store_key_begins(key, prefix)) {
		bool boundary = key.mv_size == kb.len && memcmp(key.mv_data, kb.bytes, kb.len) == 0;
		if (boundary && keep) {
			if (val.mv_size > keep) {
				memcpy(txn->store->scratch, val.mv_data, keep);
				MDB_val cut = { keep, txn->store->scratch };
				MDB_val same = { kb.len, kb.bytes };
				r = table_change(txn, VALUES, cursor, &same, &cut, MDB_CURRENT);
				if (r < 0)
					break;
			}
		} else {
			r = table_change(txn, VALUES, cursor, &key, NULL, 0);
			if (r < 0)
				break;
		}
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return r < 0 || rc == MDB_NOTFOUND ? r : store_error(rc);
}
