/* Invalidator: makes the kernel drop cached data that other clients changed. */
#ifndef KEYDIR_FS_INVAL_H
#define KEYDIR_FS_INVAL_H

#include "common/event/feed.h"

#include <stdbool.h>

struct file;
struct fuse_req;
struct inval;
struct mount;
struct notifier;

/* Create an invalidator for M. Returns 0 and *RET, or -errno. */
int inval_new(struct mount *m, struct inval **ret);
/* Start its thread. M's session must be mounted, node and files set. */
int inval_start(struct inval *inval);
/* Process the queue, then end the thread; later changes are ignored. Call it while requests are
 * still served, because the thread may wait for a lock that the kernel holds for one of them.
 * NULL is fine. */
void inval_stop(struct inval *inval);
void inval_free(struct inval *inval);

/* The node's follow callback; ARG is the invalidator. */
void inval_follow(void *arg, const struct feed_event *ev, bool gap);

/* Return the offset up to which the kernel was notified of all changes. */
uint64_t inval_offset(const struct inval *inval);

/* Queue the invalidation of something that this mount itself gave the kernel: a name (PARENT is
 * the store's inode), or the value of an inode (the kernel's number). Never waits. INVAL may be
 * NULL. */
void inval_name(struct inval *inval, uint64_t parent, const char *name, size_t len);
void inval_value(struct inval *inval, uint64_t ino);

/* Queue the thawing of F (frozen.h); F->lock is held. Never waits; INVAL may be NULL. */
void inval_thaw(struct inval *inval, struct file *f);

/* Answer REQ with ERROR once the kernel was notified of everything queued now; at once if the
 * invalidator has stopped. */
void inval_reply(struct inval *inval, struct fuse_req *req, int error);

/* Do the same, with success, for the fsync of a directory, which the kernel keeps locked until it
 * is answered. Needs a kernel that can drop all names at once (Linux 6.16); with an older one the
 * answer may come before names are invalidated. Never waits. */
void inval_sync(struct inval *inval, struct fuse_req *req);

/* Return whether the kernel was notified of all changes up to OFFSET, and nothing is left to do. */
bool inval_settled(struct inval *inval, uint64_t offset);

/* Used by notifier.c: ask whether NOTIFIER's thread may wait for a lock of the kernel now, and note
 * the end of the wait. It may not while an fsync of a directory waits; if it MUST, those requests
 * are answered first. */
bool inval_enter(struct notifier *notifier, bool must);
void inval_leave(struct notifier *notifier);

#endif
