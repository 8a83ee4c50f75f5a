/* The invalidator: tells the kernel what others changed. */
#ifndef KEYDIR_FS_INVAL_H
#define KEYDIR_FS_INVAL_H

#include "common/event/feed.h"

#include <stdbool.h>

struct file;
struct fuse_req;
struct inval;
struct mount;
struct teller;

/* Makes an invalidator for M. 0 and *RET, or -errno. */
int inval_new(struct mount *m, struct inval **ret);
/* Starts its thread; M's session is mounted, node and files are set. */
int inval_start(struct inval *inval);
/* Does what is queued, then ends the thread; what comes later is ignored. Call
 * while requests are still served: the kernel may hold a lock that it waits
 * for. NULL is fine. */
void inval_stop(struct inval *inval);
void inval_free(struct inval *inval);

/* The node's follow callback; ARG is the invalidator. */
void inval_follow(void *arg, const struct feed_event *ev, bool gap);

/* The offset up to which the kernel has been told of all changes. */
uint64_t inval_told(const struct inval *inval);

/* What this mount made must be forgotten: a name (PARENT is the store's
 * inode), or the value of an inode (as the kernel knows it). Never waits;
 * INVAL may be NULL. */
void inval_name(struct inval *inval, uint64_t parent, const char *name, size_t len);
void inval_value(struct inval *inval, uint64_t ino);

/* Queue the thawing of F (frozen.h); F->lock is held. Never waits; INVAL may be NULL. */
void inval_thaw(struct inval *inval, struct file *f);

/* Answers REQ with ERROR once the kernel has been told all that is queued now;
 * at once if nothing is told any more. */
void inval_reply(struct inval *inval, struct fuse_req *req, int error);

/* The same, with success, for the fsync of a directory, which the kernel keeps locked until
 * it is answered. Needs a kernel that can forget all names at once (Linux 6.16): with an older
 * one the answer may come before names are told. Never waits. */
void inval_sync(struct inval *inval, struct fuse_req *req);

/* For tell.c: ask whether the thread of TELLER may wait for a lock of the kernel now, and
 * say that it does not any more. It may not while an fsync of a directory waits; if it
 * MUST, those that wait are answered first. */
bool inval_enter(struct teller *teller, bool must);
void inval_leave(struct teller *teller);

#endif
