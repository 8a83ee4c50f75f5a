/* The rows of the store: how entries, names, values and the rest lie in tables.
 *
 * Rows:
 *   names   num(parent) name          -> num(ino), in the first byte 0x80: directory, 0x40: link
 *   inodes  num(ino)                  -> struct row, num(parent), [struct row_ext], name, [value]
 *   values  num(ino) [chunk, u32 BE]  -> bytes; the first chunk has no number
 *   xattrs  num(ino) name             -> bytes
 *   expiry  expiry ms (u64 BE) num(ino) -> nothing
 *   feed    offset (u64 BE)           -> feed.h
 *   idem    idempotency key           -> offset (u64)
 *   meta    "meta" -> struct store_meta; "format" -> u32
 * num() is a length byte and that many big-endian bytes: it keeps the order of
 * numbers and makes the usual inode 4 bytes instead of 8, four times per key.
 *
 * DESIGN.md section 3 keeps metadata and value apart. A value of up to
 * STORE_INLINE_MAX bytes lies in its inode's row all the same: one row less is
 * 20 bytes less per key and one look-up less per GET, and copying so few bytes
 * with a TTL change costs less than that look-up. Longer values are cut into
 * chunks, so that an append or a write in the middle copies at most one chunk
 * at each end, and LMDB never looks for thousands of free pages in a row. */
#include "store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUM_MAX 9     /* bytes of the longest num() */
#define NAME_DIR 0x80 /* in the first byte of a name's inode */
#define NAME_LINK 0x40

/* Fixed part of an inode's row. */
struct row {
	uint64_t version;
	int64_t mtime_ns;
	uint32_t size;
	uint16_t mode;
	uint8_t name_len;
	uint8_t flags;
} __attribute__((packed));

/* What few keys have. */
struct row_ext {
	int64_t ctime_ns;
	int64_t atime_ns;
	int64_t expiry_ms;
	int64_t default_ttl_ms;
	uint32_t nsubdirs;
} __attribute__((packed));

enum { ROW_EXT = 1, ROW_XATTRS = 2, ROW_INLINE = 4 };
#define ROW_MAX (sizeof(struct row) + NUM_MAX + sizeof(struct row_ext) + 255 + STORE_INLINE_MAX)

/* --- numbers in keys --- */

static size_t num_put(uint8_t *to, uint64_t n)
{
	size_t len = n ? (size_t)(71 - __builtin_clzll(n)) / 8 : 1;
	to[0] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		to[1 + i] = (uint8_t)(n >> (8 * (len - 1 - i)));
	return 1 + len;
}

/* Returns the bytes taken, 0 if there is no number. The length byte's two
 * top bits are not part of it. */
static size_t num_get(const uint8_t *from, size_t size, uint64_t *ret)
{
	if (size < 2)
		return 0;
	size_t len = from[0] & 0x3f;
	if (len < 1 || len > 8 || size < 1 + len)
		return 0;
	uint64_t n = 0;
	for (size_t i = 0; i < len; i++)
		n = n << 8 | from[1 + i];
	*ret = n;
	return 1 + len;
}

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

/* A key on the stack: a number and what follows it. */
struct key_buf {
	uint8_t bytes[NUM_MAX + 8 + 256];
	size_t len;
};

static MDB_val key_num(struct key_buf *buf, uint64_t n)
{
	buf->len = num_put(buf->bytes, n);
	return (MDB_val){ buf->len, buf->bytes };
}

static MDB_val key_name(struct key_buf *buf, uint64_t n, const char *name, size_t len)
{
	buf->len = num_put(buf->bytes, n);
	if (len > 255)
		len = 255; /* callers check; never past the buffer */
	memcpy(buf->bytes + buf->len, name, len);
	buf->len += len;
	return (MDB_val){ buf->len, buf->bytes };
}

static MDB_val key_chunk(struct key_buf *buf, uint64_t ino, uint32_t chunk)
{
	buf->len = num_put(buf->bytes, ino);
	if (chunk) {
		for (int i = 0; i < 4; i++)
			buf->bytes[buf->len++] = (uint8_t)(chunk >> (24 - 8 * i));
	}
	return (MDB_val){ buf->len, buf->bytes };
}

static MDB_val key_offset(struct key_buf *buf, uint64_t offset)
{
	be64_put(buf->bytes, offset);
	buf->len = 8;
	return (MDB_val){ buf->len, buf->bytes };
}

static MDB_val key_expiry(struct key_buf *buf, int64_t expiry_ms, uint64_t ino)
{
	be64_put(buf->bytes, (uint64_t)expiry_ms);
	buf->len = 8 + num_put(buf->bytes + 8, ino);
	return (MDB_val){ buf->len, buf->bytes };
}

/* --- inodes --- */

static int row_decode(uint64_t ino, MDB_val val, struct entry *ret)
{
	const uint8_t *p = val.mv_data;
	size_t left = val.mv_size;
	struct row row;
	struct row_ext ext = { 0 };
	uint64_t parent;

	if (left < sizeof row)
		return -EIO;
	memcpy(&row, p, sizeof row);
	p += sizeof row;
	left -= sizeof row;
	size_t n = num_get(p, left, &parent);
	if (!n)
		return -EIO;
	p += n;
	left -= n;
	if (row.flags & ROW_EXT) {
		if (left < sizeof ext)
			return -EIO;
		memcpy(&ext, p, sizeof ext);
		p += sizeof ext;
		left -= sizeof ext;
	} else {
		ext.ctime_ns = ext.atime_ns = row.mtime_ns;
	}
	if (left < row.name_len)
		return -EIO;
	bool is_inline = row.flags & ROW_INLINE;
	if (is_inline && left - row.name_len != row.size)
		return -EIO;
	*ret = (struct entry){
		.ino = ino,
		.version = row.version,
		.parent = parent,
		.mtime_ns = row.mtime_ns,
		.ctime_ns = ext.ctime_ns,
		.atime_ns = ext.atime_ns,
		.expiry_ms = ext.expiry_ms,
		.default_ttl_ms = ext.default_ttl_ms,
		.mode = row.mode,
		.nsubdirs = ext.nsubdirs,
		.size = row.size,
		.has_xattrs = row.flags & ROW_XATTRS,
		.is_inline = is_inline,
		.name = (const char *)p,
		.name_len = row.name_len,
		.inline_value = is_inline ? p + row.name_len : NULL,
	};
	return 0;
}

int store_get(struct txn *txn, uint64_t ino, struct entry *ret)
{
	struct key_buf buf;
	MDB_val key = key_num(&buf, ino), val;
	int r = table_get(txn, INODES, &key, &val);
	return r < 0 ? r : row_decode(ino, val, ret);
}

int store_put(struct txn *txn, const struct entry *e)
{
	uint8_t bytes[ROW_MAX];
	struct row row = {
		.version = e->version,
		.mtime_ns = e->mtime_ns,
		.size = (uint32_t)e->size,
		.mode = (uint16_t)e->mode,
		.name_len = (uint8_t)e->name_len,
		.flags = (uint8_t)((e->has_xattrs ? ROW_XATTRS : 0) |
		                   (e->is_inline ? ROW_INLINE : 0)),
	};
	bool ext = e->ctime_ns != e->mtime_ns || e->atime_ns != e->mtime_ns || e->expiry_ms ||
	           e->default_ttl_ms || e->nsubdirs;
	if (ext)
		row.flags |= ROW_EXT;
	uint8_t *p = bytes;
	memcpy(p, &row, sizeof row);
	p += sizeof row;
	p += num_put(p, e->parent);
	if (ext) {
		struct row_ext x = {
			.ctime_ns = e->ctime_ns,
			.atime_ns = e->atime_ns,
			.expiry_ms = e->expiry_ms,
			.default_ttl_ms = e->default_ttl_ms,
			.nsubdirs = e->nsubdirs,
		};
		memcpy(p, &x, sizeof x);
		p += sizeof x;
	}
	if (e->name_len)
		memcpy(p, e->name, row.name_len);
	p += row.name_len;
	if (e->is_inline && e->size) {
		memcpy(p, e->inline_value, e->size);
		p += e->size;
	}
	struct key_buf buf;
	MDB_val key = key_num(&buf, e->ino), val = { (size_t)(p - bytes), bytes };
	return table_put(txn, INODES, &key, &val, 0);
}

int store_remove(struct txn *txn, uint64_t ino)
{
	struct key_buf buf;
	MDB_val key = key_num(&buf, ino);
	return table_del(txn, INODES, &key);
}

/* --- names --- */

static int name_decode(MDB_val val, uint64_t *ret, bool *ret_dir)
{
	const uint8_t *p = val.mv_data;
	if (!num_get(p, val.mv_size, ret))
		return -EIO;
	if (ret_dir)
		*ret_dir = p[0] & NAME_DIR;
	return 0;
}

int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir)
{
	if (len > 255)
		return -ENOENT;
	struct key_buf buf;
	MDB_val key = key_name(&buf, parent, name, len), val;
	int r = table_get(txn, NAMES, &key, &val);
	return r < 0 ? r : name_decode(val, ret, ret_dir);
}

int store_link(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
               bool dir)
{
	return store_link_type(txn, parent, name, len, ino, dir ? S_IFDIR : S_IFREG);
}

int store_link_type(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
                    uint32_t mode)
{
	struct key_buf buf, to;
	MDB_val key = key_name(&buf, parent, name, len), val = key_num(&to, ino);
	if (S_ISDIR(mode))
		to.bytes[0] |= NAME_DIR;
	else if (S_ISLNK(mode))
		to.bytes[0] |= NAME_LINK;
	return table_put(txn, NAMES, &key, &val, 0);
}

int store_unlink(struct txn *txn, uint64_t parent, const char *name, size_t len)
{
	struct key_buf buf;
	MDB_val key = key_name(&buf, parent, name, len);
	return table_del(txn, NAMES, &key);
}

struct scan {
	MDB_cursor *cursor;
	struct key_buf from; /* where to start */
	size_t prefix_len;   /* of from: num(parent) */
	uint8_t first_byte;  /* of the last row's inode */
	bool started;
	bool skip; /* `from` itself is not wanted */
};

int scan_open(struct txn *txn, uint64_t parent, const char *after, size_t after_len,
              struct scan **ret)
{
	struct scan *scan = calloc(1, sizeof *scan);
	if (!scan)
		return -ENOMEM;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[NAMES], &scan->cursor));
	if (r < 0) {
		free(scan);
		return r;
	}
	scan->prefix_len = num_put(scan->from.bytes, parent);
	key_name(&scan->from, parent, after ? after : "", after ? after_len : 0);
	scan->skip = after;
	*ret = scan;
	return 0;
}

int scan_next(struct scan *scan, const char **ret_name, size_t *ret_len, uint64_t *ret_ino,
              bool *ret_dir)
{
	MDB_val key = { scan->from.len, scan->from.bytes }, val;
	int rc = mdb_cursor_get(scan->cursor, &key, &val, scan->started ? MDB_NEXT : MDB_SET_RANGE);
	if (rc == 0 && !scan->started && scan->skip && key.mv_size == scan->from.len &&
	    memcmp(key.mv_data, scan->from.bytes, key.mv_size) == 0)
		rc = mdb_cursor_get(scan->cursor, &key, &val, MDB_NEXT);
	scan->started = true;
	if (rc)
		return store_error(rc);
	if (key.mv_size < scan->prefix_len ||
	    memcmp(key.mv_data, scan->from.bytes, scan->prefix_len) != 0)
		return -ENOENT;
	*ret_name = (const char *)key.mv_data + scan->prefix_len;
	*ret_len = key.mv_size - scan->prefix_len;
	scan->first_byte = val.mv_size ? *(const uint8_t *)val.mv_data : 0;
	return name_decode(val, ret_ino, ret_dir);
}

uint32_t scan_type(const struct scan *scan)
{
	return scan->first_byte & NAME_DIR  ? S_IFDIR :
	       scan->first_byte & NAME_LINK ? S_IFLNK :
	                                      S_IFREG;
}

void scan_close(struct scan *scan)
{
	if (!scan)
		return;
	mdb_cursor_close(scan->cursor);
	free(scan);
}

/* --- values --- */

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
		struct key_buf kb;
		MDB_val key = key_chunk(&kb, e->ino, chunk), val;
		int r = table_get(txn, VALUES, &key, &val);
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
		struct key_buf kb;
		MDB_val key = key_chunk(&kb, ino, chunk), val;
		int r = n == STORE_CHUNK_SIZE ? -ENOENT : table_get(txn, VALUES, &key, &val);
		if (r < 0 && r != -ENOENT)
			return r;
		size_t old = r < 0 ? 0 : val.mv_size;
		if (in == 0 && old <= n) { /* replaces all there was */
			val = (MDB_val){ n, (void *)from };
		} else {
			/* The row is read and written: its page may move meanwhile. */
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
	struct key_buf kb, pb;
	MDB_cursor *cursor;
	MDB_val prefix = key_num(&pb, ino);
	MDB_val key = key_chunk(&kb, ino, chunk), val;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[VALUES], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size >= prefix.mv_size &&
	       memcmp(key.mv_data, prefix.mv_data, prefix.mv_size) == 0) {
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

/* --- attributes --- */

int store_xattr_get(struct txn *txn, uint64_t ino, const char *name, size_t len, struct bytes *ret)
{
	if (len > 255)
		return -ENOENT;
	struct key_buf buf;
	MDB_val key = key_name(&buf, ino, name, len), val;
	int r = table_get(txn, XATTRS, &key, &val);
	if (r == 0)
		*ret = (struct bytes){ val.mv_data, val.mv_size };
	return r;
}

int store_xattr_each(struct txn *txn, uint64_t ino,
                     int (*fn)(void *arg, struct bytes name, struct bytes value), void *arg)
{
	struct key_buf pb;
	MDB_val prefix = key_num(&pb, ino), key = prefix, val;
	MDB_cursor *cursor;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[XATTRS], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size > prefix.mv_size &&
	       memcmp(key.mv_data, prefix.mv_data, prefix.mv_size) == 0) {
		r = fn(arg,
		       (struct bytes){ (char *)key.mv_data + prefix.mv_size,
		                       key.mv_size - prefix.mv_size },
		       (struct bytes){ val.mv_data, val.mv_size });
		if (r)
			break;
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return r || rc == MDB_NOTFOUND ? r : store_error(rc);
}

int store_xattr_put(struct txn *txn, uint64_t ino, struct bytes name, struct bytes value)
{
	struct key_buf buf;
	MDB_val key = key_name(&buf, ino, name.data, name.len);
	MDB_val val = { value.len, (void *)value.data };
	return table_put(txn, XATTRS, &key, &val, 0);
}

int store_xattr_del(struct txn *txn, uint64_t ino, struct bytes name)
{
	struct key_buf buf;
	MDB_val key = key_name(&buf, ino, name.data, name.len);
	return table_del(txn, XATTRS, &key);
}

int store_xattr_clear(struct txn *txn, uint64_t ino, uint64_t *ret_bytes)
{
	struct key_buf pb;
	MDB_val prefix = key_num(&pb, ino), key = prefix, val;
	MDB_cursor *cursor;
	uint64_t bytes = 0;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[XATTRS], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size > prefix.mv_size &&
	       memcmp(key.mv_data, prefix.mv_data, prefix.mv_size) == 0) {
		bytes += key.mv_size - prefix.mv_size + val.mv_size;
		r = table_change(txn, XATTRS, cursor, &key, NULL, 0);
		if (r < 0)
			break;
		rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (r == 0 && rc != 0 && rc != MDB_NOTFOUND)
		r = store_error(rc);
	if (r < 0)
		return r;
	*ret_bytes = bytes;
	return 0;
}

/* --- expiry, feed, idempotency --- */

static int expiry_decode(MDB_val key, int64_t *ret_expiry_ms, uint64_t *ret_ino)
{
	const uint8_t *p = key.mv_data;
	if (key.mv_size < 10 || !num_get(p + 8, key.mv_size - 8, ret_ino))
		return -EIO;
	*ret_expiry_ms = (int64_t)be64_get(p);
	return 0;
}

int store_first_expiry(struct txn *txn, int64_t *ret_expiry_ms, uint64_t *ret_ino)
{
	MDB_val key, val;
	int r = table_first(txn, EXPIRY, &key, false, &val);
	return r < 0 ? r : expiry_decode(key, ret_expiry_ms, ret_ino);
}

int store_next_expiry(struct txn *txn, int64_t *expiry_ms, uint64_t *ino)
{
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, *expiry_ms, *ino + 1), val;
	int r = table_first(txn, EXPIRY, &key, true, &val);
	return r < 0 ? r : expiry_decode(key, expiry_ms, ino);
}

int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino), val = { 0, (void *)"" };
	return table_put(txn, EXPIRY, &key, &val, 0);
}

int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino);
	return table_del(txn, EXPIRY, &key);
}

int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret)
{
	struct key_buf buf;
	MDB_val key = key_offset(&buf, from), val;
	int r = table_first(txn, FEED, &key, true, &val);
	if (r < 0)
		return r;
	if (key.mv_size != 8)
		return -EIO;
	*ret_offset = be64_get(key.mv_data);
	*ret = (struct bytes){ val.mv_data, val.mv_size };
	return 0;
}

int store_feed_put(struct txn *txn, uint64_t offset, struct bytes row)
{
	struct key_buf buf;
	MDB_val key = key_offset(&buf, offset), val = { row.len, (void *)row.data };
	/* Offsets only grow: filling pages to the end keeps the ring small. */
	return table_put(txn, FEED, &key, &val, MDB_APPEND);
}

int store_feed_del(struct txn *txn, uint64_t offset)
{
	struct key_buf buf;
	MDB_val key = key_offset(&buf, offset);
	return table_del(txn, FEED, &key);
}

int store_idem_get(struct txn *txn, struct bytes idem, uint64_t *ret_offset)
{
	MDB_val key = { idem.len, (void *)idem.data }, val;
	int r = table_get(txn, IDEM, &key, &val);
	if (r == 0 && val.mv_size != sizeof *ret_offset)
		r = -EIO;
	if (r == 0)
		memcpy(ret_offset, val.mv_data, sizeof *ret_offset);
	return r;
}

int store_idem_put(struct txn *txn, struct bytes idem, uint64_t offset)
{
	MDB_val key = { idem.len, (void *)idem.data }, val = { sizeof offset, &offset };
	return table_put(txn, IDEM, &key, &val, 0);
}

int store_idem_del(struct txn *txn, struct bytes idem)
{
	MDB_val key = { idem.len, (void *)idem.data };
	return table_del(txn, IDEM, &key);
}

/* --- whole tables --- */

int store_each_row(struct txn *txn,
                   int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value),
                   void *arg)
{
	for (int t = 0; t < TABLES; t++) {
		MDB_cursor *cursor;
		MDB_val key, val;
		int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[t], &cursor));
		if (r < 0)
			return r;
		int rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
		while (rc == 0 && r == 0) {
			r = fn(arg, store_table_name((enum table)t),
			       (struct bytes){ key.mv_data, key.mv_size },
			       (struct bytes){ val.mv_data, val.mv_size });
			rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
		}
		mdb_cursor_close(cursor);
		if (r)
			return r;
		if (rc != MDB_NOTFOUND)
			return store_error(rc);
	}
	return 0;
}

int store_row_inode(struct bytes key, struct bytes value, struct entry *ret)
{
	uint64_t ino;
	if (!num_get(key.data, key.len, &ino))
		return -EIO;
	return row_decode(ino, (MDB_val){ value.len, (void *)value.data }, ret);
}

size_t store_row_number(uint8_t *to, uint64_t n)
{
	return num_put(to, n);
}

size_t store_row_rest(struct bytes key)
{
	uint64_t n;
	return key.len - num_get(key.data, key.len, &n);
}
