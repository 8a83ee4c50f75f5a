/* Kernel cache: which version's size and pages the kernel is given for its page cache.
 *
 * The kernel requests a file's size and its pages separately, and keeps both until it is
 * notified of a change (inval.c). If each answer came from the store's current version, readers
 * could see a value that was applied but not notified yet cut, or filled up, to the old length.
 * So between two notifications all answers for a value come from one version,
 * f->kernel_content: the newest one at the first request. The invalidator drops it just before
 * it notifies the kernel. An answer in flight then does no harm: the kernel drops a size that it
 * requested before the notification, and waits for pages in flight. One race remains, as on any
 * file system whose files other clients change: a read that checked the size before the
 * notification and gets its page after it. (Answering it from the old version would leave an old
 * page in the cache after its invalidation, and show the old value after a REST write was
 * answered.) tests/bench/RESULTS.md says how often such reads were seen.
 *
 * Before a file is open no version is kept, and the kernel may have size and pages of an older
 * one. So an open before the pending notification makes the kernel drop both (fs_open.c).
 *
 * Changes of this mount need no notification and must be visible at once: while one of them is
 * queued or in flight, no version is kept (op.c). If a notification is lost or hangs, an old
 * value is shown for at most KERNEL_CACHE_MAX_MS after this module first noticed a newer one. A
 * frozen file (frozen.c) keeps its version, because names no longer lead to it. Without the
 * kernel's cache (-o nocache) this module is not used, and reads past the cache (fs_open.c)
 * ignore it.
 *
 * Lock: file->lock. */
#include "fs/kernel_cache.h"

void kernel_cache_drop(struct file *f)
{
	content_unref(f->kernel_content);
	f->kernel_content = NULL;
	f->outdated_ms = 0;
}

/* Return whether F->kernel_content has been older than F->last for too long. */
static bool is_overdue(struct file *f, int64_t now_ms)
{
	if (f->kernel_content->version >= f->last.version)
		f->outdated_ms = 0;
	else if (!f->outdated_ms)
		f->outdated_ms = now_ms;
	return f->outdated_ms && now_ms - f->outdated_ms >= KERNEL_CACHE_MAX_MS;
}

int kernel_cache_load(struct file *f, const struct view *view, int64_t now_ms)
{
	if (f->frozen == FILE_FROZEN)
		return file_load(f, view, false);
	if (f->creation != FILE_LOGGED || file_is_private(f)) {
		kernel_cache_drop(f);
		return 0;
	}
	int r = file_load(f, view, false);
	return r < 0 ? r : kernel_cache_choose(f, view, now_ms);
}

int kernel_cache_choose(struct file *f, const struct view *view, int64_t now_ms)
{
	int r = 0;

	if (f->frozen == FILE_FROZEN)
		return 0;
	if (file_busy(f))
		kernel_cache_drop(f);
	/* The entry was deleted, so its value does not change any more. */
	if (f->gone)
		return 0;
	if (f->kernel_content && is_overdue(f, now_ms))
		kernel_cache_drop(f);
	if (f->kernel_content)
		return 0;
	/* A view older than F->content has nothing newer. */
	if (!f->content || f->content->version < f->last.version)
		r = file_load(f, view, true);
	if (r == 0 && !file_busy(f))
		f->kernel_content = file_content(f);
	return r;
}

struct content *kernel_cache_content(struct file *f)
{
	return content_ref(f->kernel_content ? f->kernel_content : f->content);
}

void kernel_cache_invalidate(struct files *files, uint64_t ino)
{
	struct file *f = files_find(files, ino);

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	if (f->frozen != FILE_FROZEN)
		kernel_cache_drop(f);
	pthread_mutex_unlock(&f->lock);
	files_unref(files, f);
}

void kernel_cache_changed(struct files *files, uint64_t real)
{
	uint64_t ino;

	kernel_cache_invalidate(files, real);
	for (unsigned n = 0; (ino = files_alias(files, real, n)); n++)
		kernel_cache_invalidate(files, ino);
}
