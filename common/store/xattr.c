/* Xattr: the extended attributes of entries.
 *
 * Rows: num(ino) name -> bytes
 *
 * An entry's row says whether it has attributes (has_xattrs), so entries without any, which
 * are nearly all, need no look-up here.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <string.h>

static bool is_value(MDB_val val)
{
	return val.mv_size <= STORE_XATTR_VALUE_MAX;
}

int store_xattr_get(struct txn *txn, uint64_t ino, const char *name, size_t len, struct bytes *ret)
{
	if (len > 255)
		return -ENOENT;
	struct store_key buf;
	MDB_val key = store_key_name(&buf, ino, name, len), val;
	int r = table_get(txn, XATTRS, &key, &val);
	if (r == 0 && !is_value(val))
		r = -EIO;
	if (r == 0)
		*ret = (struct bytes){ val.mv_data, val.mv_size };
	return r;
}

int store_xattr_each(struct txn *txn, uint64_t ino,
                     int (*fn)(void *arg, struct bytes name, struct bytes value), void *arg)
{
	struct store_key pb;
	MDB_val prefix = store_key_num(&pb, ino), key = prefix, val;
	MDB_cursor *cursor;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[XATTRS], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && store_key_begins(key, prefix)) {
		r = -EIO;
		if (!store_key_has_name(key, prefix.mv_size) || !is_value(val))
			break;
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
	struct store_key buf;
	MDB_val key = store_key_name(&buf, ino, name.data, name.len);
	MDB_val val = { value.len, (void *)value.data };
	return table_put(txn, XATTRS, &key, &val, 0);
}

int store_xattr_del(struct txn *txn, uint64_t ino, struct bytes name)
{
	struct store_key buf;
	MDB_val key = store_key_name(&buf, ino, name.data, name.len);
	return table_del(txn, XATTRS, &key);
}

int store_xattr_clear(struct txn *txn, uint64_t ino, uint64_t *ret_bytes)
{
	struct store_key pb;
	MDB_val prefix = store_key_num(&pb, ino), key = prefix, val;
	MDB_cursor *cursor;
	uint64_t bytes = 0;
	int r = store_error(mdb_cursor_open(txn->mdb, txn->store->dbi[XATTRS], &cursor));
	if (r < 0)
		return r;
	int rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
	while (rc == 0 && store_key_begins(key, prefix)) {
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
