/* Follow: read the feed, and finish the submissions of this process.
 *
 * Every outcome comes from the feed, whichever process applied the event: the thread that follows
 * recognizes its own process's events by their id. Finished submissions are collected in a struct
 * completions while locks are held; their callbacks are made afterwards.
 *
 * Locks: the feed is followed under work_lock, and queue_lock is taken inside it (THREADS.md). No
 * lock is held when a callback is made, except by the follow callback, which runs under
 * work_lock. */
#include "common/node/follow.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/event/feed.h"
#include "common/node/completions.h"
#include "common/node/internal.h"
#include "common/node/log.h"
#include "common/node/submission.h"
#include "common/node/wait.h"

#include <errno.h>
#include <stdlib.h>

#define FOLLOW_ROWS 256 /* feed rows read from one snapshot */

static void complete_submission(struct node *node, struct feed_event *ev, struct completions *done)
{
	struct submission *p;
	pthread_mutex_lock(&node->queue_lock);
	HASH_FIND(hh, node->pending, &ev->seq, sizeof(ev->seq), p);
	if (p)
		submission_unregister(node, p);
	pthread_mutex_unlock(&node->queue_lock);
	if (!p) {
		free(ev);
		return;
	}
	p->feed = ev;
	p->out = (struct outcome){
		.code = ev->outcome,
		.offset = ev->offset,
		.ino = ev->ino,
		.version = ev->version,
		.number = ev->number,
		.created = ev->created,
		.feed = ev,
	};
	completions_add(done, p);
}

/* Move on to the last applied offset if the feed ends before FROM. The offsets in between have no
 * event: they are a foreign producer's transaction markers, and a barrier may wait for them. (Or
 * their rows were left out; then the next row shows that some are missing.) */
static void pass_markers(struct node *node, struct txn *txn, uint64_t from)
{
	const struct store_meta *meta = txn_meta(txn);
	uint64_t first;
	if (!node->any_followed || meta->applied < from ||
	    (store_feed_first(txn, &first) == 0 && first > from))
		return;
	atomic_store(&node->followed, meta->applied);
}

/* Follow at most FOLLOW_ROWS rows. Returns 1 if there may be more, 0 at the end of the feed, or
 * -errno if it cannot be read now. */
static int follow_some(struct node *node, struct completions *done)
{
	struct txn *txn;
	int r = txn_read(node->store, &txn);
	if (r < 0)
		return r; /* no reader slot or memory now; retried in the next round */
	uint64_t from = atomic_load(&node->followed) + (node->any_followed ? 1 : 0), found;
	struct bytes row;
	int n = 0;
	bool gap = false;
	for (; n < FOLLOW_ROWS; n++) {
		r = store_feed_next(txn, from, &found, &row);
		if (r < 0)
			break;
		uint64_t first;
		if (found > from && node->any_followed && store_feed_first(txn, &first) == 0 &&
		    from < first)
			gap = node->lost = true;
		struct feed_event *ev;
		r = feed_decode(found, row, &ev);
		if (r == -ENOMEM)
			break;
		if (r == 0) {
			if (node->config.follow) {
				if (gap)
					node->config.follow(node->config.follow_arg, NULL, true);
				node->config.follow(node->config.follow_arg, ev, false);
			}
			if (ev->op == EVENT_TICK)
				atomic_store(&node->ticker.last_proc, ev->proc);
			for (size_t i = 0; i < ev->neffects; i++) {
				int64_t expiry = ev->effects[i].expiry_ms;
				if (expiry && expiry < atomic_load(&node->wake_ms)) {
					atomic_store(&node->wake_ms, expiry);
					node_shm_wake_self(node->shm);
				}
			}
			if (ev->proc == node->proc)
				complete_submission(node, ev, done);
			else
				free(ev);
		} else {
			logger(LOGGER_ERROR, "feed row is damaged offset=%llu",
			       (unsigned long long)found);
		}
		gap = false;
		node->any_followed = true;
		atomic_store(&node->followed, found);
		from = found + 1;
	}
	if (r == -ENOENT && n < FOLLOW_ROWS)
		pass_markers(node, txn, from);
	txn_abort(txn);
	return n == FOLLOW_ROWS ? 1 : r == -ENOENT ? 0 : r;
}

/* After a gap, finish the submissions that are neither queued nor found in the feed: they were
 * applied, and their rows are gone. (With a Kafka log their rows may still come, or they
 * time out.) */
static void finish_lost(struct node *node, struct completions *done)
{
	struct submission *p, *tmp;
	if (!node->log->workers_apply)
		return;
	pthread_mutex_lock(&node->queue_lock);
	HASH_ITER (hh, node->pending, p, tmp) {
		if (p->queued)
			continue;
		submission_unregister(node, p);
		p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
		completions_add(done, p);
		metrics_add(METRIC_WRITES_UNKNOWN, 1);
	}
	pthread_mutex_unlock(&node->queue_lock);
}

void follow_feed(struct node *node, struct completions *done)
{
	int r;
	do {
		procs_beat(
		        node->procs); /* following many rows takes long, but the thread is not stuck */
		r = follow_some(node, done);
	} while (r > 0);
	if (r == 0 && node->lost) {
		node->lost = false;
		finish_lost(node, done);
	}
	if (atomic_load(&node->nwaiters))
		wait_settle(node, done);
}
