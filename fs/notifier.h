/* Notifier: makes the kernel drop names, attributes and pages. */
#ifndef KEYDIR_FS_NOTIFIER_H
#define KEYDIR_FS_NOTIFIER_H

#include "fs/announce.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuse_req;
struct inval;
struct mount;

enum invalidation_kind {
	INVALIDATE_NAME,    /* a name has another inode or another time limit */
	INVALIDATE_REMOVED, /* a name was removed, and inode ino with it */
	INVALIDATE_VALUE,   /* value and attributes of ino */
	INVALIDATE_ATTR,    /* attributes of ino */
	INVALIDATE_LISTING, /* the names in directory ino */
	INVALIDATE_THAW,    /* pages of file, which was frozen */
	INVALIDATE_ALL,     /* everything: events were missed */
	INVALIDATE_REPLY,   /* nothing: answer a request after all earlier ones */
	INVALIDATE_SYNC,    /* the same for an fsync of a directory (inval.c) */
};

/* One invalidation. */
struct invalidation {
	struct invalidation *next;
	int64_t not_before_ms; /* clock_mono_ms(); 0: at once */
	enum invalidation_kind kind;
	uint64_t proc;        /* process that submitted the event; 0: none */
	bool own_as_well;     /* needed even if that is this process */
	bool replaced;        /* another client replaced the whole value */
	uint64_t ino;         /* the store's inode; of a listing: the directory */
	struct file *file;    /* of INVALIDATE_THAW: a reference */
	uint64_t parent;      /* directory of the name, if any */
	struct fuse_req *req; /* request to answer ... */
	int error;            /* ... with this errno */
	/* List of INVALIDATE_SYNC items. This and their req are protected by inval->lock. */
	struct invalidation *next_sync;
	/* What to announce about the name in directory parent, or in ino for a listing. */
	enum announcement announce;
	size_t len;
	char name[];
};

/* State of one thread of the invalidator. */
struct notifier {
	struct mount *mount;
	struct inval *inval;
	bool no_epoch; /* this kernel cannot drop all names at once */
	bool bumped;   /* all names were dropped in this round */
	bool inside;   /* it may wait for a lock of the kernel; protected by inval->lock */
};

/* Notify the kernel of ITEM. Called by the invalidator's thread only, with no lock held. It
 * waits for the kernel's locks, except for those that busy.h knows to be held: then it does what
 * is possible without waiting and returns true, and the caller tries again later. With INSIST it
 * always waits, unless an fsync of a directory waits for the invalidator. */
bool notify_kernel(struct notifier *notifier, const struct invalidation *item, bool insist);

#endif
