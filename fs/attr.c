/* Attributes: the stat(2) data of an entry, and how long the kernel may cache it.
 *
 * Attributes come from the store, except for files with changes that are not logged yet:
 * these have the size and times that this mount would read. The kernel may not cache such
 * an answer, and it may cache the attributes of an entry that expires only until the expiry.
 * Locks: file->lock, except where noted. */
#include "fs/attr.h"

#include "common/base/clock.h"
#include "fs/check.h"
#include "fs/frozen.h"
#include "fs/kernel_cache.h"
#include "fs/op.h"
#include "fs/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#define BLOCK_SIZE 512
#define IO_SIZE 4096

int64_t wall_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	int64_t s = ns / 1000000000;
	int64_t rest = ns % 1000000000;

	if (rest < 0) {
		rest += 1000000000;
		s--;
	}
	return (struct timespec){ .tv_sec = s, .tv_nsec = rest };
}

void attr_fill(const struct mount *m, const struct entry *e, struct stat *st)
{
	bool dir = entry_is_dir(e);

	*st = (struct stat){
		.st_ino = e->ino,
		.st_mode = e->mode & ~m->umask,
		.st_nlink = dir ? 2 + e->nsubdirs : 1,
		.st_uid = m->uid,
		.st_gid = m->gid,
		.st_size = dir ? 0 : (off_t)e->size,
		.st_blksize = IO_SIZE,
		.st_blocks = dir ? 0 : (blkcnt_t)((e->size + BLOCK_SIZE - 1) / BLOCK_SIZE),
		.st_mtim = timespec_of(e->mtime_ns),
		.st_ctim = timespec_of(e->ctime_ns),
		.st_atim = timespec_of(e->atime_ns),
	};
}

/* Return the number of appended bytes to add to the size in the store. With -o async_close
 * they are in flight when the kernel requests the size before the next append, which must
 * follow them. Otherwise 0: the request waits until they are applied. */
static uint64_t unapplied_bytes(const struct mount *m, const struct file *f)
{
	return m->async ? f->append_bytes : 0;
}

void attr_fill_file(const struct mount *m, const struct file *f, struct stat *st)
{
	struct entry e = f->last;

	if (f->buffer)
		e.size = f->buffer->size;
	else if (f->kernel_content)
		e.size = f->kernel_content->size;
	else if (f->gone && f->content)
		e.size = f->content->size;
	else
		e.size += unapplied_bytes(m, f);
	if (f->buffer && f->changed_ns)
		e.mtime_ns = e.ctime_ns = f->changed_ns;
	attr_fill(m, &e, st);
	if (f->gone)
		st->st_nlink = 0;
}

int attr_access(const struct mount *m, fuse_req_t req, const struct entry *e, int flags)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int access = flags & O_ACCMODE;
	unsigned want = (access != O_WRONLY ? 4 : 0) | (access != O_RDONLY ? 2 : 0);
	unsigned have = e->mode & ~m->umask;

	if (ctx->uid == 0)
		return 0;
	if (ctx->uid == m->uid)
		have >>= 6;
	else if (ctx->gid == m->gid)
		have >>= 3;
	return (have & want) == want ? 0 : -EACCES;
}

double attr_timeout(const struct mount *m, const struct view *view, const struct entry *e)
{
	if (!m->caching)
		return 0;
	int64_t ttl_ms = view_ttl_ms(view, e);
	return ttl_ms < 0 ? KEEP_LONG_S : (double)ttl_ms / 1000;
}

/* Return whether the kernel may get pages of F, so that the size that it caches has to match
 * them. */
static bool gives_pages(const struct mount *m, const struct file *f)
{
	return m->caching && f->content;
}

void attr_entry(struct mount *m, const struct view *view, const struct entry *e,
                struct fuse_entry_param *ret)
{
	double timeout = attr_timeout(m, view, e);
	uint64_t ino = files_number(&m->files, e->ino, 0);

	if (!ino)
		ino = files_number(&m->files, e->ino, node_propose_ino(m->node));
	struct file *f = files_find(&m->files, ino);
	*ret = (struct fuse_entry_param){
		.ino = ino,
		.attr_timeout = timeout,
		.entry_timeout = timeout,
	};
	attr_fill(m, e, &ret->attr);
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	file_note(f, e);
	if (gives_pages(m, f))
		kernel_cache_load(f, view, clock_mono_ms());
	if (file_is_private(f) || (f->kernel_content && !f->gone) || unapplied_bytes(m, f))
		attr_fill_file(m, f, &ret->attr);
	if (file_is_private(f) || file_busy(f))
		ret->attr_timeout = 0;
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
}

void attr_entry_file(struct mount *m, struct file *f, struct fuse_entry_param *ret)
{
	/* The kernel may cache the name: op.c invalidates it if the creation fails, or if the name
	 * turns out to lead to another inode. */
	*ret = (struct fuse_entry_param){
		.ino = f->ino,
		.entry_timeout = m->caching ? KEEP_LONG_S : 0,
	};
	files_add_lookup(&m->files, f);
	pthread_mutex_lock(&f->lock);
	attr_fill_file(m, f, &ret->attr);
	pthread_mutex_unlock(&f->lock);
}

/* --- getattr --------------------------------------------------------------- */

struct parked_attr {
	struct parked p;
	fuse_ino_t ino;
};

static void reply_attr(struct mount *m, fuse_req_t req, fuse_ino_t ino, bool waited, bool keep);

static void attr_again(struct parked *p)
{
	reply_attr(p->mount, p->req, ((struct parked_attr *)p)->ino, true, true);
}

/* Fill ST for F, and *RET_TIMEOUT with the seconds for which the kernel may cache it. F->lock
 * is held. Returns 0 or -errno. */
static int attr_of_file(struct mount *m, struct file *f, struct stat *st, double *ret_timeout)
{
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = gives_pages(m, f) ? kernel_cache_load(f, &view, clock_mono_ms()) :
	                        file_load(f, &view, false);
	*ret_timeout = 0;
	if (r == 0 && !f->gone && !file_busy(f) && !file_is_private(f) && !f->frozen)
		*ret_timeout = attr_timeout(m, &view, &f->last);
	view_close(&view);
	if (r == 0 && frozen_size_requested(f, clock_mono_ms()))
		inval_thaw(m->inval, f);
	/* The entry was removed while it was being opened, and was never read from the store. */
	if (r == 0 && f->gone && !f->last.mode)
		r = -ESTALE;
	if (r == 0)
		attr_fill_file(m, f, st);
	return r;
}

static int attr_of_inode(struct mount *m, fuse_ino_t ino, struct stat *st, double *ret_timeout)
{
	struct view view;
	struct entry e;
	bool again = false;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_inode(&view, store_ino(m, ino), &e);
	if (r == -ENOENT) {
		r = fs_look_up_again(m, &view, ino, &e);
		again = true;
	}
	if (r == 0) {
		attr_fill(m, &e, st);
		*ret_timeout = again ? 0 : attr_timeout(m, &view, &e);
	}
	view_close(&view);
	/* On ESTALE the kernel looks the name up again. */
	return r == -ENOENT ? -ESTALE : r;
}

/* Return whether REQ comes from the probe, for anything but a directory. */
static bool is_probed(struct mount *m, fuse_req_t req, fuse_ino_t ino)
{
	struct view view;
	struct entry e;

	if (!probe_is(check_probe(m->check), fuse_req_ctx(req)->pid) || ino == FUSE_ROOT_ID)
		return false;
	int r = view_open(m->store, &view);
	if (r == 0) {
		r = view_inode(&view, store_ino(m, ino), &e);
		view_close(&view);
	}
	return r != 0 || !entry_is_dir(&e);
}

/* Answer REQ with the attributes of INO: after the file's events in flight are done, unless
 * WAITED. Without KEEP the kernel may not cache the answer. */
static void reply_attr(struct mount *m, fuse_req_t req, fuse_ino_t ino, bool waited, bool keep)
{
	struct file *f = ino == FUSE_ROOT_ID ? NULL : files_find(&m->files, ino);
	struct stat st;
	double timeout = 0;
	int r;

	if (f) {
		pthread_mutex_lock(&f->lock);
		if (!waited && !file_is_private(f) && file_busy(f) && !unapplied_bytes(m, f)) {
			struct parked_attr *p = op_new_parked(m, f, sizeof(*p), req, attr_again);

			if (p) {
				p->ino = ino;
				p->p.direct = true;
				op_park(f, &p->p);
			}
			pthread_mutex_unlock(&f->lock);
			if (!p)
				fuse_reply_err(req, ENOMEM);
			files_unref(&m->files, f);
			return;
		}
		r = attr_of_file(m, f, &st, &timeout);
		pthread_mutex_unlock(&f->lock);
		files_unref(&m->files, f);
	} else {
		r = attr_of_inode(m, ino, &st, &timeout);
	}
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (ino != FUSE_ROOT_ID)
		st.st_ino = files_st_ino(&m->files, ino);
	fuse_reply_attr(req, &st, keep ? timeout : 0);
}

void attr_reply(struct mount *m, fuse_req_t req, fuse_ino_t ino)
{
	if (is_probed(m, req, ino))
		fuse_reply_err(req, EAGAIN);
	else
		reply_attr(m, req, ino, false, true);
}

void attr_reply_changed(struct mount *m, fuse_req_t req, fuse_ino_t ino)
{
	reply_attr(m, req, ino, true, false);
}
