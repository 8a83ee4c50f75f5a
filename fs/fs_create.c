/* Making entries: create, mknod, mkdir, symlink; and what cannot be made.
 *
 * A file created without O_EXCL is not logged before its first flush, so that
 * nobody sees it half-written: it gets a proposed inode and a name that only
 * this mount knows (file.h). With O_EXCL, and for directories, the one event
 * decides which node won, and its outcome is the answer. */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- entries made by one event --------------------------------------------- */

/* Fills PARAM for the entry that OP made. If it is gone again already, for
 * what it was: the caller did make it. */
static void param_of_made(struct op *op, const struct outcome *out, struct fuse_entry_param *param)
{
	struct mount *m = op->mount;
	struct view view;
	struct entry e;
	int r = view_open(m->store, &view);

	if (r == 0) {
		r = view_inode(&view, out->ino, &e);
		if (r == 0)
			attr_entry(m, &view, &e, param);
		view_close(&view);
	}
	if (r == 0)
		return;
	int64_t now = now_ns();
	e = (struct entry){
		.ino = out->ino,
		.mode = op->ev.mode | (op->ev.op == EVENT_MKDIR     ? S_IFDIR :
		                       op->ev.flags & EVENT_SYMLINK ? S_IFLNK :
		                                                      S_IFREG),
		.mtime_ns = now,
		.ctime_ns = now,
		.atime_ns = now,
	};
	*param = (struct fuse_entry_param){ .ino = out->ino };
	attr_fill(m, &e, &param->attr);
}

static void entry_done(struct op *op, const struct outcome *out)
{
	struct fuse_entry_param param;

	if (out->code != OUTCOME_OK) {
		fuse_reply_err(op->req, op_errno(out));
		return;
	}
	param_of_made(op, out, &param);
	fuse_reply_entry(op->req, &param);
}

static void create_done(struct op *op, const struct outcome *out)
{
	struct mount *m = op->mount;
	struct fuse_entry_param param;

	if (out->code != OUTCOME_OK) {
		fuse_reply_err(op->req, op_errno(out));
		return;
	}
	param_of_made(op, out, &param);
	struct file *f = files_get(&m->files, out->ino);
	int r = f ? handle_open(m, f, &op->fi) : -ENOMEM;
	files_unref(&m->files, f);
	if (r < 0)
		fuse_reply_err(op->req, -r);
	else if (fuse_reply_create(op->req, &param, &op->fi) < 0)
		handle_close_later(m, &op->fi);
}

/* Makes the op that creates NAME in DIR, if there is none yet. 0 or -errno. */
static int new_entry_op(struct mount *m, enum event_op what, uint64_t dir, const char *name,
                        mode_t mode, struct op **ret)
{
	struct path path;
	struct view view;
	struct entry parent;
	int r = check_name(name);

	if (r < 0)
		return r;
	struct file *f = files_find_name(&m->files, dir, name);
	if (f) {
		files_unref(&m->files, f);
		return -EEXIST;
	}
	r = view_open(m->store, &view);
	if (r < 0)
		return r;
	r = path_child(&view, dir, name, false, &path);
	/* What is made below belongs to the same group, all the way down. */
	if (what == EVENT_MKDIR && view_inode(&view, dir, &parent) == 0)
		mode |= parent.mode & S_ISGID;
	view_close(&view);
	if (r < 0)
		return r;
	struct op *op = op_new(m, what, &path, NULL, (struct bytes){ 0 }, NULL);
	if (!op)
		return -ENOMEM;
	op->ev.cond = IF_ABSENT;
	op->ev.dir = dir;
	op->ev.ino = node_propose_ino(m->node);
	op->ev.mode = mode & 07777;
	op->ev.flags = EVENT_HAS_MODE;
	op_hold(op, dir);
	*ret = op;
	return 0;
}

static void send_entry(fuse_req_t req, enum event_op what, fuse_ino_t parent, const char *name,
                       mode_t mode)
{
	struct mount *m = mount_of(req);
	struct op *op;
	int r = new_entry_op(m, what, real_ino(m, parent), name, mode, &op);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	op->req = req;
	op->done = entry_done;
	op_send(op);
}

void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	send_entry(req, EVENT_MKDIR, parent, name, mode);
}

void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)rdev;
	if (S_ISREG(mode))
		send_entry(req, EVENT_SET, parent, name, mode);
	else
		fuse_reply_err(req, EPERM);
}

/* A symbolic link is a key whose value is the target (DESIGN.md section 6 says
 * EPERM; but copying a source tree with cp -a, git, tar or npm needs links, and
 * one flag of a set is all that they cost). */
void fs_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct op *op;
	int r = new_entry_op(m, EVENT_SET, real_ino(m, parent), name, 0777, &op);

	if (r == 0) {
		op->ev.flags |= EVENT_SYMLINK;
		r = op_value(op, link, strlen(link));
		if (r < 0)
			op_free(op);
	}
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	op->req = req;
	op->done = entry_done;
	op_send(op);
}

/* A key has one name: hard links would need several, in every node's mind. */
void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

/* --- create ---------------------------------------------------------------- */

static void create_exclusive(fuse_req_t req, uint64_t dir, const char *name, mode_t mode,
                             const struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct op *op;
	int r = new_entry_op(m, EVENT_SET, dir, name, mode, &op);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	op->req = req;
	op->fi = *fi;
	/* Just made, and empty: there is nothing to cut. */
	op->fi.flags &= ~O_TRUNC;
	op->done = create_done;
	node_in_use(m->node, op->ev.ino); /* from the moment that it exists */
	op_send(op);
}

/* Opens F, which PARAM describes, as the answer to a create. */
static void reply_opened(struct mount *m, fuse_req_t req, struct file *f,
                         const struct fuse_entry_param *param, struct fuse_file_info *fi)
{
	int r = handle_open(m, f, fi);

	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_create(req, param, fi) < 0)
		handle_close(fi);
}

/* Opens NAME if the store has it. 0: answered; -ENOENT: it has not; -errno. */
static int open_existing(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                         struct fuse_file_info *fi)
{
	struct fuse_entry_param param;
	struct entry e;
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_name(&view, dir, name, strlen(name), &e);
	if (r == 0 && entry_is_dir(&e))
		r = -EISDIR;
	if (r == 0 && S_ISLNK(e.mode))
		r = -ESTALE; /* the kernel asks again, and follows it */
	if (r == 0)
		attr_entry(m, &view, &e, &param);
	view_close(&view);
	/* The kernel asked to create what exists: another writer was faster, or it
	 * never looked. It has not checked permissions then. */
	if (r == 0)
		r = attr_access(m, req, &e, fi->flags);
	if (r != 0)
		return r;
	struct file *f = files_get(&m->files, param.ino);
	if (!f)
		return -ENOMEM;
	reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return 0;
}

/* Whether DIR can take a new key called NAME. */
static int check_new(struct mount *m, uint64_t dir, const char *name)
{
	struct path path;
	struct entry e;
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_inode(&view, dir, &e);
	if (r == 0)
		r = path_child(&view, dir, name, false, &path);
	if (r == 0 &&
	    txn_meta(view.txn)->used_bytes + STORE_ENTRY_COST + strlen(name) > m->size_bytes &&
	    !evict_possible(m->evict, view.txn))
		r = -ENOSPC;
	view_close(&view);
	return r;
}

static int create_new(struct mount *m, fuse_req_t req, uint64_t dir, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
	struct fuse_entry_param param;
	struct file *f;
	int r = check_new(m, dir, name);

	if (r == 0)
		r = files_create(&m->files, node_propose_ino(m->node), dir, name,
		                 S_IFREG | (mode & 07777), now_ns(), &f);
	if (r != 0)
		return r;
	if (fi->flags & O_TRUNC)
		f->truncated = true;
	fi->flags &= ~O_TRUNC;
	attr_entry_file(m, f, &param);
	reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return 0;
}

/* Opens a name that this mount created and has not logged yet. */
static bool open_unlogged(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                          struct fuse_file_info *fi)
{
	struct fuse_entry_param param;
	struct file *f = files_find_name(&m->files, dir, name);

	if (!f)
		return false;
	attr_entry_file(m, f, &param);
	reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return true;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	uint64_t dir = real_ino(m, parent);
	int r = check_name(name);

	if (r == 0 && (fi->flags & O_EXCL)) {
		create_exclusive(req, dir, name, mode, fi);
		return;
	}
	busy_begin(&m->busy, dir);
	do {
		if (r < 0 || open_unlogged(m, req, dir, name, fi))
			break;
		r = open_existing(m, req, dir, name, fi);
		if (r == -ENOENT)
			r = create_new(m, req, dir, name, mode, fi);
		/* Another thread was faster: open what it made. */
	} while (r == -EEXIST);
	if (r < 0)
		fuse_reply_err(req, -r);
	busy_end(&m->busy, dir);
}
