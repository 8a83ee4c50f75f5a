/* Log row: what this node remembers of an external log.
 *
 * It is in the table meta under the key "log", so it is committed with the events that it
 * describes and is part of a snapshot. It depends on where transactions ended, so equal
 * stores may differ in it.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/internal.h"

#include <errno.h>
#include <string.h>

static const MDB_val log_key = { 3, (void *)"log" };

bool store_log_is_key(struct bytes key)
{
	return key.len == log_key.mv_size && memcmp(key.data, log_key.mv_data, key.len) == 0;
}

int store_log_get(struct txn *txn, struct bytes *ret)
{
	MDB_val key = log_key, val;
	int r = table_get(txn, META, &key, &val);
	if (r == 0)
		*ret = (struct bytes){ val.mv_data, val.mv_size };
	return r;
}

int store_log_put(struct txn *txn, struct bytes row)
{
	MDB_val key = log_key, val = { row.len, (void *)row.data };
	return table_put(txn, META, &key, &val, 0);
}
