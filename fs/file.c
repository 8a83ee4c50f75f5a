/* Files: keys that are open on this mount, or have changes on their way into the log.
 *
 * A file is what a mount knows beyond the store: the copy that keeps an open key readable
 * after it is deleted, changes that are not logged yet, and names that were created on this
 * mount and are invisible elsewhere until their first flush. Everything else is read from the
 * store each time.
 *
 * A name created without O_EXCL has only a proposed inode number until its event is applied.
 * If another writer was faster, the entry has another number, but the kernel goes on using
 * the proposed one for its open handles: an alias maps it to the entry until the kernel forgets
 * it. Another kind of alias maps an entry that was replaced while it was being opened to the
 * entry that has the name now, until the file is closed.
 *
 * Locks: files->lock protects the tables and reference counts, file->lock the state of one
 * file. file->lock may be held when files->lock is taken, never the reverse. No function here
 * calls FUSE or sends an event. */
#include "fs/file.h"

#include "fs/file_internal.h"
#include "fs/kernel_cache.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Largest number of closed files that are kept because their error was not reported yet. */
#define KEPT_MAX 1024

/* --- values ---------------------------------------------------------------- */

struct content *content_ref(struct content *content)
{
	if (content)
		atomic_fetch_add_explicit(&content->refs, 1, memory_order_relaxed);
	return content;
}

void content_unref(struct content *content)
{
	if (!content || atomic_fetch_sub_explicit(&content->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(content->bytes);
	free(content);
}

/* Return a new value that owns BYTES, or NULL without memory (BYTES then stay the caller's). */
static struct content *content_new(unsigned char *bytes, uint64_t size, uint64_t version)
{
	struct content *content = malloc(sizeof(*content));

	if (content)
		*content = (struct content){ 1, version, size, bytes };
	return content;
}

/* Read the value of E. Returns 0 and *RET, -ENOMEM or -EIO. */
static int content_read(const struct view *view, const struct entry *e, struct content **ret)
{
	unsigned char *bytes = malloc(e->size ? e->size : 1);

	if (!bytes)
		return -ENOMEM;
	int64_t n = e->size ? store_read(view->txn, e, 0, bytes, e->size) : 0;
	int r = n == (int64_t)e->size ? 0 : -EIO;
	if (r == 0) {
		*ret = content_new(bytes, e->size, e->version);
		if (*ret)
			return 0;
		r = -ENOMEM;
	}
	free(bytes);
	return r;
}

/* --- tables ---------------------------------------------------------------- */

int files_init(struct files *files)
{
	*files = (struct files){ 0 };
	return -pthread_mutex_init(&files->lock, NULL);
}

static void file_free(struct file *f)
{
	assert(!f->queue && !f->flight && !f->parked);
	file_drop_buffer(f);
	kernel_cache_drop(f);
	content_unref(f->content);
	pthread_mutex_destroy(&f->lock);
	free(f->name_key);
	free(f);
}

void files_close(struct files *files)
{
	struct file *f, *next_file;
	struct alias *alias, *next_alias;

	HASH_CLEAR(hh_name, files->by_name);
	HASH_CLEAR(hh_real, files->by_real);
	HASH_ITER (hh, files->by_ino, f, next_file) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed files leave the table first */
		HASH_DEL(files->by_ino, f);
		/* Events that were given up when stopping may still point to the file. */
		if (!f->queue && !f->flight && !f->parked)
			file_free(f);
	}
	HASH_ITER (hh, files->aliases, alias, next_alias) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed aliases leave the table first */
		HASH_DEL(files->aliases, alias);
		free(alias);
	}
	pthread_mutex_destroy(&files->lock);
}

/* Create a file that is in no table yet. Returns NULL without memory. */
static struct file *file_new(struct files *files, uint64_t ino)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	if (pthread_mutex_init(&f->lock, NULL) != 0) {
		free(f);
		return NULL;
	}
	f->files = files;
	f->ino = ino;
	f->st_ino = ino;
	f->real = ino;
	f->refs = 1;
	return f;
}

struct file *files_find(struct files *files, uint64_t ino)
{
	struct file *f;

	if (count_load(&files->nfiles) == 0)
		return NULL;
	pthread_mutex_lock(&files->lock);
	HASH_FIND(hh, files->by_ino, &ino, sizeof(ino), f);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&files->lock);
	return f;
}

struct file *files_get(struct files *files, uint64_t ino)
{
	struct file *f;

	pthread_mutex_lock(&files->lock);
	HASH_FIND(hh, files->by_ino, &ino, sizeof(ino), f);
	if (f) {
		f->refs++;
	} else {
		f = file_new(files, ino);
		if (f) {
			struct alias *alias = alias_find(files, ino);

			if (alias)
				f->real = alias->real;
			if (alias && alias->renumbers)
				f->st_ino = alias->real;
			HASH_ADD(hh, files->by_ino, ino, sizeof(f->ino), f);
			count_add(&files->nfiles, 1);
		}
	}
	pthread_mutex_unlock(&files->lock);
	return f;
}

/* Key of the table of names: the directory's number, then the name. */
#define NAME_KEY_MAX (sizeof(uint64_t) + KEY_NAME_ROOM)
#define KEY_NAME_ROOM 256

static size_t name_key(unsigned char *key, uint64_t parent, const char *name, size_t len)
{
	assert(len < KEY_NAME_ROOM);
	memcpy(key, &parent, sizeof(parent));
	memcpy(key + sizeof(parent), name, len);
	return sizeof(parent) + len;
}

int files_create(struct files *files, uint64_t ino, uint64_t parent, const char *name,
                 uint32_t mode, int64_t now_ns, struct file **ret)
{
	size_t len = strlen(name);
	struct file *f = file_new(files, ino);
	struct file *other;

	if (!f)
		return -ENOMEM;
	f->name_key = malloc(sizeof(parent) + len + 1);
	if (!f->name_key || file_make_private(f, true) < 0) {
		file_free(f);
		return -ENOMEM;
	}
	f->name_key_len = name_key(f->name_key, parent, name, len);
	f->name_key[f->name_key_len] = '\0';
	f->name = (char *)f->name_key + sizeof(parent);
	f->name_len = len;
	f->parent = parent;
	f->creation = FILE_UNLOGGED;
	f->named = true;
	f->last = (struct entry){
		.ino = ino,
		.parent = parent,
		.mode = mode,
		.mtime_ns = now_ns,
		.ctime_ns = now_ns,
		.atime_ns = now_ns,
	};

	pthread_mutex_lock(&files->lock);
	HASH_FIND(hh_name, files->by_name, f->name_key, f->name_key_len, other);
	if (other) {
		pthread_mutex_unlock(&files->lock);
		file_free(f);
		return -EEXIST;
	}
	HASH_ADD(hh, files->by_ino, ino, sizeof(f->ino), f);
	HASH_ADD_KEYPTR(hh_name, files->by_name, f->name_key, f->name_key_len, f);
	count_add(&files->nfiles, 1);
	count_add(&files->nnamed, 1);
	pthread_mutex_unlock(&files->lock);
	*ret = f;
	return 0;
}

struct file *files_find_name(struct files *files, uint64_t parent, const char *name)
{
	unsigned char key[NAME_KEY_MAX];
	size_t len = strlen(name);
	struct file *f;

	if (count_load(&files->nnamed) == 0 || len >= KEY_NAME_ROOM)
		return NULL;
	len = name_key(key, parent, name, len);
	pthread_mutex_lock(&files->lock);
	HASH_FIND(hh_name, files->by_name, key, len, f);
	if (f)
		f->refs++;
	pthread_mutex_unlock(&files->lock);
	return f;
}

struct file *file_ref(struct files *files, struct file *f)
{
	pthread_mutex_lock(&files->lock);
	f->refs++;
	pthread_mutex_unlock(&files->lock);
	return f;
}

void file_leave_names(struct files *files, struct file *f)
{
	if (!f->named)
		return;
	f->named = false;
	HASH_DELETE(hh_name, files->by_name, f);
	count_add(&files->nnamed, -1);
}

void files_unref(struct files *files, struct file *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&files->lock);
	assert(f->refs > 0);
	bool last = --f->refs == 0;
	if (last) {
		struct alias *alias = f->real != f->ino ? alias_find(files, f->ino) : NULL;

		if (alias && alias->of_file)
			alias_drop(files, alias);
		file_leave_names(files, f);
		file_leave_frozen(files, f);
		HASH_DELETE(hh, files->by_ino, f);
		count_add(&files->nfiles, -1);
	}
	pthread_mutex_unlock(&files->lock);
	if (last)
		file_free(f);
}

int files_each_name(struct files *files, uint64_t parent, int (*fn)(void *arg, struct file *f),
                    void *arg)
{
	struct file *f, *next;
	int r = 0;

	if (count_load(&files->nnamed) == 0)
		return 0;
	pthread_mutex_lock(&files->lock);
	HASH_ITER (hh_name, files->by_name, f, next) {
		if (f->parent == parent)
			r = fn(arg, f);
		if (r != 0)
			break;
	}
	pthread_mutex_unlock(&files->lock);
	return r;
}

void files_each_ino(struct files *files, void (*fn)(void *arg, uint64_t ino), void *arg)
{
	struct file *f, *next;
	struct alias *alias, *next_alias;

	if (count_load(&files->nfiles) == 0)
		return;
	pthread_mutex_lock(&files->lock);
	HASH_ITER (hh, files->by_ino, f, next) {
		fn(arg, f->ino);
	}
	HASH_ITER (hh, files->aliases, alias, next_alias) {
		fn(arg, alias->real);
	}
	pthread_mutex_unlock(&files->lock);
}

void files_keep(struct files *files, struct file *f)
{
	pthread_mutex_lock(&files->lock);
	if (!f->kept && files->nkept < KEPT_MAX) {
		f->kept = true;
		f->refs++;
		files->nkept++;
	}
	pthread_mutex_unlock(&files->lock);
}

void files_add_lookup(struct files *files, struct file *f)
{
	pthread_mutex_lock(&files->lock);
	struct alias *alias = f->named ? NULL : alias_find(files, f->ino);
	if (alias)
		alias->nlookup++;
	else
		f->nlookup++;
	pthread_mutex_unlock(&files->lock);
}

void files_forget(struct files *files, uint64_t ino, uint64_t n)
{
	struct file *f;

	if (count_load(&files->nnamed) == 0 && count_load(&files->naliases) == 0)
		return;
	pthread_mutex_lock(&files->lock);
	struct alias *alias = alias_find(files, ino);
	if (alias) {
		alias->nlookup -= n < alias->nlookup ? n : alias->nlookup;
		if (alias->nlookup == 0 && !alias->of_file)
			alias_drop(files, alias);
	} else {
		HASH_FIND(hh, files->by_ino, &ino, sizeof(ino), f);
		if (f && f->named)
			f->nlookup -= n < f->nlookup ? n : f->nlookup;
	}
	pthread_mutex_unlock(&files->lock);
}

/* --- one file -------------------------------------------------------------- */

/* Return the value of VERSION if the file of INO, another number of F's entry, has it, else
 * NULL. The lock of that file is only tried: its holder may wait for files->lock. */
static struct content *content_of(struct files *files, const struct file *f, uint64_t ino,
                                  uint64_t version)
{
	struct content *content = NULL;
	struct file *other;

	HASH_FIND(hh, files->by_ino, &ino, sizeof(ino), other);
	if (!other || other == f || pthread_mutex_trylock(&other->lock) != 0)
		return NULL;
	if (other->content && other->content->version == version)
		content = content_ref(other->content);
	pthread_mutex_unlock(&other->lock);
	return content;
}

/* Return the value of VERSION if the file of any other number of F's entry has it, else
 * NULL: one copy is enough for all of them. */
static struct content *share_content(const struct file *f, uint64_t version)
{
	struct files *files = f->files;
	struct alias *alias, *next;

	if (count_load(&files->naliases) == 0)
		return NULL;
	pthread_mutex_lock(&files->lock);
	struct content *content = content_of(files, f, f->real, version);
	HASH_ITER (hh, files->aliases, alias, next) {
		if (!content && alias->real == f->real)
			content = content_of(files, f, alias->ino, version);
	}
	pthread_mutex_unlock(&files->lock);
	return content;
}

int file_load(struct file *f, const struct view *view, bool with_value)
{
	struct entry e;

	if (f->creation != FILE_LOGGED || f->lost || f->gone)
		return 0;
	int r = view_inode(view, f->real, &e);
	if (r == -ENOENT) {
		f->gone = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (with_value && (!f->content || f->content->version != e.version)) {
		struct content *content = share_content(f, e.version);

		r = content ? 0 : content_read(view, &e, &content);
		if (r < 0)
			return r;
		content_unref(f->content);
		f->content = content;
	}
	file_note(f, &e);
	return 0;
}

void file_note(struct file *f, const struct entry *e)
{
	if (f->creation != FILE_LOGGED || f->lost || f->gone)
		return;
	f->last = *e;
	f->last.ino = f->st_ino;
	f->last.name = NULL;
	f->last.inline_value = NULL;
}

int file_end_empty(struct file *f, const struct entry *e)
{
	if (!f->content && !f->buffer) {
		f->content = content_new(NULL, 0, 0);
		if (!f->content)
			return -ENOMEM;
		f->gone = false;
		file_note(f, e);
	}
	f->gone = true;
	return 0;
}

/* Move the bytes of F->content to BUFFER if it has no other user, else copy them. Returns 0 or
 * -ENOMEM. */
static int fill_buffer(struct file *f, struct buffer *buffer)
{
	struct content *content = f->content;

	if (atomic_load_explicit(&content->refs, memory_order_acquire) > 1)
		return buffer_init(buffer, content->bytes, content->size);
	*buffer = (struct buffer){ .bytes = content->bytes,
		                   .cap = content->size,
		                   .size = content->size };
	content->bytes = NULL;
	return 0;
}

int file_make_private(struct file *f, bool empty)
{
	if (f->buffer)
		return 0;
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	kernel_cache_drop(f);
	int r = f->content && !empty ? fill_buffer(f, buffer) : 0;
	if (r < 0) {
		free(buffer);
		return r;
	}
	if (empty)
		buffer->whole = true;
	f->buffer = buffer;
	f->base_size = f->last.size;
	content_unref(f->content);
	f->content = NULL;
	return 0;
}

void file_drop_buffer(struct file *f)
{
	if (!f->buffer)
		return;
	buffer_close(f->buffer);
	free(f->buffer);
	f->buffer = NULL;
	f->changed_ns = 0;
}

void file_settle_buffer(struct file *f, uint64_t version)
{
	if (!f->buffer)
		return;
	assert(!f->buffer->changed);
	struct content *content = content_new(f->buffer->bytes, f->buffer->size, version);
	if (content) {
		f->buffer->bytes = NULL;
		content_unref(f->content);
		f->content = content;
	}
	file_drop_buffer(f);
}

struct content *file_content(struct file *f)
{
	return content_ref(f->content);
}

int file_take_error(struct files *files, struct file *f)
{
	int error = f->error;

	f->error = 0;
	if (!error)
		return 0;
	/* The caller has a reference as well, so this one is not the last. */
	pthread_mutex_lock(&files->lock);
	if (f->kept) {
		f->kept = false;
		f->refs--;
		files->nkept--;
	}
	pthread_mutex_unlock(&files->lock);
	return error;
}
