/* Directories: opening, listing and syncing them.
 *
 * An open directory collects its names from one snapshot at the first read, adds those that
 * this mount has created and not logged yet, and lists them in the order of their hashes;
 * the hash of a name is its position. So a position means the same in every open directory,
 * whatever is created or removed meanwhile. The kernel may continue in one listing where
 * another ended, as it does when its cached listing was dropped, and a name that exists
 * throughout is still listed exactly once. (An index in a list, or the store's order, would
 * ensure that only within one opendir.) Attributes (readdirplus) are current when the answer
 * is made. rewinddir collects the names anew.
 *
 * The kernel requests a cached listing again when one of its pages is gone: once for the
 * names after that page, and the next time as a whole. That does not need low memory:
 * DAMON_RECLAIM, where it is enabled, also reclaims pages that are merely cold.
 *
 * This file decides whether a listing includes attributes, which create inodes in the kernel.
 * The kernel's own choice (READDIRPLUS_AUTO) requests them in the first request and then only
 * while they are used. That suits programs that read and stat in turn (`ls -l`), but makes one
 * look-up per name for programs that read all names first (du, cp -r, tar, grep -r, git). So
 * the first names always have attributes, and in a larger directory the further names have
 * them once a name of it was looked up. A program that reads 100,000 names before its first
 * stat (fts: du, find -printf %s) still makes a look-up for each, because until then it cannot
 * be told apart from one that needs names only (ls -f, find). tests/bench/RESULTS.md has the
 * times of the three ways.
 *
 * Lock: dir->lock, held while an answer is made, not while it is sent. */
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Positions in a directory stream: 1 is after ".", 2 after "..", and after a name it is larger,
 * and never negative as a long. */
#define BEHIND_DOTS 2
#define HASH_SHIFT 2
/* Names of a directory that come with attributes in any case. */
#define FILL_FIRST 10000

struct name {
	uint64_t ino;
	uint64_t position; /* of the next entry */
	size_t text;       /* offset in texts, NUL-ended */
	uint32_t type;     /* S_IFREG, S_IFDIR, S_IFLNK */
	bool unlogged;
};

/* A name that was not in the log when the listing began. */
struct unlogged {
	uint64_t ino;
	bool seen;
	char name[KEY_NAME_MAX + 1];
};

struct dir {
	struct dir *prev, *next; /* of open_list->dirs */
	uint64_t real;           /* the store's inode */
	struct file *file;       /* keeps its attributes when it is removed; NULL: the root */
	pthread_mutex_t lock;    /* protects all fields below */
	struct name *names;
	size_t nnames, names_cap;
	char *texts;
	size_t ntexts, texts_cap;
	struct unlogged *unlogged; /* by name */
	size_t nunlogged, unlogged_cap;
	bool complete;
	unsigned looks; /* look_ups() of it when the last answer was made */
	bool fill;      /* all names have attributes, because they are used */
};

static struct dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir *)(uintptr_t)fi->fh;
}

static void reset(struct dir *d)
{
	d->nnames = 0;
	d->ntexts = 0;
	d->nunlogged = 0;
	d->complete = false;
	d->fill = false;
}

static unsigned *look_ups(struct mount *m, uint64_t ino)
{
	return &m->look_ups[ino % LOOK_UP_SLOTS];
}

void dir_looked_up(struct mount *m, uint64_t ino)
{
	__atomic_add_fetch(look_ups(m, ino), 1, __ATOMIC_RELAXED);
}

/* Make room for one more element in a growing array. Returns NULL without memory. */
static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	size_t more = *cap ? *cap * 2 : 64;
	void *bigger = realloc(array, more * size);
	if (bigger)
		*cap = more;
	return bigger;
}

/* --- collecting names ------------------------------------------------------ */

/* FNV-1a, and its bits mixed well, as the high ones count most. */
static uint64_t hash_position(const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return ((h ^ h >> 33) >> HASH_SHIFT) + BEHIND_DOTS + 1;
}

static int add_name(struct dir *d, const char *name, size_t len, uint64_t ino, uint32_t type,
                    bool unlogged)
{
	struct name *names = grow(d->names, d->nnames, &d->names_cap, sizeof(*names));

	if (!names)
		return -ENOMEM;
	d->names = names;
	while (d->ntexts + len + 1 > d->texts_cap) {
		size_t cap = d->texts_cap ? d->texts_cap * 2 : 4096;
		char *texts = realloc(d->texts, cap);

		if (!texts)
			return -ENOMEM;
		d->texts = texts;
		d->texts_cap = cap;
	}
	memcpy(d->texts + d->ntexts, name, len);
	d->texts[d->ntexts + len] = '\0';
	d->names[d->nnames++] = (struct name){
		.ino = ino,
		.position = hash_position(name, len),
		.text = d->ntexts,
		.type = type,
		.unlogged = unlogged,
	};
	d->ntexts += len + 1;
	return 0;
}

static int note_unlogged(void *arg, struct file *f)
{
	struct dir *d = arg;
	struct unlogged *more = grow(d->unlogged, d->nunlogged, &d->unlogged_cap, sizeof(*more));

	if (!more)
		return -ENOMEM;
	d->unlogged = more;
	more = &d->unlogged[d->nunlogged++];
	more->ino = f->ino;
	more->seen = false;
	memcpy(more->name, f->name, f->name_len + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct unlogged *)a)->name, ((const struct unlogged *)b)->name);
}

static void mark_seen(struct dir *d, const char *name, size_t len)
{
	struct unlogged key;

	if (d->nunlogged == 0)
		return;
	memcpy(key.name, name, len);
	key.name[len] = '\0';
	struct unlogged *found = bsearch(&key, d->unlogged, d->nunlogged, sizeof(*d->unlogged),
	                                 by_name);
	if (found)
		found->seen = true;
}

/* Adds a name that the snapshot did not have, if it still exists: it may have
 * come into the log since, or be removed. */
static int add_unlogged(struct mount *m, struct dir *d, const struct unlogged *u)
{
	size_t len = strlen(u->name);
	struct view view;
	struct entry e;

	struct file *f = files_find_name(&m->files, d->real, u->name);
	if (f) {
		int r = add_name(d, u->name, len, f->ino, S_IFREG, true);

		files_unref(&m->files, f);
		return r;
	}
	int r = view_open(m->store, &view);
	if (r < 0)
		return r;
	if (view_name(&view, d->real, u->name, len, &e) == 0)
		r = add_name(d, u->name, len, e.ino, e.mode & S_IFMT, false);
	view_close(&view);
	return r;
}

/* Return whether the tables can have expired entries. */
static bool any_expired(const struct view *view)
{
	int64_t expiry_ms = 0;
	uint64_t ino;

	return store_first_expiry(view->txn, &expiry_ms, &ino) == 0 && expiry_ms <= view->now_ms;
}

static int add_logged(const struct view *view, struct dir *d)
{
	bool check = any_expired(view);
	struct scan *scan = NULL;
	int r = scan_open(view->txn, d->real, NULL, 0, &scan);

	if (r < 0)
		return r;
	while (r == 0) {
		const char *name;
		size_t len;
		uint64_t ino;
		struct entry e;

		r = scan_next(scan, &name, &len, &ino, NULL);
		if (r < 0)
			break;
		mark_seen(d, name, len);
		if (check && view_inode(view, ino, &e) < 0)
			continue;
		r = add_name(d, name, len, ino, scan_type(scan), false);
	}
	scan_close(scan);
	return r == -ENOENT ? 0 : r;
}

static int by_position(const void *a, const void *b)
{
	uint64_t left = ((const struct name *)a)->position;
	uint64_t right = ((const struct name *)b)->position;

	return left < right ? -1 : left > right;
}

/* Collect all names. Returns 0 or -errno. */
static int collect(struct mount *m, struct dir *d)
{
	struct view view;

	reset(d);
	/* Begin with names that are not logged: a name that is logged meanwhile is
	 * seen twice and not missed. */
	int r = files_each_name(&m->files, d->real, note_unlogged, d);
	if (r != 0)
		return r;
	r = view_open(m->store, &view);
	if (r < 0)
		return r;
	if (d->nunlogged)
		qsort(d->unlogged, d->nunlogged, sizeof(*d->unlogged), by_name);
	r = add_logged(&view, d);
	view_close(&view);
	for (size_t i = 0; i < d->nunlogged && r == 0; i++) {
		if (!d->unlogged[i].seen)
			r = add_unlogged(m, d, &d->unlogged[i]);
	}
	if (r < 0)
		return r;
	if (d->nnames)
		qsort(d->names, d->nnames, sizeof(*d->names), by_position);
	/* Two names with one hash (rare). */
	for (size_t i = 1; i < d->nnames; i++) {
		if (d->names[i].position <= d->names[i - 1].position)
			d->names[i].position = d->names[i - 1].position + 1;
	}
	d->complete = true;
	return 0;
}

/* --- answering ------------------------------------------------------------- */

/* An answer being made. */
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

/* Add one entry. Returns false if there is no room for it. */
static bool put(struct listing *l, const char *name, const struct fuse_entry_param *param,
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

static bool put_dots(struct listing *l, off_t off)
{
	struct fuse_entry_param param = { .attr.st_mode = S_IFDIR };
	uint64_t parent = l->d->real;
	struct entry e;

	if (view_inode(&l->view, l->d->real, &e) == 0 && e.parent && l->d->real != l->m->root)
		parent = e.parent;
	param.attr.st_ino = off == 0 ? l->d->real : parent;
	return put(l, off == 0 ? "." : "..", &param, off + 1);
}

/* Return whether names after the first ones have attributes: if any was looked up since the last
 * answer. Called with D->lock held. */
static void decide_fill(struct mount *m, struct dir *d, bool first)
{
	unsigned looks = __atomic_load_n(look_ups(m, d->real), __ATOMIC_RELAXED);

	if (!first && looks != d->looks)
		d->fill = true;
	d->looks = looks;
}

/* Get the current attributes of a name. Returns false if it is gone. Without an inode number in them
 * the kernel looks the name up when it needs to. */
static bool look(struct listing *l, const struct name *n, const char *text,
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

/* Find the first name after POSITION. */
static size_t first_behind(const struct dir *d, uint64_t position)
{
	size_t low = 0, high = d->nnames;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (d->names[mid].position > position)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Fill the answer from OFF on. */
static void list(struct listing *l, off_t off)
{
	const struct dir *d = l->d;

	while (off < BEHIND_DOTS) {
		if (!put_dots(l, off))
			return;
		off++;
	}
	for (size_t i = first_behind(d, (uint64_t)off); i < d->nnames; i++) {
		const struct name *n = &d->names[i];
		const char *text = d->texts + n->text;
		struct fuse_entry_param param;

		if (look(l, n, text, &param) && !put(l, text, &param, (off_t)n->position)) {
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
		r = collect(l.m, d);
	decide_fill(l.m, d, off == 0);
	if (r == 0)
		r = view_open(l.m->store, &l.view);
	if (r == 0) {
		list(&l, off);
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

static void dir_free(struct mount *m, struct dir *d)
{
	files_unref(&m->files, d->file);
	pthread_mutex_destroy(&d->lock);
	free(d->names);
	free(d->texts);
	free(d->unlogged);
	free(d);
}

static void dir_close(struct mount *m, struct dir *d)
{
	pthread_mutex_lock(&m->open.lock);
	DL_DELETE(m->open.dirs, d);
	pthread_mutex_unlock(&m->open.lock);
	dir_free(m, d);
}

/* Looks at the directory, and keeps what it shows. 0 or -errno. */
static int dir_look(struct mount *m, struct dir *d)
{
	struct view view;
	struct entry e;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_inode(&view, d->real, &e);
	if (r == 0 && d->file) {
		pthread_mutex_lock(&d->file->lock);
		file_note(d->file, &e);
		pthread_mutex_unlock(&d->file->lock);
	}
	view_close(&view);
	return r == -ENOENT ? -ESTALE : r;
}

static int dir_open(struct mount *m, fuse_ino_t ino, struct dir **ret)
{
	struct dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	int r = -pthread_mutex_init(&d->lock, NULL);
	if (r < 0) {
		free(d);
		return r;
	}
	d->real = store_ino(m, ino);
	if (ino != FUSE_ROOT_ID) {
		d->file = files_get(&m->files, ino);
		r = d->file ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = dir_look(m, d);
	if (r < 0) {
		dir_free(m, d);
		return r;
	}
	*ret = d;
	return 0;
}

void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct dir *d;
	int r = node_can_read(m->node) ? dir_open(m, ino, &d) : -EIO;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	pthread_mutex_lock(&m->open.lock);
	DL_PREPEND(m->open.dirs, d);
	pthread_mutex_unlock(&m->open.lock);
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

void dir_close_all(struct mount *m)
{
	while (m->open.dirs)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it was removed from the list */
		dir_close(m, m->open.dirs);
}

/* --- fsync of a directory -------------------------------------------------- */

/* An fsync of a directory. */
struct sync {
	struct pending_wait wait;
	struct job job;
	struct mount *mount;
	fuse_req_t req;
	uint64_t dir; /* the store's inode; the kernel keeps it locked */
};

static void barrier_done(void *arg, const struct outcome *out)
{
	struct sync *sync = arg;
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
	struct sync *sync = (struct sync *)((char *)job - offsetof(struct sync, job));

	node_barrier(sync->mount->node, sync->mount->timeout_ms, barrier_done, sync);
}

static void nothing_pending(struct pending_wait *wait)
{
	struct sync *sync = (struct sync *)((char *)wait - offsetof(struct sync, wait));

	worker_add(sync->mount->worker, &sync->job);
}

/* Answer when all files closed before are applied, this node has reached the log's end at the call,
 * and this mount's kernel was notified of all changes up to it; with the error of a file that was
 * closed and then failed. */
void fs_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);

	(void)datasync, (void)fi;
	struct sync *sync = calloc(1, sizeof(*sync));
	if (!sync) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	sync->mount = m;
	sync->req = req;
	sync->dir = store_ino(m, ino);
	busy_begin(&m->busy, sync->dir);
	sync->job.run = send_barrier;
	sync->wait.run = nothing_pending;
	if (!pending_wait(&m->pending, &sync->wait))
		send_barrier(&sync->job);
}
