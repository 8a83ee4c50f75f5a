/* Paths: the keys of events that this mount sends. */
#ifndef KEYDIR_FS_PATH_H
#define KEYDIR_FS_PATH_H

#include "common/base/key.h"
#include "common/store/view.h"

struct mount;

/* A key of LEN bytes. */
struct path {
	char text[KEY_MAX + KEY_NAME_MAX + 2];
	size_t len;
};

/* Fill RET with the key of NAME in PARENT (the store's inode). With MAY_CUT a key that is too long,
 * or whose directory has no path, is only NAME, which is enough if the event contains the
 * directory's inode number. Returns 0, -ENAMETOOLONG, -ENOENT or -EIO. */
int path_child(const struct view *view, uint64_t parent, const char *name, bool may_cut,
               struct path *ret);
/* Fill RET with the current key of the store's inode INO, or with an empty key if it has none that
 * fits; that is enough if the event contains the inode number. Returns 0, or -EAGAIN, -ENOMEM or
 * -EIO if the store cannot be read. */
int path_inode(struct mount *m, uint64_t ino, struct path *ret);

/* Write the path of the store's inode INO below the root of the mount; empty for the root itself.
 * Returns false if it has none that fits. */
bool path_below_root(const struct mount *m, const struct view *view, uint64_t ino,
                     char ret[KEY_MAX + 1]);

/* Return 0, or -ENAMETOOLONG for a name that is longer than any entry's. */
int fs_check_name(const char *name);

#endif
