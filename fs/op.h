/* Ops: events on their way from this mount into the log, and requests that wait for them. */
#ifndef KEYDIR_FS_OP_H
#define KEYDIR_FS_OP_H

#include "fs/mount.h"

/* One event, created by op_new() and freed after its completion. */
struct op {
	struct op *prev, *next; /* of file->queue or file->flight */
	struct job job;
	struct mount *mount;
	struct file *file; /* a reference, or NULL: does not belong to a file */
	uint64_t seq;      /* number among the file's events */
	struct event ev;   /* its texts are in `text` or `owned` */
	void *owned;       /* malloc'd; its value and ranges */
	uint64_t size;     /* of an append: its bytes in file->append_bytes */
	bool is_create;    /* creates the file: found by directory and name */
	bool is_data;      /* changes the value: its error is reported to writers */
	fuse_req_t req;    /* to be answered by `done`, or NULL */
	/* Of a detached op, for which no request waits (pending.h). */
	struct op *pending_prev, *pending_next;
	uint64_t pending_seq; /* 0: not detached */
	uint64_t pending_bytes;
	pthread_t closer; /* thread that can still report a failure while it submits the op */
	bool has_closer;
	uint64_t locked_inodes[2]; /* locked by the kernel until the answer; 0: none */
	fuse_ino_t ino;            /* the request's inode */
	struct fuse_file_info fi;
	void *arg; /* for `done` */
	/* Called with the outcome, from any thread. May reply; must not submit. */
	void (*done)(struct op *op, const struct outcome *out);
	char text[];
};

/* A request that waits for events of a file: the first member of a malloc'd struct, which is
 * freed after `run`. */
struct parked {
	struct parked *next;
	struct job job;
	struct mount *mount;
	struct file *file; /* a reference, dropped after `run` */
	uint64_t seq;      /* the request waits for all events up to this one */
	bool direct;       /* `run` only replies, so it needs no worker */
	fuse_req_t req;
	uint64_t locked_inodes; /* inode that the kernel keeps locked until `run`; 0: none */
	void (*run)(struct parked *p);
};

/* Create an op of M. KEY and EXTRA (may be empty; the bytes for ev.to or ev.name; *RET_EXTRA, may
 * be NULL, is the copy) are copied. FILE may be NULL; a reference is taken. Returns NULL without
 * memory. */
struct op *op_new(struct mount *m, enum event_op what, const struct path *key, struct file *file,
                  struct bytes extra, struct bytes *ret_extra);
/* Copy a value into the op. Returns 0 or -ENOMEM. */
int op_value(struct op *op, const void *data, size_t len);
/* Note that the kernel keeps INO locked until the op's request is answered (busy.h). */
void op_mark_locked(struct op *op, uint64_t ino);
void parked_mark_locked(struct parked *p, uint64_t ino);
/* Free an op that was not sent. */
void op_free(struct op *op);

/* Send an op without a file, or queue it after the others of its file and send all that can be
 * sent. Called without locks. The op must not be used afterwards. */
void op_send(struct op *op);

/* Queue an op of a file, with F->lock held. Call op_pump() after unlocking. */
void op_queue(struct op *op);
void op_pump(struct mount *m, struct file *f);

/* Create the op that logs the changes of F, if any, and queue it, with F->lock held. If a write to
 * F has failed and its bytes were not written since, drop the changes instead and return that
 * write's errno, negative. Returns 0, -ENOMEM or -EIO. Call op_pump() afterwards. */
int op_queue_flush(struct mount *m, struct file *f);

/* Detach OP, which is queued and not sent yet, from its request, with F->lock held. Returns as
 * pending_add(). With CLOSING this thread will send it, and then take the file's error, so it
 * reports an early failure itself. */
bool op_detach(struct op *op, bool closing, bool must);

/* Create the op that creates F, with path and condition, with F->lock held. */
int op_new_create(struct mount *m, struct file *f, enum event_op what, struct op **ret);

/* Let P wait for all events of F that are queued now, with F->lock held; F must be busy. P->run
 * is called without locks. */
void op_park(struct file *f, struct parked *p);
/* Allocate a parked request: SIZE bytes in all, zeroed, with a reference to F. Returns NULL without
 * memory. */
void *op_new_parked(struct mount *m, struct file *f, size_t size, fuse_req_t req,
                    void (*run)(struct parked *p));

/* Return the errno for an outcome (positive; 0: success). */
int op_errno(const struct outcome *out);

/* Answer the op's request with the errno of OUT: the usual `done`. */
void op_reply_err(struct op *op, const struct outcome *out);

#endif
