/* Opening, reading, flushing and closing files.
 *
 * A file opened for reading gets a copy of its value, shared by all its readers and renewed when
 * the store has a newer version. So it stays readable to its end after it is deleted, replaced
 * or expired, and every read returns one version. Values that changed recently are read past the
 * kernel's cache, so that a sequence of reads returns one version, too. kernel_cache.c chooses
 * the version for reads through that cache, and frozen.c keeps it for open files. A key that is
 * replaced after the kernel has looked up its name, and before it is opened, is opened as the key
 * that has the name then (lookup_cache.c).
 *
 * Changes go to the log at flush (close) and fsync, which are answered when they are applied, with
 * the outcome. Changes after the last flush (a mapping outlives its descriptor) are logged at
 * release. */
#include "fs/frozen.h"
#include "fs/handle.h"
#include "fs/kernel_cache.h"

#include "common/base/clock.h"
#include "fs/holder.h"
#include "common/base/logger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define WHOLE_MAX (128 << 10) /* bytes that one request reads for sure */
#define FLUX_MS 1000          /* a value that changed since then may do so again */
#define FOLLOW_MAX 8          /* keys of one name, each gone when it is opened */

/* --- open ------------------------------------------------------------------ */

/* What a look at the store is for. */
enum refresh {
	REFRESH_ENTRY,  /* attributes */
	REFRESH_VALUE,  /* the newest value as well */
	REFRESH_CACHED, /* what the kernel may be given for its cache */
	REFRESH_OPENED, /* both, for a reader */
};

static int load(struct mount *m, struct file *f, const struct view *view, enum refresh what)
{
	bool cached = m->caching && what >= REFRESH_CACHED;
	bool newest = what != REFRESH_ENTRY && !(cached && what == REFRESH_CACHED);
	int r = file_load(f, view, newest);

	return r == 0 && cached ? kernel_cache_choose(f, view, clock_mono_ms()) : r;
}

/* Looks at the store; F->lock is held. */
static int refresh(struct mount *m, struct file *f, enum refresh what)
{
	struct view view;

	if (file_is_private(f) || f->creation != FILE_LOGGED)
		return 0;
	int r = view_open(m->store, &view);
	if (r < 0)
		return r;
	r = load(m, f, &view, what);
	view_close(&view);
	return r;
}

/* O_TRUNC; F->lock is held. */
static int truncate_at_open(struct mount *m, struct file *f)
{
	if (!file_is_private(f))
		return write_begin(m, f, true);
	int r = buffer_truncate(f->buffer, 0);
	if (f->creation == FILE_UNLOGGED)
		f->truncated = true;
	return r;
}

/* Whether a reader of F must not go through the kernel's cache; F->lock is held.
 * The kernel asks for size and pages apart, and a change in between would show the
 * new value cut, or filled up, to the old length. So what has changed lately, and
 * may again, is read with one request. */
static bool is_in_flux(const struct mount *m, const struct file *f)
{
	int64_t age_ms = clock_wall_ms() - f->last.ctime_ns / 1000000;

	return m->maps_direct && m->caching && f->content && !file_is_private(f) &&
	       f->content->size <= WHOLE_MAX && age_ms < FLUX_MS && age_ms > -FLUX_MS;
}

static bool is_reader(const struct handle *h)
{
	return !h->writes && !h->creates;
}

/* Count H, a new handle of F; F->lock is held. */
static void count_open(struct file *f, const struct handle *h)
{
	f->nopen++;
	f->nwriting += !is_reader(h);
	if (is_reader(h)) {
		f->active_ms = clock_mono_ms();
		f->follows = false;
	}
}

/* Let F, which is about to be opened, follow its entry again if it is frozen. Return
 * whether the kernel may have pages of an older version. F->lock is held. */
static bool thaw(struct mount *m, struct file *f)
{
	struct view view;

	if (f->frozen == FILE_THAWED || view_open(m->store, &view) < 0)
		return false;
	frozen_thaw(f, &view);
	view_close(&view);
	if (f->frozen == FILE_THAWING && !f->thaws)
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
	bool thawed = thaw(m, f);
	r = refresh(m, f, h->reads && !(fi->flags & O_TRUNC) ? REFRESH_OPENED : REFRESH_ENTRY);
	/* The name may lead to another inode by now: ESTALE makes the kernel ask
	 * for it again, and say ENOENT if there is none. */
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
	h->whole = r == 0 && is_reader(h) && is_in_flux(m, f);
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
	/* A flush concerns handles that can write, or have created the file. */
	fi->noflush = is_reader(h);
	/* The kernel's idea of where an append lands is only a guess. */
	fi->direct_io = h->appends || h->whole;
	return 0;
}

/* F's entry is gone, but the kernel came to it by a name that leads to another key
 * now: F stands for that from here on. Only if nobody has F open, who would find
 * another value in it. The kernel forgets the old size and times; pages it drops
 * itself when F is opened (keep_cache). */
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

/* Of what F stands for the kernel may not know the mode yet. */
static bool may_open(struct mount *m, fuse_req_t req, struct file *f, int flags)
{
	bool may = true;

	pthread_mutex_lock(&f->lock);
	if (f->real != f->ino)
		may = refresh(m, f, REFRESH_ENTRY) == 0 &&
		      attr_access(m, req, &f->last, flags) == 0;
	pthread_mutex_unlock(&f->lock);
	return may;
}

static int open_file(struct mount *m, fuse_req_t req, struct file *f, struct fuse_file_info *fi)
{
	int r = may_open(m, req, f, fi->flags) ? handle_open(m, f, fi) : -ESTALE;

	for (int i = 0; i < FOLLOW_MAX && r == -ESTALE && follow_name(m, req, f, fi->flags); i++) {
		r = handle_open(m, f, fi);
		fi->keep_cache = false;
	}
	/* What is opened is newer than what the kernel was told of, so the size and pages
	 * that it has may be of a version before. The pages it drops itself (keep_cache).
	 * To forget the size waits for nothing: without a range the kernel takes no lock of
	 * a page or a directory (fs/fuse/inode.c, fuse_reverse_inval_inode). */
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

static void open_gated(struct gated *g, int error)
{
	struct gated_open *go = (struct gated_open *)g;

	if (error)
		fuse_reply_err(go->req, error);
	else
		open_now(go->req, go->ino, &go->fi);
}

/* What only reads, or may do only that, opens while the log is away. */
static bool opens_to_change(const struct fuse_file_info *fi)
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
	if (!opens_to_change(fi) || (error = gate_check(&m->gate, &wait_ms)) == 0) {
		open_now(req, ino, fi);
		return;
	}
	struct gated_open *go = wait_ms ? calloc(1, sizeof(*go)) : NULL;
	if (!go) {
		fuse_reply_err(req, error);
		return;
	}
	go->g.run = open_gated;
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

static void read_again(struct parked *p)
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

/* F->lock is held and F is private: its bytes can change once it is not. */
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

/* Note a read from OFF on that is answered with CONTENT, which may be NULL; F->lock is
 * held. Reads past the kernel's cache come without a request for the size, so one of the
 * start, or at the end, counts as such. */
static void note_read(struct mount *m, struct file *f, const struct content *content, off_t off,
                      bool cached)
{
	f->active_ms = clock_mono_ms();
	if (cached || !content)
		return;
	if (content->version > f->given)
		f->given = content->version;
	if ((off == 0 || (uint64_t)off >= content->size) && frozen_asked(f, f->active_ms))
		inval_thaw(m->inval, f);
}

/* With CACHED it is the kernel that keeps it. */
static void read_file(struct mount *m, fuse_req_t req, struct file *f, size_t size, off_t off,
                      bool cached, bool waited)
{
	pthread_mutex_lock(&f->lock);
	if (file_is_private(f)) {
		reply_buffer_and_unlock(req, f, size, off);
		return;
	}
	if (file_busy(f) && !waited) {
		struct parked_read *pr = op_new_parked(m, f, sizeof(*pr), req, read_again);

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
	int r = refresh(m, f, cached ? REFRESH_CACHED : REFRESH_VALUE);
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

/* From a handle whose readings are each of one version: from the start, or from
 * where there is none yet, what the store has now; behind the end of it that is over.
 * False if this mount has changes of its own: those are to be seen at once. */
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
		r = refresh(m, f, REFRESH_VALUE);
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

/* Without a handle: what the store has now. */
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
	/* What the kernel reads for its cache (a mapping, a splice) nobody owns
	 * (fs/fuse/file.c, fuse_send_read). */
	bool cached = fi->lock_owner == 0;

	if (!h)
		read_inode(req, ino, size, off);
	else if (!h->whole || cached || !read_whole(mount_of(req), req, h, size, off))
		read_file(mount_of(req), req, h->file, size, off, cached, false);
}

/* --- flush and fsync ------------------------------------------------------- */

/* Take the error that F has to report, with F->lock held. */
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
	/* Another creator of that name was faster, and the kernel knows two numbers
	 * of one file: what was written through one, the other must not hide. */
	inval_value(m->inval, other);
	inval_reply(m->inval, p->req, error);
}

/* Answer a flush or fsync with ERROR. R is what op_queue_flush() gave: if it has dropped
 * what was written, the kernel forgets that first. */
static void reply_flush(struct mount *m, fuse_req_t req, int r, int error)
{
	if (r < 0)
		inval_reply(m->inval, req, error);
	else
		fuse_reply_err(req, error);
}

/* Logs what F has, and answers when all that it sent is applied. */
static void flush_and_wait(struct mount *m, fuse_req_t req, struct file *f)
{
	struct parked *p = op_new_parked(m, f, sizeof(*p), req, flush_done);
	int error = 0;

	if (!p) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	/* The request may be answered, and the handle closed, before pumping ends. */
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

/* Hands what F has to the log, and answers with what is known by then. False:
 * nothing is done, as too much is on its way already. */
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

/* A shell opens what `> key` names, moves the descriptor to its place, and closes
 * the first one, before the command has written anything. Logging then would
 * show everybody an empty value, and cost two events. So the first flush of a
 * file that was only created or emptied is no end of writing, unless the process
 * has closed all of it: a later flush, or the release, logs it. */
static bool is_redirection(fuse_req_t req, struct handle *h)
{
	struct file *f = h->file;
	bool first = !__atomic_exchange_n(&h->flushed, true, __ATOMIC_RELAXED);

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
		fuse_reply_err(req, ENOSYS); /* and the kernel asks no more */
		return;
	}
	/* Readers do not get the errors of writers. */
	if (is_reader(h) || is_redirection(req, h))
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

static void close_handle(struct handle *h)
{
	struct mount *m = h->mount;
	struct file *f = h->file;

	pthread_mutex_lock(&m->open.lock);
	DL_DELETE(m->open.handles, h);
	pthread_mutex_unlock(&m->open.lock);
	pthread_mutex_lock(&f->lock);
	if (!is_reader(h) && file_is_dirty(f)) {
		int r = op_queue_flush(m, f);

		if (r < 0)
			logger(LOGGER_ERROR, "changes lost after close ino=%llu why=\"%s\"",
			       (unsigned long long)f->ino, strerror(-r));
		else
			op_detach(f->queue->prev, false, true);
	}
	bool last = --f->nopen == 0;
	f->nwriting -= !is_reader(h);
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

/* The inodes of all handles that write; one may come several times. */
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
		logger(LOGGER_WARN, "no memory to collect what was written through mappings");
	n = 0;
	DL_FOREACH (m->open.handles, h) {
		if (inos && h->writes)
			inos[n++] = h->file->ino;
	}
	pthread_mutex_unlock(&m->open.lock);
	*ret_n = n;
	return inos;
}

/* To drop a page the kernel first writes it, if it was changed through a mapping,
 * and waits for our answer. */
void handle_collect_mapped(struct mount *m)
{
	size_t n;
	uint64_t *inos = written_inodes(m, &n);

	for (size_t i = 0; i < n; i++)
		fuse_lowlevel_notify_inval_inode(m->session, inos[i], 0, 0);
	free(inos);
}

/* What was written and not closed is logged: the writer was told that it is
 * written. */
void handle_close_all(struct mount *m)
{
	while (m->open.handles)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed is out of the list */
		close_handle(m->open.handles);
}

void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_close(fi);
	fuse_reply_err(req, 0);
}
