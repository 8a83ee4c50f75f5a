/* Invalidator: makes the kernel drop cached data that other clients changed.
 *
 * The kernel caches names, attributes, pages and listings without a time limit (except for
 * entries that expire), so it must be notified of each change that did not come through this
 * mount. The feed lists the changes. A thread, the invalidator, notifies the kernel of each
 * (notifier.c), with no lock held: to invalidate a name, the kernel takes the directory's lock,
 * and may hold it for a request that waits for this program. For the same reason no thread that
 * completes requests does this.
 *
 * The kernel knows the changes made through this mount, with exceptions:
 * - a new file is logged when it is flushed, long after the kernel created the name, so the
 *   directory's times change once more;
 * - ranges written here are merged with ranges that other clients wrote meanwhile;
 * - a new expiry means a new time limit;
 * - entries that expire, or are evicted, when an event of this mount is applied.
 *
 * An fsync of a directory is answered after all earlier invalidations (inval_sync()). The
 * kernel keeps the directory locked until then, and a process that waits for that lock may
 * hold others. So until then the invalidator waits for no lock of the kernel, but invalidates all
 * names at once (notifier.c). If it already waits for one, perhaps for that very directory, a
 * new thread takes over the queue with the current item; the old one ends when it gets its
 * lock.
 *
 * inval_queue.c fills the queue. Lock: inval->lock protects it, a leaf. */
#include "fs/inval.h"

#include "common/base/clock.h"
#include "fs/check.h"
#include "fs/frozen.h"
#include "fs/inval_internal.h"
#include "fs/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Time after which an invalidation that could not wait for a lock of the kernel is tried again. Above
 * RETRIES_MAX of them the oldest one waits for the lock. */
#define RETRY_MS 5
#define RETRIES_MAX 4096

int inval_new(struct mount *m, struct inval **ret)
{
	struct inval *inval = calloc(1, sizeof(*inval));

	if (!inval)
		return -ENOMEM;
	inval->mount = m;
	inval->last = &inval->first;
	inval->retries_last = &inval->retries;
	int r = -pthread_mutex_init(&inval->lock, NULL);
	if (r == 0) {
		r = clock_cond_init(&inval->wake);
		if (r < 0)
			pthread_mutex_destroy(&inval->lock);
	}
	pthread_cond_init(&inval->ended, NULL);
	if (r < 0) {
		free(inval);
		return r;
	}
	*ret = inval;
	return 0;
}

static void free_items(struct invalidation *item)
{
	while (item) {
		struct invalidation *next = item->next;

		free(item);
		item = next;
	}
}

void inval_free(struct inval *inval)
{
	if (!inval)
		return;
	free_items(inval->first);
	free_items(inval->retries);
	free(inval->notifier);
	pthread_cond_destroy(&inval->ended);
	pthread_cond_destroy(&inval->wake);
	pthread_mutex_destroy(&inval->lock);
	free(inval);
}

uint64_t inval_offset(const struct inval *inval)
{
	return atomic_load_explicit(&inval->invalidated_offset, memory_order_acquire);
}

bool inval_settled(struct inval *inval, uint64_t offset)
{
	pthread_mutex_lock(&inval->lock);
	/* After the start no event may have been followed yet. */
	uint64_t followed = inval->offset ? inval->offset : inval_offset(inval);
	bool settled = inval->idle && !inval->wanted && followed >= offset;
	pthread_mutex_unlock(&inval->lock);
	return settled;
}

/* --- the threads ----------------------------------------------------------- */

/* Keep ITEM, to try it again after RETRY_MS. */
static void queue_retry(struct inval *inval, struct invalidation *item)
{
	/* One retry for each directory is enough. */
	for (struct invalidation *kept = inval->retries; kept; kept = kept->next) {
		if (kept->kind == item->kind && kept->ino == item->ino) {
			free(item);
			return;
		}
	}
	item->not_before_ms = clock_mono_ms() + RETRY_MS;
	item->next = NULL;
	*inval->retries_last = item;
	inval->retries_last = &item->next;
	inval->nretries++;
}

/* Announce the change of ITEM after the kernel was notified of it. */
static void announce_item(const struct inval *inval, struct invalidation *item)
{
	bool listing = item->kind == INVALIDATE_LISTING;

	announce_change(inval->mount->announcer, item->announce, listing ? 0 : item->ino,
	                listing ? item->ino : item->parent, item->name, item->len);
	item->announce = ANNOUNCE_NOTHING;
}

/* Answer the fsync of ITEM, unless that is done. */
static void answer_sync(struct inval *inval, struct invalidation *item)
{
	struct invalidation **link = &inval->syncs;

	pthread_mutex_lock(&inval->lock);
	struct fuse_req *req = item->req;
	item->req = NULL;
	while (*link && *link != item)
		link = &(*link)->next_sync;
	if (*link)
		*link = item->next_sync;
	pthread_mutex_unlock(&inval->lock);
	if (req)
		fuse_reply_err(req, 0);
}

/* Notify the kernel of ITEM, then free it, or keep it if it must be repeated. Returns false if
 * another thread has taken over meanwhile. */
static bool notify_or_keep(struct notifier *notifier, struct invalidation *item, bool insist)
{
	struct inval *inval = notifier->inval;

	pthread_mutex_lock(&inval->lock);
	inval->current = item;
	pthread_mutex_unlock(&inval->lock);
	bool again = notify_kernel(notifier, item, insist);
	pthread_mutex_lock(&inval->lock);
	bool works = inval->notifier == notifier;
	if (works)
		inval->current = NULL;
	pthread_mutex_unlock(&inval->lock);
	if (!works) {
		free(item);
		return false;
	}
	announce_item(inval, item);
	if (item->kind == INVALIDATE_SYNC)
		answer_sync(inval, item);
	if (again && !insist)
		queue_retry(inval, item);
	else
		free(item);
	return true;
}

/* Repeat the invalidations that are due; when stopping, all. Returns false if another thread has
 * taken over meanwhile. */
static bool retry_due(struct notifier *notifier, bool stop)
{
	struct inval *inval = notifier->inval;
	int64_t now = clock_mono_ms();

	for (size_t n = inval->nretries; n; n--) {
		struct invalidation *item = inval->retries;

		if (item->not_before_ms > now && inval->nretries <= RETRIES_MAX && !stop)
			return true;
		inval->retries = item->next;
		if (!inval->retries)
			inval->retries_last = &inval->retries;
		inval->nretries--;
		if (!notify_or_keep(notifier, item, stop || inval->nretries >= RETRIES_MAX))
			return false;
	}
	return true;
}

/* Wait until there is work, with inval->lock held. */
static void wait_for_work(struct inval *inval)
{
	bool frozen = atomic_load_explicit(&inval->mount->files.nfrozen, memory_order_acquire) != 0;

	inval->idle = !inval->retries;
	if (!inval->retries && !frozen) {
		pthread_cond_wait(&inval->wake, &inval->lock);
	} else {
		struct timespec until = clock_mono_in(inval->retries ? RETRY_MS :
		                                                       FROZEN_REQUESTS_MS);

		pthread_cond_timedwait(&inval->wake, &inval->lock, &until);
	}
	inval->idle = false;
}

/* Queue the thawing of each frozen file that was not read lately. */
static void thaw_expired(struct inval *inval)
{
	struct files *files = &inval->mount->files;
	struct file *list[FILES_FROZEN_MAX];
	size_t n = files_list_frozen(files, list);

	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&list[i]->lock);
		if (frozen_expired(list[i], clock_mono_ms()))
			inval_thaw(inval, list[i]);
		pthread_mutex_unlock(&list[i]->lock);
		files_unref(files, list[i]);
	}
}

/* Take the queue as the next round, with inval->lock held. */
static void take_round(struct inval *inval)
{
	if (!inval->wanted)
		wait_for_work(inval);
	inval->round = inval->first;
	inval->round_acks = inval->wanted;
	inval->round_offset = inval->offset;
	inval->first = NULL;
	inval->last = &inval->first;
	inval->wanted = false;
}

/* Return whether ITEM is a changed value of an inode for which the kernel has several numbers. A
 * write through this mount has changed the pages of one number only. */
static bool has_numbers(const struct inval *inval, const struct invalidation *item)
{
	return item->kind == INVALIDATE_VALUE &&
	       files_alias(&inval->mount->files, item->ino, 0) != 0;
}

/* Do the rest of the round. Returns false if another thread has taken over meanwhile. */
static bool process_round(struct notifier *notifier)
{
	struct inval *inval = notifier->inval;

	notifier->bumped = false;
	thaw_expired(inval);
	if (!retry_due(notifier, false))
		return false;
	uint64_t own = atomic_load(&inval->own_proc);
	while (inval->round) {
		struct invalidation *item = inval->round;
		bool is_own = item->proc == own;

		check_note(inval->mount->check, item->parent, item->name, item->len);
		inval->round = item->next;
		if (is_own) {
			item->announce = ANNOUNCE_NOTHING;
			item->replaced = false;
		}
		if (is_own && !item->own_as_well && !has_numbers(inval, item))
			free(item);
		else if (!notify_or_keep(notifier, item, false))
			return false;
	}
	if (inval->round_offset) {
		atomic_store_explicit(&inval->invalidated_offset, inval->round_offset,
		                      memory_order_release);
		if (inval->round_acks)
			node_ack(inval->mount->node, inval->round_offset);
	}
	return true;
}

/* Process rounds until the invalidator stops or another thread takes over. */
static void *invalidator_thread(void *arg)
{
	struct notifier *notifier = arg;
	struct inval *inval = notifier->inval;
	bool works = true;

	pthread_mutex_lock(&inval->lock);
	while (works && (!inval->stop || inval->first || inval->round)) {
		if (!inval->round)
			take_round(inval);
		pthread_mutex_unlock(&inval->lock);
		works = process_round(notifier);
		pthread_mutex_lock(&inval->lock);
	}
	pthread_mutex_unlock(&inval->lock);
	works = works && retry_due(notifier, true);
	if (!works)
		free(notifier);
	pthread_mutex_lock(&inval->lock);
	inval->nthreads--;
	pthread_cond_signal(&inval->ended);
	pthread_mutex_unlock(&inval->lock);
	return NULL;
}

/* Start a thread that takes over, with inval->lock held. Returns 0 or -errno. */
static int start_thread(struct inval *inval)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier)), *before = inval->notifier;
	pthread_t thread;

	if (!notifier)
		return -ENOMEM;
	notifier->mount = inval->mount;
	notifier->inval = inval;
	inval->notifier = notifier;
	int r = -pthread_create(&thread, NULL, invalidator_thread, notifier);
	if (r < 0) {
		inval->notifier = before;
		free(notifier);
		return r;
	}
	inval->nthreads++;
	pthread_setname_np(thread, "invalidator");
	pthread_detach(thread);
	return 0;
}

int inval_start(struct inval *inval)
{
	atomic_store(&inval->own_proc, node_proc(inval->mount->node));
	/* The kernel caches nothing from before the mount. */
	atomic_store_explicit(&inval->invalidated_offset, node_offset(inval->mount->node),
	                      memory_order_relaxed);
	pthread_mutex_lock(&inval->lock);
	int r = start_thread(inval);
	pthread_mutex_unlock(&inval->lock);
	return r;
}

void inval_stop(struct inval *inval)
{
	if (!inval)
		return;
	pthread_mutex_lock(&inval->lock);
	inval->stop = true;
	inval->wanted = true;
	pthread_cond_signal(&inval->wake);
	while (inval->nthreads)
		pthread_cond_wait(&inval->ended, &inval->lock);
	pthread_mutex_unlock(&inval->lock);
}

/* --- fsync of a directory -------------------------------------------------- */

/* Let a new thread continue with the current one's item, with inval->lock held. Returns 0 or
 * -errno. */
static int hand_over(struct inval *inval)
{
	size_t size = sizeof(*inval->current) + inval->current->len + 1;
	struct invalidation *copy = malloc(size);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, inval->current, size);
	copy->next = inval->round;
	int r = start_thread(inval);
	if (r < 0) {
		free(copy);
		return r;
	}
	inval->round = copy;
	inval->current = NULL;
	return 0;
}

void inval_sync(struct inval *inval, struct fuse_req *req)
{
	struct invalidation *item = NULL;
	int r = 0;

	pthread_mutex_lock(&inval->lock);
	if (!inval->stop && inval->notifier && inval->notifier->inside &&
	    !inval->notifier->no_epoch)
		r = hand_over(inval);
	bool wait = r == 0 && !inval->stop && inval->notifier && !inval->notifier->inside;
	if (wait)
		item = inval_queue_item(inval, (struct origin){ 0 }, INVALIDATE_SYNC, 0, 0,
		                        (struct bytes){ 0 });
	if (item) {
		item->req = req;
		item->next_sync = inval->syncs;
		inval->syncs = item;
		pthread_cond_signal(&inval->wake);
	} else if (wait) {
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&inval->lock);
	if (!item)
		fuse_reply_err(req, -r);
}

/* Answer all fsyncs that wait. */
static void answer_syncs(struct inval *inval)
{
	pthread_mutex_lock(&inval->lock);
	while (inval->syncs) {
		struct invalidation *item = inval->syncs;
		struct fuse_req *req = item->req;

		item->req = NULL;
		inval->syncs = item->next_sync;
		pthread_mutex_unlock(&inval->lock);
		fuse_reply_err(req, 0);
		pthread_mutex_lock(&inval->lock);
	}
	pthread_mutex_unlock(&inval->lock);
}

bool inval_enter(struct notifier *notifier, bool must)
{
	struct inval *inval = notifier->inval;

	if (must)
		answer_syncs(inval);
	pthread_mutex_lock(&inval->lock);
	bool may = must || (!inval->syncs && inval->notifier == notifier);
	if (may)
		notifier->inside = true;
	pthread_mutex_unlock(&inval->lock);
	return may;
}

void inval_leave(struct notifier *notifier)
{
	pthread_mutex_lock(&notifier->inval->lock);
	notifier->inside = false;
	pthread_mutex_unlock(&notifier->inval->lock);
}
