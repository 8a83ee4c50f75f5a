/* Writing operations: write and fallocate.
 *
 * A write changes the file's private buffer, which flush logs. A write through a descriptor with
 * O_APPEND is an event of its own, sent at once: every node appends it as a whole, in the order of
 * the log, and the offset in the kernel's request is ignored. It is also answered at once, unless
 * many appends are in flight; reads on this mount wait for them.
 *
 * A write that exceeds a limit should fail itself, not only the close. The size of a value is
 * checked here exactly; the quota is checked here only if it is certainly exceeded, and finally by
 * the outcome of the event.
 *
 * Lock: file->lock, while a write changes the buffer. */
#include "fs/fs_write.h"

#include "fs/fs_ops.h"
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Appends in flight of one file from which on a writer must wait. */
#define APPENDS_MAX 256
#define APPEND_BYTES_MAX (8u << 20)

int write_begin(struct mount *m, struct file *f, bool empty)
{
	struct view view;

	if (file_is_private(f))
		return 0;
	int r = view_open(m->store, &view);
	if (r < 0)
		return r;
	r = file_load(f, &view, !empty);
	view_close(&view);
	if (r == 0)
		r = file_make_private(f, empty);
	/* Truncating is a change, unless the value is empty already and no event in flight writes
	 * to it. */
	if (r == 0 && empty && (f->last.size > 0 || file_busy(f))) {
		f->buffer->changed = true;
		f->changed_ns = wall_now_ns();
	}
	return r;
}

/* Return 0 if the cache can hold F at SIZE bytes, as far as is known now, or -errno. */
static int check_room(struct mount *m, const struct file *f, uint64_t size)
{
	struct view view;

	if (size > node_max_value(m->node))
		return -EFBIG;
	if (size <= f->buffer->size || size <= f->base_size || f->gone)
		return 0;
	int r = view_open(m->store, &view);
	if (r < 0)
		return r;
	/* Everything except this value may be evicted. */
	uint64_t used = evict_possible(m->evict, view.txn) ? STORE_ENTRY_COST + f->base_size :
	                                                     txn_meta(view.txn)->used_bytes;
	view_close(&view);
	return used + (size - f->base_size) > m->size_bytes ? -ENOSPC : 0;
}

int write_resize(struct mount *m, struct file *f, uint64_t size)
{
	int r = check_room(m, f, size);

	if (r == 0)
		r = buffer_truncate(f->buffer, size);
	if (r == 0)
		f->changed_ns = wall_now_ns();
	return r;
}

/* --- parked writes --------------------------------------------------------- */

struct parked_write {
	struct parked p;
	struct handle *handle; /* stays open until the request is answered */
	size_t size;
	off_t off;
	char data[];
};

static void write_file(struct mount *m, fuse_req_t req, struct handle *h, const char *data,
                       size_t size, off_t off, bool waited);

static void resume_write(struct parked *p)
{
	const struct parked_write *pw = (struct parked_write *)p;

	write_file(p->mount, p->req, pw->handle, pw->data, pw->size, pw->off, true);
}

/* Let the write wait for the events of the file. Called with its lock held. */
static int park_write(struct mount *m, fuse_req_t req, struct handle *h, const char *data,
                      size_t size, off_t off)
{
	struct file *f = h->file;
	struct parked_write *pw = op_new_parked(m, f, sizeof(*pw) + size, req, resume_write);

	if (!pw)
		return -ENOMEM;
	pw->handle = h;
	pw->size = size;
	pw->off = off;
	memcpy(pw->data, data, size);
	parked_mark_locked(&pw->p, f->real);
	op_park(f, &pw->p);
	return 0;
}

/* --- writes ---------------------------------------------------------------- */

/* Write to the buffer of F. Called with F->lock held. Returns 0 or -errno. */
static int write_buffer(struct mount *m, struct file *f, const char *data, size_t size,
                        uint64_t off)
{
	int r = check_room(m, f, off + size);

	if (r == 0)
		r = buffer_write(f->buffer, off, data, size);
	if (r == -ENOBUFS) {
		/* The buffer has as many ranges as an event can hold: log those first. */
		r = op_queue_flush(m, f);
		if (r == 0)
			r = buffer_write(f->buffer, off, data, size);
	}
	if (r == 0)
		f->changed_ns = wall_now_ns();
	return r;
}

/* Write as many bytes as a value may hold, as POSIX requires. The buffer notes the bytes that were
 * not written, so that a truncated value is not logged. Called with F->lock held. Returns the
 * number of bytes written, or -errno. */
static int64_t write_within_limit(struct mount *m, struct file *f, const char *data, size_t size,
                                  uint64_t off)
{
	uint64_t most = node_max_value(m->node); /* read once: it can change */
	uint64_t fits = off >= most ? 0 : most - off;
	int r = write_begin(m, f, false);

	if (r < 0)
		return r;
	if (fits > size)
		fits = size;
	if (fits > 0 || size == 0)
		r = write_buffer(m, f, data, fits, off);
	else
		r = -EFBIG;
	if (r < 0)
		fits = 0;
	if (fits < size && f->buffer)
		buffer_fail(f->buffer, off + fits, size - fits, r < 0 ? -r : EFBIG);
	return r < 0 ? r : (int64_t)fits;
}

/* Return 0 if H can be written, or the -errno with which all its writes fail. Called with the
 * file's lock held. */
static int check_writable(const struct handle *h)
{
	const struct file *f = h->file;

	if (f->lost)
		return -event_outcome_errno((enum event_outcome)f->lost);
	return h->ndropped != f->ndropped ? -f->dropped_error : 0;
}

static void write_file(struct mount *m, fuse_req_t req, struct handle *h, const char *data,
                       size_t size, off_t off, bool waited)
{
	struct file *f = h->file;

	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	int64_t r = check_writable(h);
	bool park = r == 0 && !file_is_private(f) && file_busy(f) && !waited;
	if (park)
		r = park_write(m, req, h, data, size, off);
	else if (r == 0)
		r = write_within_limit(m, f, data, size, (uint64_t)off);
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	files_unref(&m->files, f);
	if (r < 0)
		fuse_reply_err(req, (int)-r);
	else if (!park)
		fuse_reply_write(req, (size_t)r);
}

/* Note in the buffer that a write of SIZE bytes at OFF through H has failed with ERROR. */
static void note_failed_write(struct mount *m, const struct handle *h, size_t size, off_t off,
                              int error)
{
	struct file *f = h->file;

	pthread_mutex_lock(&f->lock);
	if (check_writable(h) == 0 && (file_is_private(f) || !file_busy(f)) &&
	    write_begin(m, f, false) == 0)
		buffer_fail(f->buffer, (uint64_t)off, size, error);
	pthread_mutex_unlock(&f->lock);
}

/* --- appends --------------------------------------------------------------- */

static void append_done(struct op *op, const struct outcome *out)
{
	int error = out->code == OUTCOME_NOT_FOUND && !op->is_create ? 0 : op_errno(out);

	if (!op->req)
		return;
	if (error)
		fuse_reply_err(op->req, error);
	else
		fuse_reply_write(op->req, op->size);
}

static int new_append(struct mount *m, struct file *f, const char *data, size_t size,
                      struct op **ret)
{
	struct op *op;
	int r = 0;

	if (f->creation == FILE_UNLOGGED) {
		r = op_new_create(m, f, EVENT_APPEND, &op);
	} else {
		struct path path;

		r = path_inode(m, f->real, &path);
		if (r < 0)
			return r;
		op = op_new(m, EVENT_APPEND, &path, f, (struct bytes){ 0 }, NULL);
		if (!op)
			return -ENOMEM;
		/* op.c replaces the inode when it submits the event. Setting it here marks an
		 * event that finds the entry by inode instead of by key. */
		op->ev.at = f->real;
		op->is_data = true;
	}
	if (r == 0) {
		r = op_value(op, data, size);
		if (r < 0)
			op_free(op);
	}
	if (r < 0)
		return r;
	op->size = size;
	op->done = append_done;
	*ret = op;
	return 0;
}

/* Queue an append. Sets *RET_LATER if the op will answer REQ. Called with F->lock held. Returns 0
 * or -errno. */
static int queue_append(struct mount *m, fuse_req_t req, struct file *f, const char *data,
                        size_t size, bool *ret_later)
{
	struct op *op = NULL;
	struct view view;
	int r = -file_take_error(&m->files, f);

	if (r == 0 && f->lost)
		r = -event_outcome_errno((enum event_outcome)f->lost);
	if (r == 0)
		r = view_open(m->store, &view);
	if (r < 0)
		return r;
	r = file_load(f, &view, false);
	view_close(&view);
	if (r < 0)
		return r;
	if (f->gone) {
		r = write_begin(m, f, false);
		return r < 0 ? r : write_buffer(m, f, data, size, f->buffer->size);
	}
	/* Log other changes first. An unlogged file without changes is created by the append. */
	bool fresh = f->creation == FILE_UNLOGGED && !f->buffer->changed && !f->truncated;
	if (!fresh)
		r = op_queue_flush(m, f);
	if (r == 0)
		r = new_append(m, f, data, size, &op);
	if (!op)
		return r;
	file_drop_buffer(f);
	*ret_later = f->nappends >= APPENDS_MAX || f->append_bytes + size > APPEND_BYTES_MAX;
	/* If close does not wait, all changes in flight share one limit. */
	if (!*ret_later && m->async)
		*ret_later = !op_detach(op, true, false);
	if (*ret_later)
		op->req = req;
	op_queue(op);
	return 0;
}

static void append_file(struct mount *m, fuse_req_t req, struct file *f, const char *data,
                        size_t size)
{
	bool later = false;

	if (size > node_max_value(m->node)) {
		fuse_reply_err(req, EFBIG);
		return;
	}
	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	int r = queue_append(m, req, f, data, size, &later);
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	if (r == 0 && !later) {
		/* Report an earlier failure now. */
		pthread_mutex_lock(&f->lock);
		r = -file_take_error(&m->files, f);
		pthread_mutex_unlock(&f->lock);
	}
	files_unref(&m->files, f);
	if (later)
		return;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, size);
}

/* --- FUSE_WRITE ------------------------------------------------------------ */

/* Return whether a write through H appends. The pages of a mapping have an offset, whatever the
 * flags of the descriptor. fcntl(2) can clear O_APPEND after the open. */
static bool is_append(const struct handle *h, const struct fuse_file_info *fi)
{
	return h->appends && (fi->flags & O_APPEND) && !fi->writepage;
}

static void write_now(fuse_req_t req, const char *data, size_t size, off_t off,
                      const struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct handle *h = handle_of(fi);

	if (is_append(h, fi))
		append_file(m, req, h->file, data, size);
	else
		write_file(m, req, h, data, size, off, false);
}

/* Refuse a write with ERROR, and note that it has failed. */
static void refuse_write(fuse_req_t req, size_t size, off_t off, const struct fuse_file_info *fi,
                         int error)
{
	const struct handle *h = handle_of(fi);

	if (!is_append(h, fi))
		note_failed_write(mount_of(req), h, size, off, error);
	fuse_reply_err(req, error);
}

/* A write that waits for the log. */
struct gated_write {
	struct gated g;
	fuse_req_t req;
	uint64_t locked_ino; /* the store's inode, busy until the write continues */
	size_t size;
	off_t off;
	struct fuse_file_info fi;
	char data[];
};

static void continue_write(struct gated *g, int error)
{
	const struct gated_write *gw = (struct gated_write *)g;

	/* Do this first: once the request is answered, it and the handle may be gone. */
	busy_end(&mount_of(gw->req)->busy, gw->locked_ino);
	if (error)
		refuse_write(gw->req, gw->size, gw->off, &gw->fi, error);
	else
		write_now(gw->req, gw->data, gw->size, gw->off, &gw->fi);
}

void fs_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
              struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int64_t wait_ms;
	int error;

	/* Pages of a mapping do not wait: msync(2) or close(2) reports their error. */
	if (fi->writepage || (error = gate_check(&m->gate, &wait_ms)) == 0) {
		write_now(req, data, size, off, fi);
		return;
	}
	struct gated_write *gw = wait_ms ? calloc(1, sizeof(*gw) + size) : NULL;
	if (!gw) {
		refuse_write(req, size, off, fi, error);
		return;
	}
	gw->g.run = continue_write;
	gw->req = req;
	gw->locked_ino = store_ino(m, ino);
	gw->size = size;
	gw->off = off;
	gw->fi = *fi;
	memcpy(gw->data, data, size);
	busy_begin(&m->busy, gw->locked_ino);
	gate_wait(&m->gate, &gw->g, wait_ms);
}

/* --- fallocate ------------------------------------------------------------- */

struct parked_fallocate {
	struct parked p;
	struct handle *handle; /* stays open until the request is answered */
	bool lengthen;
	uint64_t end;
};

static void fallocate_file(struct mount *m, fuse_req_t req, struct handle *h, bool lengthen,
                           uint64_t end, bool waited);

static void fallocate_again(struct parked *p)
{
	const struct parked_fallocate *pa = (struct parked_fallocate *)p;

	fallocate_file(p->mount, p->req, pa->handle, pa->lengthen, pa->end, true);
}

/* Let the request wait for the events of H's file, whose lock is held. */
static int park_fallocate(struct mount *m, fuse_req_t req, struct handle *h, bool lengthen,
                          uint64_t end)
{
	struct file *f = h->file;
	struct parked_fallocate *pa = op_new_parked(m, f, sizeof(*pa), req, fallocate_again);

	if (!pa)
		return -ENOMEM;
	pa->handle = h;
	pa->lengthen = lengthen;
	pa->end = end;
	parked_mark_locked(&pa->p, f->real);
	op_park(f, &pa->p);
	return 0;
}

/* Check that there is room up to END, and with LENGTHEN make the value as long as that.
 * Wait for events in flight first, because they may change the length. */
static void fallocate_file(struct mount *m, fuse_req_t req, struct handle *h, bool lengthen,
                           uint64_t end, bool waited)
{
	struct file *f = h->file;

	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	int r = check_writable(h);
	bool park = r == 0 && !file_is_private(f) && file_busy(f) && !waited;
	if (park)
		r = park_fallocate(m, req, h, lengthen, end);
	else if (r == 0)
		r = write_begin(m, f, false);
	if (r == 0 && !park && !lengthen)
		r = check_room(m, f, end);
	else if (r == 0 && !park && end > f->buffer->size)
		r = write_resize(m, f, end);
	pthread_mutex_unlock(&f->lock);
	files_unref(&m->files, f);
	if (!park || r < 0)
		fuse_reply_err(req, -r);
}

/* Lengthen the file, or only check that there is room for it (KEEP_SIZE). Nothing is reserved.
 * Modes that create holes are refused. */
void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                  struct fuse_file_info *fi)
{
	(void)ino;
	if (mode & ~FALLOC_FL_KEEP_SIZE)
		fuse_reply_err(req, EOPNOTSUPP);
	else
		fallocate_file(mount_of(req), req, handle_of(fi), !(mode & FALLOC_FL_KEEP_SIZE),
		               (uint64_t)off + (uint64_t)len, false);
}
