/* Name: maps a name in a directory to its inode.
 *
 * Rows: num(parent) name -> inode and type, in as few bytes as possible
 *
 * The row includes the type, so that a listing can distinguish keys, directories and links
 * without reading their inodes.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The type is in the last two bits of the row. */
enum name_type { NAME_KEY, NAME_DIR, NAME_LINK, NAME_TYPES };

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
	return *ret && *ret_type < NAME_TYPES ? 0 : -EIO;
}

static uint32_t mode_of(enum name_type type)
{
	return type == NAME_DIR ? S_IFDIR : type == NAME_LINK ? S_IFLNK : S_IFREG;
}

int store_name_decode(struct bytes value, uint64_t *ret_ino, uint32_t *ret_type)
{
	enum name_type type;
	int r = name_decode((MDB_val){ value.len, (void *)value.data }, ret_ino, &type);
	if (r == 0)
		*ret_type = mode_of(type);
	return r;
}

int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir)
{
	if (len > 255)
		return -ENOENT;
	struct store_key buf;
	MDB_val key = store_key_name(&buf, parent, name, len), val;
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
	struct store_key buf;
	uint8_t to[8];
	enum name_type type = S_ISDIR(mode) ? NAME_DIR : S_ISLNK(mode) ? NAME_LINK : NAME_KEY;
	MDB_val key = store_key_name(&buf, parent, name, len);
	MDB_val val = { name_encode(to, ino, type), to };
	return table_put(txn, NAMES, &key, &val, 0);
}

int store_unlink(struct txn *txn, uint64_t parent, const char *name, size_t len)
{
	struct store_key buf;
	MDB_val key = store_key_name(&buf, parent, name, len);
	return table_del(txn, NAMES, &key);
}

struct scan {
	MDB_cursor *cursor;
	struct store_key from; /* key at which to start */
	size_t prefix_len;     /* length of num(parent) in `from` */
	enum name_type type;   /* type in the last row */
	bool started;
	bool skip; /* exclude `from` itself */
};

int scan_open(struct txn *txn, uint64_t parent, const char *after, size_t after_len,
              struct scan **ret)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return -ENOMEM;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[NAMES], &scan->cursor));
	if (r < 0) {
		free(scan);
		return r;
	}
	scan->prefix_len = store_num_put(scan->from.bytes, parent);
	store_key_name(&scan->from, parent, after ? after : "", after ? after_len : 0);
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
	if (!store_key_has_name(key, scan->prefix_len))
		return -EIO;
	*ret_name = (const char *)key.mv_data + scan->prefix_len;
	*ret_len = key.mv_size - scan->prefix_len;
	int r = name_decode(val, ret_ino, &scan->type);
	if (r == 0 && ret_dir)
		*ret_dir = scan->type == NAME_DIR;
	return r;
}

uint32_t scan_type(const struct scan *scan)
{
	return mode_of(scan->type);
}

void scan_close(struct scan *scan)
{
	if (!scan)
		return;
	mdb_cursor_close(scan->cursor);
	free(scan);
}
