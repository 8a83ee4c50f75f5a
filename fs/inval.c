/* The invalidator: tells the kernel what others changed.
 *
 * The kernel keeps names, attributes, pages and listings without a time limit
 * (but for entries that expire), so each change that did not come through this
 * mount has to be told. The feed says what changed; this thread tells it, with
 * no lock held: the kernel takes the directory's lock for a name, and may hold
 * that for a request that waits for us. For the same reason it is a thread of
 * its own, apart from all that completes requests.
 *
 * Why an old answer cannot outlive a newer invalidation:
 * - Names: the kernel looks up and lists under the directory's lock, and takes
 *   that lock to invalidate. So it either has the answer already and drops it,
 *   or asks afterwards, when the store shows the change.
 * - Attributes and pages of an inode that the kernel has: it orders replies and
 *   invalidations itself (a version of attributes, locked pages).
 * - An inode that the kernel does not have yet, but is about to get from an
 *   answer under way: then invalidating the inode fails with ENOENT, the name
 *   is invalidated, which waits for that answer, and the inode once more.
 *
 * What this mount changed itself the kernel knows, with exceptions:
 * - a new file comes into the log when it is flushed, long after the kernel
 *   made the name: the directory's times change once more;
 * - ranges written here are merged with what others wrote meanwhile;
 * - a new expiry means another time limit;
 * - entries that any event purges are gone for everybody.
 *
 * Lock: inval->lock protects the queue, a leaf. */
#include "mount.h"

#include "logger.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Newer than the kernel headers that this is built with: all names at once. */
#define NOTIFY_INC_EPOCH 8

enum item_kind {
	ITEM_NAME,    /* a name leads elsewhere */
	ITEM_REMOVED, /* a name is gone, and ino with it */
	ITEM_VALUE,   /* value and attributes of ino */
	ITEM_ATTR,    /* attributes of ino */
	ITEM_LISTING, /* what is in directory ino */
	ITEM_ALL,     /* events were missed */
};

struct item {
	struct item *next;
	enum item_kind kind;
	uint64_t ino;
	uint64_t parent; /* of the name, if there is one */
	size_t len;
	char name[];
};

struct inval {
	struct mount *mount;
	pthread_t thread;
	bool running;
	uint64_t own_proc;    /* atomic; 0: not known yet */
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;
	struct item *first;
	struct item **last;
	uint64_t offset; /* of the last event that was followed */
	bool wanted;     /* there is something to do or to acknowledge */
	bool stop;
};

int inval_new(struct mount *m, struct inval **ret)
{
	struct inval *inval = calloc(1, sizeof(*inval));

	if (!inval)
		return -ENOMEM;
	inval->mount = m;
	inval->last = &inval->first;
	int r = -pthread_mutex_init(&inval->lock, NULL);
	if (r == 0) {
		r = -pthread_cond_init(&inval->wake, NULL);
		if (r < 0)
			pthread_mutex_destroy(&inval->lock);
	}
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
	pthread_cond_destroy(&inval->wake);
	pthread_mutex_destroy(&inval->lock);
	free(inval);
}

void inval_learn_proc(struct inval *inval, uint64_t proc)
{
	if (inval && __atomic_load_n(&inval->own_proc, __ATOMIC_RELAXED) != proc)
		__atomic_store_n(&inval->own_proc, proc, __ATOMIC_RELAXED);
}

/* --- queueing -------------------------------------------------------------- */

/* INVAL->lock is held. */
static void push(struct inval *inval, enum item_kind kind, uint64_t ino, uint64_t parent,
                 const char *name, size_t len)
{
	struct item *item = malloc(sizeof(*item) + len + 1);

	inval->wanted = true;
	if (!item) {
		logger(LOGGER_WARN,
		       "no memory to invalidate ino=%llu; the kernel may show old "
		       "data of it",
		       (unsigned long long)ino);
		return;
	}
	*item = (struct item){ .kind = kind, .ino = ino, .parent = parent, .len = len };
	if (len)
		memcpy(item->name, name, len);
	item->name[len] = '\0';
	*inval->last = item;
	inval->last = &item->next;
}

static void push_one(struct inval *inval, enum item_kind kind, uint64_t ino, uint64_t parent,
                     const char *name, size_t len)
{
	if (!inval)
		return;
	pthread_mutex_lock(&inval->lock);
	if (!inval->stop) {
		push(inval, kind, ino, parent, name, len);
		pthread_cond_signal(&inval->wake);
	}
	pthread_mutex_unlock(&inval->lock);
}

void inval_name(struct inval *inval, uint64_t parent, const char *name, size_t len)
{
	push_one(inval, ITEM_NAME, 0, parent, name, len);
}

void inval_value(struct inval *inval, uint64_t ino)
{
	push_one(inval, ITEM_VALUE, ino, 0, NULL, 0);
}

/* The last name of an effect's key. */
static struct bytes name_of(const struct feed_effect *e)
{
	size_t parent_len = key_parent_len(e->key.data, e->key.len);
	size_t skip = parent_len ? parent_len + 1 : 0;

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

/* Queues what the kernel has to be told of one effect. */
static void push_effect(struct inval *inval, const struct feed_event *ev,
                        const struct feed_effect *e, bool own)
{
	struct bytes name = name_of(e);
	bool new_expiry = ev->op == EVENT_EXPIRE || ev->op == EVENT_PERSIST;

	switch (e->kind) {
	case FEED_ADDED:
		if (!own)
			push(inval, ITEM_NAME, e->ino, e->parent, name.data, name.len);
		if (!own || ev->op == EVENT_SET || ev->op == EVENT_APPEND)
			push(inval, own ? ITEM_ATTR : ITEM_LISTING, e->parent, 0, NULL, 0);
		break;
	case FEED_REMOVED:
		if (own)
			break;
		/* fall through */
	case FEED_EXPIRED:
	case FEED_EVICTED:
		push(inval, is_added(ev, e->ino) ? ITEM_NAME : ITEM_REMOVED, e->ino, e->parent,
		     name.data, name.len);
		push(inval, ITEM_LISTING, e->parent, 0, NULL, 0);
		break;
	case FEED_DATA:
		if (!own || ev->op == EVENT_WRITE)
			push(inval, ITEM_VALUE, e->ino, e->parent, name.data, name.len);
		if (!own && e->expiry_ms)
			push(inval, ITEM_NAME, e->ino, e->parent, name.data, name.len);
		break;
	case FEED_ATTR:
		if (!own || new_expiry)
			push(inval, ITEM_ATTR, e->ino, e->parent, name.data, name.len);
		if (new_expiry)
			push(inval, ITEM_NAME, e->ino, e->parent, name.data, name.len);
		break;
	}
}

void inval_follow(void *arg, const struct feed_event *ev, bool gap)
{
	struct inval *inval = arg;
	uint64_t own_proc = __atomic_load_n(&inval->own_proc, __ATOMIC_RELAXED);

	pthread_mutex_lock(&inval->lock);
	if (gap) {
		push(inval, ITEM_ALL, 0, 0, NULL, 0);
	} else {
		bool own = own_proc && ev->proc == own_proc;

		for (size_t i = 0; i < ev->neffects && !inval->stop; i++)
			push_effect(inval, ev, &ev->effects[i], own);
		inval->offset = ev->offset;
		/* Somebody may wait for the acknowledgement of another's event. */
		if (!own)
			inval->wanted = true;
	}
	if (inval->wanted)
		pthread_cond_signal(&inval->wake);
	pthread_mutex_unlock(&inval->lock);
}

/* --- telling the kernel ---------------------------------------------------- */

static fuse_ino_t node_id(const struct inval *inval, uint64_t ino)
{
	return ino == inval->mount->root ? FUSE_ROOT_ID : ino;
}

static int tell_inode(struct inval *inval, uint64_t ino, bool value)
{
	return fuse_lowlevel_notify_inval_inode(inval->mount->session, node_id(inval, ino),
	                                        value ? 0 : -1, 0);
}

static void tell_name(struct inval *inval, const struct item *item)
{
	fuse_lowlevel_notify_inval_entry(inval->mount->session, node_id(inval, item->parent),
	                                 item->name, item->len);
}

/* An inode, and the numbers that it has beside its own. */
static void tell_inode_and_aliases(struct inval *inval, const struct item *item, bool value)
{
	int r = tell_inode(inval, item->ino, value);

	/* See above: it may be about to come. */
	if (r == -ENOENT && item->len) {
		tell_name(inval, item);
		tell_inode(inval, item->ino, value);
	}
	for (unsigned n = 0;; n++) {
		uint64_t ino = files_alias(&inval->mount->files, item->ino, n);

		if (!ino)
			break;
		tell_inode(inval, ino, value);
	}
}

/* A removed entry; watchers (inotify) are told, too, if the kernel can. */
static void tell_removed(struct inval *inval, const struct item *item)
{
	int r = fuse_lowlevel_notify_delete(inval->mount->session, node_id(inval, item->parent),
	                                    node_id(inval, item->ino), item->name, item->len);

	if (r < 0)
		tell_name(inval, item);
	tell_inode(inval, item->ino, false);
}

/* All names that the kernel has are asked for again. */
static void tell_epoch(struct inval *inval)
{
	struct fuse_out_header header = {
		.len = sizeof(header),
		.error = NOTIFY_INC_EPOCH,
	};
	ssize_t n = write(fuse_session_fd(inval->mount->session), &header, sizeof(header));

	if (n < 0)
		logger(LOGGER_WARN, "the kernel cannot forget all names at once why=\"%s\"",
		       strerror(errno));
}

/* Names of one directory, some at a time: no snapshot is held while telling. */
#define WALK_NAMES 256

struct walk_name {
	uint64_t ino;
	bool is_dir;
	size_t len;
	char name[KEY_NAME_MAX + 1];
};

static size_t take_names(struct inval *inval, uint64_t dir, const struct walk_name *after,
                         struct walk_name *names)
{
	struct view view;
	struct scan *scan;
	size_t n = 0;

	if (view_open(inval->mount->store, &view) < 0)
		return 0;
	if (scan_open(view.txn, dir, after ? after->name : NULL, after ? after->len : 0, &scan) ==
	    0) {
		const char *name;

		while (n < WALK_NAMES && scan_next(scan, &name, &names[n].len, &names[n].ino,
		                                   &names[n].is_dir) == 0) {
			memcpy(names[n].name, name, names[n].len);
			n++;
		}
		scan_close(scan);
	}
	view_close(&view);
	return n;
}

/* Directories still to be walked. */
struct walk {
	uint64_t *dirs;
	size_t n, cap;
};

static void walk_push(struct walk *walk, uint64_t dir)
{
	if (walk->n == walk->cap) {
		size_t cap = walk->cap ? walk->cap * 2 : 64;
		uint64_t *dirs = realloc(walk->dirs, cap * sizeof(*dirs));

		if (!dirs)
			return;
		walk->dirs = dirs;
		walk->cap = cap;
	}
	walk->dirs[walk->n++] = dir;
}

/* Events were missed: everything that the kernel may have is told. */
static void tell_all(struct inval *inval)
{
	struct walk_name *names = malloc((WALK_NAMES + 1) * sizeof(*names));
	struct walk walk = { 0 };

	logger(LOGGER_WARN, "the feed moved on too far; the kernel forgets everything");
	tell_epoch(inval);
	walk_push(&walk, inval->mount->root);
	while (names && walk.n) {
		uint64_t dir = walk.dirs[--walk.n];
		size_t n = take_names(inval, dir, NULL, names);

		tell_inode(inval, dir, true);
		while (n) {
			for (size_t i = 0; i < n; i++) {
				tell_inode(inval, names[i].ino, true);
				fuse_lowlevel_notify_inval_entry(inval->mount->session,
				                                 node_id(inval, dir), names[i].name,
				                                 names[i].len);
				if (names[i].is_dir)
					walk_push(&walk, names[i].ino);
			}
			names[WALK_NAMES] = names[n - 1];
			n = take_names(inval, dir, &names[WALK_NAMES], names);
		}
	}
	free(walk.dirs);
	free(names);
}

static void tell(struct inval *inval, const struct item *item)
{
	switch (item->kind) {
	case ITEM_NAME:
		tell_name(inval, item);
		break;
	case ITEM_REMOVED:
		tell_removed(inval, item);
		break;
	case ITEM_VALUE:
		tell_inode_and_aliases(inval, item, true);
		break;
	case ITEM_ATTR:
		tell_inode_and_aliases(inval, item, false);
		break;
	case ITEM_LISTING:
		tell_inode(inval, item->ino, true);
		break;
	case ITEM_ALL:
		tell_all(inval);
		break;
	}
}

static void *work(void *arg)
{
	struct inval *inval = arg;

	pthread_mutex_lock(&inval->lock);
	while (!inval->stop || inval->first) {
		if (!inval->wanted) {
			pthread_cond_wait(&inval->wake, &inval->lock);
			continue;
		}
		struct item *items = inval->first;
		uint64_t offset = inval->offset;
		inval->first = NULL;
		inval->last = &inval->first;
		inval->wanted = false;
		pthread_mutex_unlock(&inval->lock);
		for (const struct item *item = items; item; item = item->next)
			tell(inval, item);
		free_items(items);
		if (offset)
			node_ack(inval->mount->node, offset);
		pthread_mutex_lock(&inval->lock);
	}
	pthread_mutex_unlock(&inval->lock);
	return NULL;
}

int inval_start(struct inval *inval)
{
	int r = -pthread_create(&inval->thread, NULL, work, inval);

	inval->running = r == 0;
	return r;
}

void inval_stop(struct inval *inval)
{
	if (!inval || !inval->running)
		return;
	pthread_mutex_lock(&inval->lock);
	inval->stop = true;
	inval->wanted = true;
	pthread_cond_signal(&inval->wake);
	pthread_mutex_unlock(&inval->lock);
	pthread_join(inval->thread, NULL);
	inval->running = false;
}
