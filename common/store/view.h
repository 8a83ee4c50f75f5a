/* View: a snapshot for readers, with expired entries hidden. */
#ifndef KEYDIR_VIEW_H
#define KEYDIR_VIEW_H

#include "common/store/store.h"
#include "common/store/volume_tag.h"

/* A snapshot and the time at which it is read. One thread at a time. Close it soon, and
 * never wait while holding it. */
struct view {
	struct txn *txn;
	int64_t now_ms; /* the later of the wall clock and log time */
};

/* Open a view of STORE. Returns 0, -EAGAIN, -ENOMEM or -EIO. */
int view_open(struct store *store, struct view *view);
void view_close(struct view *view);
/* Return the offset of the last event whose effects this view shows. */
uint64_t view_offset(const struct view *view);
/* Return the tag of the view's volume. */
void view_tag(const struct view *view, struct volume_tag *ret);

/* Find an entry by its inode, by its name in PARENT, or by its whole key (LEN 0: the root).
 * All return 0, -ENOENT (also for an expired entry) or -EIO. view_key() also returns
 * -ENOTDIR if a key stands where the path needs a directory. */
int view_inode(const struct view *view, uint64_t ino, struct entry *ret);
int view_name(const struct view *view, uint64_t parent, const char *name, size_t len,
              struct entry *ret);
int view_key(const struct view *view, const char *key, size_t len, struct entry *ret);

/* Write the key of an entry to BUF (KEY_MAX bytes are enough; no NUL is added). The root's
 * key is empty. Returns its length; -ENOENT for an entry that cannot be reached; or
 * -ENAMETOOLONG, because a rename can make a deep path longer than a key may be. */
int64_t view_path(const struct view *view, uint64_t ino, char *buf, size_t size);

/* Return the milliseconds until E expires, or -1 if it does not expire. */
int64_t view_ttl_ms(const struct view *view, const struct entry *e);

#endif
