/* The table of operations, and what is agreed with the kernel at the start. */
#include "fs/fs_ops.h"
#include "fs/mount.h"

#include "common/base/logger.h"

/* Requests that the kernel sends without anybody waiting (readahead). */
#define BACKGROUND_MAX 64

static void fs_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	/* The kernel clears setuid and setgid bits when a file is written; it
	 * asks for that as for any change of mode. */
	conn->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	/* O_TRUNC comes with the open, so that open, write and close are one
	 * event. */
	if (conn->capable & FUSE_CAP_ATOMIC_O_TRUNC)
		conn->want |= FUSE_CAP_ATOMIC_O_TRUNC;
	else
		logger(LOGGER_WARN, "this kernel truncates apart from opening");
	if (m->caching && (conn->capable & FUSE_CAP_EXPLICIT_INVAL_DATA)) {
		conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
		conn->want |= FUSE_CAP_EXPLICIT_INVAL_DATA;
	}
	/* Which listings have attributes, fs_dir.c decides. */
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	/* Hot reads of a read-only mount never leave the kernel. What they cost more than
	 * on tmpfs (1.2 to 1.4 times) is what it does for each open file of FUSE: of the
	 * processor's time fuse_open takes 8 %, fuse_release 11 %, fuse_flush 3 % and
	 * fuse_permission 2 %: open takes 1.3 times as long as there, close twice, fstat and
	 * read the same. No mount option changes that (tried: noatime, nosuid, nodev,
	 * allow_other; without default_permissions 1 %), nor that the path crosses into a
	 * mount, and the flags of opening that might need a reply. */
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
