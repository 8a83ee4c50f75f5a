/* Attributes: the stat(2) data of an entry, and how long the kernel may cache it. */
#ifndef KEYDIR_FS_ATTR_H
#define KEYDIR_FS_ATTR_H

#include "common/store/view.h"
#include "fs/file.h"

#include <fuse_lowlevel.h>

struct mount;

/* Fill ST for entry E. */
void attr_fill(const struct mount *m, const struct entry *e, struct stat *st);
/* Do the same for a file with changes, with F->lock held. */
void attr_fill_file(const struct mount *m, const struct file *f, struct stat *st);
/* Check by its mode whether the caller of REQ may open E with FLAGS. Returns 0 or -EACCES. The kernel
 * checks this itself for files that it opens. */
int attr_access(const struct mount *m, fuse_req_t req, const struct entry *e, int flags);
/* Return the seconds for which the kernel may cache E as VIEW has it. */
double attr_timeout(const struct mount *m, const struct view *view, const struct entry *e);
/* Fill RET for an entry of VIEW, including the changes of files that are open here. Counts one
 * look-up. */
void attr_entry(struct mount *m, const struct view *view, const struct entry *e,
                struct fuse_entry_param *ret);
/* Do the same for a file whose name is not in the log yet. Called without F->lock. */
void attr_entry_file(struct mount *m, struct file *f, struct fuse_entry_param *ret);
/* Answer a getattr of INO (the kernel's number) once its events in flight are done. */
void attr_reply(struct mount *m, fuse_req_t req, fuse_ino_t ino);
/* Answer a setattr after its events were applied, without letting the kernel cache it: the kernel
 * would take over this answer even if it was notified of a newer change meanwhile. */
void attr_reply_changed(struct mount *m, fuse_req_t req, fuse_ino_t ino);

/* Return the real time in ns since the epoch. */
int64_t wall_now_ns(void);

#endif
