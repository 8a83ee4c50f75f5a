/* Inode: the rows of entries.
 *
 * Rows: num(ino) -> see below, [value]
 *
 * A cache should use little memory, so a row omits default values. It consists of:
 * flags; the parent, as num(); the version, or its distance from the inode's number, which
 * is small for an entry that was created and never changed; the modification time, in ms
 * since the store's first event or else in ns; the mode, unless it is that of a usual key;
 * rare fields; the size, unless the value is in the row, where it extends to the end; the
 * length of the name, and the name. A key of 10 bytes takes 7 bytes in addition to its name
 * and value.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include "common/base/ttl.h"
#include "common/base/varint.h"

#include <errno.h>
#include <string.h>

#define MODE_DEFAULT (S_IFREG | 0644)

/* Flags in the first byte of an inode's row. */
enum {
	ROW_RARE = 1,
	ROW_XATTRS = 2,
	ROW_INLINE = 4,
	ROW_MODE = 8,
	ROW_VERSION_DELTA = 16, /* relative to the inode's number */
	ROW_TIME = 32,          /* two bits: 0 for ns, else the number of bytes of the ms minus 2 */
	ROW_FLAGS = 128,        /* this and higher values are invalid */
};
#define TIME_BYTES(flags) (((flags) / ROW_TIME & 3) ? ((flags) / ROW_TIME & 3) + 2 : 8)

/* Fields that few keys have; one byte says which are present. */
enum { RARE_CTIME = 1, RARE_ATIME = 2, RARE_EXPIRY = 4, RARE_TTL = 8, RARE_SUBDIRS = 16 };

#define ROW_MAX                                                                                    \
	(1 + STORE_NUM_MAX + VARINT_MAX + 8 + 2 + 1 + 5 * VARINT_MAX + VARINT_MAX + 1 + 255 +      \
	 STORE_INLINE_MAX)

/* --- reading --- */

/* The state of reading a row; `bad` is set when bytes are missing. */
struct row_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static const uint8_t *take_bytes(struct row_reader *r, size_t n)
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
	take_bytes(r, len);
	return n;
}

static int64_t take_time(struct row_reader *r, unsigned flags, int64_t base_ms)
{
	size_t len = TIME_BYTES(flags);
	const uint8_t *p = take_bytes(r, len);
	uint64_t n = 0;
	for (size_t i = 0; p && i < len; i++)
		n |= (uint64_t)p[i] << (8 * i);
	return (int64_t)(len == 8 ? n : ((uint64_t)base_ms + n) * 1000000);
}

static void take_rare(struct row_reader *r, struct entry *e)
{
	const uint8_t *p = take_bytes(r, 1);
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
	if (rare & RARE_SUBDIRS) {
		uint64_t n = take_varint(r);
		r->bad |= n > UINT32_MAX;
		e->nsubdirs = (uint32_t)n;
	}
}

/* Return whether E is an entry that store_put() could have written. A store may come from
 * another node, and callers copy names and short values to buffers of the maximum size. */
static bool is_entry(const struct entry *e)
{
	if (e->ino == STORE_ROOT_INO ? e->parent || e->name_len || !entry_is_dir(e) :
	                               !e->parent || !e->name_len)
		return false;
	if (e->expiry_ms < 0 || e->expiry_ms > TTL_MOMENT_MAX_MS)
		return false;
	if (entry_is_dir(e))
		return !e->is_inline && !e->size && !e->expiry_ms && e->default_ttl_ms >= 0 &&
		       e->default_ttl_ms <= TTL_MAX_MS;
	return (S_ISREG(e->mode) || S_ISLNK(e->mode)) && !e->nsubdirs && !e->default_ttl_ms &&
	       e->is_inline == (e->size <= STORE_INLINE_MAX) && e->size <= STORE_VALUE_MAX;
}

static int row_decode(const struct txn *txn, uint64_t ino, MDB_val val, struct entry *ret)
{
	struct row_reader r = { val.mv_data, val.mv_size, false };
	const uint8_t *p = take_bytes(&r, 1);
	struct entry e = { .ino = ino, .mode = MODE_DEFAULT };
	unsigned flags = p ? *p : ROW_FLAGS;
	if (flags >= ROW_FLAGS)
		return -EIO;
	size_t len = store_num_get(r.p, r.left, &e.parent);
	r.bad |= !len;
	take_bytes(&r, len);
	uint64_t version = take_varint(&r);
	e.version = flags & ROW_VERSION_DELTA ? ino + (uint64_t)varint_unfold(version) : version;
	e.mtime_ns = e.ctime_ns = e.atime_ns = take_time(&r, flags, txn->meta.base_ms);
	if (flags & ROW_MODE) {
		p = take_bytes(&r, 2);
		e.mode = p ? p[0] | (uint32_t)p[1] << 8 : 0;
	}
	if (flags & ROW_RARE)
		take_rare(&r, &e);
	e.has_xattrs = flags & ROW_XATTRS;
	e.is_inline = flags & ROW_INLINE;
	if (!e.is_inline)
		e.size = take_varint(&r);
	p = take_bytes(&r, 1);
	e.name_len = p ? *p : 0;
	e.name = (const char *)take_bytes(&r, e.name_len);
	if (r.bad || (r.left && !e.is_inline))
		return -EIO;
	if (e.is_inline) {
		e.inline_value = r.p;
		e.size = r.left;
	}
	if (!is_entry(&e))
		return -EIO;
	*ret = e;
	return 0;
}

int store_inode_decode(const struct txn *txn, struct bytes key, struct bytes value,
                       struct entry *ret)
{
	uint64_t ino;
	if (!key.len || store_num_get(key.data, key.len, &ino) != key.len)
		return -EIO;
	return row_decode(txn, ino, (MDB_val){ value.len, (void *)value.data }, ret);
}

int store_get(struct txn *txn, uint64_t ino, struct entry *ret)
{
	struct store_key buf;
	MDB_val key = store_key_num(&buf, ino), val;
	int r = table_get(txn, INODES, &key, &val);
	return r < 0 ? r : row_decode(txn, ino, val, ret);
}

/* --- writing --- */

static uint8_t *put_version(uint8_t *p, const struct entry *e, uint8_t *flags)
{
	uint64_t delta = varint_fold((int64_t)(e->version - e->ino));
	if (delta < e->version)
		*flags |= ROW_VERSION_DELTA;
	return varint_put(p, delta < e->version ? delta : e->version);
}

static uint8_t *put_time(uint8_t *p, int64_t time_ns, int64_t base_ms, uint8_t *flags)
{
	uint64_t n = (uint64_t)time_ns;
	size_t len = 8;
	/* Before the first event there is no base time. */
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
	p += store_num_put(p, e->parent);
	p = put_version(p, e, &flags);
	p = put_time(p, e->mtime_ns, txn->meta.base_ms, &flags);
	if (e->mode != MODE_DEFAULT) {
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
	struct store_key buf;
	MDB_val key = store_key_num(&buf, e->ino), val = { (size_t)(p - bytes), bytes };
	/* The newest inode usually has the highest number too. */
	int r = -EEXIST;
	if (e->ino + 1 == txn->meta.next_ino)
		r = table_append(txn, INODES, &key, &val);
	return r == -EEXIST ? table_put(txn, INODES, &key, &val, 0) : r;
}

int store_remove(struct txn *txn, uint64_t ino)
{
	forget_touched(txn, ino);
	struct store_key buf;
	MDB_val key = store_key_num(&buf, ino);
	return table_del(txn, INODES, &key);
}
