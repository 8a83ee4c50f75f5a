/* Watch hub: wakes the clients that watch keys, and formats changes once for all of them.
 *
 * Watchers share two things. The waiting: a thousand watchers must not all wake up for each event.
 * The hub looks at each event once, finds the watched prefixes that it changes (one hash lookup for
 * each name in the key's path), and wakes the watchers of those. And the text: a change that any
 * watcher reads is formatted once, into the change ring, and they copy it from there. The hub
 * buffers nothing per watcher, so a slow one costs nothing: it falls out of the ring and reads the
 * feed at its own pace.
 *
 * The hub works in rounds: it takes all new events, marks the groups that they concern, formats
 * them (without its lock), puts the texts into the ring, and wakes the marked groups. The next
 * round begins when all woken watchers have been served, so under load events accumulate and are
 * sent together, one send per watcher. Before it, the hub pauses for as long as the last round
 * took, at most ROUND_NS: this leaves time to writers while a thousand watchers are served, and
 * puts more changes into one send. A lone event is not delayed, because the last round was over
 * long ago. No watcher can delay a round by more than ROUND_NS, and a slow client does not delay it
 * at all, because being served does not mean that everything was sent.
 *
 * A woken watcher also learns which rows it can skip: those that were added while it waited and did
 * not concern it. So the watcher of a quiet prefix keeps its place in the feed however many other
 * events pass.
 *
 * A group remembers the last event that concerned it (`last`). So a watcher that was busy, or is
 * about to wait, finds out with one comparison whether it has something to read, without reading
 * events of other prefixes first. Events found by a round that is still running do not count yet
 * (`marked`): their watchers are woken at its end.
 *
 * The follow callback runs under the node's work lock: it stores a number, and signals the thread
 * if that sleeps. Without watchers it does not even signal.
 *
 * Locks: hub->lock and the ring's, both leaves; no callback is made under them. The thread that
 * clears watch->waiting makes the call. */
#include "httpd/watch_hub.h"

#include "common/base/clock.h"
#include "httpd/change_text.h"
#include "httpd/watch_round.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1 /* an element that could not be added has no table */
#include <uthash.h>

#define ROUND_NS (10 * NS_PER_MS) /* longest wait for woken watchers, and longest pause */
#define RETRY_MS 20               /* after the feed could not be read */
#define SLEEP_MS 3600000
#define NS_PER_MS INT64_C(1000000)

/* The watches of one prefix. Protected by hub->lock. */
struct watch_group {
	UT_hash_handle hh;
	unsigned members;
	unsigned readers[CHANGE_KINDS];
	struct watch *waiting;
	uint64_t last; /* one more than the offset of the last event that concerned it; 0: none */
	/* Only while a round that concerns it is running: */
	bool marked;
	struct watch_group *next_marked;
	uint64_t before; /* `last` without this round */
	uint64_t news;   /* first event of the round; 0: unknown */
	size_t len;
	char prefix[];
};

struct watch_hub {
	struct node *node;
	struct change_ring *ring;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work;
	_Atomic uint64_t followed; /* one more than the newest offset followed */
	atomic_uint count;
	atomic_uint waiting;
	atomic_bool closing;
	atomic_bool wants_events;    /* the thread sleeps until an event is followed */
	atomic_uint unserved;        /* watches that were woken and not served yet */
	atomic_uint unserved_before; /* ... at the beginning of the round */
	_Atomic int64_t served_ns;   /* when one of them was served last */
	/* Only used by the thread: */
	int64_t began_ns;
	/* Protected by lock: */
	bool sleeping;
	bool stop;
	uint64_t next;       /* first offset that was not checked */
	int64_t deadline_ms; /* no watch's time ends before this */
	struct watch_group *groups;
	struct watch_group *marked;
};

/* Watches to wake, in order. */
struct wakes {
	struct watch *first;
	struct watch **end;
	unsigned n;
};

int watch_hub_new(struct watch_hub **ret)
{
	struct watch_hub *hub = calloc(1, sizeof(*hub));
	if (!hub || change_ring_new(&hub->ring)) {
		free(hub);
		return -ENOMEM;
	}
	pthread_mutex_init(&hub->lock, NULL);
	clock_cond_init(&hub->work);
	*ret = hub;
	return 0;
}

void watch_hub_follow(void *arg, const struct feed_event *ev, bool gap)
{
	struct watch_hub *hub = arg;
	(void)gap; /* The thread finds gaps in the feed itself. */
	if (!ev)
		return;
	/* The order matters. Either watch_add() sees this event, or this function sees the
	 * watch; and either the thread sees the event before it sleeps, or this function
	 * sees that it sleeps. */
	atomic_store(&hub->followed, ev->offset + 1);
	if (!atomic_load(&hub->count) || !atomic_load(&hub->wants_events))
		return;
	pthread_mutex_lock(&hub->lock);
	if (hub->sleeping)
		pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

/* --- wake ------------------------------------------------------------------ */

static void watch_unref(struct watch *watch)
{
	if (atomic_fetch_sub(&watch->refs, 1) == 1)
		watch->free_it(watch);
}

static struct wakes no_wakes(struct wakes *wakes)
{
	return (struct wakes){ .end = &wakes->first };
}

/* Move the watch at *AT from its group's waiting list to WAKES, and with it the right to
 * wake it. No row before FROM concerns it. Called with the lock held. */
static void queue_wake(struct watch_hub *hub, struct wakes *wakes, struct watch **at,
                       enum watch_news news, uint64_t from)
{
	struct watch *watch = *at;
	*at = watch->next;
	watch->next = NULL;
	watch->waiting = false;
	watch->news = news;
	watch->unserved = true;
	if (watch->from < from)
		watch->from = from;
	atomic_fetch_add(&watch->refs, 1);
	atomic_fetch_sub(&hub->waiting, 1);
	*wakes->end = watch;
	wakes->end = &watch->next;
	wakes->n++;
}

/* Wake all watches of WAKES. Called with the lock held, which is released in between. */
static void make_wakes(struct watch_hub *hub, struct wakes *wakes)
{
	unsigned before = atomic_load(&hub->unserved);
	hub->began_ns = clock_mono_ns();
	atomic_store(&hub->unserved_before, before);
	atomic_fetch_add(&hub->unserved, wakes->n);
	pthread_mutex_unlock(&hub->lock);
	for (struct watch *watch = wakes->first, *next; watch; watch = next) {
		next = watch->next; /* It may wait again before the call returns. */
		watch->wake(watch, watch->news);
		watch_unref(watch);
	}
	pthread_mutex_lock(&hub->lock);
}

/* Queue the waiting watches of GROUP that have not read its last event. */
static void queue_group(struct watch_hub *hub, struct wakes *wakes, struct watch_group *group)
{
	for (struct watch **at = &group->waiting; *at;) {
		if ((*at)->from < group->last)
			queue_wake(hub, wakes, at, WATCH_CHANGE, group->news);
		else
			at = &(*at)->next;
	}
}

/* Free GROUP if it has no members and is not marked. Called with the lock held. */
static void free_if_empty(struct watch_hub *hub, struct watch_group *group)
{
	if (group->members || group->marked)
		return;
	assert(hub->groups); /* GROUP is one of them. */
	HASH_DEL(hub->groups, group);
	free(group);
}

/* Wake the watches of the groups that the round marked. Called with the lock held. */
static void wake_marked(struct watch_hub *hub)
{
	struct wakes wakes = no_wakes(&wakes);
	while (hub->marked) {
		struct watch_group *group = hub->marked;
		hub->marked = group->next_marked;
		queue_group(hub, &wakes, group);
		group->marked = false;
		free_if_empty(hub, group);
	}
	make_wakes(hub, &wakes);
}

/* Wake the watches whose time is over, and compute the next deadline. Called with the lock
 * held. */
static void wake_expired(struct watch_hub *hub)
{
	struct wakes wakes = no_wakes(&wakes);
	struct watch_group *group, *tmp;
	int64_t now_ms = clock_mono_ms();
	bool closing = atomic_load(&hub->closing);
	hub->deadline_ms = INT64_MAX;
	HASH_ITER (hh, hub->groups, group, tmp) {
		for (struct watch **at = &group->waiting; *at;) {
			int64_t until_ms = (*at)->until_ms;
			if (closing || until_ms <= now_ms || watch_is_over(*at)) {
				queue_wake(hub, &wakes, at, closing ? WATCH_CLOSING : WATCH_TIME,
				           hub->next);
				continue;
			}
			if (until_ms < hub->deadline_ms)
				hub->deadline_ms = until_ms;
			at = &(*at)->next;
		}
	}
	make_wakes(hub, &wakes);
}

/* --- check ----------------------------------------------------------------- */

/* Mark GROUP as concerned by the event before END; NEWS is the first event of the round for
 * it unless it is marked already. Returns the kinds of text that its members read, as bits.
 * Called with the lock held, like all functions of this section. */
static unsigned mark_group(struct watch_hub *hub, struct watch_group *group, uint64_t end,
                           uint64_t news)
{
	unsigned kinds = 0;
	for (enum change_kind kind = 0; kind < CHANGE_KINDS; kind++)
		kinds |= group->readers[kind] ? 1U << kind : 0;
	if (!group->marked) {
		group->marked = true;
		group->next_marked = hub->marked;
		hub->marked = group;
		group->before = group->last;
		group->news = news;
	}
	if (group->last < end)
		group->last = end;
	return kinds;
}

static unsigned mark_prefix(struct watch_hub *hub, const char *prefix, size_t len, uint64_t end)
{
	struct watch_group *group;
	HASH_FIND(hh, hub->groups, prefix, len, group);
	return group ? mark_group(hub, group, end, end - 1) : 0;
}

/* Mark the groups below a directory that was added, moved or removed with its subtree. */
static unsigned mark_below(struct watch_hub *hub, const struct feed_event *ev, size_t i)
{
	struct watch_group *group, *tmp;
	uint64_t end = ev->offset + 1;
	unsigned kinds = 0;
	HASH_ITER (hh, hub->groups, group, tmp) {
		if (change_concerns(ev, i, group->prefix, group->len))
			kinds |= mark_group(hub, group, end, end - 1);
	}
	return kinds;
}

/* Mark all groups, because events before END are missing in the feed. */
static void mark_all(struct watch_hub *hub, uint64_t end)
{
	struct watch_group *group, *tmp;
	HASH_ITER (hh, hub->groups, group, tmp) {
		mark_group(hub, group, end, 0);
	}
}

/* Mark the groups that EV concerns. Returns the kinds of text that they read, as bits. */
static unsigned mark_event(struct watch_hub *hub, const struct feed_event *ev)
{
	uint64_t end = ev->offset + 1;
	unsigned kinds = 0;
	for (size_t i = 0; i < ev->neffects; i++) {
		struct bytes key = ev->effects[i].key;
		const char *text = key.data;
		kinds |= mark_prefix(hub, "", 0, end);
		for (size_t k = 0; k < key.len; k++)
			if (text[k] == '/')
				kinds |= mark_prefix(hub, text, k, end);
		if (key.len)
			kinds |= mark_prefix(hub, text, key.len, end);
		if (change_is_whole(ev, i))
			kinds |= mark_below(hub, ev, i);
	}
	return kinds;
}

/* --- rounds ---------------------------------------------------------------- */

/* Check the events since the last round, and wake the watches that they concern. Returns
 * false if the feed could not be read. Called with the lock held. */
static bool run_round(struct watch_hub *hub)
{
	struct watch_round round;
	uint64_t from = hub->next;
	uint64_t followed = atomic_load(&hub->followed);
	pthread_mutex_unlock(&hub->lock);
	int r = watch_round_open(&round, node_store(hub->node), from);
	pthread_mutex_lock(&hub->lock);
	if (r)
		return false;
	/* Rows between are lost or never existed; watchers find out (handlers/watch.c). */
	uint64_t begin = round.n ? round.rows[0]->offset : followed;
	uint64_t end = round.n ? round.rows[round.n - 1]->offset + 1 : followed;
	if (begin > from)
		mark_all(hub, begin);
	for (size_t i = 0; i < round.n; i++)
		round.kinds[i] = mark_event(hub, round.rows[i]);
	hub->next = end;
	pthread_mutex_unlock(&hub->lock);
	watch_round_put(&round, hub->ring, begin, end);
	watch_round_close(&round);
	pthread_mutex_lock(&hub->lock);
	wake_marked(hub);
	return true;
}

/* Return when the next round may begin. */
static int64_t next_round_ns(const struct watch_hub *hub)
{
	int64_t served_ns = atomic_load(&hub->served_ns);
	int64_t took_ns = served_ns - hub->began_ns;
	if (took_ns < 0)
		took_ns = 0; /* No watch was served yet, or none was woken. */
	bool over = atomic_load(&hub->unserved) <= atomic_load(&hub->unserved_before);
	int64_t rest_ns = over ? took_ns : ROUND_NS;
	return hub->began_ns + took_ns + (rest_ns < ROUND_NS ? rest_ns : ROUND_NS);
}

/* --- thread ---------------------------------------------------------------- */

static bool has_unread_events(const struct watch_hub *hub)
{
	return atomic_load(&hub->count) && atomic_load(&hub->followed) > hub->next;
}

/* Sleep until UNTIL_NS or a signal. Called with the lock held. */
static void sleep_until(struct watch_hub *hub, int64_t until_ns)
{
	struct timespec at = { .tv_sec = until_ns / (1000 * NS_PER_MS),
		               .tv_nsec = until_ns % (1000 * NS_PER_MS) };
	hub->sleeping = true;
	pthread_cond_timedwait(&hub->work, &hub->lock, &at);
	hub->sleeping = false;
}

/* Sleep until an event is followed or a watch's time is over. Called with the lock held. */
static void wait_for_events(struct watch_hub *hub, int64_t now_ns)
{
	int64_t most_ms = now_ns / NS_PER_MS + SLEEP_MS;
	int64_t until_ms = hub->deadline_ms < most_ms ? hub->deadline_ms : most_ms;
	atomic_store(&hub->wants_events, true);
	if (!has_unread_events(hub))
		sleep_until(hub, until_ms * NS_PER_MS);
	atomic_store(&hub->wants_events, false);
}

static void *run_hub(void *arg)
{
	struct watch_hub *hub = arg;
	pthread_mutex_lock(&hub->lock);
	while (!hub->stop) {
		int64_t now_ns = clock_mono_ns();
		bool closing = atomic_load(&hub->closing) && atomic_load(&hub->waiting);
		if (closing || now_ns / NS_PER_MS >= hub->deadline_ms)
			wake_expired(hub);
		else if (!has_unread_events(hub))
			wait_for_events(hub, now_ns);
		else if (now_ns < next_round_ns(hub))
			sleep_until(hub, next_round_ns(hub));
		else if (!run_round(hub))
			sleep_until(hub, now_ns + RETRY_MS * NS_PER_MS);
	}
	pthread_mutex_unlock(&hub->lock);
	return NULL;
}

int watch_hub_start(struct watch_hub *hub, struct node *node)
{
	hub->node = node;
	hub->deadline_ms = INT64_MAX;
	int r = -pthread_create(&hub->thread, NULL, run_hub, hub);
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

void watch_hub_check_over(void *arg)
{
	struct watch_hub *hub = arg;
	pthread_mutex_lock(&hub->lock);
	hub->deadline_ms = 0;
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
	change_ring_free(hub->ring);
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

/* --- users ----------------------------------------------------------------- */

int watch_add(struct watch_hub *hub, struct watch *watch, const char *prefix, size_t len)
{
	int r = 0;
	struct watch_group *group;
	unsigned before = atomic_fetch_add(&hub->count, 1);
	pthread_mutex_lock(&hub->lock);
	/* Events from before the first watch need no check. */
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
		HASH_ADD_KEYPTR(hh, hub->groups, group->prefix, len, group);
		if (!group->hh.tbl) {
			free(group);
			r = -ENOMEM;
			goto out;
		}
	}
	group->members++;
	if (watch->reads)
		group->readers[watch->kind]++;
	watch->hub = hub;
	watch->group = group;
	watch->since = hub->next;
	atomic_store(&watch->refs, 1);
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
	watch_served(watch);
	pthread_mutex_lock(&hub->lock);
	group->members--;
	if (watch->reads)
		group->readers[watch->kind]--;
	free_if_empty(hub, group);
	pthread_mutex_unlock(&hub->lock);
	atomic_fetch_sub(&hub->count, 1);
	watch_unref(watch);
}

bool watch_is_over(const struct watch *watch)
{
	return watch->over && atomic_load(watch->over);
}

bool watch_wait(struct watch *watch, uint64_t from, int64_t until_ms)
{
	struct watch_hub *hub = watch->hub;
	struct watch_group *group = watch->group;
	pthread_mutex_lock(&hub->lock);
	/* Events of a running round are reported at its end to all that wait then. */
	uint64_t last = group->marked ? group->before : group->last;
	bool news = last > from || watch->since > from;
	bool wait = !news && !atomic_load(&hub->closing) && !watch_is_over(watch);
	if (wait) {
		watch->from = from;
		watch->until_ms = until_ms;
		watch->waiting = true;
		watch->next = group->waiting;
		group->waiting = watch;
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

void watch_served(struct watch *watch)
{
	struct watch_hub *hub = watch->hub;
	if (!watch->unserved)
		return;
	watch->unserved = false;
	atomic_store(&hub->served_ns, clock_mono_ns());
	if (atomic_fetch_sub(&hub->unserved, 1) - 1 != atomic_load(&hub->unserved_before))
		return;
	pthread_mutex_lock(&hub->lock);
	if (hub->sleeping && !atomic_load(&hub->wants_events))
		pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

enum change_read watch_read(struct watch *watch, struct change_place *place, char *buf, size_t size,
                            size_t *ret_len)
{
	*ret_len = 0;
	if (place->offset < watch->since)
		return CHANGE_READ_FEED; /* The hub did not check events before it was added. */
	return change_ring_read(watch->hub->ring, watch->kind, watch->group->prefix,
	                        watch->group->len, place, buf, size, ret_len);
}
