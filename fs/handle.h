/* Handles: the state of one open(2) or opendir(3) on this mount, and FUSE's callbacks. */
#ifndef KEYDIR_FS_HANDLE_H
#define KEYDIR_FS_HANDLE_H

#include "fs/op.h"

#include <fcntl.h>

/* An open file, in fi->fh. Not changed after creation, except where noted. */
struct handle {
	struct handle *prev, *next; /* of open_list->handles */
	struct file *file;          /* a reference */
	bool reads;
	bool writes;
	bool creates; /* open(2) created or truncated the file, perhaps only to read it */
	bool appends;
	bool flushed;    /* atomic: a flush has come */
	bool stale_size; /* the kernel may still have an older size than that of the content opened */
	bool whole;      /* each read from start to end returns one version ... */
	/* ... this one, once it has begun, unless this mount has sent changes since. Protected by
	 * file->lock. */
	struct content *pinned;
	uint64_t pinned_seq;
	unsigned ndropped; /* file->ndropped at its first write. Protected by file->lock */
	struct job job;    /* for handle_close_later */
	struct mount *mount;
};

static inline struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* FUSE's callbacks, by file. */
/* fs_lookup.c */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
/* fs_attr.c */
void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi);
void fs_statfs(fuse_req_t req, fuse_ino_t ino);
/* fs_create.c */
void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi);
void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void fs_readlink(fuse_req_t req, fuse_ino_t ino);
void fs_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
/* fs_remove.c */
void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned flags);
/* fs_open.c */
void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* fs_write.c */
void fs_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
              struct fuse_file_info *fi);
void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                  struct fuse_file_info *fi);
/* fs_dir.c */
void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi);
void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
/* fs_xattr.c */
void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags);
void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* fs_announced.c: the same for requests of the announcing process; for all others they call those
 * above. */
void announced_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void announced_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void announced_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void announced_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void announced_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void announced_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void announced_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *fi);
void announced_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void announced_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void announced_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* Create a handle of F (takes a reference) for the flags in FI, apply O_TRUNC, and fill FI. Returns 0
 * or -errno. (fs_open.c) */
int handle_open(struct mount *m, struct file *f, struct fuse_file_info *fi);
/* Close a handle, also when the reply to its open could not be delivered, and send changes that
 * were not logged yet. The second one is for completions: the worker closes it. */
void handle_close(struct fuse_file_info *fi);
void handle_close_later(struct mount *m, const struct fuse_file_info *fi);
/* Make the kernel write back the dirty pages of mappings of open files, and return when all have
 * arrived. Other threads must serve requests meanwhile. (fs_open.c) */
void handle_collect_mapped(struct mount *m);
/* Close all remaining handles once no request can come any more. (fs_open.c, fs_dir.c) */
void handle_close_all(struct mount *m);
void dir_close_all(struct mount *m);
/* Note that a name of directory INO (the store's) was looked up and found. (fs_dir.c) */
void dir_looked_up(struct mount *m, uint64_t ino);

/* Create F's buffer, with the store's value unless EMPTY. Called with F->lock held, when F is not
 * busy. Returns 0 or -errno. (fs_write.c) */
int write_begin(struct mount *m, struct file *f, bool empty);
/* Set the size of F's buffer, with F->lock held. Returns 0, -EFBIG, -ENOSPC or -ENOMEM. */
int write_resize(struct mount *m, struct file *f, uint64_t size);

#endif
