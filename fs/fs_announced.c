/* Announced operations: requests of the announcing process (announce.c), which change nothing.
 *
 * Each callback here answers the requests of that process, and passes the requests of all others on
 * to the callback that does the work. The kernel must not cache the attributes in these answers:
 * for an entry that it knows already, as here, it takes over the attributes of an answer even if
 * they were invalidated after the answer was made. No state, no lock. */
#include "fs/fs_ops.h"

#include "fs/mount.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Inode numbers that no entry has: those of announced removals. */
#define INO_GONE (UINT64_MAX - 1)
#define INO_GONE_DIR (UINT64_MAX - 2)

static bool is_announced(fuse_req_t req)
{
	return announcer_is(mount_of(req)->announcer, fuse_req_ctx(req)->pid);
}

/* Answer a look-up with an entry that is removed already, so that the kernel goes on to remove
 * it. */
static void reply_gone(fuse_req_t req, bool dir)
{
	const struct mount *m = mount_of(req);
	struct entry e = {
		.ino = dir ? INO_GONE_DIR : INO_GONE,
		.mode = dir ? S_IFDIR | 0755 : S_IFREG | 0644,
	};
	struct fuse_entry_param param = { .ino = e.ino };

	attr_fill(m, &e, &param.attr);
	fuse_reply_entry(req, &param);
}

void announced_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);

	if (!is_announced(req)) {
		fs_lookup(req, parent, name);
		return;
	}
	switch (announcer_current(m->announcer, store_ino(m, parent), name)) {
	case ANNOUNCE_MADE:
		fuse_reply_err(req, ENOENT);
		break;
	case ANNOUNCE_GONE:
		reply_gone(req, false);
		break;
	case ANNOUNCE_GONE_DIR:
		reply_gone(req, true);
		break;
	default:
		if (parent == FUSE_ROOT_ID &&
		    announcer_check_probe(m->announcer, fuse_req_ctx(req)->pid, name))
			fuse_reply_err(req, ENOENT);
		else
			fs_lookup(req, parent, name);
	}
}

/* Answer with the existing entry as if this request had created it. */
static void reply_created(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param param;
	struct view view;
	struct entry e;
	int r = view_open(m->store, &view);

	announcer_note_created(m->announcer);
	if (r == 0) {
		r = view_name(&view, store_ino(m, parent), name, strlen(name), &e);
		if (r == 0)
			attr_entry(m, &view, &e, &param);
		view_close(&view);
	}
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	param.attr_timeout = 0;
	fuse_reply_entry(req, &param);
}

void announced_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if (is_announced(req))
		reply_created(req, parent, name);
	else
		fs_mknod(req, parent, name, mode, rdev);
}

void announced_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (is_announced(req))
		reply_created(req, parent, name);
	else
		fs_mkdir(req, parent, name, mode);
}

void announced_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	if (is_announced(req))
		reply_created(req, parent, name);
	else
		fs_symlink(req, link, parent, name);
}

void announced_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (is_announced(req))
		fuse_reply_err(req, 0);
	else
		fs_unlink(req, parent, name);
}

void announced_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (is_announced(req))
		fuse_reply_err(req, 0);
	else
		fs_rmdir(req, parent, name);
}

void announced_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
	if (is_announced(req))
		attr_reply_changed(mount_of(req), req, ino);
	else
		fs_setattr(req, ino, attr, to_set, fi);
}

/* Open without a handle for the announcing process. */
void announced_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!is_announced(req)) {
		fs_open(req, ino, fi);
		return;
	}
	fi->fh = 0;
	fi->keep_cache = mount_of(req)->caching;
	fi->noflush = true;
	fuse_reply_open(req, fi);
}

/* Only kernels that do not know noflush send a flush for the announcing process. */
void announced_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (is_announced(req))
		fuse_reply_err(req, 0);
	else
		fs_flush(req, ino, fi);
}

/* A release carries no process id, so the missing handle identifies the announcing process. */
void announced_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!fi->fh)
		fuse_reply_err(req, 0);
	else
		fs_release(req, ino, fi);
}
