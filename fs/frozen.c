/* Frozen files: handles that stay on the version of a value that they were opened with.
 *
 * The kernel keeps one set of pages and one size for an inode. All handles share them, also
 * those that are read by splice, sendfile or a mapping. So when another client replaces a
 * value while programs read it here, those programs would get a part of each version. On
 * a local file system a value is replaced by rename(2): open handles keep the old inode,
 * and the name leads to a new one. This file does the same with the numbers by which the
 * kernel knows inodes. The number that the handles have is frozen: it keeps the old bytes
 * (F->kernel_content). The name is invalidated, and the next look-up gets another number for the
 * same entry, an alias (file_numbers.c). stat(2) shows the entry's own number for both.
 *
 * The invalidator freezes a file, instead of dropping its pages, if
 * - it is open, and all handles can only read: a writer must see its own writes, and
 *   databases that lock the file must see other clients' changes;
 * - it was opened, or the kernel requested pages, within FROZEN_ACTIVE_MS: a program that
 *   maps a value or follows a log for longer wants the changes;
 * - the new value is not the old one with bytes appended (then readers of either get a whole
 *   value, and `tail -f` continues), and the event replaces the whole value;
 * - no read past the kernel's cache got the new value through this number already, and this
 *   mount has no event of the file in flight;
 * - the mount's frozen values stay within their limits (file.h).
 *
 * It is thawed, and follows its entry again, when
 * 1. its last handle is closed;
 * 2. the kernel has not requested pages for FROZEN_ACTIVE_MS;
 * 3. the kernel requests its size twice, FROZEN_REQUESTS_MS apart, or reads past its cache from
 *    the start or at the end: `tail -f` and `less +F` do so once they have reached the end;
 * 4. it is opened by its old number: by a program that had looked the name up before the
 *    name was invalidated, through a bind mount of the file, or through /proc/PID/fd.
 * Handles that are still in the middle of the old value then get the rest from the new one.
 * After 2 and 3 the handles follow each change, while names still lead to another number.
 *
 * Lock: file->lock; the list of frozen files is under files->lock. */
#include "fs/frozen.h"

#include "fs/kernel_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes to compare first: most replaced values differ there already. */
#define COMPARE_FIRST 4096

/* Return the content from which the kernel's pages come, or NULL if F does not have it. */
static struct content *kernel_version(const struct file *f)
{
	if (f->kernel_content)
		return f->kernel_content;
	return f->content && f->content->version == f->last.version ? f->content : NULL;
}

/* Return whether F has readers that may be in the middle of its value. */
static bool has_readers(const struct file *f, int64_t now_ms)
{
	return f->creation == FILE_LOGGED && !f->gone && !f->lost && f->nopen && !f->nwriting &&
	       !file_is_private(f) && !file_busy(f) && !f->follows &&
	       now_ms - f->active_ms < FROZEN_ACTIVE_MS;
}

/* Return whether the value of E begins with OLD: 1, 0 or -errno. */
static int begins_with(const struct view *view, const struct entry *e, const struct content *old)
{
	if (!old->size || e->size < old->size)
		return !old->size;
	unsigned char *bytes = malloc(old->size);
	if (!bytes)
		return -ENOMEM;
	uint64_t len = old->size < COMPARE_FIRST ? old->size : COMPARE_FIRST;
	int64_t n = store_read(view->txn, e, 0, bytes, len);
	if (n == (int64_t)len && memcmp(bytes, old->bytes, len) == 0 && len < old->size) {
		len = old->size;
		n = store_read(view->txn, e, 0, bytes, len);
	}
	int r = n < 0 ? (int)n : n == (int64_t)len && memcmp(bytes, old->bytes, len) == 0;
	free(bytes);
	return r;
}

bool frozen_try(struct files *files, struct file *f, const struct view *view, int64_t now_ms)
{
	struct content *old = kernel_version(f);
	struct entry e;

	if (f->frozen != FILE_THAWED || !old || !old->version || !has_readers(f, now_ms))
		return false;
	if (view_inode(view, f->real, &e) < 0 || e.version <= old->version ||
	    f->direct_version > old->version)
		return false;
	if (begins_with(view, &e, old) != 0 || files_freeze(files, f, old->size) < 0)
		return false;
	if (!f->kernel_content)
		f->kernel_content = content_ref(old);
	f->outdated_ms = 0;
	f->frozen = FILE_FROZEN;
	f->thaw_queued = false;
	f->stale_name = true;
	f->active_ms = now_ms;
	f->size_request_ms = 0;
	return true;
}

bool frozen_size_requested(struct file *f, int64_t now_ms)
{
	if (f->frozen != FILE_FROZEN || f->thaw_queued)
		return false;
	if (!f->size_request_ms)
		f->size_request_ms = now_ms;
	f->follows = now_ms - f->size_request_ms >= FROZEN_REQUESTS_MS;
	return f->follows;
}

bool frozen_expired(struct file *f, int64_t now_ms)
{
	if (f->frozen != FILE_FROZEN || f->thaw_queued)
		return false;
	f->follows = now_ms - f->active_ms >= FROZEN_ACTIVE_MS;
	return f->follows;
}

int frozen_thaw(struct file *f, const struct view *view)
{
	if (f->frozen != FILE_FROZEN)
		return 0;
	int r = file_load(f, view, f->nopen > 0);
	if (r < 0 || f->gone)
		return r;
	f->frozen = FILE_THAWING;
	kernel_cache_drop(f);
	return 0;
}

void frozen_end(struct files *files, struct file *f)
{
	if (f->frozen != FILE_THAWING)
		return;
	f->frozen = FILE_THAWED;
	f->thaw_queued = false;
	files_thaw(files, f, f->follows && f->nopen);
}

bool frozen_closed(struct files *files, struct file *f)
{
	if (f->follows && f->frozen == FILE_THAWED)
		files_thaw(files, f, false);
	f->follows = false;
	return f->frozen == FILE_FROZEN && !f->thaw_queued;
}
