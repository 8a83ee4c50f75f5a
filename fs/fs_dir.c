/* Directory operations: opening, listing and syncing directories.
 *
 * dir.c collects the names. The attributes in a listing (readdirplus) are those at the time of the
 * answer.
 *
 * The kernel requests a cached listing again when one of its pages is gone: once for the
 * names after that page, and the next time as a whole. That does not need low memory:
 * DAMON_RECLAIM, where it is enabled, also reclaims pages that are merely cold.
 *
 * This file decides whether a listing includes attributes, which create inodes in the kernel.
 * The kernel's own choice (READDIRPLUS_AUTO) requests them in the first request and then only
 * while they are used. That suits programs that read and stat in turn (`ls -l`), but causes one
 * look-up per name for programs that read all names first (du, cp -r, tar, grep -r, git). So
 * the first names always have attributes, and in a larger directory the further names have
 * them once a name of it was looked up. A program that reads 100,000 names before its first
 * stat (fts: du, find -printf %s) still causes a look-up for each, because until then it cannot
 * be distinguished from one that needs only names (ls -f, find). tests/bench/RESULTS.md has the
 * times of the three ways.
 *
 * Lock: dir->lock, held while an answer is built, not while it is sent. */
#include "fs/fs_ops.h"

#include "fs/dir.h"
#include "fs/op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first names of a directory, which always have attributes. */
#define FILL_FIRST 10000

/* --- listing --------------------------------------------------------------- */

/* An answer while it is built. */
struct listing {
	struct mount *m;
	fuse_req_t req;
	struct dir *d;
	struct view view;
	bool plus;
	char *buf;
	size_t size;
	size_t used;
};

/* Append one entry to the answer. Returns false if there is no room for it. */
static bool append_entry(struct listing *l, const char *name, const struct fuse_entry_param *param,
                         off_t next)
{
	size_t left = l->size - l->used;
	size_t need;

	if (l->plus)
		need = fuse_add_direntry_plus(l->req, l->buf + l->used, left, name, param, next);
	else
		need = fuse_add_direntry(l->req, l->buf + l->used, left, name, &param->attr, next);
	if (need > left)
		return false;
	l->used += need;
	return true;
}

/* Append "." if OFF is 0, ".." if it is 1. Returns false if there is no room for it. */
static bool append_dots(struct listing *l, off_t off)
{
	struct fuse_entry_param param = { .attr.st_mode = S_IFDIR };
	uint64_t parent = l->d->real;
	struct entry e;

	if (view_inode(&l->view, l->d->real, &e) == 0 && e.parent && l->d->real != l->m->root)
		parent = e.parent;
	param.attr.st_ino = off == 0 ? l->d->real : parent;
	return append_entry(l, off == 0 ? "." : "..", &param, off + 1);
}

/* Decide whether the names after the first ones have attributes: they do if a name of the directory
 * was looked up since the last answer. Called with D->lock held. */
static void decide_fill(struct mount *m, struct dir *d, bool first)
{
	unsigned lookups = dir_lookups(m, d->real);

	if (!first && lookups != d->lookups)
		d->fill = true;
	d->lookups = lookups;
}

/* Fill *PARAM with the current attributes of a name. Returns false if it is gone. If they contain
 * no inode number, the kernel looks the name up when it needs to. */
static bool fill_param(struct listing *l, const struct dir_name *n, const char *text,
                       struct fuse_entry_param *param)
{
	struct entry e;
	size_t len = strlen(text);

	*param = (struct fuse_entry_param){
		.attr.st_ino = n->ino,
		.attr.st_mode = n->type,
	};
	bool filled = l->d->fill || n < l->d->names + FILL_FIRST;
	if (!l->plus || !filled || n->unlogged)
		return true;
	int r = view_inode(&l->view, n->ino, &e);
	if (r < 0 || e.parent != l->d->real || e.name_len != len || memcmp(e.name, text, len) != 0)
		r = view_name(&l->view, l->d->real, text, len, &e);
	if (r < 0)
		return false;
	attr_entry(l->m, &l->view, &e, param);
	return true;
}

/* Fill the answer with the entries after position OFF. */
static void list_entries(struct listing *l, off_t off)
{
	const struct dir *d = l->d;

	while (off < DIR_AFTER_DOTS) {
		if (!append_dots(l, off))
			return;
		off++;
	}
	for (size_t i = dir_first_after(d, (uint64_t)off); i < d->nnames; i++) {
		const struct dir_name *n = &d->names[i];
		const char *text = d->texts + n->text;
		struct fuse_entry_param param;

		if (fill_param(l, n, text, &param) &&
		    !append_entry(l, text, &param, (off_t)n->position)) {
			files_forget(&l->m->files, param.ino, 1);
			return;
		}
	}
}

static void read_dir(fuse_req_t req, size_t size, off_t off, struct dir *d, bool plus)
{
	struct listing l = {
		.m = mount_of(req),
		.req = req,
		.d = d,
		.plus = plus,
		.buf = malloc(size ? size : 1),
		.size = size,
	};
	int r = l.buf ? 0 : -ENOMEM;

	pthread_mutex_lock(&d->lock);
	if (r == 0 && (off == 0 || !d->complete))
		r = dir_collect(l.m, d);
	decide_fill(l.m, d, off == 0);
	if (r == 0)
		r = view_open(l.m->store, &l.view);
	if (r == 0) {
		list_entries(&l, off);
		view_close(&l.view);
	}
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, l.buf, l.used);
	free(l.buf);
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, dir_of(fi), false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
	(void)ino;
	read_dir(req, size, off, dir_of(fi), true);
}

/* --- opening and closing --------------------------------------------------- */

void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct dir *d;
	int r = node_can_read(m->node) ? dir_open(m, ino, &d) : -EIO;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uintptr_t)d;
	fi->cache_readdir = m->caching;
	fi->keep_cache = m->caching;
	if (fuse_reply_open(req, fi) < 0)
		dir_close(m, d);
}

void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	dir_close(mount_of(req), dir_of(fi));
	fuse_reply_err(req, 0);
}

/* --- fsync of a directory -------------------------------------------------- */

/* An fsync of a directory that waits. */
struct dir_sync {
	struct pending_wait wait;
	struct job job;
	struct mount *mount;
	fuse_req_t req;
	uint64_t dir; /* the store's inode; the kernel keeps it locked until the answer */
};

static void barrier_done(void *arg, const struct outcome *out)
{
	struct dir_sync *sync = arg;
	struct mount *m = sync->mount;
	int error = op_errno(out);

	if (!error)
		error = pending_take_error(&m->pending);
	busy_end(&m->busy, sync->dir);
	/* The kernel must also be notified of all applied changes. */
	if (error || !m->inval)
		fuse_reply_err(sync->req, error);
	else
		inval_sync(m->inval, sync->req);
	free(sync);
}

static void send_barrier(struct job *job)
{
	struct dir_sync *sync = (struct dir_sync *)((char *)job - offsetof(struct dir_sync, job));

	node_barrier(sync->mount->node, sync->mount->timeout_ms, barrier_done, sync);
}

/* Called when all files closed before the request are applied. */
static void closed_files_applied(struct pending_wait *wait)
{
	struct dir_sync *sync = (struct dir_sync *)((char *)wait - offsetof(struct dir_sync, wait));

	worker_add(sync->mount->worker, &sync->job);
}

/* Answer when all files closed before the request are applied, this node has reached the end that
 * the log had at the request, and this mount's kernel was notified of all changes up to it. If a
 * file failed after its close, answer with its error. */
void fs_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);

	(void)datasync, (void)fi;
	struct dir_sync *sync = calloc(1, sizeof(*sync));
	if (!sync) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	sync->mount = m;
	sync->req = req;
	sync->dir = store_ino(m, ino);
	busy_begin(&m->busy, sync->dir);
	sync->job.run = send_barrier;
	sync->wait.run = closed_files_applied;
	if (!pending_wait(&m->pending, &sync->wait))
		send_barrier(&sync->job);
}
