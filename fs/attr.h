/* Attributes: what stat(2) shows of an entry, and how long the kernel may keep it. */
#ifndef KEYDIR_FS_ATTR_H
#define KEYDIR_FS_ATTR_H

#include "fs/file.h"
#include "common/store/view.h"

#include <fuse_lowlevel.h>

struct mount;

/* Fills ST for entry E. */
void attr_fill(const struct mount *m, const struct entry *e, struct stat *st);
/* The same for a file with changes; F->lock is held. */
void attr_fill_file(const struct mount *m, const struct file *f, struct stat *st);
/* Whether who sent REQ may open E with FLAGS, by its mode: 0 or -EACCES. The kernel
 * asks that itself of what it opens. */
int attr_access(const struct mount *m, fuse_req_t req, const struct entry *e, int flags);
/* Seconds for which the kernel may keep what it learns of E from VIEW. */
double attr_timeout(const struct mount *m, const struct view *view, const struct entry *e);
/* Fills RET for an entry of VIEW, with what is open here taken into account. */
void attr_entry(struct mount *m, const struct view *view, const struct entry *e,
                struct fuse_entry_param *ret);
/* The same for a file whose name is not in the log yet, and counts that the
 * kernel is told. F->lock is not held. */
void attr_entry_file(struct mount *m, struct file *f, struct fuse_entry_param *ret);
/* Answers a getattr of INO (as the kernel knows it); waits for events on their way. */
void attr_reply(struct mount *m, fuse_req_t req, fuse_ino_t ino);
/* Answers a setattr, whose events are applied. The kernel must not keep it: it takes
 * over what such an answer says even if it has been told since that this is old. */
void attr_reply_changed(struct mount *m, fuse_req_t req, fuse_ino_t ino);

/* Realtime in ns since the epoch. */
int64_t now_ns(void);

#endif
