/* Attribute operations: getattr, setattr, statfs.
 *
 * A setattr can be several events (size, mode, times). They are sent in that order, and the request
 * is answered when the last one is done: with the first error, or with the attributes at that time.
 * Times that are set on a file with unlogged changes are logged after the changes, which would
 * overwrite them otherwise.
 *
 * Lock: file->lock, while a change is applied to an open file; it is not held while events are
 * sent. */
#include "fs/fs_ops.h"

#include "fs/fs_write.h"
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 4096

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	attr_reply(mount_of(req), req, ino);
}

/* --- setattr --------------------------------------------------------------- */

/* The changes that a setattr requests, apart from the owner. */
struct change {
	bool size, mode, atime, mtime, atime_now, mtime_now;
	struct stat attr;
};

/* A setattr whose events are in flight. */
struct setattr {
	struct mount *mount;
	fuse_req_t req;
	fuse_ino_t ino;
	_Atomic unsigned left; /* events not done, plus one until all are sent */
	_Atomic int error;     /* the first error */
};

static void setattr_step(struct setattr *sa, int error)
{
	int none = 0;

	if (error)
		atomic_compare_exchange_strong_explicit(&sa->error, &none, error,
		                                        memory_order_acq_rel, memory_order_acquire);
	if (atomic_fetch_sub_explicit(&sa->left, 1, memory_order_acq_rel) != 1)
		return;
	error = atomic_load_explicit(&sa->error, memory_order_acquire);
	if (error)
		fuse_reply_err(sa->req, error);
	else
		attr_reply_changed(sa->mount, sa->req, sa->ino);
	free(sa);
}

static void setattr_done(struct op *op, const struct outcome *out)
{
	struct setattr *sa = op->arg;
	int error = op_errno(out);

	/* A deleted file that is still open has attributes of its own. */
	if (out->code == OUTCOME_NOT_FOUND)
		error = op->file ? 0 : ESTALE;
	setattr_step(sa, error);
}

/* Convert T to nanoseconds since 1970. A time before 1677-09-21 or after 2262-04-11 becomes the
 * nearest one that 64 bits can hold, as the kernel does for file systems with a smaller range. */
static int64_t clamp_ns(struct timespec t)
{
	if (t.tv_sec >= INT64_MAX / 1000000000)
		return INT64_MAX;
	if (t.tv_sec <= INT64_MIN / 1000000000)
		return INT64_MIN;
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void fill_times(struct event *ev, const struct change *c)
{
	if (c->mtime_now)
		ev->flags |= EVENT_MTIME_NOW;
	else if (c->mtime)
		ev->flags |= EVENT_HAS_MTIME;
	if (c->atime_now)
		ev->flags |= EVENT_ATIME_NOW;
	else if (c->atime)
		ev->flags |= EVENT_HAS_ATIME;
	ev->mtime_ns = clamp_ns(c->attr.st_mtim);
	ev->atime_ns = clamp_ns(c->attr.st_atim);
}

/* Create one event of a setattr on the store's inode REAL. F may be NULL. Returns 0 or -ENOMEM. */
static int new_setattr_op(struct setattr *sa, struct file *f, uint64_t real, const struct path *key,
                          enum event_op what, const struct change *c, struct op **ret)
{
	struct op *op = op_new(sa->mount, what, key, f, (struct bytes){ 0 }, NULL);

	if (!op)
		return -ENOMEM;
	op->ev.at = real;
	op_mark_locked(op, real);
	op->arg = sa;
	op->done = setattr_done;
	if (what == EVENT_CHMOD) {
		op->ev.mode = c->attr.st_mode & 07777;
		op->ev.flags = EVENT_HAS_MODE;
	} else if (what == EVENT_TRUNCATE) {
		op->ev.size = (uint64_t)c->attr.st_size;
	} else {
		fill_times(&op->ev, c);
	}
	*ret = op;
	return 0;
}

/* Send the events of C for the store's inode REAL. F is its file, or NULL. */
static void send_changes(struct setattr *sa, struct file *f, uint64_t real, const struct change *c)
{
	const struct {
		bool wanted;
		enum event_op what;
	} steps[] = {
		{ c->size, EVENT_TRUNCATE },
		{ c->mode, EVENT_CHMOD },
		{ c->atime || c->mtime, EVENT_TOUCH },
	};
	struct mount *m = sa->mount;
	struct path path;
	int r = path_inode(m, real, &path);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && r == 0; i++) {
		struct op *op;

		if (!steps[i].wanted)
			continue;
		r = new_setattr_op(sa, f, real, &path, steps[i].what, c, &op);
		if (r < 0)
			break;
		atomic_fetch_add_explicit(&sa->left, 1, memory_order_acq_rel);
		op_send(op);
	}
	setattr_step(sa, -r);
}

static struct setattr *setattr_new(struct mount *m, fuse_req_t req, fuse_ino_t ino)
{
	struct setattr *sa = calloc(1, sizeof(*sa));

	if (sa)
		*sa = (struct setattr){ .mount = m, .req = req, .ino = ino, .left = 1 };
	return sa;
}

/* --- setattr of a file that is open or has changes -------------------------- */

struct parked_setattr {
	struct parked p;
	fuse_ino_t ino;
	struct handle *handle; /* of an ftruncate, or NULL */
	struct change c;
};

static void set_file(struct mount *m, fuse_req_t req, fuse_ino_t ino, struct file *f,
                     struct change c, struct handle *handle, bool waited);

static void resume_setattr(struct parked *p)
{
	const struct parked_setattr *ps = (struct parked_setattr *)p;

	set_file(p->mount, p->req, ps->ino, p->file, ps->c, ps->handle, true);
}

/* Let the setattr wait for the events of F. Called with F->lock held; F must be busy. Returns 0 or
 * -ENOMEM. */
static int park_setattr(struct mount *m, fuse_req_t req, fuse_ino_t ino, struct file *f,
                        const struct change *c, struct handle *handle)
{
	struct parked_setattr *ps = op_new_parked(m, f, sizeof(*ps), req, resume_setattr);

	if (!ps)
		return -ENOMEM;
	ps->ino = ino;
	ps->handle = handle;
	ps->c = *c;
	parked_mark_locked(&ps->p, f->real);
	op_park(f, &ps->p);
	return 0;
}

/* Queue the event that logs the changes of F, as a step of SA. Called with F->lock held. Returns 0
 * or -errno. */
static int flush_step(struct setattr *sa, struct file *f)
{
	if (!file_is_dirty(f))
		return 0;
	int r = op_queue_flush(sa->mount, f);
	if (r < 0)
		return r;
	struct op *op = f->queue->prev;
	op->req = sa->req;
	op->arg = sa;
	op->done = setattr_done;
	atomic_fetch_add_explicit(&sa->left, 1, memory_order_acq_rel);
	return 0;
}

/* Apply the changes that need no event of their own to F, and remove them from C. Called with
 * F->lock held. Returns 0 or -errno. */
static int apply_to_file(struct setattr *sa, struct file *f, struct change *c,
                         struct handle *handle)
{
	struct mount *m = sa->mount;
	struct view view;
	int r = view_open(m->store, &view);

	/* Update F first: a deleted file has attributes of its own. */
	if (r == 0) {
		r = file_load(f, &view, false);
		view_close(&view);
	}
	if (r < 0)
		return r;
	/* An ftruncate is logged with the next flush. A truncate of a file with changes is logged
	 * with those, but at once, because no flush will follow it. */
	if (c->size && (handle || file_is_private(f))) {
		r = write_begin(m, f, false);
		if (r == 0)
			r = write_resize(m, f, (uint64_t)c->attr.st_size);
		if (r == 0 && handle)
			handle->ndropped = f->ndropped;
		else if (r == 0)
			r = flush_step(sa, f);
		c->size = false;
	}
	if (r < 0)
		return r;
	if (f->creation == FILE_UNLOGGED || f->gone) {
		if (c->mode) {
			f->last.mode = (f->last.mode & S_IFMT) | (c->attr.st_mode & 07777);
			c->mode = false;
		}
	}
	/* An unlogged file gets the current time when its creation is logged. */
	if (f->creation == FILE_UNLOGGED && !f->buffer->changed && c->atime_now && c->mtime_now)
		c->atime = c->mtime = false;
	if (f->gone) {
		if (c->mtime) {
			f->changed_ns = 0;
			f->last.mtime_ns = c->mtime_now ? wall_now_ns() : clamp_ns(c->attr.st_mtim);
		}
		if (c->atime)
			f->last.atime_ns = c->atime_now ? wall_now_ns() : clamp_ns(c->attr.st_atim);
		c->atime = c->mtime = false;
	}
	if (c->atime || c->mtime) {
		r = flush_step(sa, f);
		f->changed_ns = 0;
	}
	return r;
}

/* Apply C to F and answer REQ. WAITED: the request has waited for the events of F already. */
static void set_file(struct mount *m, fuse_req_t req, fuse_ino_t ino, struct file *f,
                     struct change c, struct handle *handle, bool waited)
{
	struct setattr *sa = setattr_new(m, req, ino);
	int r = sa ? 0 : -ENOMEM;
	bool park = false;

	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	if (r == 0 && c.size && !waited && !file_is_private(f) && file_busy(f)) {
		r = park_setattr(m, req, ino, f, &c, handle);
		park = r == 0;
	}
	if (r == 0 && !park)
		r = apply_to_file(sa, f, &c, handle);
	uint64_t real = f->real;
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	if (!sa)
		fuse_reply_err(req, ENOMEM);
	else if (park)
		free(sa);
	else if (r < 0)
		setattr_step(sa, -r);
	else
		send_changes(sa, f, real, &c);
	files_unref(&m->files, f);
}

/* Return 0 if the owner and group to set are those that the mount shows for all files, or
 * -EPERM. */
static int check_owner(const struct mount *m, const struct stat *attr, int to_set)
{
	if ((to_set & FUSE_SET_ATTR_UID) && attr->st_uid != m->uid)
		return -EPERM;
	if ((to_set & FUSE_SET_ATTR_GID) && attr->st_gid != m->gid)
		return -EPERM;
	return 0;
}

void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct change c = {
		.size = to_set & FUSE_SET_ATTR_SIZE,
		.mode = to_set & FUSE_SET_ATTR_MODE,
		.atime = to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW),
		.mtime = to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW),
		.atime_now = to_set & FUSE_SET_ATTR_ATIME_NOW,
		.mtime_now = to_set & FUSE_SET_ATTR_MTIME_NOW,
		.attr = *attr,
	};
	int r = check_owner(m, attr, to_set);

	/* With a size the kernel also sends the current time, which the event of the size sets
	 * anyway. */
	if (c.size)
		c.mtime = c.mtime && !c.mtime_now;
	if (r == 0 && c.size && (uint64_t)attr->st_size > node_max_value(m->node))
		r = -EFBIG;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	struct file *f = fi ? file_ref(&m->files, handle_of(fi)->file) : files_find(&m->files, ino);
	if (f) {
		set_file(m, req, ino, f, c, fi ? handle_of(fi) : NULL, false);
		files_unref(&m->files, f);
		return;
	}
	struct setattr *sa = setattr_new(m, req, ino);
	if (sa)
		send_changes(sa, NULL, store_ino(m, ino), &c);
	else
		fuse_reply_err(req, ENOMEM);
}

/* --- statfs ---------------------------------------------------------------- */

/* Answer with the smaller of two limits: the quota, and the space that the store can take from its
 * file system. Every entry counts a fixed number of bytes, so this also bounds the number of
 * entries. */
void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	struct view view;
	int r = view_open(m->store, &view);

	(void)ino;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	const struct store_meta *meta = txn_meta(view.txn);
	uint64_t left = m->size_bytes > meta->used_bytes ? m->size_bytes - meta->used_bytes : 0;
	uint64_t used = meta->used_bytes, entries = meta->nkeys + meta->ndirs;
	view_close(&view);
	uint64_t room = store_room_left(m->store), size = m->size_bytes;
	if (room < left) {
		left = room;
		size = used + left;
	}

	struct statvfs st = {
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_blocks = size / BLOCK_SIZE,
		.f_bfree = left / BLOCK_SIZE,
		.f_bavail = left / BLOCK_SIZE,
		.f_files = entries + left / STORE_ENTRY_COST,
		.f_ffree = left / STORE_ENTRY_COST,
		.f_favail = left / STORE_ENTRY_COST,
		.f_namemax = KEY_NAME_MAX,
	};
	fuse_reply_statfs(req, &st);
}
