/* Environment: what the files of the store need of LMDB's environment and of the file
 * system below it, whatever the tables hold. It is the ground of the store and calls none
 * of the other files.
 *
 * No lock: LMDB guards its table of readers itself, nothing else here has a state. */
#include "common/store/env.h"

#include "common/store/internal.h"

#include <errno.h>
#include <lmdb.h>
#include <sys/vfs.h>

int store_error_of(int rc)
{
	switch (rc) {
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

bool store_has_room(const struct store *store)
{
	struct statfs fs;
	return fstatfs(store_place_fd(store->place), &fs) < 0 ||
	       fs.f_bavail * (uint64_t)fs.f_bsize >= STORE_LOW_BYTES;
}

void store_reap_readers(struct store *store)
{
	int dead;
	mdb_reader_check(store->env, &dead);
}
