/* The store: LMDB tables that every process of a node shares. */
#ifndef KEYDIR_STORE_H
#define KEYDIR_STORE_H

/* Its transactions and tables come along. */
#include "common/store/expiry.h"
#include "common/store/feed_rows.h"
#include "common/store/inode.h"
#include "common/store/log_rows.h"
#include "common/store/name.h"
#include "common/store/place.h"
#include "common/store/txn.h"
#include "common/store/chunk.h"
#include "common/store/walk.h"
#include "common/store/xattr.h"

enum store_sync {
	STORE_SYNC_AUTO = 0, /* none in memory (tmpfs), else every commit */
	STORE_SYNC_OFF,
};

struct store_config {
	const char *dir; /* made (0700, parents too) if missing */
	enum store_sync sync;
	bool logged; /* a log outside can restore what a crash loses */
};

/* Opens (and makes) the store. Several processes may have it open. Returns 0
 * and *RET (store_close()), or -errno with a sentence in WHY (may be NULL):
 * -ENOSPC, -EACCES, -EPERM if another user could change it, -EPROTO for another format version or a broken file ... */
int store_open(const struct store_config *config, struct store **ret, char *why, size_t why_size);
/* After all transactions have ended. NULL is fine. */
void store_close(struct store *store);
/* Its directory, valid until store_close(). */
const char *store_dir(const struct store *store);
/* The same, opened. */
struct store_place *store_place(const struct store *store);
/* True if commits wait for no disk (tmpfs, or sync off). */
bool store_in_memory(const struct store *store);
/* Return about how many bytes the store can still take: the space available in its file
 * system and the free pages of its file. UINT64_MAX on error. Thread-safe. */
uint64_t store_room_left(struct store *store);
/* Bytes of the map that hold data. */
uint64_t store_bytes(struct store *store);
/* Streams a consistent, compact copy of the whole store to FD (blocking;
 * holds a read snapshot meanwhile). 0 or -errno. */
int store_copy_fd(struct store *store, int fd);

#endif
