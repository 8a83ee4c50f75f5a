/* Handles: the state of one open(2) on this mount. */
#ifndef KEYDIR_FS_HANDLE_H
#define KEYDIR_FS_HANDLE_H

#include "fs/op.h"

#include <fcntl.h>
#include <stdatomic.h>

/* An open file, in fi->fh. Its fields do not change after creation, except where noted. */
struct handle {
	struct handle *prev, *next; /* of open_list->handles */
	struct file *file;          /* a reference */
	bool reads;
	bool writes;
	bool creates; /* open(2) created or truncated the file, perhaps only to read it */
	bool appends;
	atomic_bool flushed; /* a flush has been requested */
	bool stale_size;     /* the kernel may still have the size of an older version */
	bool whole;          /* a read from start to end must return a single version ... */
	/* ... which is this one, from the read at offset 0 on, unless this mount has sent changes
	 * since. Protected by file->lock. */
	struct content *pinned;
	uint64_t pinned_seq;
	unsigned ndropped; /* file->ndropped at its first write. Protected by file->lock */
	struct job job;    /* for handle_close_later() */
	struct mount *mount;
};

static inline struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* Return whether H was opened only to read, and did not create or truncate the file. */
static inline bool handle_is_reader(const struct handle *h)
{
	return !h->writes && !h->creates;
}

/* The parts of a file that handle_refresh() updates. */
enum refresh {
	REFRESH_ENTRY,  /* attributes */
	REFRESH_VALUE,  /* attributes and the newest value */
	REFRESH_CACHED, /* attributes and the value for the kernel's page cache */
	REFRESH_OPENED, /* all of these, for a reader */
};

/* Update F from the store, unless it has changes of its own or is not logged yet. Called with
 * F->lock held. Returns 0 or -errno. */
int handle_refresh(struct mount *m, struct file *f, enum refresh what);

/* Create a handle of F for the flags in FI, apply O_TRUNC, and fill FI. The handle takes a
 * reference to F. Returns 0 or -errno; -ESTALE: the key is gone. */
int handle_open(struct mount *m, struct file *f, struct fuse_file_info *fi);
/* Close a handle and log changes that were not logged yet. Also call it when the reply to the open
 * could not be delivered. */
void handle_close(struct fuse_file_info *fi);
/* Let the worker close the handle. For completions, which must not submit. */
void handle_close_later(struct mount *m, const struct fuse_file_info *fi);

/* Make the kernel write back the dirty pages of all mappings of open files, and return when they
 * have arrived. Other threads must serve requests meanwhile. */
void handle_collect_mapped(struct mount *m);
/* Close all remaining handles and log their changes. Call it when no request can arrive any
 * more. */
void handle_close_all(struct mount *m);

#endif
