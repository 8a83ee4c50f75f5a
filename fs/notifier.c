/* Telling the kernel what to forget.
 *
 * Why an old answer cannot outlive a newer invalidation:
 * - Names and listings: the kernel looks up and lists under the directory's
 *   lock, and takes that lock to invalidate a name. So it either has the answer
 *   already and drops it, or asks afterwards, when the store shows the change.
 *   A listing is dropped after the name, when none is under way any more.
 * - Attributes and pages of an inode that the kernel has: it orders replies and
 *   invalidations itself (a version of attributes, locked pages).
 * - An inode that the kernel does not have yet, but is about to get from an
 *   answer under way: then invalidating the inode fails with ENOENT, the name
 *   is invalidated, which waits for that answer, and the inode once more.
 *
 * Waiting for a lock of the kernel cannot be interrupted, and a process killed
 * meanwhile leaves a mount that hangs. So where a request of ours is known to
 * hold the lock (busy.h), perhaps as long as the log takes, all names are made
 * stale at once instead: that takes no lock, costs one look-up for each name
 * that is used again, and covers answers under way, as the kernel compares the
 * epoch from before the request. What it does not cover, a listing under way,
 * is told once more when the directory is quiet. A kernel that has no epochs
 * (before 6.16) is always told by name.
 *
 * The same is done while an fsync of a directory waits for the invalidator
 * (inval_sync()): the kernel keeps that directory locked meanwhile, and perhaps
 * another one for a process that waits for the first. */
#include "fs/frozen.h"
#include "fs/mount.h"
#include "fs/kernel_cache.h"
#include "fs/notifier.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* FUSE_NOTIFY_INC_EPOCH, newer than the headers that this is built with. */
#define NOTIFY_INC_EPOCH 8

static int tell_inode(struct notifier *notifier, uint64_t ino, bool value)
{
	if (value)
		kernel_cache_invalidate(&notifier->mount->files, ino);
	return fuse_lowlevel_notify_inval_inode(
	        notifier->mount->session, kernel_ino(notifier->mount, ino), value ? 0 : -1, 0);
}

/* Makes all names that the kernel has stale. False if it cannot. */
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

/* Makes all names stale, once in a round. False if this kernel cannot. */
static bool tell_all_names(struct notifier *notifier)
{
	if (!notifier->bumped)
		notifier->bumped = bump_epoch(notifier);
	return notifier->bumped;
}

/* Invalidates NAME of DIR, which waits for the lock of DIR, or all names if that may not
 * be waited for. */
static void inval_entry(struct notifier *notifier, uint64_t dir, const char *name, size_t len)
{
	struct mount *m = notifier->mount;

	if (!inval_enter(notifier, false)) {
		if (tell_all_names(notifier))
			return;
		inval_enter(notifier, true);
	}
	fuse_lowlevel_notify_inval_entry(m->session, kernel_ino(m, dir), name, len);
	inval_leave(notifier);
}

/* Invalidates a name, or all of them if its directory is busy. */
static void tell_name(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	bool busy = !insist && busy_lately(&notifier->mount->busy, item->parent);

	if (!busy || !tell_all_names(notifier))
		inval_entry(notifier, item->parent, item->name, item->len);
}

/* A removed entry; who watches itself (inotify) is told, too, but not who watches its
 * directory: announce.c. */
static void tell_removed(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	struct mount *m = notifier->mount;
	uint64_t ino;
	int r = -EBUSY;

	/* This one takes the lock of the entry, too. */
	bool may = insist ||
	           (!busy_lately(&m->busy, item->parent) && !busy_lately(&m->busy, item->ino));
	if (may && inval_enter(notifier, false)) {
		r = fuse_lowlevel_notify_delete(
		        m->session, kernel_ino(notifier->mount, item->parent),
		        kernel_ino(m, files_current(&m->files, item->ino)), item->name, item->len);
		inval_leave(notifier);
	}
	if (r < 0)
		tell_name(notifier, item, insist);
	tell_inode(notifier, item->ino, false);
	for (unsigned n = 0; (ino = files_alias(&m->files, item->ino, n)); n++)
		tell_inode(notifier, ino, false);
}

/* Freeze the file of INO, a number that the kernel has for the entry of ITEM, if ITEM is
 * the replacement of its value and it has readers. Return whether it is frozen, and in
 * *RET_UNTOLD whether a name may still lead to it. */
static bool keep_version(struct mount *m, const struct invalidation *item, uint64_t ino,
                         bool *ret_untold)
{
	struct file *f = files_find(&m->files, ino);
	struct view view;

	*ret_untold = false;
	if (!f)
		return false;
	bool viewed = item->replaced && view_open(m->store, &view) == 0;
	pthread_mutex_lock(&f->lock);
	if (viewed)
		frozen_try(&m->files, f, &view, clock_mono_ms());
	bool frozen = f->frozen == FILE_FROZEN;
	*ret_untold = frozen && f->stale_name;
	pthread_mutex_unlock(&f->lock);
	if (viewed)
		view_close(&view);
	files_unref(&m->files, f);
	return frozen;
}

/* Note that no name leads to INO, which is frozen, any more. */
static void name_told(struct mount *m, uint64_t ino)
{
	struct file *f = files_find(&m->files, ino);

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stale_name = false;
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
}

/* Invalidate INO, a number that the kernel has for the entry of ITEM, or freeze it. As
 * tell_inode(). */
static int tell_number(struct notifier *notifier, const struct invalidation *item, uint64_t ino,
                       bool value, bool insist)
{
	bool untold;

	if (!value || !keep_version(notifier->mount, item, ino, &untold))
		return tell_inode(notifier, ino, value);
	if (untold) {
		/* So that each request for its size comes to this process. */
		tell_inode(notifier, ino, false);
		tell_name(notifier, item, insist);
		name_told(notifier->mount, ino);
	}
	return 0;
}

/* Invalidate an inode by its own number and by all others. True: not yet. */
static bool tell_changed(struct notifier *notifier, const struct invalidation *item, bool value,
                         bool insist)
{
	struct mount *m = notifier->mount;

	/* A read that waits for events of this mount has its pages locked. */
	if (value && !insist && busy_now(&m->busy, item->ino))
		return true;
	int r = tell_number(notifier, item, item->ino, value, insist);
	/* See above: it may be about to come. */
	if (r == -ENOENT && item->len) {
		tell_name(notifier, item, insist);
		tell_inode(notifier, item->ino, value);
	}
	for (unsigned n = 0;; n++) {
		uint64_t ino = files_alias(&m->files, item->ino, n);

		if (!ino)
			return false;
		tell_number(notifier, item, ino, value, insist);
	}
}

/* Let the frozen file of ITEM follow its entry again. True: not yet. */
static bool tell_thawed(struct notifier *notifier, const struct invalidation *item, bool insist)
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
		tell_inode(notifier, f->ino, true);
	pthread_mutex_lock(&f->lock);
	if (r < 0)
		f->thaw_queued = false;
	frozen_end(&m->files, f);
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
	return false;
}

/* A directory, after one of its names. If that was told by epoch, a listing may
 * be under way; once the directory is quiet, the name's lock waits for it. */
static bool tell_listing(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	bool first = item->not_before_ms == 0;
	bool busy = !insist && (notifier->bumped || busy_lately(&notifier->mount->busy, item->ino));

	if (!first && busy)
		return true;
	if (!first)
		inval_entry(notifier, item->ino, item->name, item->len);
	tell_inode(notifier, item->ino, true);
	return busy;
}

/* --- everything ------------------------------------------------------------ */

/* Names of one directory, some at a time: no snapshot is held while telling. */
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

static size_t take_names(const struct notifier *notifier, uint64_t dir,
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

/* Tells the names of DIR and what they lead to; directories go to WALK. */
static void tell_dir(struct notifier *notifier, uint64_t dir, struct walk *walk,
                     struct walk_name *names)
{
	struct files *files = &notifier->mount->files;
	size_t n = take_names(notifier, dir, NULL, names);

	tell_inode(notifier, dir, true);
	while (n) {
		for (size_t i = 0; i < n; i++) {
			uint64_t ino;

			tell_inode(notifier, names[i].ino, true);
			for (unsigned k = 0; (ino = files_alias(files, names[i].ino, k)); k++)
				tell_inode(notifier, ino, true);
			inval_entry(notifier, dir, names[i].name, names[i].len);
			if (names[i].is_dir)
				walk_push(walk, names[i].ino);
		}
		names[WALK_NAMES] = names[n - 1];
		n = take_names(notifier, dir, &names[WALK_NAMES], names);
	}
}

/* Events were missed: all that the kernel may have is told. Names that are gone
 * are not known any more; the epoch covers them. */
static void tell_all(struct notifier *notifier)
{
	struct walk_name *names = malloc((WALK_NAMES + 1) * sizeof(*names));
	struct walk walk = { 0 };

	logger(LOGGER_WARN, "the feed moved on too far; the kernel forgets everything");
	if (!tell_all_names(notifier))
		logger(LOGGER_WARN, "removed names may still be seen: this kernel cannot forget "
		                    "all names at once");
	walk_push(&walk, notifier->mount->root);
	while (names && walk.n)
		tell_dir(notifier, walk.dirs[--walk.n], &walk, names);
	free(walk.dirs);
	free(names);
}

bool notify_kernel(struct notifier *notifier, const struct invalidation *item, bool insist)
{
	switch (item->kind) {
	case INVALIDATE_NAME:
		tell_name(notifier, item, insist);
		return false;
	case INVALIDATE_REMOVED:
		tell_removed(notifier, item, insist);
		return false;
	case INVALIDATE_VALUE:
		return tell_changed(notifier, item, true, insist);
	case INVALIDATE_ATTR:
		return tell_changed(notifier, item, false, insist);
	case INVALIDATE_THAW:
		return tell_thawed(notifier, item, insist);
	case INVALIDATE_LISTING:
		return tell_listing(notifier, item, insist);
	case INVALIDATE_ALL:
		tell_all(notifier);
		return false;
	case INVALIDATE_REPLY:
		fuse_reply_err(item->req, item->error);
		return false;
	case INVALIDATE_SYNC:
		return false;
	}
	return false;
}
