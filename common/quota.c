/* The quota: how much an event would let the cache grow.
 *
 * Asked where an event is submitted, never while applying (DESIGN.md 4): nodes
 * may have different quotas and must still apply alike. With an embedded log
 * the answer is exact, because it is asked in the transaction that applies;
 * with a log outside it is as exact as the node is up to date. */
#include "quota.h"

#include "key.h"

uint64_t quota_growth(const struct event *ev)
{
	uint64_t names = ev->key.len; /* with all directories that may be missing */
	switch (ev->op) {
	case EVENT_SET:
	case EVENT_APPEND:
		return STORE_ENTRY_COST + names + ev->value.len + ev->type.len;
	case EVENT_INCR:
		return STORE_ENTRY_COST + names + 20;
	case EVENT_MKDIR:
		return STORE_ENTRY_COST + names;
	case EVENT_WRITE: {
		uint64_t end = ev->size;
		for (size_t i = 0; i < ev->nranges; i++) {
			if (ev->ranges[i].off + ev->ranges[i].len > end)
				end = ev->ranges[i].off + ev->ranges[i].len;
		}
		return end;
	}
	case EVENT_TRUNCATE:
		return ev->size;
	case EVENT_SETXATTR:
		return ev->name.len + ev->value.len;
	case EVENT_RENAME:
		return ev->to.len;
	case EVENT_TXN: {
		uint64_t sum = 0;
		for (size_t i = 0; i < ev->nops; i++)
			sum += quota_growth(&ev->ops[i]);
		return sum;
	}
	default:
		return 0;
	}
}

/* Finds the entry that EV is about to change, as far as it exists. */
static bool find(struct txn *txn, const struct event *ev, struct entry *ret)
{
	if (ev->at)
		return store_get(txn, ev->at, ret) == 0;
	const char *key = ev->key.data, *name;
	size_t len = ev->key.len, name_len;
	uint64_t ino = STORE_ROOT_INO;
	if (ev->dir) {
		size_t parent = key_parent_len(key, len);
		size_t skip = parent ? parent + 1 : 0;
		key += skip;
		len -= skip;
		ino = ev->dir;
	}
	while (key_next(&key, &len, &name, &name_len)) {
		if (store_lookup(txn, ino, name, name_len, &ino, NULL) < 0)
			return false;
	}
	return store_get(txn, ino, ret) == 0;
}

/* What of the growth is replaced: the entry and its value exist already. */
static uint64_t replaced(struct txn *txn, const struct event *ev)
{
	struct entry e;
	switch (ev->op) {
	case EVENT_SET:
	case EVENT_INCR:
		return find(txn, ev, &e) ? STORE_ENTRY_COST + ev->key.len + e.size : 0;
	case EVENT_APPEND:
	case EVENT_MKDIR:
		return find(txn, ev, &e) ? STORE_ENTRY_COST + ev->key.len : 0;
	case EVENT_WRITE:
	case EVENT_TRUNCATE:
		return find(txn, ev, &e) ? e.size : 0;
	case EVENT_RENAME:
		return ev->to.len; /* names may grow a little: never a reason to refuse */
	case EVENT_TXN: {
		uint64_t sum = 0;
		for (size_t i = 0; i < ev->nops; i++)
			sum += replaced(txn, &ev->ops[i]);
		return sum;
	}
	default:
		return 0;
	}
}

bool quota_fits(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead)
{
	uint64_t growth = quota_growth(ev);
	uint64_t used = txn_meta(txn)->used_bytes + ahead;
	if (growth == 0 || used + growth <= quota)
		return true;
	uint64_t gone = replaced(txn, ev);
	return growth <= gone || used + (growth - gone) <= quota;
}
