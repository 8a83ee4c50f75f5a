/* Numbers: which inode numbers the kernel has for an entry, and which one look-ups get.
 *
 * The kernel knows an entry by the entry's own number, and perhaps by others, called aliases.
 * An alias leads to the entry as long as the kernel knows it. There are three kinds: a number
 * that was proposed for a new name which another creator then made first; a number whose entry
 * was replaced while it was being opened; and a number that look-ups get while the previous one
 * is frozen (frozen.c).
 *
 * Lock: files->lock protects all of this. */
#include "fs/file_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

struct alias *alias_find(struct files *files, uint64_t ino)
{
	struct alias *alias;

	HASH_FIND(hh, files->aliases, &ino, sizeof(ino), alias);
	return alias;
}

/* Add ALIAS, which leads from INO to REAL, to the table. */
static void add_alias(struct files *files, struct alias *alias, uint64_t ino, uint64_t real)
{
	alias->ino = ino;
	alias->real = real;
	HASH_ADD(hh, files->aliases, ino, sizeof(alias->ino), alias);
	count_add(&files->naliases, 1);
}

/* Stop look-ups from getting ALIAS, which may be NULL. */
static void retire_alias(struct files *files, struct alias *alias)
{
	if (alias && alias->current)
		HASH_DELETE(hh_real, files->by_real, alias);
	if (alias)
		alias->current = false;
}

void alias_drop(struct files *files, struct alias *alias)
{
	retire_alias(files, alias);
	HASH_DEL(files->aliases, alias);
	count_add(&files->naliases, -1);
	free(alias);
}

void file_leave_frozen(struct files *files, struct file *f)
{
	if (!f->reserved)
		return;
	DL_DELETE2(files->frozen, f, frozen_prev, frozen_next);
	files->frozen_bytes -= f->frozen_bytes;
	count_add(&files->nfrozen, -1);
	f->reserved = false;
}

int files_resolve(struct files *files, struct file *f, uint64_t real)
{
	struct alias *alias = NULL;
	int r = 0;

	if (real && real != f->ino) {
		alias = calloc(1, sizeof(*alias));
		if (!alias)
			r = -ENOMEM;
	}
	pthread_mutex_lock(&files->lock);
	file_leave_names(files, f);
	if (alias && f->nlookup) {
		alias->nlookup = f->nlookup;
		add_alias(files, alias, f->ino, real);
		alias = NULL;
	}
	pthread_mutex_unlock(&files->lock);
	free(alias);
	return r;
}

int files_redirect(struct files *files, struct file *f, uint64_t real)
{
	struct alias *more = calloc(1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	pthread_mutex_lock(&files->lock);
	struct alias *alias = alias_find(files, f->ino);
	if (!alias) {
		alias = more;
		more = NULL;
		alias->of_file = true;
		add_alias(files, alias, f->ino, real);
	}
	retire_alias(files, alias);
	alias->real = real;
	pthread_mutex_unlock(&files->lock);
	free(more);
	f->real = real;
	f->gone = false;
	return 0;
}

uint64_t files_real(struct files *files, uint64_t ino)
{
	if (count_load(&files->naliases) == 0)
		return ino;
	pthread_mutex_lock(&files->lock);
	const struct alias *alias = alias_find(files, ino);
	if (alias)
		ino = alias->real;
	pthread_mutex_unlock(&files->lock);
	return ino;
}

uint64_t files_alias(struct files *files, uint64_t real, unsigned n)
{
	struct alias *alias, *next;
	uint64_t ino = 0;

	if (count_load(&files->naliases) == 0)
		return 0;
	pthread_mutex_lock(&files->lock);
	HASH_ITER (hh, files->aliases, alias, next) {
		if (alias->real == real && n-- == 0) {
			ino = alias->ino;
			break;
		}
	}
	pthread_mutex_unlock(&files->lock);
	return ino;
}

static struct alias *find_current(struct files *files, uint64_t real)
{
	struct alias *alias;

	HASH_FIND(hh_real, files->by_real, &real, sizeof(real), alias);
	return alias;
}

/* Make SPARE the number that look-ups of REAL get. FILES->lock is held. Returns NULL without
 * memory. */
static struct alias *renumber(struct files *files, uint64_t real, uint64_t spare)
{
	struct alias *alias = calloc(1, sizeof(*alias));

	if (!alias)
		return NULL;
	alias->renumbers = true;
	alias->current = true;
	add_alias(files, alias, spare, real);
	HASH_ADD(hh_real, files->by_real, real, sizeof(alias->real), alias);
	return alias;
}

uint64_t files_number(struct files *files, uint64_t real, uint64_t spare)
{
	uint64_t ino = real;
	struct file *f;

	if (count_load(&files->naliases) == 0 && count_load(&files->nfrozen) == 0)
		return real;
	pthread_mutex_lock(&files->lock);
	struct alias *alias = find_current(files, real);
	HASH_FIND(hh, files->by_ino, &real, sizeof(real), f);
	if (!alias && f && f->reserved) {
		alias = spare ? renumber(files, real, spare) : NULL;
		ino = spare ? real : 0;
	}
	if (alias) {
		alias->nlookup++;
		ino = alias->ino;
	}
	pthread_mutex_unlock(&files->lock);
	return ino;
}

uint64_t files_current(struct files *files, uint64_t real)
{
	if (count_load(&files->naliases) == 0)
		return real;
	pthread_mutex_lock(&files->lock);
	const struct alias *alias = find_current(files, real);
	uint64_t ino = alias ? alias->ino : real;
	pthread_mutex_unlock(&files->lock);
	return ino;
}

uint64_t files_st_ino(struct files *files, uint64_t ino)
{
	if (count_load(&files->naliases) == 0)
		return ino;
	pthread_mutex_lock(&files->lock);
	const struct alias *alias = alias_find(files, ino);
	if (alias && alias->renumbers)
		ino = alias->real;
	pthread_mutex_unlock(&files->lock);
	return ino;
}

int files_freeze(struct files *files, struct file *f, uint64_t bytes)
{
	int r = -ENOSPC;

	pthread_mutex_lock(&files->lock);
	/* Freezing a file gives its entry one more number, which exists as long as the kernel knows
	 * it. So both tables are limited. */
	bool room = f->reserved ||
	            (files->nfrozen < FILES_FROZEN_MAX && files->naliases < FILES_FROZEN_MAX);
	if (room && files->frozen_bytes + bytes <= FILES_FROZEN_BYTES_MAX) {
		file_leave_frozen(files, f);
		DL_APPEND2(files->frozen, f, frozen_prev, frozen_next);
		f->reserved = true;
		f->frozen_bytes = bytes;
		files->frozen_bytes += bytes;
		count_add(&files->nfrozen, 1);
		retire_alias(files, alias_find(files, f->ino));
		r = 0;
	}
	pthread_mutex_unlock(&files->lock);
	return r;
}

void files_thaw(struct files *files, struct file *f, bool apart)
{
	pthread_mutex_lock(&files->lock);
	files->frozen_bytes -= f->frozen_bytes;
	f->frozen_bytes = 0;
	if (!apart)
		file_leave_frozen(files, f);
	pthread_mutex_unlock(&files->lock);
}

size_t files_list_frozen(struct files *files, struct file **list)
{
	struct file *f;
	size_t n = 0;

	if (count_load(&files->nfrozen) == 0)
		return 0;
	pthread_mutex_lock(&files->lock);
	DL_FOREACH2(files->frozen, f, frozen_next)
	{
		f->refs++;
		list[n++] = f;
	}
	pthread_mutex_unlock(&files->lock);
	return n;
}
