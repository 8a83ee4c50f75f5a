/* Paths: the keys of events that this mount sends. */
#ifndef KEYDIR_FS_PATH_H
#define KEYDIR_FS_PATH_H

#include "common/base/key.h"
#include "common/store/view.h"

struct mount;

/* Room for a key. */
struct path {
	char text[KEY_MAX + KEY_NAME_MAX + 2];
	size_t len;
};

/* The key of NAME in PARENT (the store's inode). With MAY_CUT a key that is
 * too long, or whose directory cannot be reached, is NAME alone: enough where
 * the event says the directory by number. 0; -ENAMETOOLONG, -ENOENT, -EIO. */
int path_child(const struct view *view, uint64_t parent, const char *name, bool may_cut,
               struct path *ret);
/* The key that the store's inode INO has now; empty if it has none that fits, which
 * is enough where the event says the inode by number. 0; -EAGAIN, -ENOMEM, -EIO: the
 * store cannot be read. */
int path_inode(struct mount *m, uint64_t ino, struct path *ret);

/* 0, or -ENAMETOOLONG for a name that no entry can have. */
int fs_check_name(const char *name);

#endif
