/* Check: compares a sample of the kernel's caches with the store, in the background.
 *
 * The kernel caches names, attributes and pages without a time limit, so after one missed
 * invalidation it would show old data until something else drops them. This thread searches for
 * such entries. It gets the kernel's copy of an entry, without filling or dropping a cache (probe.h,
 * retrieve.h), and compares it with the store (compare.h). It counts a difference
 * (keydir_mount_differences_total), logs it as an error, and invalidates the entry.
 *
 * It chooses the entries at random from names that were changed lately, one of which is noted for
 * each comparison, and from names that were looked up lately (lookup_cache.h).
 *
 * A difference is normal while a change is under way: one that comes between the two readings, or
 * one that the kernel applies to its cache when its request is answered. So a difference counts only
 * if SEEN_TIMES comparisons in a row, AGAIN_MS apart, find the same version in the store and the same
 * copy in the kernel, each with no invalidation left to do. The time alone would not do, because the
 * process may have been stopped meanwhile.
 *
 * Lock: check->lock, a leaf. */
#include "fs/check.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/base/random.h"
#include "fs/compare.h"
#include "fs/mount.h"
#include "fs/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGED_MAX 64
#define SUSPECTS_MAX 16
#define SEEN_TIMES 8
#define AGAIN_MS 250
#define TRIES_MAX 120

/* A difference that is to be seen again. */
struct suspect {
	struct comparison was;
	unsigned seen;  /* how often, in a row; 0: the slot is free */
	unsigned tries; /* comparisons, including those that found a change on its way */
	int64_t next_ms;
};

struct check {
	struct mount *mount;
	struct probe *probe; /* NULL: only values are compared */
	unsigned interval_ms;
	pthread_t thread;
	bool started;
	_Atomic bool wants; /* another changed name */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* protected by lock, as are the names: */
	struct lookup_name changed[CHANGED_MAX];
	unsigned nchanged; /* noted so far; the last CHANGED_MAX are kept */
	/* Only used by the thread. */
	struct suspect suspects[SUSPECTS_MAX];
	struct comparison comparison;
	struct retrieve retrieve;
};

void check_note(struct check *check, uint64_t parent, const char *name, size_t len)
{
	if (!check || !len || !parent || !atomic_load_explicit(&check->wants, memory_order_relaxed))
		return;
	pthread_mutex_lock(&check->lock);
	struct lookup_name *slot = &check->changed[check->nchanged++ % CHANGED_MAX];
	slot->parent = parent;
	slot->len = len;
	memcpy(slot->name, name, len);
	slot->name[len] = '\0';
	atomic_store_explicit(&check->wants, false, memory_order_relaxed);
	pthread_mutex_unlock(&check->lock);
}

void check_answer(struct check *check, const void *request, size_t size)
{
	if (check)
		retrieve_answer(&check->retrieve, request, size);
}

const struct probe *check_probe(const struct check *check)
{
	return check ? check->probe : NULL;
}

/* --- the sample ------------------------------------------------------------ */

/* Choose one of the names that were changed lately. Returns false if none exists. */
static bool choose_changed(struct check *check, uint64_t random)
{
	pthread_mutex_lock(&check->lock);
	unsigned n = check->nchanged < CHANGED_MAX ? check->nchanged : CHANGED_MAX;
	if (n)
		check->comparison.name = check->changed[random % n];
	pthread_mutex_unlock(&check->lock);
	return n != 0;
}

/* Choose one of the names that were looked up lately. Returns false if none exists. */
static bool choose_looked_up(struct check *check, uint64_t random)
{
	for (unsigned i = 0; i < LOOKUP_CACHE_SLOTS; i++) {
		if (lookup_cache_at(&check->mount->lookup_cache, (random + i) % LOOKUP_CACHE_SLOTS,
		                    &check->comparison.name))
			return true;
	}
	return false;
}

/* Choose a name for CHECK->comparison. Returns false if none exists. */
static bool choose(struct check *check)
{
	uint64_t random;

	if (random_u64(&random) < 0)
		return false;
	check->comparison.place = random >> 32;
	atomic_store_explicit(&check->wants, true, memory_order_relaxed);
	random &= UINT32_MAX;
	return random % 2 ? choose_changed(check, random / 2) : choose_looked_up(check, random / 2);
}

/* --- differences ----------------------------------------------------------- */

static bool is_same_name(const struct lookup_name *a, const struct lookup_name *b)
{
	return a->parent == b->parent && a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

/* Note that CHECK->comparison found a difference, unless it is noted already or there are too many. */
static void suspect(struct check *check)
{
	const struct comparison *c = &check->comparison;
	struct suspect *slot = NULL;

	for (size_t i = 0; i < SUSPECTS_MAX; i++) {
		struct suspect *s = &check->suspects[i];

		if (!s->seen)
			slot = s;
		else if (is_same_name(&s->was.name, &c->name))
			return;
	}
	if (slot)
		*slot = (struct suspect){
			.was = *c,
			.seen = 1,
			.next_ms = clock_mono_ms() + AGAIN_MS,
		};
}

/* Count and log the difference of C, and invalidate its entry. */
static void report(struct check *check, const struct comparison *c)
{
	struct inval *inval = check->mount->inval;

	logger(LOGGER_ERROR,
	       "the kernel's cache differs from the store, and is invalidated key=\"%s\" "
	       "kernel=\"%s\" store=\"%s\" version=%llu",
	       c->key, c->kernel, c->store, (unsigned long long)c->version);
	if (c->ino)
		inval_value(inval, c->ino);
	inval_name(inval, c->name.parent, c->name.name, c->name.len);
	metrics_add(METRIC_MOUNT_DIFFERENCES, 1);
}

static enum compare_result compare(struct check *check)
{
	return compare_entry(check->mount, check->probe, &check->retrieve, &check->comparison);
}

/* Compare a suspect again. */
static void look_again(struct check *check, struct suspect *s)
{
	struct comparison *c = &check->comparison;

	c->name = s->was.name;
	c->place = s->was.place;
	enum compare_result result = compare(check);
	s->next_ms = clock_mono_ms() + AGAIN_MS;
	if (result == COMPARE_UNSETTLED && ++s->tries < TRIES_MAX)
		return;
	if (result != COMPARE_DIFFERENT) {
		s->seen = 0;
		return;
	}
	if (c->version != s->was.version || c->ino != s->was.ino ||
	    strcmp(c->kernel, s->was.kernel) != 0) {
		s->was = *c;
		s->seen = 1;
	} else if (++s->seen == SEEN_TIMES) {
		report(check, c);
		s->seen = 0;
	}
}

/* --- the thread ------------------------------------------------------------ */

static void compare_next(struct check *check)
{
	int64_t now_ms = clock_mono_ms();

	for (size_t i = 0; i < SUSPECTS_MAX; i++) {
		struct suspect *s = &check->suspects[i];

		if (s->seen && s->next_ms <= now_ms)
			look_again(check, s);
	}
	if (!choose(check))
		return;
	enum compare_result result = compare(check);
	if (result == COMPARE_EQUAL || result == COMPARE_DIFFERENT)
		metrics_add(METRIC_MOUNT_CHECKS, 1);
	if (result == COMPARE_DIFFERENT)
		suspect(check);
}

static void *work(void *arg)
{
	struct check *check = arg;

	pthread_mutex_lock(&check->lock);
	while (!check->stop) {
		struct timespec until = clock_mono_in(check->interval_ms);

		if (pthread_cond_timedwait(&check->wake, &check->lock, &until) == 0)
			continue;
		pthread_mutex_unlock(&check->lock);
		compare_next(check);
		pthread_mutex_lock(&check->lock);
	}
	pthread_mutex_unlock(&check->lock);
	return NULL;
}

int check_start(struct mount *m, unsigned rate, unsigned connection, const char *dir,
                struct check **ret)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return -ENOMEM;
	check->mount = m;
	check->interval_ms = 1000 / rate;
	pthread_mutex_init(&check->lock, NULL);
	clock_cond_init(&check->wake);
	int r = retrieve_init(&check->retrieve);
	if (r == 0) {
		r = probe_start(connection, dir, &check->probe);
		if (r < 0)
			logger(LOGGER_INFO,
			       "names and attributes that the kernel caches are not checked, only "
			       "values why=\"%s\"",
			       strerror(-r));
		r = -pthread_create(&check->thread, NULL, work, check);
	}
	if (r < 0) {
		check_free(check);
		return r;
	}
	pthread_setname_np(check->thread, "check");
	check->started = true;
	*ret = check;
	return 0;
}

void check_stop(struct check *check)
{
	if (!check || !check->started)
		return;
	check->started = false;
	pthread_mutex_lock(&check->lock);
	check->stop = true;
	pthread_cond_signal(&check->wake);
	pthread_mutex_unlock(&check->lock);
	retrieve_stop(&check->retrieve);
	probe_stop(check->probe);
	pthread_join(check->thread, NULL);
}

void check_free(struct check *check)
{
	if (!check)
		return;
	check_stop(check);
	probe_free(check->probe);
	retrieve_close(&check->retrieve);
	pthread_cond_destroy(&check->wake);
	pthread_mutex_destroy(&check->lock);
	free(check);
}
