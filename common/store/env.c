/* Environment: LMDB's error codes, free space, and the slots of dead readers.
 *
 * All files of the store need these, whatever the tables hold. This file calls none of the
 * others.
 *
 * No lock: LMDB protects its reader table itself, and nothing else here has state. */
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
		return -EPROTO;
	case MDB_VERSION_MISMATCH:
		return -EOPNOTSUPP;
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
