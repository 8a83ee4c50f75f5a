/* Format: the number of the store's format, and whether this version can read it.
 *
 * A store of another version is whole, but its rows mean something else here. It must
 * neither be changed nor be called damaged: whoever reads "damaged" removes the file. So
 * the format is checked before anything else in the file, without the other tables, which
 * another version may have replaced.
 *
 * No lock: nothing here has state. */
#include "common/store/format.h"

#include "common/store/env.h"
#include "common/store/table.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int store_format_check(MDB_txn *mdb, char *why, size_t why_size)
{
	MDB_dbi meta;
	MDB_val key = { 6, (void *)"format" }, val;
	uint32_t format;
	int r = store_error(mdb_dbi_open(mdb, table_name(META), 0, &meta));
	if (r == 0)
		r = store_error(mdb_get(mdb, meta, &key, &val));
	if (r != 0)
		return r;
	if (val.mv_size != sizeof(format))
		return -EPROTO;
	memcpy(&format, val.mv_data, sizeof(format));
	if (format == STORE_FORMAT)
		return 0;
	snprintf(why, why_size,
	         "the store has format %u, and keydir %s reads format %d only: use %s version of "
	         "Keydir, or a new store",
	         format, KEYDIR_VERSION, STORE_FORMAT,
	         format > STORE_FORMAT ? "a newer" : "the older");
	return -EOPNOTSUPP;
}

void store_format_say_lmdb(char *why, size_t why_size)
{
	snprintf(why, why_size,
	         "the store's files have a format of another LMDB than this program's (%s): use "
	         "the programs that wrote them, or a new store",
	         mdb_version(NULL, NULL, NULL));
}
