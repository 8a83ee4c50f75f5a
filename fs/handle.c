/* Handles: the state of one open(2) on this mount.
 *
 * A file that is opened for reading gets a copy of its value, which all its readers share and which
 * is renewed when the store has a newer version. So it stays readable to its end after it is
 * deleted, replaced or expired. Changes that were not logged when a handle is closed (a mapping
 * outlives its descriptor) are logged then.
 *
 * Locks: file->lock protects a file and its counts of handles, mount->open.lock the list of
 * handles. Neither is held while the other one is taken. */
#include "fs/handle.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "fs/frozen.h"
#include "fs/fs_write.h"
#include "fs/kernel_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define WHOLE_MAX (128 << 10) /* bytes that the kernel always reads with one request */
#define FLUX_MS 1000          /* a value that was changed within this time may change again */

/* --- opening --------------------------------------------------------------- */

static int load_file(struct mount *m, struct file *f, const struct view *view, enum refresh what)
{
	bool cached = m->caching && what >= REFRESH_CACHED;
	bool newest = what != REFRESH_ENTRY && !(cached && what == REFRESH_CACHED);
	int r = file_load(f, view, newest);

	return r == 0 && cached ? kernel_cache_choose(f, view, clock_mono_ms()) : r;
}

int handle_refresh(struct mount *m, struct file *f, enum refresh what)
{
	struct view view;

	if (file_is_private(f) || f->creation != FILE_LOGGED)
		return 0;
	int r = view_open(m->store, &view);
	if (r < 0)
		return r;
	r = load_file(m, f, &view, what);
	view_close(&view);
	return r;
}

/* Apply O_TRUNC. Called with F->lock held. */
static int truncate_at_open(struct mount *m, struct file *f)
{
	if (!file_is_private(f))
		return write_begin(m, f, true);
	int r = buffer_truncate(f->buffer, 0);
	if (f->creation == FILE_UNLOGGED)
		f->truncated = true;
	return r;
}

/* Return whether a reader of F must bypass the kernel's page cache. The kernel requests the size
 * and the pages separately, and after a change in between it would cut or pad the new value to the
 * old length. So a value that has changed recently, and may change again, is read with a single
 * request. Called with F->lock held. */
static bool is_in_flux(const struct mount *m, const struct file *f)
{
	int64_t age_ms = clock_wall_ms() - f->last.ctime_ns / 1000000;

	return m->maps_direct && m->caching && f->content && !file_is_private(f) &&
	       f->content->size <= WHOLE_MAX && age_ms < FLUX_MS && age_ms > -FLUX_MS;
}

/* Count H, a new handle of F. Called with F->lock held. */
static void count_open(struct file *f, const struct handle *h)
{
	f->nopen++;
	f->nwriting += !handle_is_reader(h);
	if (handle_is_reader(h)) {
		f->active_ms = clock_mono_ms();
		f->follows = false;
	}
}

/* Let F, which is about to be opened, follow its entry again if it is frozen. Returns whether the
 * kernel may have pages of an older version. Called with F->lock held. */
static bool thaw_for_open(struct mount *m, struct file *f)
{
	struct view view;

	if (f->frozen == FILE_THAWED || view_open(m->store, &view) < 0)
		return false;
	frozen_thaw(f, &view);
	view_close(&view);
	if (f->frozen == FILE_THAWING && !f->thaw_queued)
		inval_thaw(m->inval, f);
	return f->frozen == FILE_THAWING;
}

int handle_open(struct mount *m, struct file *f, struct fuse_file_info *fi)
{
	struct handle *h = calloc(1, sizeof(*h));
	int access = fi->flags & O_ACCMODE;
	int r;

	if (!h)
		return -ENOMEM;
	h->mount = m;
	h->reads = access != O_WRONLY;
	h->writes = access != O_RDONLY;
	h->creates = fi->flags & (O_CREAT | O_TRUNC);
	h->appends = h->writes && (fi->flags & O_APPEND);

	pthread_mutex_lock(&f->lock);
	bool thawed = thaw_for_open(m, f);
	r = handle_refresh(m, f,
	                   h->reads && !(fi->flags & O_TRUNC) ? REFRESH_OPENED : REFRESH_ENTRY);
	/* The name may lead to another inode by now: ESTALE makes the kernel look it up again, and
	 * report ENOENT if there is none. */
	if (r == 0 && f->gone && !f->content && !f->buffer)
		r = -ESTALE;
	if (r == 0 && (fi->flags & O_TRUNC))
		r = truncate_at_open(m, f);
	uint64_t real = f->real;
	if (r == 0)
		count_open(f, h);
	h->ndropped = f->ndropped;
	h->stale_size = r == 0 && (thawed || (f->kernel_content &&
	                                      f->kernel_content->version > inval_offset(m->inval)));
	h->whole = r == 0 && handle_is_reader(h) && is_in_flux(m, f);
	pthread_mutex_unlock(&f->lock);
	if (r < 0) {
		free(h);
		return r;
	}
	node_pin(m->node, real);
	h->file = file_ref(&m->files, f);
	pthread_mutex_lock(&m->open.lock);
	DL_PREPEND(m->open.handles, h);
	pthread_mutex_unlock(&m->open.lock);
	fi->fh = (uintptr_t)h;
	fi->keep_cache = m->caching && !(fi->flags & O_TRUNC) && !h->stale_size;
	/* Only handles that can write, or have created or truncated the file, need a flush. */
	fi->noflush = handle_is_reader(h);
	/* The kernel only guesses the offset of an append, so its page cache must not be used. */
	fi->direct_io = h->appends || h->whole;
	return 0;
}

/* --- closing --------------------------------------------------------------- */

static void close_handle(struct handle *h)
{
	struct mount *m = h->mount;
	struct file *f = h->file;

	pthread_mutex_lock(&m->open.lock);
	DL_DELETE(m->open.handles, h);
	pthread_mutex_unlock(&m->open.lock);
	pthread_mutex_lock(&f->lock);
	if (!handle_is_reader(h) && file_is_dirty(f)) {
		int r = op_queue_flush(m, f);

		if (r < 0)
			logger(LOGGER_ERROR, "changes lost after close ino=%llu why=\"%s\"",
			       (unsigned long long)f->ino, strerror(-r));
		else
			op_detach(f->queue->prev, false, true);
	}
	bool last = --f->nopen == 0;
	f->nwriting -= !handle_is_reader(h);
	if (last && frozen_closed(&m->files, f))
		inval_thaw(m->inval, f);
	uint64_t real = f->real;
	pthread_mutex_unlock(&f->lock);
	if (last)
		node_unpin(m->node, real);
	op_pump(m, f);
	content_unref(h->pinned);
	files_unref(&m->files, f);
	free(h);
}

void handle_close(struct fuse_file_info *fi)
{
	close_handle(handle_of(fi));
}

static void close_job(struct job *job)
{
	close_handle((struct handle *)((char *)job - offsetof(struct handle, job)));
}

void handle_close_later(struct mount *m, const struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	h->job.run = close_job;
	worker_add(m->worker, &h->job);
}

/* Return the kernel's inode numbers of all files that are open for writing, in an array that the
 * caller frees. A number may be in it several times. */
static uint64_t *written_inodes(struct mount *m, size_t *ret_n)
{
	const struct handle *h;
	uint64_t *inos = NULL;
	size_t n = 0;

	pthread_mutex_lock(&m->open.lock);
	DL_FOREACH (m->open.handles, h)
		n += h->writes;
	if (n)
		inos = malloc(n * sizeof(*inos));
	if (!inos && n)
		logger(LOGGER_WARN, "out of memory: writes through mappings may be lost");
	n = 0;
	DL_FOREACH (m->open.handles, h) {
		if (inos && h->writes)
			inos[n++] = h->file->ino;
	}
	pthread_mutex_unlock(&m->open.lock);
	*ret_n = n;
	return inos;
}

void handle_collect_mapped(struct mount *m)
{
	size_t n;
	uint64_t *inos = written_inodes(m, &n);

	/* Before the kernel drops a page that was changed through a mapping, it writes the page
	 * and waits for our answer. */
	for (size_t i = 0; i < n; i++)
		fuse_lowlevel_notify_inval_inode(m->session, inos[i], 0, 0);
	free(inos);
}

void handle_close_all(struct mount *m)
{
	while (m->open.handles)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): It was removed from the list. */
		close_handle(m->open.handles);
}
