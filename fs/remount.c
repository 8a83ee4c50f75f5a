/* Remount: changes the flags of an existing mount.
 *
 * Only the kernel knows the flags; the process that serves the mount takes no part. If that process
 * was started with ro, it writes nothing, so after a remount with rw changes fail with EIO. No
 * state, no lock. */
#include "fs/remount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* The option names of mount(8), and the flags that each sets or clears. */
static const struct {
	const char *name;
	unsigned long set, clear;
} flags[] = {
	{ "dev", 0, MS_NODEV },
	{ "nodev", MS_NODEV, 0 },
	{ "suid", 0, MS_NOSUID },
	{ "nosuid", MS_NOSUID, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "noexec", MS_NOEXEC, 0 },
	{ "noatime", MS_NOATIME, MS_RELATIME },
	{ "sync", MS_SYNCHRONOUS, 0 },
	{ "dirsync", MS_DIRSYNC, 0 },
};

/* Set and clear the flags in *RET that NAME stands for. Other names have no effect. */
static void apply_flag(const char *name, size_t len, unsigned long *ret)
{
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strlen(flags[i].name) == len && memcmp(flags[i].name, name, len) == 0)
			*ret = (*ret & ~flags[i].clear) | flags[i].set;
	}
}

int remount(const struct fs_options *options, char *why, size_t why_size)
{
	struct statvfs st;
	int r = statvfs(options->mountpoint, &st) < 0 ? -errno : 0;

	if (r == 0) {
		/* statvfs(3) and mount(2) use the same bits for these flags. */
		unsigned long now = st.f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC |
		                                 MS_SYNCHRONOUS | MS_NOATIME | MS_RELATIME);

		if (options->read_only)
			now |= MS_RDONLY;
		else if (options->writable)
			now &= ~(unsigned long)MS_RDONLY;
		for (const char *name = options->pass; *name;) {
			name++; /* a comma */
			size_t len = strcspn(name, ",");

			apply_flag(name, len, &now);
			name += len;
		}
		r = mount(NULL, options->mountpoint, NULL, MS_REMOUNT | now, NULL) < 0 ? -errno : 0;
	}
	if (r < 0)
		snprintf(why, why_size, "cannot remount %s: %s", options->mountpoint, strerror(-r));
	return r;
}

int remount_no_symlinks(const char *dir)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSYMFOLLOW };

	return mount_setattr(AT_FDCWD, dir, 0, &attr, sizeof(attr)) < 0 ? -errno : 0;
}
