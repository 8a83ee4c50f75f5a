/* Creating operations: create, mknod, mkdir, symlink; and link, which is refused.
 *
 * A file created without O_EXCL is logged at its first flush, so that other clients never see it
 * half-written. Until then it has a proposed inode number, and a name that only this mount knows
 * (file.h). With O_EXCL, and for directories, a single event decides which node creates the entry,
 * and its outcome is the answer.
 *
 * Lock: file->lock, briefly, in open_created(). */
#include "fs/fs_ops.h"

#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CREATE_TRIES 8 /* attempts while other clients create and remove the name */

/* --- entries created by one event ------------------------------------------ */

/* Return the entry that OP created, as it was then. */
static struct entry created_entry(const struct op *op, const struct outcome *out)
{
	int64_t now = wall_now_ns();

	return (struct entry){
		.ino = out->ino,
		.mode = op->ev.mode | (op->ev.op == EVENT_MKDIR     ? S_IFDIR :
		                       op->ev.flags & EVENT_SYMLINK ? S_IFLNK :
		                                                      S_IFREG),
		.mtime_ns = now,
		.ctime_ns = now,
		.atime_ns = now,
	};
}

/* Fill PARAM for the entry that OP created. If another client has removed it since, PARAM describes
 * it as it was created, because the caller did create it. */
static void fill_created_param(struct op *op, const struct outcome *out,
                               struct fuse_entry_param *param)
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
	e = created_entry(op, out);
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
	fill_created_param(op, out, &param);
	fuse_reply_entry(op->req, &param);
}

/* Open F, which OP created, with the flags in OP->fi. If another client has removed it since, the
 * caller gets an open file without a name, as if it had been removed after the open. (-ESTALE would
 * make the kernel repeat the call, which could then fail with EEXIST although the caller itself has
 * created the name.) Returns 0 or -errno. */
static int open_created(struct op *op, const struct outcome *out, struct file *f)
{
	int r = handle_open(op->mount, f, &op->fi);

	if (r != -ESTALE)
		return r;
	struct entry e = created_entry(op, out);
	pthread_mutex_lock(&f->lock);
	r = file_end_empty(f, &e);
	pthread_mutex_unlock(&f->lock);
	return r < 0 ? r : handle_open(op->mount, f, &op->fi);
}

static void create_done(struct op *op, const struct outcome *out)
{
	struct mount *m = op->mount;
	struct fuse_entry_param param;

	if (out->code != OUTCOME_OK) {
		fuse_reply_err(op->req, op_errno(out));
		return;
	}
	fill_created_param(op, out, &param);
	struct file *f = files_get(&m->files, out->ino);
	int r = f ? open_created(op, out, f) : -ENOMEM;
	files_unref(&m->files, f);
	if (r < 0)
		fuse_reply_err(op->req, -r);
	else if (fuse_reply_create(op->req, &param, &op->fi) < 0)
		handle_close_later(m, &op->fi);
}

/* Create the op that creates NAME in DIR (the store's inode). Returns 0, -EEXIST if this mount has
 * created the name and not logged it yet, or -errno. */
static int new_entry_op(struct mount *m, enum event_op what, uint64_t dir, const char *name,
                        mode_t mode, struct op **ret)
{
	struct path path;
	struct view view;
	struct entry parent;
	int r = fs_check_name(name);

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
	/* A directory inherits the setgid bit, so that all entries below get the same group. */
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
	op_mark_locked(op, dir);
	*ret = op;
	return 0;
}

static void send_entry(fuse_req_t req, enum event_op what, fuse_ino_t parent, const char *name,
                       mode_t mode)
{
	struct mount *m = mount_of(req);
	struct op *op;
	int r = new_entry_op(m, what, store_ino(m, parent), name, mode, &op);

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

/* Create a symbolic link: a key with a flag, whose value is the target. cp -a, git, tar and npm
 * need links to copy a source tree. */
void fs_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct op *op;
	int r = new_entry_op(m, EVENT_SET, store_ino(m, parent), name, 0777, &op);

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

/* Refuse hard links: they would need several names per key on every node. */
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
	/* The new file is empty, so there is nothing to truncate. */
	op->fi.flags &= ~O_TRUNC;
	op->done = create_done;
	/* Pin the key before it exists, so that it cannot be evicted before it is open. */
	node_pin(m->node, op->ev.ino);
	op_send(op);
}

/* Open F, which PARAM describes, and answer a create with it. Returns 0 if REQ was answered,
 * -ESTALE if another client has removed F in the meantime, or another -errno. */
static int reply_opened(struct mount *m, fuse_req_t req, struct file *f,
                        const struct fuse_entry_param *param, struct fuse_file_info *fi)
{
	int r = handle_open(m, f, fi);

	if (r < 0)
		return r;
	if (fuse_reply_create(req, param, fi) < 0)
		handle_close(fi);
	return 0;
}

/* Open NAME if the store has it. Returns 0 if REQ was answered, -ENOENT if the store does not have
 * it, -ESTALE if the caller must try again, or another -errno. */
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
		r = -ESTALE; /* The kernel looks the name up again, and follows the link. */
	if (r == 0)
		attr_entry(m, &view, &e, &param);
	view_close(&view);
	/* The kernel has not checked permissions: it requests a creation only if it does not know
	 * that the name exists, because another client has created it or because the kernel has
	 * not looked it up. */
	if (r != 0)
		return r;
	r = attr_access(m, req, &e, fi->flags);
	if (r != 0) {
		files_forget(&m->files, param.ino, 1);
		return r;
	}
	struct file *f = files_get(&m->files, param.ino);
	if (!f)
		return -ENOMEM;
	r = reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return r;
}

/* Return 0 if the key NAME can be created in DIR, or -errno. */
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
		                 S_IFREG | (mode & 07777), wall_now_ns(), &f);
	if (r != 0)
		return r;
	if (fi->flags & O_TRUNC)
		f->truncated = true;
	fi->flags &= ~O_TRUNC;
	attr_entry_file(m, f, &param);
	r = reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return r;
}

/* Open a name that this mount has created and not logged yet. Returns 0 if REQ was answered,
 * -ENOENT if there is no such name, -ESTALE if the caller must try again, or another -errno. */
static int open_unlogged(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                         struct fuse_file_info *fi)
{
	struct fuse_entry_param param;
	struct file *f = files_find_name(&m->files, dir, name);

	if (!f)
		return -ENOENT;
	attr_entry_file(m, f, &param);
	int r = reply_opened(m, req, f, &param, fi);
	files_unref(&m->files, f);
	return r;
}

/* Open or create NAME. Returns 0 if REQ was answered, -ESTALE if another client has created or
 * removed the name in the meantime, or another -errno. */
static int open_or_create(struct mount *m, fuse_req_t req, uint64_t dir, const char *name,
                          mode_t mode, struct fuse_file_info *fi)
{
	int r = open_unlogged(m, req, dir, name, fi);

	if (r == -ENOENT)
		r = open_existing(m, req, dir, name, fi);
	if (r == -ENOENT)
		r = create_new(m, req, dir, name, mode, fi);
	return r == -EEXIST ? -ESTALE : r;
}

void fs_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	uint64_t dir = store_ino(m, parent);
	int r = fs_check_name(name);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (fi->flags & O_EXCL) {
		create_exclusive(req, dir, name, mode, fi);
		return;
	}
	int64_t wait_ms;
	int error = gate_check(&m->gate, &wait_ms);
	if (error && !wait_ms) {
		fuse_reply_err(req, error);
		return;
	}
	busy_begin(&m->busy, dir);
	r = -ESTALE;
	for (int i = 0; i < CREATE_TRIES && r == -ESTALE; i++)
		r = open_or_create(m, req, dir, name, mode, fi);
	if (r < 0)
		fuse_reply_err(req, -r);
	busy_end(&m->busy, dir);
}
