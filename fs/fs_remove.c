/* Removing operations: unlink, rmdir, rename.
 *
 * Each request is one event, for directories of any size, and its outcome is the answer: the order
 * of the log decides which entries an unlink or a rename affects. A name that this mount has
 * created and not logged yet is either dropped (unlink) or logged first, while the request waits.
 *
 * Lock: file->lock of a file with that name; it is not held while an event is sent. */
#include "fs/fs_ops.h"

#include "fs/op.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

/* --- names that are not in the log yet ------------------------------------- */

/* An unlink or a rename that waits for the events of a file. */
struct parked_name {
	struct parked p;
	void (*again)(fuse_req_t req, const struct parked_name *pn);
	fuse_ino_t parent;
	fuse_ino_t newparent;
	unsigned flags;
	bool waited; /* for the removed file; do not wait again: its writers may send more events */
	const char *name;
	const char *newname;
	char text[];
};

static void resume_parked(struct parked *p)
{
	const struct parked_name *pn = (struct parked_name *)p;

	pn->again(p->req, pn);
}

/* Queue the creation of F, if it is not queued yet, and let a copy of CALL wait for the events of
 * F. Called with F->lock held. Returns 0, -EAGAIN if there is nothing to wait for, or another
 * -errno. */
static int park_name(struct mount *m, fuse_req_t req, struct file *f,
                     const struct parked_name *call)
{
	size_t len = strlen(call->name) + 1;
	size_t newlen = call->newname ? strlen(call->newname) + 1 : 0;
	struct parked_name *pn = op_new_parked(m, f, sizeof(*pn) + len + newlen, req,
	                                       resume_parked);
	int r = pn ? op_queue_flush(m, f) : -ENOMEM;

	if (r == 0 && !file_busy(f))
		r = -EAGAIN; /* F was logged in the meantime. */
	if (r < 0 && f->lost)
		r = -EAGAIN; /* F will never be logged: a write to it has failed. */
	if (r < 0) {
		if (pn)
			files_unref(&m->files, pn->p.file);
		free(pn);
		return r;
	}
	pn->again = call->again;
	pn->parent = call->parent;
	pn->newparent = call->newparent;
	pn->flags = call->flags;
	pn->waited = call->waited;
	pn->name = memcpy(pn->text, call->name, len);
	if (newlen)
		pn->newname = memcpy(pn->text + len, call->newname, newlen);
	parked_mark_locked(&pn->p, store_ino(m, call->parent));
	op_park(f, &pn->p);
	return 0;
}

/* If this mount has created NAME in DIR and not logged it yet, let CALL wait until it is logged.
 * Returns 1 if CALL waits, 0 if there is nothing to wait for, or -errno. */
static int wait_for_name(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                         const struct parked_name *call)
{
	struct file *f = files_find_name(&m->files, dir, name);
	int r;

	if (!f)
		return 0;
	pthread_mutex_lock(&f->lock);
	r = f->creation == FILE_LOGGED ? -EAGAIN : park_name(m, req, f, call);
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	files_unref(&m->files, f);
	return r == -EAGAIN ? 0 : r < 0 ? r : 1;
}

/* Do the work of keep_value() for INO, one of the kernel's numbers of the entry. */
static int keep_value_of(struct mount *m, fuse_req_t req, const struct view *view, uint64_t ino,
                         const struct parked_name *call)
{
	struct parked_name again = *call;
	struct file *f = files_find(&m->files, ino);
	int r = 0;

	if (!f)
		return 0;
	pthread_mutex_lock(&f->lock);
	if (file_is_private(f)) {
		/* Its buffer has the value. */
	} else if (file_busy(f) && !call->waited) {
		again.waited = true;
		r = park_name(m, req, f, &again);
		r = r < 0 ? r : 1;
	} else {
		r = file_load(f, view, true);
	}
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
	return r;
}

/* If NAME is about to be removed or replaced and is open on this mount, load its last value, so
 * that its open handles can go on reading it. If events of the file are in flight, let CALL wait
 * for them first. Returns as wait_for_name(). */
static int keep_value(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                      const struct parked_name *call)
{
	struct view view;
	struct entry e;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	if (view_name(&view, dir, name, strlen(name), &e) == 0 && !entry_is_dir(&e)) {
		uint64_t ino = e.ino;

		for (unsigned n = 0; ino && r == 0; n++) {
			r = keep_value_of(m, req, &view, ino, call);
			ino = files_alias(&m->files, e.ino, n);
		}
	}
	view_close(&view);
	return r;
}

static int stop_at_first(void *arg, struct file *f)
{
	(void)arg, (void)f;
	return 1;
}

/* Return whether NAME is a directory with files that this mount has created and not logged yet. The
 * store would find it empty. */
static bool has_unlogged(struct mount *m, const struct view *view, uint64_t dir, const char *name)
{
	struct entry e;

	return view_name(view, dir, name, strlen(name), &e) == 0 &&
	       files_each_name(&m->files, e.ino, stop_at_first, NULL) != 0;
}

/* --- unlink and rmdir ------------------------------------------------------ */

static void send_removal(fuse_req_t req, enum event_op what, uint64_t dir, const char *name)
{
	struct mount *m = mount_of(req);
	struct path path;
	struct view view;
	int r = view_open(m->store, &view);

	if (r == 0) {
		r = path_child(&view, dir, name, true, &path);
		view_close(&view);
	}
	struct op *op = r == 0 ? op_new(m, what, &path, NULL, (struct bytes){ 0 }, NULL) : NULL;
	if (!op) {
		fuse_reply_err(req, r < 0 ? -r : ENOMEM);
		return;
	}
	op->ev.dir = dir;
	op->req = req;
	op_mark_locked(op, dir);
	op_send(op);
}

/* Drop F if it was never logged. Returns whether it was dropped. */
static int drop_unlogged(struct mount *m, struct file *f)
{
	pthread_mutex_lock(&f->lock);
	bool unlogged = f->creation == FILE_UNLOGGED;
	if (unlogged) {
		f->creation = FILE_LOGGED;
		f->gone = true;
		files_resolve(&m->files, f, 0);
	}
	pthread_mutex_unlock(&f->lock);
	return unlogged;
}

static void unlink_name(fuse_req_t req, fuse_ino_t parent, const char *name, bool waited);

static void resume_unlink(fuse_req_t req, const struct parked_name *pn)
{
	unlink_name(req, pn->parent, pn->name, pn->waited);
}

static void unlink_name(fuse_req_t req, fuse_ino_t parent, const char *name, bool waited)
{
	struct mount *m = mount_of(req);
	uint64_t dir = store_ino(m, parent);
	const struct parked_name call = {
		.again = resume_unlink, .parent = parent, .name = name, .waited = waited
	};
	struct file *f = files_find_name(&m->files, dir, name);

	if (f) {
		bool dropped = drop_unlogged(m, f);

		files_unref(&m->files, f);
		if (dropped) {
			fuse_reply_err(req, 0);
			return;
		}
	}
	int r = wait_for_name(m, req, dir, name, &call);
	if (r == 0)
		r = keep_value(m, req, dir, name, &call);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (r == 0)
		send_removal(req, EVENT_DEL, dir, name);
}

void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int r = fs_check_name(name);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		unlink_name(req, parent, name, false);
}

void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	uint64_t dir = store_ino(m, parent);
	struct view view;
	int r = fs_check_name(name);

	if (r == 0)
		r = view_open(m->store, &view);
	if (r == 0) {
		if (has_unlogged(m, &view, dir, name))
			r = -ENOTEMPTY;
		view_close(&view);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		send_removal(req, EVENT_RMDIR, dir, name);
}

/* --- rename ---------------------------------------------------------------- */

/* Take the last name of KEY, in DIR, out of the lookup cache. */
static void forget_name(struct mount *m, uint64_t dir, struct bytes key)
{
	size_t skip = key_name_start(key.data, key.len);

	lookup_cache_renamed(&m->lookup_cache, dir, (const char *)key.data + skip, key.len - skip);
}

static void rename_done(struct op *op, const struct outcome *out)
{
	forget_name(op->mount, op->ev.dir, op->ev.key);
	if (op->ev.flags & EVENT_EXCHANGE)
		forget_name(op->mount, op->ev.to_dir, op->ev.to);
	op_reply_err(op, out);
}

static void send_rename(fuse_req_t req, uint64_t dir, const char *name, uint64_t newdir,
                        const char *newname, unsigned flags)
{
	struct mount *m = mount_of(req);
	struct path from, to;
	struct view view;
	struct bytes target;
	int r = view_open(m->store, &view);

	if (r == 0) {
		r = path_child(&view, dir, name, true, &from);
		if (r == 0)
			r = path_child(&view, newdir, newname, false, &to);
		if (r == 0 && !(flags & RENAME_EXCHANGE) && has_unlogged(m, &view, newdir, newname))
			r = flags & RENAME_NOREPLACE ? -EEXIST : -ENOTEMPTY;
		view_close(&view);
	}
	struct op *op = NULL;
	if (r == 0)
		op = op_new(m, EVENT_RENAME, &from, NULL, (struct bytes){ to.text, to.len },
		            &target);
	if (!op) {
		fuse_reply_err(req, r < 0 ? -r : ENOMEM);
		return;
	}
	op->ev.to = target;
	op->ev.dir = dir;
	op->ev.to_dir = newdir;
	if (flags & RENAME_NOREPLACE)
		op->ev.flags |= EVENT_NOREPLACE;
	if (flags & RENAME_EXCHANGE)
		op->ev.flags |= EVENT_EXCHANGE;
	op_mark_locked(op, dir);
	op_mark_locked(op, newdir);
	op->req = req;
	op->done = rename_done;
	op_send(op);
}

static void rename_name(fuse_req_t req, const struct parked_name *call)
{
	struct mount *m = mount_of(req);
	uint64_t dir = store_ino(m, call->parent), newdir = store_ino(m, call->newparent);
	int r = wait_for_name(m, req, dir, call->name, call);

	if (r == 0)
		r = wait_for_name(m, req, newdir, call->newname, call);
	if (r == 0)
		r = keep_value(m, req, newdir, call->newname, call);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (r == 0)
		send_rename(req, dir, call->name, newdir, call->newname, call->flags);
}

void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned flags)
{
	const struct parked_name call = { .again = rename_name,
		                          .parent = parent,
		                          .newparent = newparent,
		                          .flags = flags,
		                          .name = name,
		                          .newname = newname };
	int r = fs_check_name(name);

	if (r == 0)
		r = fs_check_name(newname);
	if (r == 0 && (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		r = -EINVAL;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		rename_name(req, &call);
}
