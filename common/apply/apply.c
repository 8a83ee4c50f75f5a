/* Apply: applies an event to the store.
 *
 * The order is the same for each event: log time advances; expired entries are purged (at
 * most PURGE_MAX, the rest with later events); the operation is decided and done; the feed
 * is written. Applying stores and compares only log time, which a record's timestamp can
 * only move forward. So a broker whose clock steps back cannot bring back an expired entry.
 *
 * If an event has an idempotency key that was applied before, it does nothing, and its row
 * in the feed repeats the outcome of the first event. These keys are remembered as long as
 * their rows are in the feed.
 *
 * When a node replays a long log, it would write most rows of the feed only to drop them
 * before it reaches the end, which is half of the work. apply_event_no_feed() leaves them
 * out. */
#include "common/apply/apply.h"

#include "common/apply/ops.h"
#include "common/store/skipped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Limit of the entries purged with one event, which bounds the cost of an event. */
#define PURGE_MAX 256

static int purge_expired(struct apply *ap)
{
	for (int i = 0; i < PURGE_MAX && store_may_expire(ap->txn, ap->now_ms); i++) {
		int64_t expiry_ms;
		uint64_t ino;
		struct entry e;
		int r = store_first_expiry(ap->txn, &expiry_ms, &ino);
		if (r == 0)
			r = store_get(ap->txn, ino, &e);
		if (r == 0)
			r = tree_remove(ap, &e, FEED_EXPIRED);
		if (r < 0)
			return r == -ENOENT ? -EIO : r;
		ap->meta->nexpired++;
	}
	return 0;
}

/* Drop the effects from index N on. */
static void drop_effects(struct apply *ap, size_t n)
{
	while (ap->feed.neffects > n)
		free((void *)ap->feed.effects[--ap->feed.neffects].key.data);
}

/* Run a transaction in a nested one, so that none of its operations leaves a trace if a
 * later one fails. A plain operation needs none: it only fails half-way if the store fails,
 * and then everything is aborted. */
static int run_txn(struct apply *ap, const struct event *ev)
{
	struct txn *outer = ap->txn, *inner;
	size_t neffects = ap->feed.neffects;
	ap->feed.ops = calloc(ev->nops ? ev->nops : 1, sizeof(*ap->feed.ops));
	if (!ap->feed.ops)
		return -ENOMEM;
	ap->feed.nops = ev->nops;
	int r = txn_nest(outer, &inner);
	if (r < 0)
		return r;
	ap->txn = inner;
	ap->meta = txn_meta(inner);
	size_t i;
	for (i = 0; i < ev->nops; i++) {
		struct feed_op *op = &ap->feed.ops[i];
		ap->feed.version = 0;
		ap->feed.created = false;
		ap->feed.number = 0;
		r = apply_op(ap, &ev->ops[i]);
		if (r < 0)
			break;
		*op = (struct feed_op){ (enum event_outcome)r, ap->feed.created, ap->feed.version,
			                ap->feed.number };
		if (r)
			break;
	}
	ap->txn = outer;
	ap->meta = txn_meta(outer);
	ap->feed.ino = ap->feed.version = 0;
	ap->feed.created = false;
	ap->feed.number = 0;
	if (r == 0)
		return txn_commit(inner);
	txn_abort(inner);
	if (r < 0)
		return r;
	/* Report that the operations before the failure were undone. */
	drop_effects(ap, neffects);
	for (size_t k = 0; k < ev->nops; k++) {
		if (k != i)
			ap->feed.ops[k] = (struct feed_op){ .outcome = OUTCOME_TXN_FAILED };
	}
	ap->feed.ops[i].version = 0;
	ap->feed.number = (int64_t)i;
	return OUTCOME_TXN_FAILED;
}

static int run_format(struct apply *ap, const struct event *ev)
{
	struct store_meta *meta = ap->meta;
	if (ev->name.len >= sizeof(meta->volume))
		return OUTCOME_REJECTED;
	if (meta->volume[0])
		return bytes_are(ev->name, meta->volume) ? OUTCOME_OK : OUTCOME_EXISTS;
	memcpy(meta->volume, ev->name.data, ev->name.len);
	meta->volume_offset = ap->offset;
	return tree_touch_dir(ap, STORE_ROOT_INO, 0);
}

/* Report whether the record that EV names was skipped. The reader of the log had found this
 * event ahead of that record's turn, and so skipped the record. */
static int run_skip(struct apply *ap, const struct event *ev)
{
	int r = store_skipped_has(ap->txn, ev->at);
	return r < 0 ? r : r ? OUTCOME_OK : OUTCOME_REJECTED;
}

/* If the event's idempotency key is known, copy the outcome of the event that introduced
 * it. Returns 1 if so, 0 if not, or -errno. */
static int repeat_outcome(struct apply *ap, const struct event *ev)
{
	uint64_t offset;
	struct bytes row;
	struct feed_event *first;
	int r = store_idem_get(ap->txn, ev->idem, &offset);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = store_feed_get(ap->txn, offset, &row);
	if (r == 0)
		r = feed_decode(offset, row, &first);
	if (r != 0)
		return r == -ENOMEM ? r : -EIO;
	ap->feed.outcome = first->outcome;
	ap->feed.ino = first->ino;
	ap->feed.version = first->version;
	ap->feed.number = first->number;
	ap->feed.created = first->created;
	ap->feed.repeats = offset;
	if (first->nops) {
		ap->feed.ops = malloc(first->nops * sizeof(*first->ops));
		if (ap->feed.ops) {
			memcpy(ap->feed.ops, first->ops, first->nops * sizeof(*first->ops));
			ap->feed.nops = first->nops;
		}
	}
	r = first->nops && !ap->feed.ops ? -ENOMEM : 1;
	free(first);
	return r;
}

static int run_event(struct apply *ap, const struct event *ev)
{
	if (ev) { /* the submitter also recognises a rejected event by its id */
		ap->feed.op = (unsigned)ev->op < EVENT_OP_COUNT ? ev->op : EVENT_TICK;
		ap->feed.proc = ev->proc;
		ap->feed.seq = ev->seq;
	}
	if (!ev || event_check(ev)) {
		ap->meta->nrejected++;
		ap->feed.outcome = OUTCOME_REJECTED;
		return 0;
	}
	int r;
	if (ev->idem.len) {
		r = repeat_outcome(ap, ev);
		if (r)
			return r < 0 ? r : 0;
		ap->feed.idem = ev->idem;
		r = store_idem_put(ap->txn, ev->idem, ap->offset);
		if (r < 0)
			return r;
	}
	switch (ev->op) {
	case EVENT_TICK:
		r = 0;
		break;
	case EVENT_FORMAT:
		r = run_format(ap, ev);
		break;
	case EVENT_SKIP:
		r = run_skip(ap, ev);
		break;
	case EVENT_TXN:
		r = run_txn(ap, ev);
		break;
	default:
		r = apply_op(ap, ev);
	}
	if (r < 0)
		return r;
	ap->feed.outcome = (enum event_outcome)r;
	if (r == OUTCOME_REJECTED)
		ap->meta->nrejected++;
	return 0;
}

static int put_row(struct apply *ap)
{
	struct bytes row;
	int r = feed_encode(&ap->feed, &row);
	if (r < 0)
		return r;
	r = store_feed_put(ap->txn, ap->offset, row);
	free((void *)row.data);
	return r;
}

/* Write this event's row and drop the rows that leave the ring. */
static int write_feed(struct apply *ap)
{
	int r = 0;
	if (ap->skip_feed)
		store_feed_skip(ap->txn, ap->offset);
	else
		r = put_row(ap);
	while (r == 0 && ap->offset >= STORE_FEED_SIZE) {
		uint64_t first;
		struct bytes row, idem;
		r = store_feed_oldest(ap->txn, &first, &row);
		if (r == -ENOENT && ap->skip_feed)
			return 0;
		if (r < 0 || first > ap->offset - STORE_FEED_SIZE)
			break;
		r = feed_decode_idem(row, &idem);
		if (r == 0 && idem.len) {
			char key[EVENT_IDEM_MAX];
			size_t len = idem.len < sizeof(key) ? idem.len : sizeof(key);
			memcpy(key, idem.data, len);
			r = store_idem_del(ap->txn, (struct bytes){ key, len });
		}
		if (r == 0)
			r = store_feed_del(ap->txn, first);
	}
	return r == -ENOENT || r == -EBADMSG ? -EIO : r;
}

static int apply_record(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                        bool skip_feed, enum event_outcome *ret)
{
	struct store_meta *meta = txn_meta(txn);
	if (meta->started && offset <= meta->applied)
		return -EALREADY;
	if (time_ms > meta->log_time_ms)
		meta->log_time_ms = time_ms < STORE_TIME_MAX_MS ? time_ms : STORE_TIME_MAX_MS;
	if (!meta->started)
		meta->base_ms = meta->log_time_ms;
	struct apply ap = {
		.txn = txn,
		.meta = meta,
		.offset = offset,
		.now_ms = meta->log_time_ms,
		.skip_feed = skip_feed,
		.feed = { .offset = offset, .time_ms = meta->log_time_ms, .op = EVENT_TICK },
	};
	/* Deletions may use the reserved pages: a full store must be able to become less
	 * full. */
	txn_frees(txn,
	          ev && (ev->op == EVENT_DEL || ev->op == EVENT_RMDIR || ev->op == EVENT_TICK));
	int r = purge_expired(&ap);
	if (r == 0)
		r = run_event(&ap, ev);
	if (r == 0)
		r = write_feed(&ap);
	if (r == 0) {
		meta->started = true;
		meta->applied = offset;
		if (ret)
			*ret = ap.feed.outcome;
	}
	drop_effects(&ap, 0);
	free(ap.feed.effects);
	free(ap.feed.ops);
	return r;
}

int apply_event(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                enum event_outcome *ret)
{
	return apply_record(txn, ev, offset, time_ms, false, ret);
}

int apply_event_no_feed(struct txn *txn, const struct event *ev, uint64_t offset, int64_t time_ms,
                        enum event_outcome *ret)
{
	return apply_record(txn, ev, offset, time_ms, !ev || !ev->idem.len, ret);
}
