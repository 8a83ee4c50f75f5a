/* Invalidator, the queue: turns feed events and requests of this mount into invalidations.
 *
 * inval_follow() queues the invalidations that each effect of an event needs. Other modules
 * queue single ones, and requests that are answered after all earlier items. inval.c has the
 * threads that take the items off the queue.
 *
 * Lock: inval->lock protects the queue, a leaf. */
#include "fs/inval.h"

#include "common/base/logger.h"
#include "fs/inval_internal.h"
#include "fs/mount.h"

#include <stdlib.h>
#include <string.h>

struct invalidation *inval_queue_item(struct inval *inval, struct origin origin,
                                      enum invalidation_kind kind, uint64_t ino, uint64_t parent,
                                      struct bytes name)
{
	struct invalidation *item = malloc(sizeof(*item) + name.len + 1);

	inval->wanted = true;
	if (!item) {
		logger(LOGGER_WARN,
		       "out of memory; an invalidation is lost, so the mount may show old data ino=%llu",
		       (unsigned long long)ino);
		return NULL;
	}
	*item = (struct invalidation){
		.kind = kind,
		.ino = ino,
		.parent = parent,
		.proc = origin.proc,
		.own_as_well = origin.own_as_well,
		.len = name.len,
	};
	if (name.len)
		memcpy(item->name, name.data, name.len);
	item->name[name.len] = '\0';
	*inval->last = item;
	inval->last = &item->next;
	return item;
}

/* Queue an item without an event of origin. INVAL may be NULL. */
static void queue_one(struct inval *inval, enum invalidation_kind kind, uint64_t ino,
                      uint64_t parent, struct bytes name)
{
	if (!inval)
		return;
	pthread_mutex_lock(&inval->lock);
	if (!inval->stop) {
		inval_queue_item(inval, (struct origin){ 0 }, kind, ino, parent, name);
		pthread_cond_signal(&inval->wake);
	}
	pthread_mutex_unlock(&inval->lock);
}

void inval_name(struct inval *inval, uint64_t parent, const char *name, size_t len)
{
	queue_one(inval, INVALIDATE_NAME, 0, parent, (struct bytes){ name, len });
}

void inval_value(struct inval *inval, uint64_t ino)
{
	queue_one(inval, INVALIDATE_VALUE, ino, 0, (struct bytes){ 0 });
}

void inval_thaw(struct inval *inval, struct file *f)
{
	struct invalidation *item = NULL;

	if (!inval)
		return;
	file_ref(&inval->mount->files, f);
	pthread_mutex_lock(&inval->lock);
	if (!inval->stop)
		item = inval_queue_item(inval, (struct origin){ 0 }, INVALIDATE_THAW, f->ino, 0,
		                        (struct bytes){ 0 });
	if (item) {
		item->file = f;
		pthread_cond_signal(&inval->wake);
	}
	pthread_mutex_unlock(&inval->lock);
	f->thaw_queued = item != NULL;
	if (!item)
		files_unref(&inval->mount->files, f);
}

void inval_reply(struct inval *inval, struct fuse_req *req, int error)
{
	struct invalidation *item = NULL;

	if (inval) {
		pthread_mutex_lock(&inval->lock);
		if (!inval->stop)
			item = inval_queue_item(inval, (struct origin){ 0 }, INVALIDATE_REPLY, 0, 0,
			                        (struct bytes){ 0 });
		if (item) {
			item->req = req;
			item->error = error;
			pthread_cond_signal(&inval->wake);
		}
		pthread_mutex_unlock(&inval->lock);
	}
	if (!item)
		fuse_reply_err(req, error);
}

/* Return the last name of an effect's key. */
static struct bytes name_of(const struct feed_effect *e)
{
	size_t skip = key_name_start(e->key.data, e->key.len);

	return (struct bytes){ (const char *)e->key.data + skip, e->key.len - skip };
}

/* Return whether EV also gives INO another name. */
static bool is_added(const struct feed_event *ev, uint64_t ino)
{
	for (size_t i = 0; i < ev->neffects; i++) {
		if (ev->effects[i].kind == FEED_ADDED && ev->effects[i].ino == ino)
			return true;
	}
	return false;
}

/* Let ITEM, which may be NULL, also be announced to inotify watchers. */
static void set_announcement(struct invalidation *item, enum announcement announce)
{
	if (item)
		item->announce = announce;
}

/* Queue the invalidations for one effect. */
static void queue_effect(struct inval *inval, const struct feed_event *ev,
                         const struct feed_effect *e)
{
	const struct origin others = { .proc = ev->proc };
	const struct origin any = { .proc = ev->proc, .own_as_well = true };
	const struct origin no_process = { 0 };
	enum announcement gone = e->dir ? ANNOUNCE_GONE_DIR : ANNOUNCE_GONE;
	struct bytes name = name_of(e), none = { 0 };
	enum invalidation_kind kind;
	struct invalidation *item;
	bool new_expiry = ev->op == EVENT_EXPIRE || ev->op == EVENT_PERSIST;
	bool in_place = ev->op == EVENT_WRITE || ev->op == EVENT_APPEND || ev->op == EVENT_TRUNCATE;

	switch (e->kind) {
	case FEED_ADDED:
		inval_queue_item(inval, others, INVALIDATE_NAME, e->ino, e->parent, name);
		item = inval_queue_item(inval, others, INVALIDATE_LISTING, e->parent, 0, name);
		set_announcement(item, ANNOUNCE_MADE);
		if (ev->op == EVENT_SET || ev->op == EVENT_APPEND)
			inval_queue_item(inval, any, INVALIDATE_ATTR, e->parent, 0, none);
		/* A directory's default TTL, which was unknown when the name was created. */
		if (e->expiry_ms)
			inval_queue_item(inval, any, INVALIDATE_NAME, e->ino, e->parent, name);
		break;
	case FEED_REMOVED:
		kind = is_added(ev, e->ino) ? INVALIDATE_NAME : INVALIDATE_REMOVED;
		item = inval_queue_item(inval, others, kind, e->ino, e->parent, name);
		set_announcement(item, gone);
		inval_queue_item(inval, others, INVALIDATE_LISTING, e->parent, 0, name);
		break;
	case FEED_EXPIRED:
	case FEED_EVICTED:
		item = inval_queue_item(inval, no_process, INVALIDATE_REMOVED, e->ino, e->parent,
		                        name);
		set_announcement(item, gone);
		inval_queue_item(inval, no_process, INVALIDATE_LISTING, e->parent, 0, name);
		break;
	case FEED_DATA:
		item = inval_queue_item(inval, ev->op == EVENT_WRITE ? any : others,
		                        INVALIDATE_VALUE, e->ino, e->parent, name);
		set_announcement(item, ANNOUNCE_VALUE);
		if (item)
			item->replaced = !in_place;
		if (e->expiry_ms)
			inval_queue_item(inval, others, INVALIDATE_NAME, e->ino, e->parent, name);
		break;
	case FEED_ATTR:
		item = inval_queue_item(inval, new_expiry ? any : others, INVALIDATE_ATTR, e->ino,
		                        e->parent, name);
		set_announcement(item, ANNOUNCE_ATTR);
		if (new_expiry)
			inval_queue_item(inval, any, INVALIDATE_NAME, e->ino, e->parent, name);
		break;
	}
}

void inval_follow(void *arg, const struct feed_event *ev, bool gap)
{
	struct inval *inval = arg;
	uint64_t own_proc = atomic_load(&inval->own_proc);

	pthread_mutex_lock(&inval->lock);
	if (gap) {
		inval_queue_item(inval, (struct origin){ 0 }, INVALIDATE_ALL, 0, 0,
		                 (struct bytes){ 0 });
	} else {
		for (size_t i = 0; i < ev->neffects && !inval->stop; i++)
			queue_effect(inval, ev, &ev->effects[i]);
		inval->offset = ev->offset;
		/* A REST request may wait until this process acknowledges another process's event. */
		if (ev->proc != own_proc)
			inval->wanted = true;
	}
	if (inval->wanted)
		pthread_cond_signal(&inval->wake);
	pthread_mutex_unlock(&inval->lock);
}
