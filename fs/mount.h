/* The mount: what all handlers of one file system share. */
#ifndef KEYDIR_FS_MOUNT_H
#define KEYDIR_FS_MOUNT_H

#include "fs/announce.h"
#include "fs/attr.h"
#include "fs/busy.h"
#include "fs/file.h"
#include "fs/fs_options.h"
#include "fs/gate.h"
#include "fs/handshake.h"
#include "fs/inval.h"
#include "common/base/key.h"
#include "common/node/node.h"
#include "fs/path.h"
#include "fs/pending.h"
#include "fs/recall.h"
#include "fs/spin.h"
#include "fs/worker.h"

#include <fuse_lowlevel.h>

/* How long the kernel may keep what has no expiry, in seconds: without limit
 * (invalidation ends it), or not at all. */
#define KEEP_LONG_S (365.0 * 24 * 3600)

/* Directories share a counter by chance; then one may be listed in more detail. */
#define LOOK_UP_SLOTS 1024

struct handle;
struct dir;

/* What is open: the kernel does not close it when a mount ends by a signal. */
struct open_list {
	pthread_mutex_t lock; /* protects the lists */
	struct handle *handles;
	struct dir *dirs;
};

/* Written before the session starts, then only read, but for what has locks
 * of its own. */
struct mount {
	struct fs_options options;
	struct node *node;
	struct store *store;
	struct fuse_session *session;
	struct files files;
	struct worker *worker;
	struct inval *inval;
	struct announcer *announcer; /* NULL: nothing is announced */
	struct busy busy;
	struct recall recall;
	struct open_list open;
	struct pending pending;
	struct gate gate;
	struct spin spin;
	struct handshake handshake;
	uint64_t root;       /* inode of the directory that is mounted */
	uint64_t size_bytes; /* quota */
	enum evict_policy evict;
	int64_t timeout_ms; /* of a write, and of a barrier */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool read_only;
	bool async;       /* close does not wait for the log */
	bool caching;     /* the kernel may keep what it learns */
	bool no_open;     /* read-only: the kernel opens files without asking */
	bool maps_direct; /* files opened with direct_io can be mapped; from the start on */
	unsigned nops;    /* atomic: events on their way */
	unsigned look_ups[LOOK_UP_SLOTS]; /* atomic: names found, by directory (fs_dir.c) */
};

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The store's inode for the kernel's. */
static inline uint64_t real_ino(struct mount *m, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? m->root : files_real(&m->files, ino);
}

/* The kernel's inode for the store's, but for an alias (files_alias()). */
static inline fuse_ino_t node_id(const struct mount *m, uint64_t ino)
{
	return ino == m->root ? FUSE_ROOT_ID : ino;
}

/* The operations table (fs_ops.c). */
extern const struct fuse_lowlevel_ops fs_ops;

/* Of INO, which is gone: what has the name now by which the kernel has just looked
 * it up (recall.h), if that is a key. 0 and *RET, or -ENOENT. (fs_lookup.c) */
int look_up_again(struct mount *m, const struct view *view, uint64_t ino, struct entry *ret);

#endif
