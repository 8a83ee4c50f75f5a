/* Directories: the state of one opendir(3) on this mount, with the names that it lists.
 *
 * An open directory collects its names from one snapshot at the first read, adds those that this
 * mount has created and not logged yet, and sorts them by the hashes of the names. The hash of a
 * name is its position in the stream, so a position means the same in every open directory,
 * whatever is created or removed in the meantime. The kernel may continue in one listing where
 * another one ended, as it does when it has dropped its cached listing; a name that exists
 * throughout is still listed exactly once. (An index in a list, or the order of the store, would
 * guarantee that only within one opendir.) rewinddir(3) collects the names again.
 *
 * Locks: dir->lock protects the names; the caller holds it. mount->open.lock protects the list of
 * open directories. */
#include "fs/dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

/* Bits that a hash is shifted, so that a position is not negative as a long. */
#define HASH_SHIFT 2

/* --- counting look-ups ----------------------------------------------------- */

static _Atomic unsigned *lookup_counter(struct mount *m, uint64_t ino)
{
	return &m->lookups[ino % LOOKUP_COUNTERS];
}

void dir_count_lookup(struct mount *m, uint64_t ino)
{
	atomic_fetch_add_explicit(lookup_counter(m, ino), 1, memory_order_relaxed);
}

unsigned dir_lookups(struct mount *m, uint64_t ino)
{
	return atomic_load_explicit(lookup_counter(m, ino), memory_order_relaxed);
}

/* --- collecting names ------------------------------------------------------ */

static void reset_names(struct dir *d)
{
	d->nnames = 0;
	d->ntexts = 0;
	d->nunlogged = 0;
	d->complete = false;
	d->fill = false;
}

/* Make room for one more element in a growing array. Returns NULL without memory. */
static void *grow_array(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	size_t more = *cap ? *cap * 2 : 64;
	void *bigger = realloc(array, more * size);
	if (bigger)
		*cap = more;
	return bigger;
}

/* Return the position of NAME: its FNV-1a hash, mixed because the sort order depends mostly on the
 * high bits. */
static uint64_t hash_position(const char *name, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return ((h ^ h >> 33) >> HASH_SHIFT) + DIR_AFTER_DOTS + 1;
}

static int add_name(struct dir *d, const char *name, size_t len, uint64_t ino, uint32_t type,
                    bool unlogged)
{
	struct dir_name *names = grow_array(d->names, d->nnames, &d->names_cap, sizeof(*names));

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
	d->names[d->nnames++] = (struct dir_name){
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
	struct dir_unlogged *more = grow_array(d->unlogged, d->nunlogged, &d->unlogged_cap,
	                                       sizeof(*more));

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
	return strcmp(((const struct dir_unlogged *)a)->name,
	              ((const struct dir_unlogged *)b)->name);
}

static void mark_seen(struct dir *d, const char *name, size_t len)
{
	struct dir_unlogged key;

	if (d->nunlogged == 0)
		return;
	memcpy(key.name, name, len);
	key.name[len] = '\0';
	struct dir_unlogged *found = bsearch(&key, d->unlogged, d->nunlogged, sizeof(*d->unlogged),
	                                     by_name);
	if (found)
		found->seen = true;
}

/* Add a name that the snapshot did not have, if it still exists: it may have been logged or
 * removed since. */
static int add_unlogged(struct mount *m, struct dir *d, const struct dir_unlogged *u)
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

/* Return whether the snapshot may contain expired entries. */
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
	uint64_t left = ((const struct dir_name *)a)->position;
	uint64_t right = ((const struct dir_name *)b)->position;

	return left < right ? -1 : left > right;
}

int dir_collect(struct mount *m, struct dir *d)
{
	struct view view;

	reset_names(d);
	/* Begin with the unlogged names: a name that is logged in the meantime is then seen twice
	 * instead of being missed. */
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
	/* Move the second of two names with the same hash (rare) to the next position. */
	for (size_t i = 1; i < d->nnames; i++) {
		if (d->names[i].position <= d->names[i - 1].position)
			d->names[i].position = d->names[i - 1].position + 1;
	}
	d->complete = true;
	return 0;
}

size_t dir_first_after(const struct dir *d, uint64_t position)
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

/* --- opening and closing --------------------------------------------------- */

static void free_dir(struct mount *m, struct dir *d)
{
	files_unref(&m->files, d->file);
	pthread_mutex_destroy(&d->lock);
	free(d->names);
	free(d->texts);
	free(d->unlogged);
	free(d);
}

void dir_close(struct mount *m, struct dir *d)
{
	pthread_mutex_lock(&m->open.lock);
	DL_DELETE(m->open.dirs, d);
	pthread_mutex_unlock(&m->open.lock);
	free_dir(m, d);
}

/* Check that the directory exists, and keep its attributes. Returns 0 or -errno. */
static int load_dir(struct mount *m, struct dir *d)
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

int dir_open(struct mount *m, fuse_ino_t ino, struct dir **ret)
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
		r = load_dir(m, d);
	if (r < 0) {
		free_dir(m, d);
		return r;
	}
	pthread_mutex_lock(&m->open.lock);
	DL_PREPEND(m->open.dirs, d);
	pthread_mutex_unlock(&m->open.lock);
	*ret = d;
	return 0;
}

void dir_close_all(struct mount *m)
{
	while (m->open.dirs)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): It was removed from the list. */
		dir_close(m, m->open.dirs);
}
