/* Quota: how much an event would grow the cache or a value.
 *
 * Limits are checked where an event is submitted, never while applying (DESIGN.md, invariant 4):
 * nodes may have different quotas and must still apply alike. With the embedded log the answer is
 * exact: an event that may not fit is applied in a nested transaction, which is undone if it
 * exceeded a limit (node/local_log.c). With a Kafka log the growth is predicted here, as exactly as
 * the node is up to date. */
#include "common/node/quota.h"

#include "common/base/key.h"
#include "common/store/view.h"

#define TYPE_COST (sizeof("user.content_type") - 1) /* a content type is stored as this attribute */
#define NUMBER_MAX 21 /* the longest text of a 64-bit number, and a newline */

/* Return the cost of the entry that PATH names, with all directories that may be missing. */
static uint64_t path_cost(struct bytes path, bool from_root)
{
	const char *p = path.data;
	uint64_t entries = 1;
	for (size_t i = 0; from_root && i < path.len; i++)
		entries += p[i] == '/';
	return entries * STORE_ENTRY_COST + path.len;
}

uint64_t quota_growth(const struct event *ev)
{
	uint64_t names = path_cost(ev->key, !ev->at && !ev->dir);
	switch (ev->op) {
	case EVENT_SET:
		return names + ev->value.len + (ev->type.len ? TYPE_COST + ev->type.len : 0);
	case EVENT_APPEND:
		return names + ev->value.len;
	case EVENT_INCR:
		return names + NUMBER_MAX;
	case EVENT_MKDIR:
		return names;
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
		return path_cost(ev->to, !ev->to_dir) - STORE_ENTRY_COST;
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

/* Return how much of path_cost() exists already. *RET_FOUND says whether the entry exists; then it
 * is in *RET. */
static uint64_t existing_cost(struct txn *txn, struct bytes path, uint64_t at, uint64_t dir,
                              bool *ret_found, struct entry *ret)
{
	const char *key = path.data, *name;
	size_t len = path.len, name_len;
	uint64_t ino = dir ? dir : STORE_ROOT_INO, cost = 0;
	*ret_found = false;
	if (at) {
		*ret_found = store_get(txn, at, ret) == 0;
		return *ret_found ? path_cost(path, false) : 0;
	}
	if (dir) { /* only the last name is looked up */
		size_t skip = key_name_start(key, len);
		cost = skip;
		key += skip;
		len -= skip;
	}
	while (key_next(&key, &len, &name, &name_len)) {
		if (store_lookup(txn, ino, name, name_len, &ino, NULL) < 0)
			return cost;
		cost += STORE_ENTRY_COST + name_len + (len != 0);
	}
	*ret_found = store_get(txn, ino, ret) == 0;
	return cost;
}

/* Return how much of the growth replaces existing bytes: entry and value may exist already. */
static uint64_t replaced_bytes(struct txn *txn, const struct event *ev)
{
	struct entry e;
	bool found;
	uint64_t cost = existing_cost(txn, ev->key, ev->at, ev->dir, &found, &e);
	switch (ev->op) {
	case EVENT_SET:
	case EVENT_INCR:
		return cost + (found ? e.size : 0);
	case EVENT_APPEND:
	case EVENT_MKDIR:
		return cost;
	case EVENT_WRITE:
	case EVENT_TRUNCATE:
		return found ? e.size : 0;
	case EVENT_RENAME:
		/* A longer name is never a reason to refuse a rename. */
		cost = existing_cost(txn, ev->to, 0, ev->to_dir, &found, &e);
		return cost + KEY_NAME_MAX;
	case EVENT_TXN: {
		uint64_t sum = 0;
		for (size_t i = 0; i < ev->nops; i++)
			sum += replaced_bytes(txn, &ev->ops[i]);
		return sum;
	}
	default:
		return 0;
	}
}

uint64_t quota_lack(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead)
{
	uint64_t growth = quota_growth(ev);
	uint64_t used = txn_meta(txn)->used_bytes + ahead, first;
	if (growth == 0 || used + growth <= quota)
		return 0;
	if (ev->idem.len && store_idem_get(txn, ev->idem, &first) == 0)
		return 0; /* it is a repetition, which changes nothing */
	uint64_t gone = replaced_bytes(txn, ev);
	return growth <= gone || used + (growth - gone) <= quota ? 0 :
	                                                           used + (growth - gone) - quota;
}

bool quota_fits(struct txn *txn, const struct event *ev, uint64_t quota, uint64_t ahead)
{
	return quota_lack(txn, ev, quota, ahead) == 0;
}

/* Return the bytes of the longest value that EV writes as a whole. */
static uint64_t longest_value(const struct event *ev)
{
	uint64_t max = ev->op == EVENT_WRITE || ev->op == EVENT_TRUNCATE ? quota_growth(ev) :
	                                                                   ev->value.len;
	if (ev->op != EVENT_TXN)
		return max;
	max = 0;
	for (size_t i = 0; i < ev->nops; i++) {
		uint64_t one = longest_value(&ev->ops[i]);
		if (one > max)
			max = one;
	}
	return max;
}

bool quota_can_fit(struct txn *txn, const struct event *ev, uint64_t quota)
{
	if (longest_value(ev) + STORE_ENTRY_COST > quota)
		return false;
	if (ev->op == EVENT_APPEND && !quota_append_fits(txn, ev, quota - STORE_ENTRY_COST))
		return false;
	uint64_t growth = quota_growth(ev);
	return growth <= quota || growth <= quota + replaced_bytes(txn, ev);
}

bool quota_append_fits(struct txn *txn, const struct event *ev, uint64_t max)
{
	struct view view = { .txn = txn, .now_ms = txn_meta(txn)->log_time_ms };
	struct bytes key = ev->key;
	struct entry e;
	int r;
	if (ev->op != EVENT_APPEND)
		return ev->op != EVENT_TXN;
	if (ev->at) {
		r = view_inode(&view, ev->at, &e);
	} else if (ev->dir) {
		size_t skip = key_name_start(key.data, key.len);
		r = view_name(&view, ev->dir, (const char *)key.data + skip, key.len - skip, &e);
	} else {
		r = view_key(&view, key.data, key.len, &e);
	}
	return r < 0 || e.size + ev->value.len <= max;
}
