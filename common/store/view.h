/* Views: what a reader sees of the store, expired entries hidden. */
#ifndef KEYDIR_VIEW_H
#define KEYDIR_VIEW_H

#include "common/store/store.h"
#include "common/store/volume_tag.h"

/* A snapshot with the moment at which it is read. One thread at a time. Close
 * it soon and never wait while holding it. */
struct view {
	struct txn *txn;
	int64_t now_ms; /* the later of the wall clock and log time */
};

/* Opens a view of STORE into VIEW. 0, or -EAGAIN, -ENOMEM, -EIO. */
int view_open(struct store *store, struct view *view);
void view_close(struct view *view);
/* The offset whose effects (and no later ones) this view shows. */
uint64_t view_offset(const struct view *view);
/* The tag of the volume that it is of. */
void view_tag(const struct view *view, struct volume_tag *ret);

/* Entries by inode, by name, by whole key (LEN 0: the root). 0; -ENOENT, also
 * for an expired one; view_key also -ENOTDIR when a key stands where the path
 * needs a directory; -EIO. */
int view_inode(const struct view *view, uint64_t ino, struct entry *ret);
int view_name(const struct view *view, uint64_t parent, const char *name, size_t len,
              struct entry *ret);
int view_key(const struct view *view, const char *key, size_t len, struct entry *ret);

/* Writes the key of an entry into BUF (KEY_MAX bytes are enough; no NUL is
 * added); the root's is empty. Returns its length, -ENOENT for an entry that
 * is not reachable, or -ENAMETOOLONG: a rename can make a deep path longer
 * than a key may be. */
int64_t view_path(const struct view *view, uint64_t ino, char *buf, size_t size);

/* Milliseconds left of an entry; -1: does not expire. */
int64_t view_ttl_ms(const struct view *view, const struct entry *e);

#endif
