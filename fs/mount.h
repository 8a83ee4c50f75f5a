/* The mount: what all handlers of one file system share. */
#ifndef KEYDIR_FS_MOUNT_H
#define KEYDIR_FS_MOUNT_H

#include "announce.h"
#include "busy.h"
#include "file.h"
#include "fs_options.h"
#include "handshake.h"
#include "inval.h"
#include "key.h"
#include "node.h"
#include "pending.h"
#include "recall.h"
#include "spin.h"
#include "worker.h"

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
	struct spin spin;
	struct handshake handshake;
	uint64_t root;       /* inode of the directory that is mounted */
	uint64_t size_bytes; /* quota */
	enum evict_policy evict;
	uint64_t max_value;
	int64_t timeout_ms; /* of a barrier */
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

/* --- attributes (fs_attr.c) ------------------------------------------------ */

/* Fills ST for entry E. */
void attr_fill(const struct mount *m, const struct entry *e, struct stat *st);
/* The same for a file with changes; F->lock is held. */
void attr_fill_file(const struct mount *m, const struct file *f, struct stat *st);
/* Whether who sent REQ may open E with FLAGS, by its mode: 0 or -EACCES. The kernel
 * asks that itself of what it opens. */
int attr_access(const struct mount *m, fuse_req_t req, const struct entry *e, int flags);
/* Seconds for which the kernel may keep what it learns of E from VIEW. */
double attr_timeout(const struct mount *m, const struct view *view, const struct entry *e);
/* Fills RET for an entry of VIEW, with what is open here taken into account. */
void attr_entry(struct mount *m, const struct view *view, const struct entry *e,
                struct fuse_entry_param *ret);
/* The same for a file whose name is not in the log yet, and counts that the
 * kernel is told. F->lock is not held. */
void attr_entry_file(struct mount *m, struct file *f, struct fuse_entry_param *ret);
/* Answers a getattr of INO (as the kernel knows it); waits for events on their way. */
void attr_reply(struct mount *m, fuse_req_t req, fuse_ino_t ino);
/* Answers a setattr, whose events are applied. The kernel must not keep it: it takes
 * over what such an answer says even if it has been told since that this is old. */
void attr_reply_changed(struct mount *m, fuse_req_t req, fuse_ino_t ino);

/* Of INO, which is gone: what has the name now by which the kernel has just looked
 * it up (recall.h), if that is a key. 0 and *RET, or -ENOENT. (fs_lookup.c) */
int look_up_again(struct mount *m, const struct view *view, uint64_t ino, struct entry *ret);

/* Realtime in ns since the epoch. */
int64_t now_ns(void);

/* --- keys for events (fs_path.c) --------------------------------------------- */

/* Room for a key. */
struct path {
	char text[KEY_MAX + KEY_NAME_MAX + 2];
	size_t len;
};

/* The key of NAME in PARENT (the store's inode). With MAY_CUT a key that is
 * too long, or whose directory cannot be reached, is NAME alone: enough where
 * the event says the directory by number. 0; -ENAMETOOLONG, -ENOENT, -EIO. */
int path_child(const struct view *view, uint64_t parent, const char *name, bool may_cut,
               struct path *ret);
/* The key of an inode; empty if it has none that fits, which is enough where
 * the event says the inode by number. */
void path_inode(const struct view *view, uint64_t ino, struct path *ret);

/* 0, or -ENAMETOOLONG for a name that no entry can have. */
int check_name(const char *name);

#endif
