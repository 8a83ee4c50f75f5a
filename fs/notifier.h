/* Telling the kernel what to forget. */
#ifndef KEYDIR_FS_TELL_H
#define KEYDIR_FS_TELL_H

#include "fs/announce.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_req;
struct inval;
struct mount;

enum item_kind {
	ITEM_NAME,    /* a name leads elsewhere, or has another time limit */
	ITEM_REMOVED, /* a name is gone, and ino with it */
	ITEM_VALUE,   /* value and attributes of ino */
	ITEM_ATTR,    /* attributes of ino */
	ITEM_LISTING, /* what is in directory ino */
	ITEM_THAW,    /* pages of file, which was frozen */
	ITEM_ALL,     /* everything: events were missed */
	ITEM_REPLY,   /* nothing: a request is answered when what is before it is told */
	ITEM_SYNC,    /* the same for an fsync of a directory, which stands in inval.c */
};

/* One thing that the kernel has to forget. */
struct item {
	struct item *next;
	int64_t not_before_ms; /* clock_mono_ms(); 0: at once */
	enum item_kind kind;
	uint64_t proc;          /* of the event; 0: none that a process asked for */
	bool own_as_well;       /* also to be told if that is this process */
	bool replaced;          /* the value, as a whole, by another client */
	uint64_t ino;           /* of the store */
	struct file *file;      /* a reference */
	uint64_t parent;        /* of the name, if there is one; a listing's is in ino itself */
	struct fuse_req *req;   /* to be answered ... */
	int error;              /* ... with that */
	struct item *next_sync; /* of an ITEM_SYNC; protected by inval->lock, as is its req */
	/* What is to be announced of the name, in parent or for a listing in ino. */
	enum announcement announce;
	size_t len;
	char name[];
};

/* What a thread of the invalidator knows from one item to the next. */
struct teller {
	struct mount *mount;
	struct inval *inval;
	bool no_epoch; /* this kernel cannot forget all names at once */
	bool bumped;   /* it has, since this round began */
	bool inside;   /* it may wait for a lock of the kernel; protected by inval->lock */
};

/* Tells ITEM; from the invalidator's thread only, with no lock held. Waits for
 * the kernel's locks, but for those that busy.h knows of: then true, and what
 * can be told without waiting is told; tell again after a while. With INSIST it
 * always waits, unless an fsync of a directory waits for the invalidator. */
bool tell(struct teller *teller, const struct item *item, bool insist);

#endif
