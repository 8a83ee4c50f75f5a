/* Store: LMDB tables that all processes of a node share. */
#ifndef KEYDIR_STORE_H
#define KEYDIR_STORE_H

/* The headers of its transactions and tables are included here. */
#include "common/store/chunk.h"
#include "common/store/expiry.h"
#include "common/store/feed_rows.h"
#include "common/store/inode.h"
#include "common/store/log_rows.h"
#include "common/store/name.h"
#include "common/store/place.h"
#include "common/store/txn.h"
#include "common/store/walk.h"
#include "common/store/xattr.h"

enum store_sync {
	STORE_SYNC_AUTO = 0, /* no sync in memory (tmpfs), else at every commit */
	STORE_SYNC_OFF,
};

struct store_config {
	const char *dir; /* created (0700, parents too) if missing */
	enum store_sync sync;
	bool logged; /* an external log can restore what a crash loses */
};

/* Open the store, creating it if necessary. Several processes may have it open. Returns 0
 * and *RET (store_close()), or -errno with a sentence in WHY (may be NULL): -ENOSPC,
 * -EACCES, -EPERM if another user could change it, -EPROTO for a damaged file, -EOPNOTSUPP
 * for the format of another version, ... */
int store_open(const struct store_config *config, struct store **ret, char *why, size_t why_size);
/* Close the store after all transactions have ended. NULL is allowed. */
void store_close(struct store *store);
/* Return the path of its directory, valid until store_close(). */
const char *store_dir(const struct store *store);
/* Return the directory itself, valid until store_close(). */
struct store_place *store_place(const struct store *store);
/* Return true if commits do not wait for a disk (tmpfs, or sync off). */
bool store_in_memory(const struct store *store);
/* Return approximately how many bytes the store can still take: the space available in its
 * file system plus the free pages of its file. UINT64_MAX on error. Thread-safe. */
uint64_t store_room_left(struct store *store);
/* Return the bytes of the pages that hold data. */
uint64_t store_bytes(struct store *store);
/* Write a consistent, compact copy of the whole store to FD. Blocks, and holds a read
 * snapshot meanwhile. Returns 0 or -errno. */
int store_copy_fd(struct store *store, int fd);

#endif
