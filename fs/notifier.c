/* Notifier: makes the kernel drop names, attributes and pages.
 *
 * Why an old answer cannot outlive a newer invalidation:
 * - Names and listings: the kernel looks up and lists under the directory's lock, and takes
 *   that lock to invalidate a name. So either it has the answer already and drops it, or it
 *   sends the request afterwards, when the store shows the change. A listing is invalidated
 *   after the name, when no listing is in flight any more.
 * - Attributes and pages of an inode that the kernel has: it orders replies and invalidations
 *   itself (a version of attributes, locked pages).
 * - An inode that the kernel does not have yet, but is about to get from an answer in flight:
 *   invalidating the inode fails with ENOENT. Then the name is invalidated, which waits for that
 *   answer, and after it the inode once more.
 *
 * A wait for a lock of the kernel cannot be interrupted, and a process that is killed meanwhile
 * leaves a mount that hangs. So if a request to this mount is known to hold the lock (busy.h),
 * perhaps for as long as the log takes, this module increments the kernel's epoch, which makes
 * all names stale at once. That takes no lock and costs one look-up for each name that is used
 * again. It covers answers in flight, because the kernel compares the epoch from before the
 * request. It does not cover a listing in flight, so the listing is invalidated once more when
 * the directory is quiet. On a kernel without epochs (before 6.16) names are always invalidated
 * one by one.
 *
 * The epoch is also used while an fsync of a directory waits for the invalidator
 * (inval_sync()): the kernel keeps that directory locked meanwhile, and perhaps another one for
 * a process that waits for the first. */
#include "fs/notifier.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "fs/frozen.h"
#include "fs/kernel_cache.h"
#include "fs/mount.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* FUSE_NOTIFY_INC_EPOCH (Linux 6.16, include/uapi/linux/fuse.h), newer than Debian 12's headers. */
#define NOTIFY_INC_EPOCH 8

/* Invalidate the attributes of INO, with VALUE also its pages. Returns 0 or -errno: -ENOENT if the
 * kernel does not know INO. */
static int invalidate_inode(struct notifier *notifier, uint64_t ino, bool value)
{
	if (value)
		kernel_cache_invalidate(&notifier->mount->files, ino);
	return fuse_lowlevel_notify_inval_inode(
	        notifier->mount->session, kernel_ino(notifier->mount, ino), value ? 0 : -1, 0);
}

/* Make all names that the kernel has stale. Returns false if it cannot. */
static bool bump_epoch(struct notifier *notifier)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = NOTIFY_INC_EPOCH,
	};

	if (notifier->no_epoch)
		return false;
	if (write(fuse_session_fd(notifier->mount->session), &header, sizeof(header)) < 0) {
		if (errno == EINVAL)
			notifier->no_epoch = true;
		return false;
	}
	return true;
}

/* Make all names stale, unless that was done in this round. Returns false if the kernel cannot. */
static bool expire_all_names(struct notifier *notifier)
{
	if (!notifier->bumped)
		notifier->bumped = bump_epoch(notifier);
	return notifier->bumped;
}

/* Invalidate NAME in DIR, which waits for the lock of DIR; or all names if this thread must not
 * wait for it. */
static void invalidate_entry(struct notifier *notifier, uint64_t dir, const char *name, size_t len)
{
	struct mount *m = notifier->mount;

	if (!inval_enter(notifier, false)) {
		if (expire_all_names(notifier))
			return;
		inval_enter(notifier, true);
	}
	fuse_lowlevel_notify_inval_entry(m->session, kernel_ino(m, dir), name, len);
	inval_leave(notifier);
}

/* Invalidate the name of ITEM, or all names if its directory is busy. */
static void invalidate_name(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	bool busy = !insist && busy_lately(&notifier->mount->busy, item->parent);

	if (!busy || !expire_all_names(notifier))
		invalidate_entry(notifier, item->parent, item->name, item->len);
}

/* Invalidate the name and the inode of a removed entry. The kernel also reports the removal to
 * inotify watchers of the entry, but not to those of its directory (announce.c). */
static void invalidate_removed(struct notifier *notifier, const struct invalidation *item,
                               bool insist)
{
	struct mount *m = notifier->mount;
	uint64_t ino;
	int r = -EBUSY;

	/* fuse_lowlevel_notify_delete() also takes the lock of the entry. */
	bool may = insist ||
	           (!busy_lately(&m->busy, item->parent) && !busy_lately(&m->busy, item->ino));
	if (may && inval_enter(notifier, false)) {
		r = fuse_lowlevel_notify_delete(
		        m->session, kernel_ino(notifier->mount, item->parent),
		        kernel_ino(m, files_current(&m->files, item->ino)), item->name, item->len);
		inval_leave(notifier);
	}
	if (r < 0)
		invalidate_name(notifier, item, insist);
	invalidate_inode(notifier, item->ino, false);
	for (unsigned n = 0; (ino = files_alias(&m->files, item->ino, n)); n++)
		invalidate_inode(notifier, ino, false);
}

/* Freeze the file of INO, a number that the kernel has for the entry of ITEM, if ITEM is
 * the replacement of its value and it has readers. Returns whether it is frozen, and in
 * *RET_STALE_NAME whether a name may still lead to it. */
static bool keep_version(struct mount *m, const struct invalidation *item, uint64_t ino,
                         bool *ret_stale_name)
{
	struct file *f = files_find(&m->files, ino);
	struct view view;

	*ret_stale_name = false;
	if (!f)
		return false;
	bool viewed = item->replaced && view_open(m->store, &view) == 0;
	pthread_mutex_lock(&f->lock);
	if (viewed)
		frozen_try(&m->files, f, &view, clock_mono_ms());
	bool frozen = f->frozen == FILE_FROZEN;
	*ret_stale_name = frozen && f->stale_name;
	pthread_mutex_unlock(&f->lock);
	if (viewed)
		view_close(&view);
	files_unref(&m->files, f);
	return frozen;
}

/* Note that no name of the kernel leads to INO, which is frozen, any more. */
static void clear_stale_name(struct mount *m, uint64_t ino)
{
	struct file *f = files_find(&m->files, ino);

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stale_name = false;
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
}

/* Invalidate INO, a number that the kernel has for the entry of ITEM, or freeze it. Returns as
 * invalidate_inode(). */
static int invalidate_or_freeze(struct notifier *notifier, const struct invalidation *item,
                                uint64_t ino, bool value, bool insist)
{
	bool stale_name;

	if (!value || !keep_version(notifier->mount, item, ino, &stale_name))
		return invalidate_inode(notifier, ino, value);
	if (stale_name) {
		/* From now on the kernel sends each request for the size to this process. */
		invalidate_inode(notifier, ino, false);
		invalidate_name(notifier, item, insist);
		clear_stale_name(notifier->mount, ino);
	}
	return 0;
}

/* Invalidate an inode by all of its numbers. Returns true if the caller must try again later. */
static bool invalidate_all_numbers(struct notifier *notifier, const struct invalidation *item,
                                   bool value, bool insist)
{
	struct mount *m = notifier->mount;

	/* The kernel keeps the pages of a read locked, which may wait for events of this mount. */
	if (value && !insist && busy_now(&m->busy, item->ino))
		return true;
	int r = invalidate_or_freeze(notifier, item, item->ino, value, insist);
	/* The kernel may be about to get the inode from an answer in flight. */
	if (r == -ENOENT && item->len) {
		invalidate_name(notifier, item, insist);
		invalidate_inode(notifier, item->ino, value);
	}
	for (unsigned n = 0;; n++) {
		uint64_t ino = files_alias(&m->files, item->ino, n);

		if (!ino)
			return false;
		invalidate_or_freeze(notifier, item, ino, value, insist);
	}
}

/* Let the frozen file of ITEM follow its entry again. Returns true if the caller must try again
 * later. */
static bool thaw_file(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	struct mount *m = notifier->mount;
	struct file *f = item->file;
	struct view view;

	if (!insist && busy_now(&m->busy, store_ino(m, f->ino)))
		return true;
	int r = view_open(m->store, &view);
	if (r == 0) {
		pthread_mutex_lock(&f->lock);
		r = frozen_thaw(f, &view);
		pthread_mutex_unlock(&f->lock);
		view_close(&view);
	}
	if (r == 0)
		invalidate_inode(notifier, f->ino, true);
	pthread_mutex_lock(&f->lock);
	if (r < 0)
		f->thaw_queued = false;
	frozen_end(&m->files, f);
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
	return false;
}

/* Invalidate the listing of a directory, after one of its names. Returns true if the caller must
 * try again later: if the name was invalidated by epoch, a listing may be in flight. The second
 * time, invalidating the name waits for that listing, because both take the directory's lock. */
static bool invalidate_listing(struct notifier *notifier, const struct invalidation *item,
                               bool insist)
{
	bool first = item->not_before_ms == 0;
	bool busy = !insist && (notifier->bumped || busy_lately(&notifier->mount->busy, item->ino));

	if (!first && busy)
		return true;
	if (!first)
		invalidate_entry(notifier, item->ino, item->name, item->len);
	invalidate_inode(notifier, item->ino, true);
	return busy;
}

/* --- everything ------------------------------------------------------------ */

/* Names of a directory that are read at a time, so that no snapshot is open while the kernel is
 * notified. */
#define WALK_NAMES 256

struct walk_name {
	uint64_t ino;
	bool is_dir;
	size_t len;
	char name[KEY_NAME_MAX + 1];
};

/* Directories still to be walked. */
struct walk {
	uint64_t *dirs;
	size_t n, cap;
};

/* Fill NAMES with up to WALK_NAMES names of DIR after AFTER (NULL: from the first). Returns their
 * number. */
static size_t read_names(const struct notifier *notifier, uint64_t dir,
                         const struct walk_name *after, struct walk_name *names)
{
	struct view view;
	struct scan *scan;
	const char *name;
	size_t n = 0;

	if (view_open(notifier->mount->store, &view) < 0)
		return 0;
	if (scan_open(view.txn, dir, after ? after->name : NULL, after ? after->len : 0, &scan) ==
	    0) {
		while (n < WALK_NAMES && scan_next(scan, &name, &names[n].len, &names[n].ino,
		                                   &names[n].is_dir) == 0) {
			memcpy(names[n].name, name, names[n].len);
			n++;
		}
		scan_close(scan);
	}
	view_close(&view);
	return n;
}

static void walk_push(struct walk *walk, uint64_t dir)
{
	if (walk->n == walk->cap) {
		size_t cap = walk->cap ? walk->cap * 2 : 64;
		uint64_t *dirs = realloc(walk->dirs, cap * sizeof(*dirs));

		if (!dirs)
			return;
		walk->dirs = dirs;
		walk->cap = cap;
	}
	walk->dirs[walk->n++] = dir;
}

/* Invalidate DIR, its names and their inodes, and add its directories to WALK. NAMES has room for
 * WALK_NAMES + 1. */
static void invalidate_dir(struct notifier *notifier, uint64_t dir, struct walk *walk,
                           struct walk_name *names)
{
	struct files *files = &notifier->mount->files;
	size_t n = read_names(notifier, dir, NULL, names);

	invalidate_inode(notifier, dir, true);
	while (n) {
		for (size_t i = 0; i < n; i++) {
			uint64_t ino;

			invalidate_inode(notifier, names[i].ino, true);
			for (unsigned k = 0; (ino = files_alias(files, names[i].ino, k)); k++)
				invalidate_inode(notifier, ino, true);
			invalidate_entry(notifier, dir, names[i].name, names[i].len);
			if (names[i].is_dir)
				walk_push(walk, names[i].ino);
		}
		names[WALK_NAMES] = names[n - 1];
		n = read_names(notifier, dir, &names[WALK_NAMES], names);
	}
}

/* Invalidate everything that the kernel may have, because events were missed. Names that were
 * removed are in no table any more; the epoch covers them. */
static void invalidate_everything(struct notifier *notifier)
{
	struct walk_name *names = malloc((WALK_NAMES + 1) * sizeof(*names));
	struct walk walk = { 0 };

	logger(LOGGER_WARN,
	       "this mount missed changes, because the feed no longer has them; dropping all of "
	       "the kernel's cached data");
	if (!expire_all_names(notifier))
		logger(LOGGER_WARN,
		       "names that were removed meanwhile may stay visible: dropping all names "
		       "at once needs Linux 6.16; mount again to drop them");
	walk_push(&walk, notifier->mount->root);
	while (names && walk.n)
		invalidate_dir(notifier, walk.dirs[--walk.n], &walk, names);
	free(walk.dirs);
	free(names);
}

bool notify_kernel(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	switch (item->kind) {
	case INVALIDATE_NAME:
		invalidate_name(notifier, item, insist);
		return false;
	case INVALIDATE_REMOVED:
		invalidate_removed(notifier, item, insist);
		return false;
	case INVALIDATE_VALUE:
		return invalidate_all_numbers(notifier, item, true, insist);
	case INVALIDATE_ATTR:
		return invalidate_all_numbers(notifier, item, false, insist);
	case INVALIDATE_THAW:
		return thaw_file(notifier, item, insist);
	case INVALIDATE_LISTING:
		return invalidate_listing(notifier, item, insist);
	case INVALIDATE_ALL:
		invalidate_everything(notifier);
		return false;
	case INVALIDATE_REPLY:
		fuse_reply_err(item->req, item->error);
		return false;
	case INVALIDATE_SYNC:
		return false;
	}
	return false;
}
