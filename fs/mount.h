/* Mount: the state that all handlers of one file system share. */
#ifndef KEYDIR_FS_MOUNT_H
#define KEYDIR_FS_MOUNT_H

#include "common/base/key.h"
#include "common/node/node.h"
#include "fs/announce.h"
#include "fs/attr.h"
#include "fs/busy.h"
#include "fs/file.h"
#include "fs/fs_options.h"
#include "fs/gate.h"
#include "fs/handshake.h"
#include "fs/inval.h"
#include "fs/lookup_cache.h"
#include "fs/path.h"
#include "fs/pending.h"
#include "fs/spin.h"
#include "fs/worker.h"

#include <fuse_lowlevel.h>
#include <stdatomic.h>

/* Seconds for which the kernel may cache an entry without expiry: practically without limit,
 * because an invalidation ends it. */
#define KEEP_LONG_S (365.0 * 24 * 3600)

/* Directories can share a counter; then one may be listed with attributes that nothing needs. */
#define LOOKUP_COUNTERS 1024

struct check;
struct handle;
struct dir;

/* All open handles and directories, which the mount closes itself at its end: when a signal ends
 * it, the kernel sends no releases. */
struct open_list {
	pthread_mutex_t lock; /* protects the lists */
	struct handle *handles;
	struct dir *dirs;
};

/* The fields are set before the session starts and only read afterwards, except for members with
 * locks of their own and atomics. */
struct mount {
	struct fs_options options;
	struct node *node;
	struct store *store;
	struct fuse_session *session;
	struct files files;
	struct worker *worker;
	struct inval *inval;
	struct announcer *announcer; /* NULL: no announcements */
	struct check *check;         /* NULL: off */
	struct busy busy;
	struct lookup_cache lookup_cache;
	struct open_list open;
	struct pending pending;
	struct gate gate;
	struct spin spin;
	struct handshake handshake;
	uint64_t root;       /* inode of the directory that is mounted */
	uint64_t size_bytes; /* quota */
	enum evict_policy evict;
	int64_t timeout_ms; /* of a write and of a barrier */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool read_only;
	bool async;            /* close does not wait for the log */
	bool caching;          /* the kernel may cache */
	bool no_open;          /* read-only: the kernel opens files without a request */
	bool maps_direct;      /* files opened with direct_io can be mapped */
	_Atomic unsigned nops; /* events in flight */
	_Atomic unsigned lookups[LOOKUP_COUNTERS]; /* names found, by directory (dir.h) */
};

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Return the store's inode for the kernel's number INO. */
static inline uint64_t store_ino(struct mount *m, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? m->root : files_real(&m->files, ino);
}

/* Return the kernel's number for the store's inode INO, without aliases (files_alias()). */
static inline fuse_ino_t kernel_ino(const struct mount *m, uint64_t ino)
{
	return ino == m->root ? FUSE_ROOT_ID : ino;
}

/* Find the key that now has the name by which the kernel has just looked up INO, whose key is gone
 * (lookup_cache.h). Returns 0 and *RET, or -ENOENT. (fs_lookup.c) */
int fs_look_up_again(struct mount *m, const struct view *view, uint64_t ino, struct entry *ret);

#endif
