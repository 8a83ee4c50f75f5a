/* Ops: events on their way from this mount into the log, and requests that wait for them.
 *
 * The events of one file are submitted in the order in which they were queued: the thread that
 * queues one submits all that are ready, unless another thread is doing so (file->pumping). So
 * no lock is held around node_submit, and still a flush cannot overtake an earlier one. While
 * the event that creates the file is in flight, its other events wait in the queue, because
 * only the outcome has their inode.
 *
 * A request that must see these events (a read of appended bytes, a flush) is parked with the
 * number of the last of them, and continues when all up to that one are done; no thread waits.
 * Any thread may run a completion, in almost any order, so its effect depends on the events that
 * are still in flight, not only on its own event.
 *
 * Lock: file->lock, not held around node_submit, a reply or a callback. */
#include "fs/op.h"

#include "common/base/logger.h"
#include "fs/kernel_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct op *op_new(struct mount *m, enum event_op what, const struct path *key, struct file *file,
                  struct bytes extra, struct bytes *ret_extra)
{
	struct op *op = calloc(1, sizeof(*op) + key->len + extra.len + 1);

	if (!op)
		return NULL;
	op->mount = m;
	op->ev.op = what;
	memcpy(op->text, key->text, key->len);
	op->ev.key = (struct bytes){ op->text, key->len };
	if (extra.len) {
		memcpy(op->text + key->len, extra.data, extra.len);
		*ret_extra = (struct bytes){ op->text + key->len, extra.len };
	}
	if (file)
		op->file = file_ref(&m->files, file);
	op->done = op_reply_err;
	return op;
}

int op_value(struct op *op, const void *data, size_t len)
{
	op->owned = malloc(len ? len : 1);
	if (!op->owned)
		return -ENOMEM;
	if (len)
		memcpy(op->owned, data, len);
	op->ev.value = (struct bytes){ op->owned, len };
	return 0;
}

void op_mark_locked(struct op *op, uint64_t ino)
{
	op->locked_inodes[op->locked_inodes[0] != 0] = ino;
	busy_begin(&op->mount->busy, ino);
}

static void release_locked_inodes(struct op *op)
{
	for (int i = 0; i < 2; i++) {
		if (op->locked_inodes[i])
			busy_end(&op->mount->busy, op->locked_inodes[i]);
		op->locked_inodes[i] = 0;
	}
}

void op_free(struct op *op)
{
	if (!op)
		return;
	release_locked_inodes(op);
	files_unref(&op->mount->files, op->file);
	free(op->owned);
	free(op);
}

int op_errno(const struct outcome *out)
{
	return event_outcome_errno(out->code);
}

void op_reply_err(struct op *op, const struct outcome *out)
{
	if (op->req)
		fuse_reply_err(op->req, op_errno(out));
}

/* --- completion ------------------------------------------------------------ */

static void run_parked(struct parked *p)
{
	struct files *files = &p->mount->files;
	struct file *f = p->file;

	p->run(p);
	if (p->locked_inodes)
		busy_end(&p->mount->busy, p->locked_inodes);
	free(p);
	files_unref(files, f);
}

static void run_parked_job(struct job *job)
{
	run_parked((struct parked *)((char *)job - offsetof(struct parked, job)));
}

static void resume_parked(struct parked *list)
{
	while (list) {
		struct parked *p = list;

		list = p->next;
		if (p->direct) {
			run_parked(p);
		} else {
			p->job.run = run_parked_job;
			worker_add(p->mount->worker, &p->job);
		}
	}
}

/* Remove and return the parked requests whose events are all done. F->lock is held. */
static struct parked *take_ready(struct file *f)
{
	const struct op *oldest = f->flight;
	const struct op *op;
	struct parked *list = f->parked, *last = NULL;

	DL_FOREACH (f->flight, op) {
		if (op->seq < oldest->seq)
			oldest = op;
	}
	if (!oldest)
		oldest = f->queue;
	while (f->parked && (!oldest || f->parked->seq < oldest->seq)) {
		last = f->parked;
		f->parked = last->next;
	}
	if (!last)
		return NULL;
	last->next = NULL;
	return list;
}

/* Return the inode that a name has now, or 0 if it has none or is a directory. */
static uint64_t find_ino(struct mount *m, uint64_t parent, const char *name, size_t len)
{
	struct view view;
	struct entry e;
	uint64_t ino = 0;

	if (view_open(m->store, &view) < 0)
		return 0;
	if (view_name(&view, parent, name, len, &e) == 0 && !entry_is_dir(&e))
		ino = e.ino;
	view_close(&view);
	return ino;
}

/* Update F for OUT, the outcome of its creation. F->lock is held. */
static void finish_creation(struct mount *m, struct file *f, const struct outcome *out)
{
	uint64_t real = out->code == OUTCOME_OK ? out->ino : 0;

	if (out->code == OUTCOME_EXISTS)
		real = find_ino(m, f->parent, f->name, f->name_len);
	f->creation = FILE_LOGGED;
	if (real) {
		f->real = real;
	} else {
		f->gone = true;
		if (out->code != OUTCOME_EXISTS)
			f->lost = out->code;
	}
	if (files_resolve(&m->files, f, real) < 0)
		logger(LOGGER_WARN,
		       "out of memory; a new file cannot be used before its name is looked up again ino=%llu",
		       (unsigned long long)f->ino);
	if (real != f->ino)
		inval_name(m->inval, f->parent, f->name, f->name_len);
}

/* Return whether OUT means that a caller's data was lost. A write to a file that was deleted in the
 * meantime is not an error. */
static bool is_failure(const struct op *op, const struct outcome *out)
{
	if (out->code == OUTCOME_OK)
		return false;
	if (op->is_create)
		return out->code != OUTCOME_EXISTS || op->ev.cond != IF_ABSENT;
	return out->code != OUTCOME_NOT_FOUND;
}

/* The op that this thread is submitting. */
static _Thread_local const struct op *sending;

bool op_detach(struct op *op, bool closing, bool must)
{
	op->has_closer = closing;
	op->closer = pthread_self();
	return pending_add(&op->mount->pending, op, must);
}

/* Return the errno of OP if it failed and no caller can get it, or 0. */
static int unreported_error(const struct op *op, const struct outcome *out)
{
	if (!op->pending_seq || !is_failure(op, out))
		return 0;
	if (op == sending && op->has_closer && pthread_equal(op->closer, pthread_self()))
		return 0;
	return op_errno(out);
}

/* Report the end of a detached op. */
static void end_pending(struct op *op, const struct outcome *out, int error)
{
	struct mount *m = op->mount;

	assert(op->file);
	if (error) {
		logger(LOGGER_ERROR,
		       "a change was lost after its file was closed ino=%llu why=\"%s\"",
		       (unsigned long long)op->file->ino, event_outcome_text(out->code));
		node_count_lost(m->node);
	}
	pending_done(&m->pending, op, error);
}

/* Update OP's file after OP is done. F->lock is held. ERROR is unreported_error(). */
static void update_file(struct op *op, const struct outcome *out, int error)
{
	struct file *f = op->file;
	struct mount *m = op->mount;

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): ops that were sent are in the list */
	DL_DELETE(f->flight, op);
	if (op->ev.op == EVENT_APPEND) {
		f->nappends--;
		f->append_bytes -= op->size;
	}
	if (op->is_create)
		finish_creation(m, f, out);
	else if (out->code == OUTCOME_NOT_FOUND)
		f->gone = true;
	bool failed = op->is_data && is_failure(op, out);
	if (failed) {
		if (!op->req && !f->error)
			f->error = op_errno(out);
		/* The kernel has cached data that was never stored. */
		inval_value(m->inval, f->ino);
	}
	if (error && !f->gone)
		files_keep(&m->files, f);
	/* Reads see the store again once no event is queued or in flight. */
	if (f->buffer && !f->buffer->changed && !f->buffer->error && !file_busy(f) && !f->gone) {
		bool exact = out->code == OUTCOME_OK && op->ev.op == EVENT_SET &&
		             op->seq == f->last_seq;

		if (failed)
			file_drop_buffer(f);
		else
			file_settle_buffer(f, exact ? out->version : 0);
	}
}

/* Submit the rest of a file's queue: no other thread does so after a creation. */
static void pump_job(struct job *job)
{
	struct op *op = (struct op *)((char *)job - offsetof(struct op, job));

	op_pump(op->mount, op->file);
	op_free(op);
}

static bool changes_value(const struct op *op)
{
	return op->ev.op == EVENT_SET || op->ev.op == EVENT_APPEND || op->ev.op == EVENT_WRITE ||
	       op->ev.op == EVENT_TRUNCATE;
}

/* Complete an op: the callback of node_submit(). */
static void complete_op(void *arg, const struct outcome *out)
{
	struct op *op = arg;
	struct mount *m = op->mount;
	struct file *f = op->file;
	struct parked *ready = NULL;
	bool pump = false;
	int unreported = unreported_error(op, out);

	if (f) {
		pthread_mutex_lock(&f->lock);
		update_file(op, out, unreported);
		ready = take_ready(f);
		pump = f->queue && !f->pumping;
		pthread_mutex_unlock(&f->lock);
	}
	if (changes_value(op) && out->ino)
		kernel_cache_changed(&m->files, out->ino);
	if (op->done)
		op->done(op, out);
	if (op->pending_seq)
		end_pending(op, out, unreported);
	release_locked_inodes(op);
	resume_parked(ready);
	if (pump) {
		op->job.run = pump_job;
		worker_add(m->worker, &op->job);
	} else {
		op_free(op);
	}
	atomic_fetch_sub_explicit(&m->nops, 1, memory_order_release);
}

/* --- sending --------------------------------------------------------------- */

static void submit_op(struct op *op)
{
	void *owned = op->owned;

	op->owned = NULL;
	atomic_fetch_add_explicit(&op->mount->nops, 1, memory_order_relaxed);
	sending = op;
	node_submit(op->mount->node, &op->ev, owned, complete_op, op);
	sending = NULL;
}

/* Complete OP with CODE instead of submitting it. */
static void complete_unsent(struct op *op, enum event_outcome code)
{
	struct outcome out = { .code = code };

	atomic_fetch_add_explicit(&op->mount->nops, 1, memory_order_relaxed);
	complete_op(op, &out);
}

void op_queue(struct op *op)
{
	struct file *f = op->file;

	op->seq = ++f->last_seq;
	kernel_cache_drop(f);
	if (op->is_create)
		f->creation = FILE_CREATING;
	if (op->ev.op == EVENT_APPEND) {
		f->nappends++;
		f->append_bytes += op->size;
	}
	DL_APPEND(f->queue, op);
}

void op_pump(struct mount *m, struct file *f)
{
	struct op *op;

	(void)m;
	pthread_mutex_lock(&f->lock);
	if (f->pumping) {
		pthread_mutex_unlock(&f->lock);
		return;
	}
	f->pumping = true;
	while ((op = f->queue) && (op->is_create || f->creation != FILE_CREATING)) {
		enum event_outcome lost = f->lost ? (enum event_outcome)f->lost : OUTCOME_NOT_FOUND;
		bool send = !f->gone || op->is_create;

		DL_DELETE(f->queue, op);
		DL_APPEND(f->flight, op);
		if (!op->is_create)
			op->ev.at = f->real;
		pthread_mutex_unlock(&f->lock);
		if (send)
			submit_op(op);
		else
			complete_unsent(op, lost);
		pthread_mutex_lock(&f->lock);
	}
	f->pumping = false;
	pthread_mutex_unlock(&f->lock);
}

void op_send(struct op *op)
{
	struct file *f = op->file;
	struct mount *m = op->mount;

	if (!f) {
		submit_op(op);
		return;
	}
	/* The op may be done and its reference gone before pumping ends. */
	file_ref(&m->files, f);
	pthread_mutex_lock(&f->lock);
	op_queue(op);
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	files_unref(&m->files, f);
}

int op_new_create(struct mount *m, struct file *f, enum event_op what, struct op **ret)
{
	struct path path;
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = path_child(&view, f->parent, f->name, true, &path);
	view_close(&view);
	if (r < 0)
		return r;
	struct op *op = op_new(m, what, &path, f, (struct bytes){ 0 }, NULL);
	if (!op)
		return -ENOMEM;
	op->is_create = true;
	op->is_data = true;
	op->done = NULL;
	op->ev.ttl = TTL_KEEP;
	op->ev.dir = f->parent;
	op->ev.ino = f->ino;
	op->ev.mode = f->last.mode & 07777;
	op->ev.flags = EVENT_HAS_MODE;
	*ret = op;
	return 0;
}

/* Set OP's mtime to the time at which the value of F was written, so that the time that fstat(2)
 * has shown does not change when the file is closed. F->lock is held. */
static void set_mtime(struct op *op, const struct file *f)
{
	int64_t ns = f->changed_ns ? f->changed_ns : op->is_create ? f->last.mtime_ns : 0;

	if (ns) {
		op->ev.flags |= EVENT_HAS_MTIME;
		op->ev.mtime_ns = ns;
	}
}

/* Create the op that creates F with its value. If the program neither wrote to F nor truncated it,
 * the op must not empty a file that another writer created by that name in the meantime. F->lock
 * is held. Returns 0 or -errno. */
static int make_create_op(struct mount *m, struct file *f, struct op **ret)
{
	struct op *op;
	int r = op_new_create(m, f, EVENT_SET, &op);

	if (r < 0)
		return r;
	if (!f->truncated && !f->buffer->changed)
		op->ev.cond = IF_ABSENT;
	set_mtime(op, f);
	r = buffer_take(f->buffer, &op->ev, &op->owned);
	if (r < 0) {
		op_free(op);
		return r;
	}
	*ret = op;
	return 0;
}

/* Create the op that logs the changes of F, which is logged. F->lock is held. Returns 0 or
 * -errno. */
static int make_change_op(struct mount *m, struct file *f, struct op **ret)
{
	struct path path;
	int r = path_inode(m, f->real, &path);

	if (r < 0)
		return r;
	struct op *op = op_new(m, EVENT_SET, &path, f, (struct bytes){ 0 }, NULL);
	if (!op)
		return -ENOMEM;
	op->is_data = true;
	op->done = NULL;
	op->ev.at = f->real;
	set_mtime(op, f);
	r = buffer_take(f->buffer, &op->ev, &op->owned);
	if (r < 0) {
		op_free(op);
		return r;
	}
	*ret = op;
	return 0;
}

static enum event_outcome outcome_of(int error)
{
	switch (error) {
	case EFBIG:
		return OUTCOME_TOO_LARGE;
	case ENOSPC:
		return OUTCOME_NO_SPACE;
	case ENOMEM:
		return OUTCOME_NO_MEMORY;
	default:
		return OUTCOME_LOG_DOWN;
	}
}

/* Drop the changes of F because a write has failed, so that reads see the store's value again. If
 * the program continued to write at its position, it would mix its data with that value. So its
 * writes fail until it has set the size. A file that was not logged yet is not created. Returns the
 * negative errno of the failed write. F->lock is held. */
static int drop_changes(struct mount *m, struct file *f)
{
	int error = f->buffer->error;

	file_drop_buffer(f);
	f->ndropped++;
	f->dropped_error = error;
	if (f->creation == FILE_UNLOGGED)
		finish_creation(m, f, &(struct outcome){ .code = outcome_of(error) });
	inval_value(m->inval, f->ino);
	return -error;
}

int op_queue_flush(struct mount *m, struct file *f)
{
	struct op *op;

	if (f->buffer && f->buffer->error && !f->gone && !f->lost)
		return drop_changes(m, f);
	if (!file_is_dirty(f))
		return 0;
	int r = f->creation == FILE_UNLOGGED ? make_create_op(m, f, &op) :
	                                       make_change_op(m, f, &op);
	if (r < 0)
		return r;
	op_queue(op);
	return 0;
}

/* --- waiting --------------------------------------------------------------- */

void *op_new_parked(struct mount *m, struct file *f, size_t size, fuse_req_t req,
                    void (*run)(struct parked *p))
{
	struct parked *p = calloc(1, size);

	if (!p)
		return NULL;
	p->mount = m;
	p->file = file_ref(&m->files, f);
	p->req = req;
	p->run = run;
	return p;
}

void parked_mark_locked(struct parked *p, uint64_t ino)
{
	p->locked_inodes = ino;
	busy_begin(&p->mount->busy, ino);
}

void op_park(struct file *f, struct parked *p)
{
	struct parked **last = &f->parked;

	p->seq = f->last_seq;
	p->next = NULL;
	while (*last)
		last = &(*last)->next;
	*last = p;
}
