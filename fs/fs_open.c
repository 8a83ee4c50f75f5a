/* File operations: opening, reading, flushing and closing files.
 *
 * An open file gets a copy of its value (handle.c), so every read returns one version. Values that
 * changed recently are read past the kernel's page cache, so that a sequence of reads returns one
 * version, too. kernel_cache.c chooses the version for reads through that cache, and frozen.c keeps
 * it for open files. If a key is replaced after the kernel has looked up its name and before it is
 * opened, the key that has the name by then is opened (lookup_cache.c).
 *
 * Changes are logged at flush (close) and fsync. Both are answered when the changes are applied,
 * with the outcome. Changes after the last flush (a mapping outlives its descriptor) are logged at
 * release.
 *
 * Lock: file->lock; it is not held while a request is answered. */
#include "fs/fs_ops.h"

#include "common/base/clock.h"
#include "fs/frozen.h"
#include "fs/handle.h"
#include "fs/holder.h"
#include "fs/kernel_cache.h"

#include <errno.h>
#include <stdlib.h>

#define FOLLOW_MAX 8 /* keys of one name, each of them gone when it is opened */

/* --- open ------------------------------------------------------------------ */

/* If the entry of F is gone, but the name by which the kernel reached F leads to another key now,
 * let F represent that key from now on, unless F is open: another program would find a different
 * value in its open file. Returns whether F represents it. This function makes the kernel forget
 * the old size and times; the kernel drops the pages itself when F is opened (keep_cache). */
static bool follow_name(struct mount *m, fuse_req_t req, struct file *f, int flags)
{
	struct view view;
	struct entry e;
	bool followed = false;

	if (view_open(m->store, &view) < 0)
		return false;
	bool found = fs_look_up_again(m, &view, f->ino, &e) == 0 &&
	             attr_access(m, req, &e, flags) == 0;
	view_close(&view);
	pthread_mutex_lock(&f->lock);
	if (found && f->gone && !f->nopen && !f->content && !f->buffer && !f->lost && !file_busy(f))
		followed = files_redirect(&m->files, f, e.ino) == 0;
	pthread_mutex_unlock(&f->lock);
	if (followed)
		fuse_lowlevel_notify_inval_inode(m->session, f->ino, -1, 0);
	return followed;
}

/* Return whether the caller may open F. The kernel has checked that already, unless F represents
 * another key than the one that the kernel has looked up. */
static bool is_allowed(struct mount *m, fuse_req_t req, struct file *f, int flags)
{
	bool may = true;

	pthread_mutex_lock(&f->lock);
	if (f->real != f->ino)
		may = handle_refresh(m, f, REFRESH_ENTRY) == 0 &&
		      attr_access(m, req, &f->last, flags) == 0;
	pthread_mutex_unlock(&f->lock);
	return may;
}

static int open_file(struct mount *m, fuse_req_t req, struct file *f, struct fuse_file_info *fi)
{
	int r = is_allowed(m, req, f, fi->flags) ? handle_open(m, f, fi) : -ESTALE;

	for (int i = 0; i < FOLLOW_MAX && r == -ESTALE && follow_name(m, req, f, fi->flags); i++) {
		r = handle_open(m, f, fi);
		fi->keep_cache = false;
	}
	/* The opened version is newer than the last one that the kernel was notified of, so the
	 * kernel may have the size and pages of an older version. It drops the pages itself
	 * (keep_cache). Invalidating the size waits for nothing: without a range the kernel locks
	 * no page and no directory (fs/fuse/inode.c, fuse_reverse_inval_inode). */
	if (r == 0 && handle_of(fi)->stale_size)
		fuse_lowlevel_notify_inval_inode(m->session, f->ino, -1, 0);
	return r;
}

static void open_now(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct file *f = files_get(&m->files, ino);
	int r = f ? open_file(m, req, f, fi) : -ENOMEM;

	files_unref(&m->files, f);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi) < 0)
		handle_close(fi);
}

/* An open for writing that waits for the log. */
struct gated_open {
	struct gated g;
	fuse_req_t req;
	fuse_ino_t ino;
	struct fuse_file_info fi;
};

static void continue_open(struct gated *g, int error)
{
	struct gated_open *go = (struct gated_open *)g;

	if (error)
		fuse_reply_err(go->req, error);
	else
		open_now(go->req, go->ino, &go->fi);
}

/* Return whether an open will certainly change the file. Other opens succeed while the log cannot
 * be reached. */
static bool changes_file(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) == O_WRONLY || (fi->flags & O_TRUNC);
}

void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int64_t wait_ms;
	int error;

	if (m->no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	if (!changes_file(fi) || (error = gate_check(&m->gate, &wait_ms)) == 0) {
		open_now(req, ino, fi);
		return;
	}
	struct gated_open *go = wait_ms ? calloc(1, sizeof(*go)) : NULL;
	if (!go) {
		fuse_reply_err(req, error);
		return;
	}
	go->g.run = continue_open;
	go->req = req;
	go->ino = ino;
	go->fi = *fi;
	gate_wait(&m->gate, &go->g, wait_ms);
}

/* --- read ------------------------------------------------------------------ */

struct parked_read {
	struct parked p;
	size_t size;
	off_t off;
	bool cached;
};

static void read_file(struct mount *m, fuse_req_t req, struct file *f, size_t size, off_t off,
                      bool cached, bool waited);

static void resume_read(struct parked *p)
{
	struct parked_read *pr = (struct parked_read *)p;

	read_file(p->mount, p->req, p->file, pr->size, pr->off, pr->cached, true);
}

static void reply_content(fuse_req_t req, const struct content *content, size_t size, off_t off)
{
	if (!content || (uint64_t)off >= content->size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (size > content->size - (uint64_t)off)
		size = content->size - (uint64_t)off;
	fuse_reply_buf(req, (const char *)content->bytes + off, size);
}

/* Answer from the buffer of F, and unlock F. Called with F->lock held; F must be private. The bytes
 * are copied, because they can change once F is unlocked. */
static void reply_buffer_and_unlock(fuse_req_t req, struct file *f, size_t size, off_t off)
{
	uint64_t left = (uint64_t)off < f->buffer->size ? f->buffer->size - (uint64_t)off : 0;

	if (size > left)
		size = left;
	char *copy = malloc(size ? size : 1);
	if (copy)
		buffer_read(f->buffer, (uint64_t)off, copy, size);
	pthread_mutex_unlock(&f->lock);
	if (copy)
		fuse_reply_buf(req, copy, size);
	else
		fuse_reply_err(req, ENOMEM);
	free(copy);
}

/* Note a read from OFF on that is answered with CONTENT, which may be NULL. Before a read past its
 * page cache the kernel does not request the size, so a read at the start or at the end counts as a
 * request for the size. Called with F->lock held. */
static void note_read(struct mount *m, struct file *f, const struct content *content, off_t off,
                      bool cached)
{
	f->active_ms = clock_mono_ms();
	if (cached || !content)
		return;
	if (content->version > f->direct_version)
		f->direct_version = content->version;
	if ((off == 0 || (uint64_t)off >= content->size) && frozen_size_requested(f, f->active_ms))
		inval_thaw(m->inval, f);
}

/* Answer a read of F. CACHED: the kernel reads for its page cache. WAITED: the read has waited for
 * the events of F already. */
static void read_file(struct mount *m, fuse_req_t req, struct file *f, size_t size, off_t off,
                      bool cached, bool waited)
{
	pthread_mutex_lock(&f->lock);
	if (file_is_private(f)) {
		reply_buffer_and_unlock(req, f, size, off);
		return;
	}
	if (file_busy(f) && !waited) {
		struct parked_read *pr = op_new_parked(m, f, sizeof(*pr), req, resume_read);

		if (pr) {
			pr->size = size;
			pr->off = off;
			pr->cached = cached;
			pr->p.direct = true;
			parked_mark_locked(&pr->p, f->real);
			op_park(f, &pr->p);
		}
		pthread_mutex_unlock(&f->lock);
		if (!pr)
			fuse_reply_err(req, ENOMEM);
		return;
	}
	int r = handle_refresh(m, f, cached ? REFRESH_CACHED : REFRESH_VALUE);
	struct content *content = cached || f->frozen == FILE_FROZEN ? kernel_cache_content(f) :
	                                                               file_content(f);
	note_read(m, f, content, off, cached);
	pthread_mutex_unlock(&f->lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_content(req, content, size, off);
	content_unref(content);
}

/* Answer a read through H so that all reads from start to end return one version. A read at offset
 * 0, or the first one, pins the store's newest version, and a read at its end unpins it. Returns
 * false without an answer if this mount has changes of its own, because reads must return those at
 * once. */
static bool read_whole(struct mount *m, fuse_req_t req, struct handle *h, size_t size, off_t off)
{
	struct file *f = h->file;
	struct content *content = NULL, *old = NULL;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	bool own = file_is_private(f) || file_busy(f);
	if (own || off == 0 || h->pinned_seq != f->last_seq) {
		old = h->pinned;
		h->pinned = NULL;
	}
	if (!own && !h->pinned) {
		r = handle_refresh(m, f, REFRESH_VALUE);
		h->pinned = f->frozen == FILE_FROZEN ? kernel_cache_content(f) : file_content(f);
		h->pinned_seq = f->last_seq;
	}
	if (h->pinned && r == 0) {
		content = h->pinned;
		note_read(m, f, content, off, false);
		if ((uint64_t)off >= content->size)
			h->pinned = NULL;
		else
			content_ref(content);
	}
	pthread_mutex_unlock(&f->lock);
	content_unref(old);
	if (own)
		return false;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_content(req, content, size, off);
	content_unref(content);
	return true;
}

/* Answer a read without a handle with the store's newest version. */
static void read_inode(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
	struct mount *m = mount_of(req);
	char *buf = malloc(size ? size : 1);
	struct view view;
	struct entry e;
	int64_t n = buf ? view_open(m->store, &view) : -ENOMEM;

	if (n == 0) {
		n = view_inode(&view, store_ino(m, ino), &e);
		if (n == 0) {
			node_touch(m->node, e.ino, view.now_ms);
			n = store_read(view.txn, &e, (uint64_t)off, buf, size);
		}
		view_close(&view);
	}
	if (n < 0)
		fuse_reply_err(req, n == -ENOENT ? ESTALE : (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h = fi->fh ? handle_of(fi) : NULL;
	/* A read for the kernel's page cache (a mapping, a splice) has no lock owner
	 * (fs/fuse/file.c, fuse_send_read). */
	bool cached = fi->lock_owner == 0;

	if (!h)
		read_inode(req, ino, size, off);
	else if (!h->whole || cached || !read_whole(mount_of(req), req, h, size, off))
		read_file(mount_of(req), req, h->file, size, off, cached, false);
}

/* --- flush and fsync ------------------------------------------------------- */

/* Return the error that F has to report, or 0, and clear it unless it is permanent. Called with
 * F->lock held. */
static int take_error(struct mount *m, struct file *f)
{
	int error = file_take_error(&m->files, f);

	if (!error && f->lost)
		error = event_outcome_errno((enum event_outcome)f->lost);
	return error;
}

static void flush_done(struct parked *p)
{
	struct mount *m = p->mount;
	struct file *f = p->file;

	pthread_mutex_lock(&f->lock);
	int error = take_error(m, f);
	uint64_t other = f->real != f->ino ? f->real : 0;
	pthread_mutex_unlock(&f->lock);
	if (!other) {
		fuse_reply_err(p->req, error);
		return;
	}
	/* Another client created the name first, so the kernel has two inode numbers for one
	 * file. A read through one number must return what was written through the other. */
	inval_value(m->inval, other);
	inval_reply(m->inval, p->req, error);
}

/* Answer a flush or fsync with ERROR. R is the result of op_queue_flush(). If that has dropped
 * written bytes, invalidate them in the kernel before the answer. */
static void reply_flush(struct mount *m, fuse_req_t req, int r, int error)
{
	if (r < 0)
		inval_reply(m->inval, req, error);
	else
		fuse_reply_err(req, error);
}

/* Log the changes of F, and answer when all its events are applied. */
static void flush_and_wait(struct mount *m, fuse_req_t req, struct file *f)
{
	struct parked *p = op_new_parked(m, f, sizeof(*p), req, flush_done);
	int error = 0;

	if (!p) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	/* The request may be answered, and the handle closed, before op_pump() returns. */
	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	int r = op_queue_flush(m, f);
	bool busy = file_busy(f);
	if (busy) {
		p->direct = true;
		op_park(f, p);
		if (r < 0 && !f->error)
			f->error = -r;
	} else {
		error = r < 0 ? -r : take_error(m, f);
	}
	pthread_mutex_unlock(&f->lock);
	if (busy) {
		op_pump(m, f);
	} else {
		files_unref(&m->files, p->file);
		free(p);
		reply_flush(m, req, r, error);
	}
	files_unref(&m->files, f);
}

/* Hand the changes of F to the log, and answer without waiting, with the error known by then.
 * Returns false and does nothing if too many changes are in flight already. */
static bool flush_and_detach(struct mount *m, fuse_req_t req, struct file *f)
{
	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	bool dirty = file_is_dirty(f);
	int r = op_queue_flush(m, f);
	bool left = r < 0 || !dirty || op_detach(f->queue->prev, true, false);
	pthread_mutex_unlock(&f->lock);
	if (left) {
		op_pump(m, f);
		pthread_mutex_lock(&f->lock);
		int earlier = take_error(m, f);
		pthread_mutex_unlock(&f->lock);
		reply_flush(m, req, r, earlier ? earlier : -r);
	}
	files_unref(&m->files, f);
	return left;
}

/* Return whether this flush comes from a shell's redirection. For `> key` a shell opens the file,
 * duplicates the descriptor and closes the first one, before the command writes anything. Logging
 * then would show an empty value to other clients, and cost two events. So the first flush of a
 * file that was only created or truncated is not the end of writing if the process still has the
 * file open: a later flush, or the release, logs the file. */
static bool is_redirection(fuse_req_t req, struct handle *h)
{
	struct file *f = h->file;
	bool first = !atomic_exchange_explicit(&h->flushed, true, memory_order_relaxed);

	pthread_mutex_lock(&f->lock);
	bool empty = file_is_dirty(f) && f->buffer && f->buffer->whole && f->buffer->size == 0 &&
	             !file_busy(f) && !f->error;
	pthread_mutex_unlock(&f->lock);
	return first && empty && process_has_open(fuse_req_ctx(req)->pid, f->st_ino) != 0;
}

void fs_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *h = handle_of(fi);

	(void)ino;
	if (!h) {
		fuse_reply_err(req, ENOSYS); /* the kernel sends no more flushes */
		return;
	}
	/* Readers do not get the errors of writers. */
	if (handle_is_reader(h) || is_redirection(req, h))
		fuse_reply_err(req, 0);
	else if (!m->async || !flush_and_detach(m, req, h->file))
		flush_and_wait(m, req, h->file);
}

void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync;
	if (!fi->fh) {
		fuse_reply_err(req, 0);
		return;
	}
	flush_and_wait(mount_of(req), req, handle_of(fi)->file);
}

/* --- release --------------------------------------------------------------- */

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_close(fi);
	fuse_reply_err(req, 0);
}
