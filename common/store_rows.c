/* The rows of the store: how entries, names, values and the rest lie in tables.
 *
 * Rows:
 *   names   num(parent) name          -> inode and type in as few bytes as they need
 *   inodes  num(ino)                  -> below, [value]
 *   values  num(ino) [chunk, u32 BE]  -> bytes; the first chunk has no number
 *   xattrs  num(ino) name             -> bytes
 *   expiry  expiry ms (u64 BE) num(ino) -> nothing
 *   feed    num(offset)               -> feed.h
 *   idem    idempotency key           -> offset (u64)
 *   meta    "meta" -> struct store_meta; "format" -> u32
 * num() has as many ones at its beginning as bytes follow the first; it keeps the
 * order of numbers, and none is the beginning of another.
 *
 * Memory is what a cache is about, so an inode's row says little of what goes
 * without saying. It is: flags; parent, num(); the version, or how far it is from
 * the inode's number, which for an entry that was made once and left alone is not
 * far; the time of modification, in ms since the store's first event, or else in
 * ns; the mode, unless it is a key's usual one; what few entries have; the size,
 * unless the value lies here and ends with the row; length of the name, name. A
 * key of 10 bytes takes 7 bytes beside its name and value.
 *
 * DESIGN.md section 3 keeps metadata and value apart. A value of up to
 * STORE_INLINE_MAX bytes lies in its inode's row all the same: one row less is
 * 20 bytes less per key and one look-up less per GET, and copying so few bytes
 * with a TTL change costs less than that look-up. Longer values are cut into
 * chunks, so that an append or a write in the middle copies at most one chunk
 * at each end, and LMDB never looks for thousands of free pages in a row. */
#include "store_internal.h"

#include "varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUM_MAX 9 /* bytes of the longest num() */
#define MODE_USUAL (S_IFREG | 0644)

/* First byte of an inode's row. */
enum {
	ROW_RARE = 1,
	ROW_XATTRS = 2,
	ROW_INLINE = 4,
	ROW_MODE = 8,
	ROW_VERSION_NEAR = 16, /* counted from the inode's number */
	ROW_TIME = 32,         /* two bits: 0 for ns, else 2 less than the bytes of ms */
	ROW_FLAGS = 128,       /* and more: none is known */
};
#define TIME_BYTES(flags) (((flags) / ROW_TIME & 3) ? ((flags) / ROW_TIME & 3) + 2 : 8)

/* What few keys have, and so a byte that says which. */
enum { RARE_CTIME = 1, RARE_ATIME = 2, RARE_EXPIRY = 4, RARE_TTL = 8, RARE_SUBDIRS = 16 };

#define ROW_MAX                                                                                    \
	(1 + NUM_MAX + VARINT_MAX + 8 + 2 + 1 + 5 * VARINT_MAX + VARINT_MAX + 1 + 255 +            \
	 STORE_INLINE_MAX)

/* --- numbers in keys --- */

static size_t num_put(uint8_t *to, uint64_t n)
{
	size_t more = 0; /* bytes behind the first */
	while (more < 8 && n >> (7 + 7 * more))
		more++;
	to[0] = (uint8_t)(0xff00 >> more);
	for (size_t i = 0; i <= more; i++) {
		if (8 * (more - i) < 64)
			to[i] = (uint8_t)((i ? 0 : to[0]) | n >> (8 * (more - i)));
	}
	return 1 + more;
}

/* Returns the bytes taken, 0 if there is no number. */
static size_t num_get(const uint8_t *from, size_t size, uint64_t *ret)
{
	if (size < 1)
		return 0;
	size_t more = from[0] == 0xff ? 8 : (size_t)__builtin_clz(~((unsigned)from[0] << 24));
	if (size < 1 + more)
		return 0;
	uint64_t n = more < 7 ? from[0] & (0x7f >> more) : 0;
	for (size_t i = 1; i <= more; i++)
		n = n << 8 | from[i];
	*ret = n;
	return 1 + more;
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
	return key_num(buf, offset);
}

static MDB_val key_expiry(struct key_buf *buf, int64_t expiry_ms, uint64_t ino)
{
	be64_put(buf->bytes, (uint64_t)expiry_ms);
	buf->len = 8 + num_put(buf->bytes + 8, ino);
	return (MDB_val){ buf->len, buf->bytes };
}

/* --- inodes --- */

/* A row while it is read; what is missing makes it bad. */
struct row_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct row_reader *r, size_t n)
{
	const uint8_t *p = r->p;
	if (r->left < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static uint64_t take_varint(struct row_reader *r)
{
	uint64_t n = 0;
	size_t len = varint_get(r->p, r->left, &n);
	r->bad |= !len;
	take(r, len);
	return n;
}

static int64_t take_time(struct row_reader *r, unsigned flags, int64_t base_ms)
{
	size_t len = TIME_BYTES(flags);
	const uint8_t *p = take(r, len);
	uint64_t n = 0;
	for (size_t i = 0; p && i < len; i++)
		n |= (uint64_t)p[i] << (8 * i);
	return (int64_t)(len == 8 ? n : ((uint64_t)base_ms + n) * 1000000);
}

static void take_rare(struct row_reader *r, struct entry *e)
{
	const uint8_t *p = take(r, 1);
	unsigned rare = p ? *p : 0;
	if (rare & RARE_CTIME)
		e->ctime_ns = (int64_t)((uint64_t)e->ctime_ns +
		                        (uint64_t)varint_unfold(take_varint(r)));
	if (rare & RARE_ATIME)
		e->atime_ns = (int64_t)((uint64_t)e->atime_ns +
		                        (uint64_t)varint_unfold(take_varint(r)));
	if (rare & RARE_EXPIRY)
		e->expiry_ms = (int64_t)take_varint(r);
	if (rare & RARE_TTL)
		e->default_ttl_ms = (int64_t)take_varint(r);
	if (rare & RARE_SUBDIRS)
		e->nsubdirs = (uint32_t)take_varint(r);
}

static int row_decode(const struct txn *txn, uint64_t ino, MDB_val val, struct entry *ret)
{
	struct row_reader r = { val.mv_data, val.mv_size, false };
	const uint8_t *p = take(&r, 1);
	struct entry e = { .ino = ino, .mode = MODE_USUAL };
	unsigned flags = p ? *p : ROW_FLAGS;
	if (flags >= ROW_FLAGS)
		return -EIO;
	size_t len = num_get(r.p, r.left, &e.parent);
	r.bad |= !len;
	take(&r, len);
	uint64_t version = take_varint(&r);
	e.version = flags & ROW_VERSION_NEAR ? ino + (uint64_t)varint_unfold(version) : version;
	e.mtime_ns = e.ctime_ns = e.atime_ns = take_time(&r, flags, txn->meta.base_ms);
	if (flags & ROW_MODE) {
		p = take(&r, 2);
		e.mode = p ? p[0] | (uint32_t)p[1] << 8 : 0;
	}
	if (flags & ROW_RARE)
		take_rare(&r, &e);
	e.has_xattrs = flags & ROW_XATTRS;
	e.is_inline = flags & ROW_INLINE;
	if (!e.is_inline)
		e.size = take_varint(&r);
	p = take(&r, 1);
	e.name_len = p ? *p : 0;
	e.name = (const char *)take(&r, e.name_len);
	if (r.bad || (r.left && !e.is_inline))
		return -EIO;
	if (e.is_inline) {
		e.inline_value = r.p;
		e.size = r.left;
	}
	*ret = e;
	return 0;
}

int store_get(struct txn *txn, uint64_t ino, struct entry *ret)
{
	struct key_buf buf;
	MDB_val key = key_num(&buf, ino), val;
	int r = table_get(txn, INODES, &key, &val);
	return r < 0 ? r : row_decode(txn, ino, val, ret);
}

static uint8_t *put_version(uint8_t *p, const struct entry *e, uint8_t *flags)
{
	uint64_t near = varint_fold((int64_t)(e->version - e->ino));
	if (near < e->version)
		*flags |= ROW_VERSION_NEAR;
	return varint_put(p, near < e->version ? near : e->version);
}

static uint8_t *put_time(uint8_t *p, int64_t time_ns, int64_t base_ms, uint8_t *flags)
{
	uint64_t n = (uint64_t)time_ns;
	size_t len = 8;
	/* Before the first event there is nothing to count from. */
	if (base_ms && time_ns % 1000000 == 0 && time_ns / 1000000 >= base_ms) {
		uint64_t ms = (uint64_t)(time_ns / 1000000 - base_ms);
		size_t need = ms >> 24 == 0 ? 3 : ms >> 32 == 0 ? 4 : ms >> 40 == 0 ? 5 : 8;
		if (need < 8) {
			n = ms;
			len = need;
			*flags |= (uint8_t)((need - 2) * ROW_TIME);
		}
	}
	for (size_t i = 0; i < len; i++)
		*p++ = (uint8_t)(n >> (8 * i));
	return p;
}

static uint8_t *put_rare(uint8_t *p, const struct entry *e, uint8_t *flags)
{
	int64_t ctime = (int64_t)((uint64_t)e->ctime_ns - (uint64_t)e->mtime_ns);
	int64_t atime = (int64_t)((uint64_t)e->atime_ns - (uint64_t)e->mtime_ns);
	unsigned rare = (ctime ? RARE_CTIME : 0) | (atime ? RARE_ATIME : 0) |
	                (e->expiry_ms ? RARE_EXPIRY : 0) | (e->default_ttl_ms ? RARE_TTL : 0) |
	                (e->nsubdirs ? RARE_SUBDIRS : 0);
	if (!rare)
		return p;
	*flags |= ROW_RARE;
	*p++ = (uint8_t)rare;
	if (rare & RARE_CTIME)
		p = varint_put(p, varint_fold(ctime));
	if (rare & RARE_ATIME)
		p = varint_put(p, varint_fold(atime));
	if (rare & RARE_EXPIRY)
		p = varint_put(p, (uint64_t)e->expiry_ms);
	if (rare & RARE_TTL)
		p = varint_put(p, (uint64_t)e->default_ttl_ms);
	if (rare & RARE_SUBDIRS)
		p = varint_put(p, e->nsubdirs);
	return p;
}

void store_note_touched(struct txn *txn, uint64_t ino, int64_t time_ns)
{
	struct txn *top = txn_top(txn);
	top->touched_ino = ino;
	top->touched_ns = time_ns;
}

bool store_is_touched(const struct txn *txn, uint64_t ino, int64_t time_ns)
{
	const struct txn *top = txn_top(txn);
	return top->touched_ino == ino && top->touched_ns == time_ns;
}

static void forget_touched(struct txn *txn, uint64_t ino)
{
	struct txn *top = txn_top(txn);
	if (top->touched_ino == ino)
		top->touched_ino = 0;
}

int store_put(struct txn *txn, const struct entry *e)
{
	forget_touched(txn, e->ino);
	uint8_t bytes[ROW_MAX], *p = bytes + 1;
	uint8_t flags = (uint8_t)((e->has_xattrs ? ROW_XATTRS : 0) |
	                          (e->is_inline ? ROW_INLINE : 0));
	p += num_put(p, e->parent);
	p = put_version(p, e, &flags);
	p = put_time(p, e->mtime_ns, txn->meta.base_ms, &flags);
	if (e->mode != MODE_USUAL) {
		flags |= ROW_MODE;
		*p++ = (uint8_t)e->mode;
		*p++ = (uint8_t)(e->mode >> 8);
	}
	p = put_rare(p, e, &flags);
	if (!e->is_inline)
		p = varint_put(p, e->size);
	uint8_t name_len = (uint8_t)e->name_len;
	*p++ = name_len;
	if (name_len)
		memcpy(p, e->name, name_len);
	p += name_len;
	if (e->is_inline && e->size) {
		memcpy(p, e->inline_value, e->size);
		p += e->size;
	}
	bytes[0] = flags;
	struct key_buf buf;
	MDB_val key = key_num(&buf, e->ino), val = { (size_t)(p - bytes), bytes };
	/* The newest inode is mostly the last one, too. */
	int r = -EEXIST;
	if (e->ino + 1 == txn->meta.next_ino)
		r = table_append(txn, INODES, &key, &val);
	return r == -EEXIST ? table_put(txn, INODES, &key, &val, 0) : r;
}

int store_remove(struct txn *txn, uint64_t ino)
{
	forget_touched(txn, ino);
	struct key_buf buf;
	MDB_val key = key_num(&buf, ino);
	return table_del(txn, INODES, &key);
}

/* --- names --- */

/* The type is in the last two bits. */
enum name_type { NAME_KEY, NAME_DIR, NAME_LINK };

static size_t name_encode(uint8_t *to, uint64_t ino, enum name_type type)
{
	uint64_t n = ino << 2 | type;
	size_t len = (size_t)(71 - __builtin_clzll(n | 1)) / 8;
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(n >> (8 * (len - 1 - i)));
	return len;
}

static int name_decode(MDB_val val, uint64_t *ret, enum name_type *ret_type)
{
	const uint8_t *p = val.mv_data;
	uint64_t n = 0;
	if (val.mv_size < 1 || val.mv_size > 8)
		return -EIO;
	for (size_t i = 0; i < val.mv_size; i++)
		n = n << 8 | p[i];
	*ret = n >> 2;
	*ret_type = (enum name_type)(n & 3);
	return 0;
}

int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir)
{
	if (len > 255)
		return -ENOENT;
	struct key_buf buf;
	MDB_val key = key_name(&buf, parent, name, len), val;
	enum name_type type;
	int r = table_get(txn, NAMES, &key, &val);
	if (r == 0)
		r = name_decode(val, ret, &type);
	if (r == 0 && ret_dir)
		*ret_dir = type == NAME_DIR;
	return r;
}

int store_link(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
               bool dir)
{
	return store_link_type(txn, parent, name, len, ino, dir ? S_IFDIR : S_IFREG);
}

int store_link_type(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
                    uint32_t mode)
{
	struct key_buf buf;
	uint8_t to[8];
	enum name_type type = S_ISDIR(mode) ? NAME_DIR : S_ISLNK(mode) ? NAME_LINK : NAME_KEY;
	MDB_val key = key_name(&buf, parent, name, len);
	MDB_val val = { name_encode(to, ino, type), to };
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
	enum name_type type; /* of the last row */
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
	int r = name_decode(val, ret_ino, &scan->type);
	if (r == 0 && ret_dir)
		*ret_dir = scan->type == NAME_DIR;
	return r;
}

uint32_t scan_type(const struct scan *scan)
{
	return scan->type == NAME_DIR ? S_IFDIR : scan->type == NAME_LINK ? S_IFLNK : S_IFREG;
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
	if (key.mv_size < 9 || !num_get(p + 8, key.mv_size - 8, ret_ino))
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
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, *expiry_ms, *ino + 1), val;
	int r = table_first(txn, EXPIRY, &key, true, &val);
	return r < 0 ? r : expiry_decode(key, expiry_ms, ino);
}

int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino), val = { 0, (void *)"" };
	txn_top(txn)->expiry_known = false;
	return table_put(txn, EXPIRY, &key, &val, 0);
}

int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino)
{
	struct key_buf buf;
	MDB_val key = key_expiry(&buf, expiry_ms, ino);
	txn_top(txn)->expiry_known = false;
	return table_del(txn, EXPIRY, &key);
}

static int feed_decode_key(MDB_val key, uint64_t *ret_offset)
{
	return num_get(key.mv_data, key.mv_size, ret_offset) == key.mv_size ? 0 : -EIO;
}

/* The first row at or behind FROM. */
static int feed_row(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret)
{
	struct key_buf buf;
	MDB_val key = key_offset(&buf, from), val;
	int r = table_first(txn, FEED, &key, from > 0, &val);
	if (r < 0)
		return r;
	*ret = (struct bytes){ val.mv_data, val.mv_size };
	return feed_decode_key(key, ret_offset);
}

int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret)
{
	return feed_row(txn, from < txn->whole_from ? txn->whole_from : from, ret_offset, ret);
}

int store_feed_first(struct txn *txn, uint64_t *ret_offset)
{
	struct bytes ignored;
	if (!txn->whole_from)
		return feed_row(txn, 0, ret_offset, &ignored);
	*ret_offset = txn->whole_from;
	return 0;
}

int store_feed_get(struct txn *txn, uint64_t offset, struct bytes *ret)
{
	struct key_buf buf;
	MDB_val key = key_offset(&buf, offset), val;
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
	txn->whole_from = offset + 1;
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
	MDB_val key = key_offset(&buf, offset), first, val;
	if (table_front(txn, &first, &val) == 0 && first.mv_size == key.mv_size &&
	    memcmp(first.mv_data, key.mv_data, key.mv_size) == 0)
		return table_front_del(txn, &key);
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

int store_row_inode(const struct txn *txn, struct bytes key, struct bytes value, struct entry *ret)
{
	uint64_t ino;
	if (!num_get(key.data, key.len, &ino))
		return -EIO;
	return row_decode(txn, ino, (MDB_val){ value.len, (void *)value.data }, ret);
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
