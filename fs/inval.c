/* The invalidator: tells the kernel what others changed.
 *
 * The kernel keeps names, attributes, pages and listings without a time limit
 * (but for entries that expire), so each change that did not come through this
 * mount has to be told. The feed says what changed; this thread tells it
 * (tell.c), with no lock held: the kernel takes the directory's lock for a
 * name, and may hold that for a request that waits for us. For the same reason
 * it is a thread of its own, apart from all that completes requests.
 *
 * What this mount changed itself the kernel knows, with exceptions:
 * - a new file comes into the log when it is flushed, long after the kernel
 *   made the name: the directory's times change once more;
 * - ranges written here are merged with what others wrote meanwhile;
 * - a new expiry means another time limit;
 * - entries that any event purges are gone for everybody.
 *
 * An fsync of a directory is answered when everything before it is told (inval_sync()).
 * The kernel keeps the directory locked until then, and a process that waits for that
 * lock may hold others. So this thread waits for no lock of the kernel meanwhile, but
 * tells all names at once (tell.c). If it is waiting for one already, perhaps for the
 * very directory, a new thread takes over the queue, with the item that the old one is
 * at; the old one ends when it gets its lock.
 *
 * Lock: inval->lock protects the queue, a leaf. */
#include "fs/frozen.h"
#include "fs/mount.h"
#include "fs/tell.h"

#include "common/base/clock.h"
#include "common/base/logger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What could not be told is told again after this; if there are more than so
 * many, the oldest whatever it takes. */
#define AGAIN_MS 5
#define AGAIN_MAX 4096

struct inval {
	struct mount *mount;
	_Atomic uint64_t own_proc; /* of the mount's node; 0 until inval_start() */
	uint64_t told;             /* atomic: see inval_told() */
	pthread_mutex_t lock;      /* protects what follows */
	pthread_cond_t wake;       /* on the monotonic clock */
	pthread_cond_t ended;      /* a thread has */
	struct item *first;
	struct item **last;
	struct item *syncs; /* those of the queue that are not answered, by next_sync */
	uint64_t offset;    /* of the last event that was followed */
	bool wanted;        /* there is something to do or to acknowledge */
	bool stop;
	unsigned nthreads;
	struct teller *teller; /* of the thread that works; NULL: not started */
	/* Of that thread alone. */
	struct item *current; /* is being told */
	struct item *round;   /* taken off the queue, to be told next ... */
	uint64_t round_offset;
	bool round_acks;
	struct item *again; /* to be told once more, oldest first */
	struct item **again_last;
	size_t nagain;
};

int inval_new(struct mount *m, struct inval **ret)
{
	struct inval *inval = calloc(1, sizeof(*inval));

	if (!inval)
		return -ENOMEM;
	inval->mount = m;
	inval->last = &inval->first;
	inval->again_last = &inval->again;
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

static void free_items(struct item *item)
{
	while (item) {
		struct item *next = item->next;

		free(item);
		item = next;
	}
}

void inval_free(struct inval *inval)
{
	if (!inval)
		return;
	free_items(inval->first);
	free_items(inval->again);
	free(inval->teller);
	pthread_cond_destroy(&inval->ended);
	pthread_cond_destroy(&inval->wake);
	pthread_mutex_destroy(&inval->lock);
	free(inval);
}

uint64_t inval_told(const struct inval *inval)
{
	return __atomic_load_n(&inval->told, __ATOMIC_ACQUIRE);
}

/* --- queueing -------------------------------------------------------------- */

/* Where an item comes from; see struct item. */
struct origin {
	uint64_t proc;
	bool own_as_well;
};

/* INVAL->lock is held. */
static struct item *push(struct inval *inval, struct origin origin, enum item_kind kind,
                         uint64_t ino, uint64_t parent, struct bytes name)
{
	struct item *item = malloc(sizeof(*item) + name.len + 1);

	inval->wanted = true;
	if (!item) {
		logger(LOGGER_WARN,
		       "no memory to invalidate; the kernel may show old data ino=%llu",
		       (unsigned long long)ino);
		return NULL;
	}
	*item = (struct item){
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

static void push_one(struct inval *inval, enum item_kind kind, uint64_t ino, uint64_t parent,
                     struct bytes name)
{
	if (!inval)
		return;
	pthread_mutex_lock(&inval->lock);
	if (!inval->stop) {
		push(inval, (struct origin){ 0 }, kind, ino, parent, name);
		pthread_cond_signal(&inval->wake);
	}
	pthread_mutex_unlock(&inval->lock);
}

void inval_name(struct inval *inval, uint64_t parent, const char *name, size_t len)
{
	push_one(inval, ITEM_NAME, 0, parent, (struct bytes){ name, len });
}

void inval_value(struct inval *inval, uint64_t ino)
{
	push_one(inval, ITEM_VALUE, ino, 0, (struct bytes){ 0 });
}

void inval_thaw(struct inval *inval, struct file *f)
{
	struct item *item = NULL;

	if (!inval)
		return;
	file_ref(&inval->mount->files, f);
	pthread_mutex_lock(&inval->lock);
	if (!inval->stop)
		item = push(inval, (struct origin){ 0 }, ITEM_THAW, f->ino, 0, (struct bytes){ 0 });
	if (item) {
		item->file = f;
		pthread_cond_signal(&inval->wake);
	}
	pthread_mutex_unlock(&inval->lock);
	f->thaws = item != NULL;
	if (!item)
		files_unref(&inval->mount->files, f);
}

void inval_reply(struct inval *inval, struct fuse_req *req, int error)
{
	struct item *item = NULL;

	if (inval) {
		pthread_mutex_lock(&inval->lock);
		if (!inval->stop)
			item = push(inval, (struct origin){ 0 }, ITEM_REPLY, 0, 0,
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

/* The last name of an effect's key. */
static struct bytes name_of(const struct feed_effect *e)
{
	size_t skip = key_name_start(e->key.data, e->key.len);

	return (struct bytes){ (const char *)e->key.data + skip, e->key.len - skip };
}

static bool is_added(const struct feed_event *ev, uint64_t ino)
{
	for (size_t i = 0; i < ev->neffects; i++) {
		if (ev->effects[i].kind == FEED_ADDED && ev->effects[i].ino == ino)
			return true;
	}
	return false;
}

/* ITEM, NULL without memory, is to be announced as well. */
static void mark(struct item *item, enum announcement announce)
{
	if (item)
		item->announce = announce;
}

/* Queues what the kernel has to be told of one effect. */
static void push_effect(struct inval *inval, const struct feed_event *ev,
                        const struct feed_effect *e)
{
	const struct origin others = { .proc = ev->proc };
	const struct origin any = { .proc = ev->proc, .own_as_well = true };
	const struct origin nobody = { 0 };
	enum announcement gone = e->dir ? ANNOUNCE_GONE_DIR : ANNOUNCE_GONE;
	struct bytes name = name_of(e), none = { 0 };
	struct item *item;
	bool new_expiry = ev->op == EVENT_EXPIRE || ev->op == EVENT_PERSIST;
	bool in_place = ev->op == EVENT_WRITE || ev->op == EVENT_APPEND || ev->op == EVENT_TRUNCATE;

	switch (e->kind) {
	case FEED_ADDED:
		push(inval, others, ITEM_NAME, e->ino, e->parent, name);
		mark(push(inval, others, ITEM_LISTING, e->parent, 0, name), ANNOUNCE_MADE);
		if (ev->op == EVENT_SET || ev->op == EVENT_APPEND)
			push(inval, any, ITEM_ATTR, e->parent, 0, none);
		/* A directory's default TTL: not known when the name was made. */
		if (e->expiry_ms)
			push(inval, any, ITEM_NAME, e->ino, e->parent, name);
		break;
	case FEED_REMOVED:
		mark(push(inval, others, is_added(ev, e->ino) ? ITEM_NAME : ITEM_REMOVED, e->ino,
		          e->parent, name),
		     gone);
		push(inval, others, ITEM_LISTING, e->parent, 0, name);
		break;
	case FEED_EXPIRED:
	case FEED_EVICTED:
		mark(push(inval, nobody, ITEM_REMOVED, e->ino, e->parent, name), gone);
		push(inval, nobody, ITEM_LISTING, e->parent, 0, name);
		break;
	case FEED_DATA:
		item = push(inval, ev->op == EVENT_WRITE ? any : others, ITEM_VALUE, e->ino,
		            e->parent, name);
		mark(item, ANNOUNCE_VALUE);
		if (item)
			item->replaced = !in_place;
		if (e->expiry_ms)
			push(inval, others, ITEM_NAME, e->ino, e->parent, name);
		break;
	case FEED_ATTR:
		mark(push(inval, new_expiry ? any : others, ITEM_ATTR, e->ino, e->parent, name),
		     ANNOUNCE_ATTR);
		if (new_expiry)
			push(inval, any, ITEM_NAME, e->ino, e->parent, name);
		break;
	}
}

void inval_follow(void *arg, const struct feed_event *ev, bool gap)
{
	struct inval *inval = arg;
	uint64_t own_proc = atomic_load(&inval->own_proc);

	pthread_mutex_lock(&inval->lock);
	if (gap) {
		push(inval, (struct origin){ 0 }, ITEM_ALL, 0, 0, (struct bytes){ 0 });
	} else {
		for (size_t i = 0; i < ev->neffects && !inval->stop; i++)
			push_effect(inval, ev, &ev->effects[i]);
		inval->offset = ev->offset;
		/* Somebody may wait for the acknowledgement of another's event. */
		if (ev->proc != own_proc)
			inval->wanted = true;
	}
	if (inval->wanted)
		pthread_cond_signal(&inval->wake);
	pthread_mutex_unlock(&inval->lock);
}

/* --- the threads ----------------------------------------------------------- */

static void keep_for_later(struct inval *inval, struct item *item)
{
	/* One is enough for a directory. */
	for (struct item *kept = inval->again; kept; kept = kept->next) {
		if (kept->kind == item->kind && kept->ino == item->ino) {
			free(item);
			return;
		}
	}
	item->not_before_ms = clock_mono_ms() + AGAIN_MS;
	item->next = NULL;
	*inval->again_last = item;
	inval->again_last = &item->next;
	inval->nagain++;
}

/* Once it is told that ITEM has changed. */
static void announce_item(const struct inval *inval, struct item *item)
{
	bool listing = item->kind == ITEM_LISTING;

	announce(inval->mount->announcer, item->announce, listing ? 0 : item->ino,
	         listing ? item->ino : item->parent, item->name, item->len);
	item->announce = ANNOUNCE_NOTHING;
}

/* Answer the fsync of ITEM, unless that is done. */
static void answer_sync(struct inval *inval, struct item *item)
{
	struct item **link = &inval->syncs;

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

/* Tell ITEM, and keep it if it has to be told again. Own it. False if another thread has
 * taken over meanwhile. */
static bool tell_or_keep(struct teller *teller, struct item *item, bool insist)
{
	struct inval *inval = teller->inval;

	pthread_mutex_lock(&inval->lock);
	inval->current = item;
	pthread_mutex_unlock(&inval->lock);
	bool again = tell(teller, item, insist);
	pthread_mutex_lock(&inval->lock);
	bool works = inval->teller == teller;
	if (works)
		inval->current = NULL;
	pthread_mutex_unlock(&inval->lock);
	if (!works) {
		free(item);
		return false;
	}
	announce_item(inval, item);
	if (item->kind == ITEM_SYNC)
		answer_sync(inval, item);
	if (again && !insist)
		keep_for_later(inval, item);
	else
		free(item);
	return true;
}

/* Tell what was kept for later and is due; when stopping, all of it. False if another
 * thread has taken over meanwhile. */
static bool tell_again(struct teller *teller, bool stop)
{
	struct inval *inval = teller->inval;
	int64_t now = clock_mono_ms();

	for (size_t n = inval->nagain; n; n--) {
		struct item *item = inval->again;

		if (item->not_before_ms > now && inval->nagain <= AGAIN_MAX && !stop)
			return true;
		inval->again = item->next;
		if (!inval->again)
			inval->again_last = &inval->again;
		inval->nagain--;
		if (!tell_or_keep(teller, item, stop || inval->nagain >= AGAIN_MAX))
			return false;
	}
	return true;
}

/* Waits until there is something to do; inval->lock is held. */
static void wait_for_work(struct inval *inval)
{
	bool frozen = __atomic_load_n(&inval->mount->files.nfrozen, __ATOMIC_ACQUIRE) != 0;

	if (!inval->again && !frozen) {
		pthread_cond_wait(&inval->wake, &inval->lock);
		return;
	}
	struct timespec until = clock_mono_in(inval->again ? AGAIN_MS : FROZEN_ASKED_MS);
	pthread_cond_timedwait(&inval->wake, &inval->lock, &until);
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

/* Take what is queued as the next round; inval->lock is held. */
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

/* Return whether the kernel has several numbers for the inode of ITEM, of which a write of
 * this mount has changed the pages of one. */
static bool has_numbers(const struct inval *inval, const struct item *item)
{
	return item->kind == ITEM_VALUE && files_alias(&inval->mount->files, item->ino, 0) != 0;
}

/* Tell what the round still has. False if another thread has taken over meanwhile. */
static bool tell_round(struct teller *teller)
{
	struct inval *inval = teller->inval;

	teller->bumped = false;
	thaw_expired(inval);
	if (!tell_again(teller, false))
		return false;
	uint64_t own = atomic_load(&inval->own_proc);
	while (inval->round) {
		struct item *item = inval->round;
		bool is_own = item->proc == own;

		inval->round = item->next;
		if (is_own) {
			item->announce = ANNOUNCE_NOTHING;
			item->replaced = false;
		}
		if (is_own && !item->own_as_well && !has_numbers(inval, item))
			free(item);
		else if (!tell_or_keep(teller, item, false))
			return false;
	}
	if (inval->round_offset) {
		__atomic_store_n(&inval->told, inval->round_offset, __ATOMIC_RELEASE);
		if (inval->round_acks)
			node_ack(inval->mount->node, inval->round_offset);
	}
	return true;
}

static void *work(void *arg)
{
	struct teller *teller = arg;
	struct inval *inval = teller->inval;
	bool works = true;

	pthread_mutex_lock(&inval->lock);
	while (works && (!inval->stop || inval->first || inval->round)) {
		if (!inval->round)
			take_round(inval);
		pthread_mutex_unlock(&inval->lock);
		works = tell_round(teller);
		pthread_mutex_lock(&inval->lock);
	}
	pthread_mutex_unlock(&inval->lock);
	works = works && tell_again(teller, true);
	if (!works)
		free(teller);
	pthread_mutex_lock(&inval->lock);
	inval->nthreads--;
	pthread_cond_signal(&inval->ended);
	pthread_mutex_unlock(&inval->lock);
	return NULL;
}

/* Start a thread that works from now on; inval->lock is held. 0 or -errno. */
static int start_thread(struct inval *inval)
{
	struct teller *teller = calloc(1, sizeof(*teller)), *before = inval->teller;
	pthread_t thread;

	if (!teller)
		return -ENOMEM;
	teller->mount = inval->mount;
	teller->inval = inval;
	inval->teller = teller;
	int r = -pthread_create(&thread, NULL, work, teller);
	if (r < 0) {
		inval->teller = before;
		free(teller);
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
	inval->told = node_offset(inval->mount->node);
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

/* Let a new thread go on with what the one that works now is at; inval->lock is held. 0 or
 * -errno. */
static int take_over(struct inval *inval)
{
	size_t size = sizeof(*inval->current) + inval->current->len + 1;
	struct item *copy = malloc(size);

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
	struct item *item = NULL;
	int r = 0;

	pthread_mutex_lock(&inval->lock);
	if (!inval->stop && inval->teller && inval->teller->inside && !inval->teller->no_epoch)
		r = take_over(inval);
	bool wait = r == 0 && !inval->stop && inval->teller && !inval->teller->inside;
	if (wait)
		item = push(inval, (struct origin){ 0 }, ITEM_SYNC, 0, 0, (struct bytes){ 0 });
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

/* Answer all that wait. */
static void answer_syncs(struct inval *inval)
{
	pthread_mutex_lock(&inval->lock);
	while (inval->syncs) {
		struct item *item = inval->syncs;
		struct fuse_req *req = item->req;

		item->req = NULL;
		inval->syncs = item->next_sync;
		pthread_mutex_unlock(&inval->lock);
		fuse_reply_err(req, 0);
		pthread_mutex_lock(&inval->lock);
	}
	pthread_mutex_unlock(&inval->lock);
}

bool inval_enter(struct teller *teller, bool must)
{
	struct inval *inval = teller->inval;

	if (must)
		answer_syncs(inval);
	pthread_mutex_lock(&inval->lock);
	bool may = must || (!inval->syncs && inval->teller == teller);
	if (may)
		teller->inside = true;
	pthread_mutex_unlock(&inval->lock);
	return may;
}

void inval_leave(struct teller *teller)
{
	pthread_mutex_lock(&teller->inval->lock);
	teller->inside = false;
	pthread_mutex_unlock(&teller->inval->lock);
}
