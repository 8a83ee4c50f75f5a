/* Operations: the table of FUSE callbacks, and the features negotiated with the kernel at the
 * start. No state, no lock. */
#include "fs/fs_ops.h"

#include "common/base/logger.h"
#include "fs/mount.h"

/* Maximum number of background requests (read-ahead) that the kernel sends at a time. */
#define BACKGROUND_MAX 64

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	/* Let the kernel clear the setuid and setgid bits when a file is written: it sends a
	 * setattr for that. */
	conn->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	/* Receive O_TRUNC with the open, so that open, write and close are one event. */
	if (conn->capable & FUSE_CAP_ATOMIC_O_TRUNC)
		conn->want |= FUSE_CAP_ATOMIC_O_TRUNC;
	else
		logger(LOGGER_WARN,
		       "this kernel sends O_TRUNC separately from open: overwriting a file "
		       "is logged as two events");
	if (m->caching && (conn->capable & FUSE_CAP_EXPLICIT_INVAL_DATA)) {
		conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
		conn->want |= FUSE_CAP_EXPLICIT_INVAL_DATA;
	}
	/* fs_dir.c decides which listings have attributes. */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	/* On a read-only mount the kernel opens files without a request, so reads of cached files
	 * never leave the kernel. */
	m->no_open = m->read_only && m->caching && (conn->capable & FUSE_CAP_NO_OPEN_SUPPORT);
	conn->max_background = BACKGROUND_MAX;
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = fs_init,
	.lookup = announced_lookup,
	.forget = fs_forget,
	.forget_multi = fs_forget_multi,
	.getattr = fs_getattr,
	.setattr = announced_setattr,
	.statfs = fs_statfs,
	.create = fs_create,
	.mknod = announced_mknod,
	.mkdir = announced_mkdir,
	.symlink = announced_symlink,
	.readlink = fs_readlink,
	.link = fs_link,
	.unlink = announced_unlink,
	.rmdir = announced_rmdir,
	.rename = fs_rename,
	.open = announced_open,
	.read = fs_read,
	.write = fs_write,
	.flush = announced_flush,
	.fsync = fs_fsync,
	.release = announced_release,
	.fallocate = fs_fallocate,
	.opendir = fs_opendir,
	.readdir = fs_readdir,
	.readdirplus = fs_readdirplus,
	.releasedir = fs_releasedir,
	.fsyncdir = fs_fsyncdir,
	.setxattr = fs_setxattr,
	.getxattr = fs_getxattr,
	.listxattr = fs_listxattr,
	.removexattr = fs_removexattr,
};
