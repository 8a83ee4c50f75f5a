/* The watch hub.
 *
 * Watchers read the feed themselves, each from its own place, so nothing is
 * buffered for them and a slow one costs nobody anything. What they share is
 * the waiting: a thousand of them must not all wake up for each event. The hub
 * looks at every event once, finds the prefixes that it concerns (one hash
 * look-up for each name in the key's path), and wakes those who wait there.
 *
 * Whoever is woken is also told which rows need no look: those that came while
 * it waited and did not concern it. So a quiet prefix keeps its place however
 * many events pass elsewhere.
 *
 * A group remembers the last event that concerned it. So a watcher that was
 * busy, or is just about to wait, finds out in one comparison whether something
 * came that it has not read (`last`), without having to catch up with events
 * of other prefixes first.
 *
 * The follow callback runs under the node's work lock: it stores a number, and
 * signals the thread if that sleeps. With no watcher it does not even that.
 *
 * Lock: hub->lock, a leaf; nothing is called while it is held. Who clears
 * watch->waiting makes the call. */
#include "httpd/watch_hub.h"

#include "common/clock.h"
#include "httpd/change_text.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1 /* then what was not added has no table */
#include <uthash.h>

#define BATCH_ROWS 128 /* rows looked at under one snapshot */
#define WAKES 64       /* wakes gathered under one hold of the lock */
#define RETRY_MS 20    /* after the feed could not be read */
#define SLEEP_MS 3600000

struct watch_group {
	UT_hash_handle hh;
	uint64_t since; /* events from here on were looked at for it */
	uint64_t last;  /* one behind the last that concerned it; 0: none */
	struct watch *watches;
	size_t len;
	char prefix[];
};

struct watch_hub {
	struct node *node;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work;
	_Atomic uint64_t followed; /* one behind the newest event followed */
	atomic_uint count;
	atomic_uint waiting;
	atomic_bool closing;
	/* protected by lock: */
	bool sleeping;
	bool stop;
	uint64_t next;       /* first offset that was not looked at */
	int64_t deadline_ms; /* no watch's time is over before this */
	struct watch_group *groups;
};

/* A watch that is to be told something. */
struct wake {
	struct watch *watch;
	enum watch_news news;
};

struct wakes {
	size_t n;
	struct wake list[WAKES];
};

int watch_hub_new(struct watch_hub **ret)
{
	pthread_condattr_t attr;
	struct watch_hub *hub = calloc(1, sizeof(*hub));
	if (!hub)
		return -ENOMEM;
	pthread_mutex_init(&hub->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&hub->work, &attr);
	pthread_condattr_destroy(&attr);
	*ret = hub;
	return 0;
}

void watch_hub_follow(void *arg, const struct feed_event *ev, bool gap)
{
	struct watch_hub *hub = arg;
	(void)gap; /* the thread finds it for itself */
	if (!ev)
		return;
	/* In this order, against watch_add(): either it sees this event as looked
	 * at, or this sees the watch. */
	atomic_store(&hub->followed, ev->offset + 1);
	if (!atomic_load(&hub->count))
		return;
	pthread_mutex_lock(&hub->lock);
	if (hub->sleeping)
		pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

/* --- waking ---------------------------------------------------------------- */

static void unref(struct watch *watch)
{
	struct watch_hub *hub = watch->hub;
	pthread_mutex_lock(&hub->lock);
	bool last = !--watch->refs;
	pthread_mutex_unlock(&hub->lock);
	if (last)
		watch->free_it(watch);
}

/* Takes the right to wake WATCH, for which no row before FROM is news. Lock
 * held; there is room. */
static void gather(struct watch_hub *hub, struct wakes *wakes, struct watch *watch,
                   enum watch_news news, uint64_t from)
{
	watch->waiting = false;
	if (watch->from < from)
		watch->from = from;
	watch->refs++;
	atomic_fetch_sub(&hub->waiting, 1);
	wakes->list[wakes->n++] = (struct wake){ watch, news };
}

/* Makes the calls; the lock is let go for them and taken again. */
static void call(struct watch_hub *hub, struct wakes *wakes)
{
	if (!wakes->n)
		return;
	pthread_mutex_unlock(&hub->lock);
	for (size_t i = 0; i < wakes->n; i++) {
		wakes->list[i].watch->wake(wakes->list[i].watch, wakes->list[i].news);
		unref(wakes->list[i].watch);
	}
	wakes->n = 0;
	pthread_mutex_lock(&hub->lock);
}

/* Wakes those of GROUP that have not read the event before END. The lock may be
 * let go in between, so the list is looked through anew until nobody is left. */
static void wake_group(struct watch_hub *hub, const char *prefix, size_t len, uint64_t end)
{
	struct wakes wakes = { 0 };
	do {
		struct watch_group *group;
		call(hub, &wakes);
		HASH_FIND(hh, hub->groups, prefix, len, group);
		for (struct watch *w = group ? group->watches : NULL; w && wakes.n < WAKES;
		     w = w->next) {
			if (w->waiting && w->from < end)
				gather(hub, &wakes, w, WATCH_CHANGE, end - 1);
		}
	} while (wakes.n);
}

/* Says to the group of a prefix, if there is one, that the event before END
 * concerns it. */
static void concern(struct watch_hub *hub, const char *prefix, size_t len, uint64_t end)
{
	struct watch_group *group;
	HASH_FIND(hh, hub->groups, prefix, len, group);
	if (!group || group->last >= end)
		return;
	group->last = end;
	wake_group(hub, prefix, len, end);
}

/* Wakes all that have not read what concerned their group last. With LOST it is
 * not known what that is, and they have to begin where they are. */
static void wake_all(struct watch_hub *hub, bool lost)
{
	struct wakes wakes = { 0 };
	do {
		struct watch_group *group, *tmp;
		call(hub, &wakes);
		HASH_ITER (hh, hub->groups, group, tmp) {
			for (struct watch *w = group->watches; w && wakes.n < WAKES; w = w->next) {
				if (w->waiting && w->from < group->last)
					gather(hub, &wakes, w, WATCH_CHANGE,
					       lost ? 0 : group->last - 1);
			}
		}
	} while (wakes.n);
}

/* Says to the groups below a directory that came or went whole that the event
 * before END concerns them. */
static void concern_below(struct watch_hub *hub, const struct feed_event *ev, size_t i,
                          uint64_t end)
{
	struct watch_group *group, *tmp;
	HASH_ITER (hh, hub->groups, group, tmp) {
		if (group->last < end && change_concerns(ev, i, group->prefix, group->len))
			group->last = end;
	}
	wake_all(hub, false);
}

/* Lock held. */
static void look_at(struct watch_hub *hub, const struct feed_event *ev)
{
	uint64_t end = ev->offset + 1;
	for (size_t i = 0; i < ev->neffects; i++) {
		struct bytes key = ev->effects[i].key;
		const char *text = key.data;
		concern(hub, "", 0, end);
		for (size_t k = 0; k < key.len; k++)
			if (text[k] == '/')
				concern(hub, text, k, end);
		if (key.len)
			concern(hub, text, key.len, end);
		if (change_is_whole(ev, i))
			concern_below(hub, ev, i, end);
	}
	hub->next = end;
}

/* Events are missing: everyone has to see for themselves. Lock held. */
static void concern_all(struct watch_hub *hub, uint64_t end)
{
	struct watch_group *group, *tmp;
	HASH_ITER (hh, hub->groups, group, tmp) {
		if (group->last < end)
			group->last = end;
	}
	hub->next = end;
	wake_all(hub, true);
}

/* --- the thread ------------------------------------------------------------ */

/* Reads up to BATCH_ROWS events from FROM on. Returns how many, or -errno. */
static int read_rows(struct watch_hub *hub, uint64_t from, struct feed_event **rows)
{
	struct view view;
	struct bytes row;
	uint64_t found;
	int n = 0;
	int r = view_open(node_store(hub->node), &view);
	if (r < 0)
		return r;
	while (n < BATCH_ROWS && !store_feed_next(view.txn, from, &found, &row)) {
		r = feed_decode(found, row, &rows[n]);
		if (r)
			break;
		n++;
		from = found + 1;
	}
	view_close(&view);
	return n || r > 0 ? n : r;
}

/* Looks at what was followed since. Lock held. False if it could not be read. */
static bool catch_up(struct watch_hub *hub)
{
	struct feed_event *rows[BATCH_ROWS];
	uint64_t from = hub->next;
	uint64_t followed = atomic_load(&hub->followed);
	pthread_mutex_unlock(&hub->lock);
	int n = read_rows(hub, from, rows);
	pthread_mutex_lock(&hub->lock);
	if (n < 0 && n != -EBADMSG)
		return false;
	/* what lies between is lost, or never was: watchers can tell (feed_stream.c) */
	if (n <= 0 || rows[0]->offset > from)
		concern_all(hub, n <= 0 ? followed : rows[0]->offset);
	for (int i = 0; i < n; i++) {
		look_at(hub, rows[i]);
		free(rows[i]);
	}
	return true;
}

/* Wakes those whose time is over, and finds out when the next one's is. Lock
 * held. */
static void look_at_times(struct watch_hub *hub)
{
	struct wakes wakes = { 0 };
	int64_t now_ms = clock_mono_ms();
	bool closing = atomic_load(&hub->closing);
	do {
		struct watch_group *group, *tmp;
		call(hub, &wakes);
		hub->deadline_ms = INT64_MAX;
		HASH_ITER (hh, hub->groups, group, tmp) {
			for (struct watch *w = group->watches; w && wakes.n < WAKES; w = w->next) {
				if (!w->waiting)
					continue;
				if (closing || w->until_ms <= now_ms)
					gather(hub, &wakes, w, closing ? WATCH_CLOSING : WATCH_TIME,
					       hub->next);
				else if (w->until_ms < hub->deadline_ms)
					hub->deadline_ms = w->until_ms;
			}
		}
	} while (wakes.n);
}

/* Sleeps until there is something to do. Lock held. */
static void sleep_until(struct watch_hub *hub, int64_t until_ms)
{
	struct timespec at = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };
	hub->sleeping = true;
	pthread_cond_timedwait(&hub->work, &hub->lock, &at);
	hub->sleeping = false;
}

static void *run(void *arg)
{
	struct watch_hub *hub = arg;
	pthread_mutex_lock(&hub->lock);
	while (!hub->stop) {
		int64_t now_ms = clock_mono_ms();
		bool closing = atomic_load(&hub->closing) && atomic_load(&hub->waiting);
		if (now_ms >= hub->deadline_ms || closing) {
			look_at_times(hub);
		} else if (atomic_load(&hub->count) && atomic_load(&hub->followed) > hub->next) {
			if (!catch_up(hub))
				sleep_until(hub, now_ms + RETRY_MS);
		} else {
			int64_t most_ms = now_ms + SLEEP_MS;
			sleep_until(hub, hub->deadline_ms < most_ms ? hub->deadline_ms : most_ms);
		}
	}
	pthread_mutex_unlock(&hub->lock);
	return NULL;
}

int watch_hub_start(struct watch_hub *hub, struct node *node)
{
	hub->node = node;
	hub->deadline_ms = INT64_MAX;
	int r = -pthread_create(&hub->thread, NULL, run, hub);
	hub->running = !r;
	return r;
}

void watch_hub_close(struct watch_hub *hub)
{
	if (!hub)
		return;
	pthread_mutex_lock(&hub->lock);
	atomic_store(&hub->closing, true);
	pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

void watch_hub_free(struct watch_hub *hub)
{
	if (!hub)
		return;
	if (hub->running) {
		pthread_mutex_lock(&hub->lock);
		hub->stop = true;
		pthread_cond_signal(&hub->work);
		pthread_mutex_unlock(&hub->lock);
		pthread_join(hub->thread, NULL);
	}
	pthread_cond_destroy(&hub->work);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

bool watch_hub_is_closing(const struct watch_hub *hub)
{
	return atomic_load(&hub->closing);
}

unsigned watch_hub_count(const struct watch_hub *hub)
{
	return atomic_load(&hub->count);
}

unsigned watch_hub_waiting(const struct watch_hub *hub)
{
	return atomic_load(&hub->waiting);
}

/* --- joining, waiting, leaving --------------------------------------------- */

int watch_add(struct watch_hub *hub, struct watch *watch, const char *prefix, size_t len)
{
	int r = 0;
	struct watch_group *group;
	unsigned before = atomic_fetch_add(&hub->count, 1);
	pthread_mutex_lock(&hub->lock);
	/* what came while nobody watched needs no look */
	uint64_t followed = atomic_load(&hub->followed);
	if (!before && !hub->groups && hub->next < followed)
		hub->next = followed;
	HASH_FIND(hh, hub->groups, prefix, len, group);
	if (!group) {
		group = calloc(1, sizeof(*group) + len);
		if (!group) {
			r = -ENOMEM;
			goto out;
		}
		memcpy(group->prefix, prefix, len);
		group->len = len;
		group->since = hub->next;
		HASH_ADD_KEYPTR(hh, hub->groups, group->prefix, len, group);
		if (!group->hh.tbl) {
			free(group);
			r = -ENOMEM;
			goto out;
		}
	}
	watch->hub = hub;
	watch->refs = 1;
	watch->group = group;
	watch->prev = NULL;
	watch->next = group->watches;
	if (group->watches)
		group->watches->prev = watch;
	group->watches = watch;
out:
	pthread_mutex_unlock(&hub->lock);
	if (r)
		atomic_fetch_sub(&hub->count, 1);
	return r;
}

void watch_remove(struct watch *watch)
{
	struct watch_hub *hub = watch->hub;
	struct watch_group *group = watch->group;
	pthread_mutex_lock(&hub->lock);
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		group->watches = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	if (!group->watches) {
		HASH_DEL(hub->groups, group);
		free(group);
	}
	pthread_mutex_unlock(&hub->lock);
	atomic_fetch_sub(&hub->count, 1);
	unref(watch);
}

bool watch_wait(struct watch *watch, uint64_t from, int64_t until_ms)
{
	struct watch_hub *hub = watch->hub;
	struct watch_group *group = watch->group;
	pthread_mutex_lock(&hub->lock);
	/* of this prefix, or perhaps, from before it was watched */
	bool news = group->last > from || group->since > from;
	bool wait = !news && !atomic_load(&hub->closing);
	if (wait) {
		watch->from = from;
		watch->until_ms = until_ms;
		watch->waiting = true;
		atomic_fetch_add(&hub->waiting, 1);
		if (until_ms < hub->deadline_ms) {
			hub->deadline_ms = until_ms;
			if (hub->sleeping)
				pthread_cond_signal(&hub->work);
		}
	}
	pthread_mutex_unlock(&hub->lock);
	return wait;
}
