/* The watch hub.
 *
 * Those who watch share two things. The waiting: a thousand of them must not all
 * wake up for each event. The hub looks at every event once, finds the prefixes
 * that it concerns (one hash look-up for each name in the key's path), and wakes
 * those who wait there. And the text: what concerns anyone who reads is formatted
 * once, into the change ring, and they copy from there. Nothing is buffered for
 * anybody, and a slow one costs nobody anything: it falls out of the ring and
 * reads the feed, from its own place.
 *
 * The hub works in rounds: it takes the events that there are, marks the groups
 * concerned, formats (without its lock), puts the texts into the ring, and wakes.
 * The next round begins when all that were woken have come to be served, so under
 * load events gather meanwhile and are told together, in one send for each
 * watcher. Before that the hub rests for as long as the round took, ROUND_NS at
 * most: while a thousand are served, those who write are not. (Sends are what
 * costs: 35 changes go into one like this, 21 with a quarter of the rest.) A lone
 * event waits for nothing: the last round is long over. Nobody can hold up a round
 * for more than ROUND_NS, and a slow client cannot at all: coming means being
 * served, not being sent all.
 *
 * Whoever is woken is also told which rows need no look: those that came while
 * it waited and did not concern it. So a quiet prefix keeps its place however
 * many events pass elsewhere.
 *
 * A group remembers the last event that concerned it. So a watcher that was
 * busy, or is just about to wait, finds out in one comparison whether something
 * came that it has not read (`last`), without having to catch up with events
 * of other prefixes first. What a round at work has
 * found does not count yet (`told`): those who wait at its end are woken then.
 *
 * The follow callback runs under the node's work lock: it stores a number, and
 * signals the thread if that sleeps for news. With no watcher it does not even
 * that.
 *
 * Locks: hub->lock and the ring's, leaves both; nothing is called while they are
 * held. Who clears watch->waiting makes the call. */
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

#define HASH_NONFATAL_OOM 1 /* then what was not added has no table */
#include <uthash.h>

#define ROUND_NS (10 * NS_PER_MS) /* a wait for the next who comes, and a rest, at most */
#define RETRY_MS 20               /* after the feed could not be read */
#define SLEEP_MS 3600000
#define NS_PER_MS INT64_C(1000000)

/* Those of one prefix. hub->lock protects all of it. */
struct watch_group {
	UT_hash_handle hh;
	unsigned members;
	unsigned readers[CHANGE_KINDS];
	struct watch *waiting;
	uint64_t last; /* one behind the last event that concerned it; 0: none */
	/* while a round is at work that concerns it: */
	bool told;
	struct watch_group *next_told;
	uint64_t before; /* `last` without this round */
	uint64_t news;   /* the first event of it; 0: nobody knows */
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
	_Atomic uint64_t followed; /* one behind the newest event followed */
	atomic_uint count;
	atomic_uint waiting;
	atomic_bool closing;
	atomic_bool wants_news;  /* the thread sleeps until something is followed */
	atomic_uint owed;        /* who were woken and have not come yet */
	atomic_uint owed_before; /* of those, who were so before the round */
	_Atomic int64_t came_ns; /* when one of them came last */
	/* of the thread alone: */
	int64_t began_ns;
	/* protected by lock: */
	bool sleeping;
	bool stop;
	uint64_t next;       /* first offset that was not looked at */
	int64_t deadline_ms; /* no watch's time is over before this */
	struct watch_group *groups;
	struct watch_group *told;
};

/* Watches that are to be told something, in order. */
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
	(void)gap; /* the thread finds it for itself */
	if (!ev)
		return;
	/* In this order, against watch_add(): either it sees this event as looked
	 * at, or this sees the watch; and against rest(): either the thread sees the
	 * event, or this sees that it sleeps. */
	atomic_store(&hub->followed, ev->offset + 1);
	if (!atomic_load(&hub->count) || !atomic_load(&hub->wants_news))
		return;
	pthread_mutex_lock(&hub->lock);
	if (hub->sleeping)
		pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

/* --- waking ---------------------------------------------------------------- */

static void unref(struct watch *watch)
{
	if (atomic_fetch_sub(&watch->refs, 1) == 1)
		watch->free_it(watch);
}

static struct wakes no_wakes(struct wakes *wakes)
{
	return (struct wakes){ .end = &wakes->first };
}

/* Takes the watch at *AT off the list of those that wait, and with it the right to
 * wake it. No row before FROM is news for it. Lock held. */
static void take(struct watch_hub *hub, struct wakes *wakes, struct watch **at,
                 enum watch_news news, uint64_t from)
{
	struct watch *watch = *at;
	*at = watch->next;
	watch->next = NULL;
	watch->waiting = false;
	watch->news = news;
	watch->owes = true;
	if (watch->from < from)
		watch->from = from;
	atomic_fetch_add(&watch->refs, 1);
	atomic_fetch_sub(&hub->waiting, 1);
	*wakes->end = watch;
	wakes->end = &watch->next;
	wakes->n++;
}

/* Makes the calls; the lock is let go for them and taken again. */
static void call(struct watch_hub *hub, struct wakes *wakes)
{
	unsigned before = atomic_load(&hub->owed);
	hub->began_ns = clock_mono_ns();
	atomic_store(&hub->owed_before, before);
	atomic_fetch_add(&hub->owed, wakes->n);
	pthread_mutex_unlock(&hub->lock);
	for (struct watch *watch = wakes->first, *next; watch; watch = next) {
		next = watch->next; /* it may wait again before the call is over */
		watch->wake(watch, watch->news);
		unref(watch);
	}
	pthread_mutex_lock(&hub->lock);
}

/* Takes those of GROUP that wait and have not read what concerned it last. */
static void take_group(struct watch_hub *hub, struct wakes *wakes, struct watch_group *group)
{
	for (struct watch **at = &group->waiting; *at;) {
		if ((*at)->from < group->last)
			take(hub, wakes, at, WATCH_CHANGE, group->news);
		else
			at = &(*at)->next;
	}
}

/* Lock held. */
static void free_if_empty(struct watch_hub *hub, struct watch_group *group)
{
	if (group->members || group->told)
		return;
	assert(hub->groups); /* it is one of them */
	HASH_DEL(hub->groups, group);
	free(group);
}

/* Wakes whom the round concerns. Lock held. */
static void tell(struct watch_hub *hub)
{
	struct wakes wakes = no_wakes(&wakes);
	while (hub->told) {
		struct watch_group *group = hub->told;
		hub->told = group->next_told;
		take_group(hub, &wakes, group);
		group->told = false;
		free_if_empty(hub, group);
	}
	call(hub, &wakes);
}

/* Wakes those whose time is over, and finds out when the next one's is. Lock
 * held. */
static void look_at_times(struct watch_hub *hub)
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
				take(hub, &wakes, at, closing ? WATCH_CLOSING : WATCH_TIME,
				     hub->next);
				continue;
			}
			if (until_ms < hub->deadline_ms)
				hub->deadline_ms = until_ms;
			at = &(*at)->next;
		}
	}
	call(hub, &wakes);
}

/* --- looking --------------------------------------------------------------- */

/* Notes that the event before END concerns GROUP, which begins with NEWS unless it
 * is told already. Returns the kinds of text that its members want. Lock held, as
 * for all here. */
static unsigned concern(struct watch_hub *hub, struct watch_group *group, uint64_t end,
                        uint64_t news)
{
	unsigned kinds = 0;
	for (enum change_kind kind = 0; kind < CHANGE_KINDS; kind++)
		kinds |= group->readers[kind] ? 1U << kind : 0;
	if (!group->told) {
		group->told = true;
		group->next_told = hub->told;
		hub->told = group;
		group->before = group->last;
		group->news = news;
	}
	if (group->last < end)
		group->last = end;
	return kinds;
}

static unsigned concern_prefix(struct watch_hub *hub, const char *prefix, size_t len, uint64_t end)
{
	struct watch_group *group;
	HASH_FIND(hh, hub->groups, prefix, len, group);
	return group ? concern(hub, group, end, end - 1) : 0;
}

/* The groups below a directory that came or went whole. */
static unsigned concern_below(struct watch_hub *hub, const struct feed_event *ev, size_t i)
{
	struct watch_group *group, *tmp;
	uint64_t end = ev->offset + 1;
	unsigned kinds = 0;
	HASH_ITER (hh, hub->groups, group, tmp) {
		if (change_concerns(ev, i, group->prefix, group->len))
			kinds |= concern(hub, group, end, end - 1);
	}
	return kinds;
}

/* Events before END are missing: everyone has to see for themselves. */
static void concern_all(struct watch_hub *hub, uint64_t end)
{
	struct watch_group *group, *tmp;
	HASH_ITER (hh, hub->groups, group, tmp) {
		concern(hub, group, end, 0);
	}
}

/* Finds the groups that EV concerns. Returns the kinds of text wanted. */
static unsigned look_at(struct watch_hub *hub, const struct feed_event *ev)
{
	uint64_t end = ev->offset + 1;
	unsigned kinds = 0;
	for (size_t i = 0; i < ev->neffects; i++) {
		struct bytes key = ev->effects[i].key;
		const char *text = key.data;
		kinds |= concern_prefix(hub, "", 0, end);
		for (size_t k = 0; k < key.len; k++)
			if (text[k] == '/')
				kinds |= concern_prefix(hub, text, k, end);
		if (key.len)
			kinds |= concern_prefix(hub, text, key.len, end);
		if (change_is_whole(ev, i))
			kinds |= concern_below(hub, ev, i);
	}
	return kinds;
}

/* --- rounds ---------------------------------------------------------------- */

/* Looks at what was followed since, and tells. False if it could not be read.
 * Lock held. */
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
	/* what lies between is lost, or never was: watchers can tell (handlers/watch.c) */
	uint64_t begin = round.n ? round.rows[0]->offset : followed;
	uint64_t end = round.n ? round.rows[round.n - 1]->offset + 1 : followed;
	if (begin > from)
		concern_all(hub, begin);
	for (size_t i = 0; i < round.n; i++)
		round.kinds[i] = look_at(hub, round.rows[i]);
	hub->next = end;
	pthread_mutex_unlock(&hub->lock);
	watch_round_put(&round, hub->ring, begin, end);
	watch_round_close(&round);
	pthread_mutex_lock(&hub->lock);
	tell(hub);
	return true;
}

/* When the next round may begin. */
static int64_t next_round_ns(const struct watch_hub *hub)
{
	int64_t came_ns = atomic_load(&hub->came_ns);
	int64_t took_ns = came_ns - hub->began_ns;
	if (took_ns < 0)
		took_ns = 0; /* nobody came yet, or nobody was woken */
	bool over = atomic_load(&hub->owed) <= atomic_load(&hub->owed_before);
	int64_t rest_ns = over ? took_ns : ROUND_NS;
	return hub->began_ns + took_ns + (rest_ns < ROUND_NS ? rest_ns : ROUND_NS);
}

/* --- the thread ------------------------------------------------------------ */

static bool is_behind(const struct watch_hub *hub)
{
	return atomic_load(&hub->count) && atomic_load(&hub->followed) > hub->next;
}

/* Sleeps until it is signalled. Lock held. */
static void sleep_until(struct watch_hub *hub, int64_t until_ns)
{
	struct timespec at = { .tv_sec = until_ns / (1000 * NS_PER_MS),
		               .tv_nsec = until_ns % (1000 * NS_PER_MS) };
	hub->sleeping = true;
	pthread_cond_timedwait(&hub->work, &hub->lock, &at);
	hub->sleeping = false;
}

/* Sleeps until something is followed. Lock held. */
static void wait_for_news(struct watch_hub *hub, int64_t now_ns)
{
	int64_t most_ms = now_ns / NS_PER_MS + SLEEP_MS;
	int64_t until_ms = hub->deadline_ms < most_ms ? hub->deadline_ms : most_ms;
	atomic_store(&hub->wants_news, true);
	if (!is_behind(hub))
		sleep_until(hub, until_ms * NS_PER_MS);
	atomic_store(&hub->wants_news, false);
}

static void *run(void *arg)
{
	struct watch_hub *hub = arg;
	pthread_mutex_lock(&hub->lock);
	while (!hub->stop) {
		int64_t now_ns = clock_mono_ns();
		bool closing = atomic_load(&hub->closing) && atomic_load(&hub->waiting);
		if (closing || now_ns / NS_PER_MS >= hub->deadline_ms)
			look_at_times(hub);
		else if (!is_behind(hub))
			wait_for_news(hub, now_ns);
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

void watch_hub_look(void *arg)
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
	watch_came(watch);
	pthread_mutex_lock(&hub->lock);
	group->members--;
	if (watch->reads)
		group->readers[watch->kind]--;
	free_if_empty(hub, group);
	pthread_mutex_unlock(&hub->lock);
	atomic_fetch_sub(&hub->count, 1);
	unref(watch);
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
	/* what a round at work has found is told at its end, to all that wait then */
	uint64_t last = group->told ? group->before : group->last;
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

void watch_came(struct watch *watch)
{
	struct watch_hub *hub = watch->hub;
	if (!watch->owes)
		return;
	watch->owes = false;
	atomic_store(&hub->came_ns, clock_mono_ns());
	if (atomic_fetch_sub(&hub->owed, 1) - 1 != atomic_load(&hub->owed_before))
		return;
	pthread_mutex_lock(&hub->lock);
	if (hub->sleeping && !atomic_load(&hub->wants_news))
		pthread_cond_signal(&hub->work);
	pthread_mutex_unlock(&hub->lock);
}

enum change_look watch_read(struct watch *watch, struct change_place *place, char *buf, size_t size,
                            size_t *ret_len)
{
	*ret_len = 0;
	if (place->offset < watch->since)
		return CHANGE_LOOK_AWAY; /* of what came before nobody looked for it */
	return change_ring_read(watch->hub->ring, watch->kind, watch->group->prefix,
	                        watch->group->len, place, buf, size, ret_len);
}
