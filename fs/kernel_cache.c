/* What the kernel keeps of a value: its size and pages, which belong together.
 *
 * The kernel asks for a file's size and for its pages apart, and keeps both until
 * it is told of a change (inval.c). If each answer came from what the store has at
 * that moment, a change that is applied, but not told yet, would be seen cut, or
 * filled up, to the length before it. So all that the kernel is given of a value
 * from one telling to the next is of one version, f->shown: what was the newest
 * when the first of it was asked for. The invalidator drops it just before it
 * tells. An answer that is under way then does no harm: the kernel drops a size
 * that was asked for before it was told, and waits for pages under way. What is
 * left is a read that has looked at the size already when the kernel is told, and
 * gets its page afterwards: that can happen on any file system whose files others
 * change. (To answer it with what was shown before would leave an old page in the
 * cache behind its invalidation, and show the old value after a REST write that was
 * answered.) Cut views by two readers, from the store's newest and since:
 *
 *     open, fstat, mmap of a key, 1,000 others told along: 40 of 148 changes, 3 of 150
 *     read(2) of 100,000 and 300,000 bytes: 228 of 1,136 changes, 29 of 892
 *     open, fstat, mmap, nothing else to tell: one change in four or five, one in three;
 *         size and page are 0.1 to 0.3 ms apart then, the change and its telling as much
 *
 * Before a file is open nothing holds a version, and the kernel may have the size
 * and pages of one before it. So who opens a file whose change is not told yet makes
 * the kernel forget both (fs_open.c).
 *
 * Changes of this mount are not told, and have to be seen at once: from when one is
 * queued to when all are done nothing is held (op.c). Whatever else may go wrong, a
 * notification that was lost or hangs, an old value is not shown for longer than
 * SHOWN_MAX_MS after it was first seen to be old. A file that is frozen (frozen.c) keeps
 * its version, as names do not lead to it any more. Without the kernel's cache (-o
 * nocache) nobody calls this, and reads past the cache (fs_open.c) do not care.
 *
 * Lock: file->lock. */
#include "fs/shown.h"

void shown_drop(struct file *f)
{
	content_unref(f->shown);
	f->shown = NULL;
	f->behind_ms = 0;
}

/* Whether F->shown has been older than F->last for too long. */
static bool is_overdue(struct file *f, int64_t now_ms)
{
	if (f->shown->version >= f->last.version)
		f->behind_ms = 0;
	else if (!f->behind_ms)
		f->behind_ms = now_ms;
	return f->behind_ms && now_ms - f->behind_ms >= SHOWN_MAX_MS;
}

int shown_load(struct file *f, const struct view *view, int64_t now_ms)
{
	if (f->frozen == FILE_FROZEN)
		return file_load(f, view, false);
	if (f->birth != FILE_BORN || file_is_private(f)) {
		shown_drop(f);
		return 0;
	}
	int r = file_load(f, view, false);
	return r < 0 ? r : shown_choose(f, view, now_ms);
}

int shown_choose(struct file *f, const struct view *view, int64_t now_ms)
{
	int r = 0;

	if (f->frozen == FILE_FROZEN)
		return 0;
	if (file_busy(f))
		shown_drop(f);
	/* The copy of what is gone does not change any more. */
	if (f->gone)
		return 0;
	if (f->shown && is_overdue(f, now_ms))
		shown_drop(f);
	if (f->shown)
		return 0;
	/* A view that is older than this brings nothing. */
	if (!f->content || f->content->version < f->last.version)
		r = file_load(f, view, true);
	if (r == 0 && !file_busy(f))
		f->shown = file_content(f);
	return r;
}

struct content *shown_content(struct file *f)
{
	return content_ref(f->shown ? f->shown : f->content);
}

void shown_told(struct files *files, uint64_t ino)
{
	struct file *f = files_find(files, ino);

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	if (f->frozen != FILE_FROZEN)
		shown_drop(f);
	pthread_mutex_unlock(&f->lock);
	files_unref(files, f);
}

void shown_changed(struct files *files, uint64_t real)
{
	uint64_t ino;

	shown_told(files, real);
	for (unsigned n = 0; (ino = files_alias(files, real, n)); n++)
		shown_told(files, ino);
}
