/* Ops: events on their way from this mount into the log, and who waits for them. */
#ifndef KEYDIR_FS_OP_H
#define KEYDIR_FS_OP_H

#include "fs/mount.h"

/* One event, made by op_new(), gone after its completion. */
struct op {
	struct op *prev, *next; /* of file->queue or file->flight */
	struct job job;
	struct mount *mount;
	struct file *file; /* a reference, or NULL: not of a file */
	uint64_t seq;      /* in the file */
	struct event ev;   /* its texts lie in `text` or in `owned` */
	void *owned;       /* malloc'd; its value and ranges */
	uint64_t size;     /* what an append counts */
	bool births;       /* creates the file: found by directory and name */
	bool is_data;      /* changes the value: its error concerns who writes */
	fuse_req_t req;    /* to be answered by `done`, or NULL */
	/* One that nobody waits for (pending.h). */
	struct op *pending_prev, *pending_next;
	uint64_t pending_seq; /* 0: it is none */
	uint64_t pending_bytes;
	pthread_t closer; /* who can still be told if it fails while it is sent */
	bool has_closer;
	uint64_t holds[2]; /* inodes that are busy until then; 0: none */
	fuse_ino_t ino;    /* that the request is about */
	struct fuse_file_info fi;
	void *arg; /* for `done` */
	/* Told the outcome, from any thread. May reply; must not submit. */
	void (*done)(struct op *op, const struct outcome *out);
	char text[];
};

/* A request that waits for events of a file. The first member of something
 * malloc'd, which is freed after `run`. */
struct parked {
	struct parked *next;
	struct job job;
	struct mount *mount;
	struct file *file; /* a reference, dropped after `run` */
	uint64_t seq;      /* waits for all events up to this one */
	bool direct;       /* `run` only replies: no need for the worker */
	fuse_req_t req;
	uint64_t holds; /* inode that is busy until `run` has come; 0: none */
	void (*run)(struct parked *p);
};

/* A new op of MOUNT: KEY and EXTRA (may be empty; bytes for ev.to or ev.name,
 * *RET_EXTRA, may be NULL) are copied. FILE may be NULL; a reference is taken.
 * NULL without memory. */
struct op *op_new(struct mount *m, enum event_op what, const struct path *key, struct file *file,
                  struct bytes extra, struct bytes *ret_extra);
/* Copies a value into the op. 0 or -ENOMEM. */
int op_value(struct op *op, const void *data, size_t len);
/* The kernel keeps INO locked until the op's request is answered (busy.h). */
void op_hold(struct op *op, uint64_t ino);
void parked_hold(struct parked *p, uint64_t ino);
/* Frees an op that is not sent. */
void op_free(struct op *op);

/* Sends an op that belongs to no file, or queues it behind those of its file
 * and sends what may be sent. No lock is held. The op is gone afterwards. */
void op_send(struct op *op);

/* Queues an op of a file; F->lock is held. Call op_pump() after unlocking. */
void op_queue(struct op *op);
void op_pump(struct mount *m, struct file *f);

/* Makes the op that logs the changes of F and queues it; F->lock is held.
 * Nothing if there is none. If a write to F has failed, and what it lacks did not come
 * since, F's changes are dropped instead: the errno of that write, negative. 0; -ENOMEM,
 * -EIO. Call op_pump() afterwards. */
int op_queue_flush(struct mount *m, struct file *f);

/* Makes OP, queued and not sent yet, one that nobody waits for; F->lock is held.
 * As pending_add(). With CLOSING this thread goes on to send it, and then
 * takes the error of the file: what fails that early it tells itself. */
bool op_leave(struct op *op, bool closing, bool must);

/* Makes an event's path and condition for the creation of F; F->lock is held. */
int op_birth(struct mount *m, struct file *f, enum event_op what, struct op **ret);

/* Lets P wait for all events of F that are queued now; F->lock is held and F is
 * busy. P->run is called with no lock held. */
void op_park(struct file *f, struct parked *p);
/* Allocates one: SIZE bytes in all, zeroed, with a reference of F. NULL without
 * memory. */
void *op_new_parked(struct mount *m, struct file *f, size_t size, fuse_req_t req,
                    void (*run)(struct parked *p));

/* The errno of an outcome that a mount answers (positive; 0: fine). */
int op_errno(const struct outcome *out);

/* `done` of the usual kinds: replies fuse_reply_err; nothing. */
void op_reply_err(struct op *op, const struct outcome *out);

#endif
