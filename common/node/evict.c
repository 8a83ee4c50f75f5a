/* Eviction: which entries have to go when the cache is full.
 *
 * There are two policies (--evict). `ttl` evicts exactly the keys that expire soonest, from the
 * expiry table; a key without an expiry is never evicted. `lru` evicts approximately the least
 * recently used of all keys. The last use of an entry is the later of its last change, which the
 * entry stores, and its last read, which the recency table (node/recency.h) stores.
 *
 * For each victim, `lru` samples SAMPLES entries, takes the oldest of them all, and keeps the next
 * oldest in a pool, whose entries compete again in the next choice. So the cost does not depend on
 * the number of keys. Sampling random inode numbers would not be uniform: each process counts up
 * its own numbers, and evicted entries leave gaps, so the entry after a gap would be hit again and
 * again. Therefore the choice is made by rank. A survey walks on by a few rows with each choice and
 * notes the inode number of every Nth row as a fence. A sample begins a random number of rows after
 * a random fence and is a few rows long. A lap of the survey takes as long as the eviction of a
 * twentieth of the keys, so the fences stay nearly accurate.
 *
 * These are never evicted: directories, except empty ones that were created implicitly with a key
 * (they have an inode number of the store's own, no attributes and no default TTL), since otherwise
 * a cache of a/N/value would fill up with them; symbolic links; the root; entries that a mount
 * holds open (recency_hold()); and every entry that has the attribute EVICT_ATTR or lies anywhere
 * below a directory that has it.
 *
 * Nothing here changes the store. A victim is named with its version and is removed by an event
 * like any other (node/evictor.c); it stays if it has changed by then. No lock: all runs in the
 * caller's thread, on its snapshot. */
#include "common/node/evict.h"

#include "common/base/key.h"
#include "common/store/xattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 10 /* entries looked at for each victim */
#define RUN 8      /* consecutive entries of one sample */
#define SURVEY 20  /* rows that the survey advances for each victim */
#define POOL 64    /* oldest entries kept for the next choice */
#define FENCES 16384
#define MIN_STRIDE 16
#define LEAST 4 /* minimum number of victims to sample for */
#define CANDIDATES (EVICT_MAX * SAMPLES + POOL)
#define DIRS 256 /* directories cached during a choice; a power of two */

struct evict {
	enum evict_policy policy;
	const struct recency *recency;
	uint64_t random_state;

	uint64_t fences[FENCES]; /* of the last complete lap */
	size_t nfences;
	bool surveyed; /* a lap is complete */
	uint64_t stride;

	uint64_t next[FENCES]; /* of the current lap */
	size_t nnext;
	uint64_t next_stride;
	uint64_t survey_at; /* inode number at which the lap continues */

	struct evict_victim candidates[CANDIDATES]; /* the pool first */
	size_t ncandidates;

	/* Cache of the directories of the snapshot that were checked, indexed by their lowest
	 * bits. */
	struct {
		uint64_t ino; /* 0: none */
		bool kept;
	} dirs[DIRS];
};

static const char *const policy_texts[] = {
#define X(name, text) text,
	EVICT_POLICIES(X)
#undef X
};

#define NPOLICIES (sizeof(policy_texts) / sizeof(policy_texts)[0])

const char *evict_policy_text(enum evict_policy policy)
{
	return policy_texts[policy];
}

int evict_policy_parse(const char *text, enum evict_policy *ret)
{
	for (size_t i = 0; i < NPOLICIES; i++) {
		if (strcmp(text, policy_texts[i]) == 0) {
			*ret = (enum evict_policy)i;
			return 0;
		}
	}
	return -ENOENT;
}

bool evict_possible(enum evict_policy policy, struct txn *txn)
{
	int64_t expiry_ms;
	uint64_t ino;
	return policy == EVICT_LRU ||
	       (policy == EVICT_TTL && store_first_expiry(txn, &expiry_ms, &ino) == 0);
}

int evict_new(enum evict_policy policy, const struct recency *recency, uint64_t seed,
              struct evict **ret)
{
	struct evict *evict = calloc(1, sizeof(*evict));
	if (!evict)
		return -ENOMEM;
	evict->policy = policy;
	evict->recency = recency;
	evict->random_state = seed;
	*ret = evict;
	return 0;
}

void evict_free(struct evict *evict)
{
	free(evict);
}

/* Return a random number below N (splitmix64). */
static uint64_t random_below(struct evict *evict, uint64_t n)
{
	uint64_t z = evict->random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

/* --- the survey --- */

static void lap_begin(struct evict *evict, struct txn *txn)
{
	uint64_t rows = txn_meta(txn)->nkeys + txn_meta(txn)->ndirs + 1;
	evict->next_stride = rows / FENCES + 1;
	if (evict->next_stride < MIN_STRIDE)
		evict->next_stride = MIN_STRIDE;
	evict->nnext = 0;
	evict->survey_at = 0;
}

static void lap_end(struct evict *evict)
{
	memcpy(evict->fences, evict->next, evict->nnext * sizeof(evict->next)[0]);
	evict->nfences = evict->nnext;
	evict->stride = evict->next_stride;
	evict->surveyed = true;
	evict->nnext = 0;
}

static void add_fence(struct evict *evict, uint64_t ino)
{
	/* There are more entries than when the lap began: drop every other fence. */
	if (evict->nnext == FENCES) {
		for (size_t i = 0; i < FENCES / 2; i++)
			evict->next[i] = evict->next[2 * i];
		evict->nnext = FENCES / 2;
		evict->next_stride *= 2;
	}
	evict->next[evict->nnext++] = ino;
	evict->survey_at = ino;
}

/* Advance the survey by about N rows. Returns 1 at the end of a lap, 0, or -EIO. */
static int survey_walk(struct evict *evict, struct walk *walk, struct txn *txn, uint64_t n)
{
	struct entry e;
	if (evict->nnext == 0)
		lap_begin(evict, txn);
	int r = walk_seek(walk, evict->survey_at, &e);
	if (r == 0 && evict->nnext == 0)
		add_fence(evict, e.ino);
	while (r == 0 && n) {
		/* Skip from fence to fence; only the rows at fences are read. */
		uint64_t left = evict->next_stride;
		r = walk_skip(walk, left - 1);
		if (r == 0)
			r = walk_next(walk, &e);
		if (r == 0)
			add_fence(evict, e.ino);
		n -= n < left ? n : left;
	}
	if (r != -ENOENT)
		return r;
	lap_end(evict);
	return 1;
}

bool evict_survey(struct evict *evict, struct txn *txn, uint64_t n)
{
	struct walk *walk;
	if (evict->policy != EVICT_LRU || evict->surveyed || walk_open(txn, &walk) < 0)
		return false;
	int r = survey_walk(evict, walk, txn, n);
	walk_close(walk);
	return r == 0;
}

/* --- candidates --- */

static bool is_evictable(const struct entry *e, int64_t now_ms)
{
	if (entry_is_expired(e, now_ms))
		return false;
	if (S_ISREG(e->mode))
		return true;
	return entry_is_dir(e) && e->ino != STORE_ROOT_INO && e->ino < STORE_PROPOSED_MIN &&
	       e->nsubdirs == 0 && !e->has_xattrs && !e->default_ttl_ms;
}

static bool is_empty(struct txn *txn, uint64_t dir)
{
	struct scan *scan;
	const char *name;
	size_t len;
	uint64_t ino;
	bool is_dir;
	if (scan_open(txn, dir, NULL, 0, &scan) < 0)
		return false;
	int r = scan_next(scan, &name, &len, &ino, &is_dir);
	scan_close(scan);
	return r == -ENOENT;
}

static bool has_attr(struct txn *txn, const struct entry *e)
{
	struct bytes value;
	return e->has_xattrs &&
	       store_xattr_get(txn, e->ino, EVICT_ATTR, strlen(EVICT_ATTR), &value) == 0 &&
	       value.len == strlen(EVICT_NEVER) && memcmp(value.data, EVICT_NEVER, value.len) == 0;
}

/* Return whether the directory INO, or one above it, protects the entries below it. An entry that
 * cannot be read counts as protected. */
static bool is_protected(struct evict *evict, struct txn *txn, uint64_t ino)
{
	uint64_t above[KEY_MAX / 2 + 1];
	size_t n = 0;
	bool kept = false;
	while (ino && !kept) {
		struct entry e;
		if (evict->dirs[ino % DIRS].ino == ino) {
			kept = evict->dirs[ino % DIRS].kept;
			break;
		}
		kept = n == sizeof(above) / sizeof(above)[0] || store_get(txn, ino, &e) < 0;
		if (kept)
			break;
		above[n++] = ino;
		kept = has_attr(txn, &e);
		ino = e.parent;
	}
	while (n) {
		ino = above[--n];
		evict->dirs[ino % DIRS].ino = ino;
		evict->dirs[ino % DIRS].kept = kept;
	}
	return kept;
}

/* Fill *RET from E. Returns false if E must not be evicted. */
static bool make_victim(struct evict *evict, struct txn *txn, const struct entry *e, int64_t now_ms,
                        struct evict_victim *ret)
{
	int64_t last_ms = INT64_MIN;
	if (!is_evictable(e, now_ms) || has_attr(txn, e) || is_protected(evict, txn, e->parent))
		return false;
	if (evict->recency)
		last_ms = recency_last_ms(evict->recency, e->ino, now_ms);
	if (last_ms == INT64_MAX)
		return false;
	int64_t changed_ms = e->ctime_ns / 1000000;
	if (evict->policy == EVICT_TTL)
		last_ms = e->expiry_ms;
	else if (changed_ms > last_ms)
		last_ms = changed_ms;
	*ret = (struct evict_victim){
		.ino = e->ino,
		.version = e->version,
		.bytes = STORE_ENTRY_COST + e->name_len + e->size,
		.last_ms = last_ms,
		.dir = entry_is_dir(e),
	};
	return true;
}

static void add_candidate(struct evict *evict, struct txn *txn, const struct entry *e,
                          int64_t now_ms)
{
	if (evict->ncandidates < CANDIDATES &&
	    make_victim(evict, txn, e, now_ms, &evict->candidates[evict->ncandidates]))
		evict->ncandidates++;
}

/* Check the pool again: its entries may have been removed, changed or opened since. */
static void refresh_pool(struct evict *evict, struct txn *txn, int64_t now_ms)
{
	size_t n = evict->ncandidates;
	evict->ncandidates = 0;
	for (size_t i = 0; i < n; i++) {
		struct entry e;
		if (store_get(txn, evict->candidates[i].ino, &e) == 0)
			add_candidate(evict, txn, &e, now_ms);
	}
}

/* Add RUN consecutive entries at a random position. Returns 0 or -EIO. */
static int sample_run(struct evict *evict, struct txn *txn, struct walk *walk, int64_t now_ms)
{
	struct entry e;
	uint64_t skip = random_below(evict, evict->stride);
	int r = walk_seek(walk, evict->fences[random_below(evict, evict->nfences)], &e);
	if (r == 0 && skip) {
		r = walk_skip(walk, skip - 1);
		if (r == 0)
			r = walk_next(walk, &e);
	}
	/* Wrap around at the end: with few rows, most samples would start after the last one. */
	if (r == -ENOENT)
		r = walk_seek(walk, 0, &e);
	for (int i = 0; r == 0 && i < RUN; i++) {
		if (i)
			r = walk_next(walk, &e);
		if (r == 0)
			add_candidate(evict, txn, &e, now_ms);
	}
	return r == -ENOENT ? 0 : r;
}

static int by_age(const void *a, const void *b)
{
	const struct evict_victim *x = a, *y = b;
	if (x->last_ms != y->last_ms)
		return x->last_ms < y->last_ms ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int sample_entries(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes)
{
	struct store_meta *meta = txn_meta(txn);
	struct walk *walk = NULL;
	uint64_t mean = meta->nkeys ? meta->used_bytes / meta->nkeys : 1;
	uint64_t n = want_bytes / (mean ? mean : 1) + 1;
	if (n < LEAST)
		n = LEAST;
	if (n > EVICT_MAX)
		n = EVICT_MAX;
	int r = walk_open(txn, &walk);
	while (r == 0 && !evict->surveyed)
		r = survey_walk(evict, walk, txn, UINT64_MAX) < 0 ? -EIO : 0;
	for (uint64_t looked = 0; r == 0 && looked < n * SAMPLES; looked += RUN)
		r = sample_run(evict, txn, walk, now_ms);
	if (r == 0)
		r = survey_walk(evict, walk, txn, n * SURVEY) < 0 ? -EIO : 0;
	walk_close(walk);
	return r;
}

/* --- choosing --- */

static int choose_lru(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes,
                      uint64_t spare, struct evict_victim ret[EVICT_MAX])
{
	refresh_pool(evict, txn, now_ms);
	int r = sample_entries(evict, txn, now_ms, want_bytes);
	if (r < 0)
		return r;
	struct evict_victim *c = evict->candidates;
	size_t i = 0, npool = 0;
	int n = 0;
	uint64_t bytes = 0, before = 0;
	qsort(c, evict->ncandidates, sizeof(*c), by_age);
	for (; i < evict->ncandidates && n < EVICT_MAX && bytes < want_bytes; i++) {
		bool again = c[i].ino == before;
		before = c[i].ino;
		if (again || c[i].ino == spare || (c[i].dir && !is_empty(txn, c[i].ino)))
			continue;
		ret[n++] = c[i];
		bytes += c[i].bytes;
	}
	for (; i < evict->ncandidates && npool < POOL; i++) {
		if (c[i].ino != before)
			c[npool++] = c[i];
		before = c[i].ino;
	}
	evict->ncandidates = npool;
	return n;
}

static int choose_ttl(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes,
                      uint64_t spare, struct evict_victim ret[EVICT_MAX])
{
	int64_t expiry_ms = now_ms;
	uint64_t ino = UINT64_MAX - 1, bytes = 0;
	int n = 0, r = 0;
	while (n < EVICT_MAX && bytes < want_bytes) {
		struct entry e;
		r = store_next_expiry(txn, &expiry_ms, &ino);
		if (r == 0)
			r = store_get(txn, ino, &e);
		if (r != 0)
			break;
		if (ino == spare || !make_victim(evict, txn, &e, now_ms, &ret[n]))
			continue;
		bytes += ret[n++].bytes;
	}
	return r < 0 && r != -ENOENT ? r : n;
}

int evict_choose(struct evict *evict, struct txn *txn, int64_t now_ms, uint64_t want_bytes,
                 uint64_t spare, struct evict_victim ret[EVICT_MAX])
{
	memset(evict->dirs, 0, sizeof(evict->dirs));
	switch (evict->policy) {
	case EVICT_NONE:
		break;
	case EVICT_TTL:
		return choose_ttl(evict, txn, now_ms, want_bytes, spare, ret);
	case EVICT_LRU:
		return choose_lru(evict, txn, now_ms, want_bytes, spare, ret);
	}
	return 0;
}
