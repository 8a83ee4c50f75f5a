/* Ticks: events that move log time, so that expired entries are removed while there are no writes.
 *
 * Readers hide an expired entry by their own clock. A tick moves log time past the expiry, so that
 * applying removes the entry, frees its quota and notifies watchers and mounts. One tick is enough
 * for the whole volume, and each is a record that the log keeps.
 *
 * With the embedded log, applying drops a tick that finds nothing to remove (node/local_log.c), so
 * each process may submit one. With a Kafka log:
 *
 * - Among the processes of a node, the one that has the role (procs_take_ticks()) logs ticks. The
 *   others do so only if an entry is still there LATE_MS later, since that process may have been
 *   stopped.
 * - Among the nodes, the one that logged the latest tick continues without delay; all others wait
 *   for HAND_OVER_MS and a random time. If anything moves log time past the expiry meanwhile, the
 *   entry is removed and no tick is needed.
 * - Each tick measures how far the log's clock is behind this machine's, and the next tick is
 *   delayed by that, so that it is not too early to remove anything.
 *
 * Everything except the callback runs in the node's thread. No lock. */
#include "common/node/tick.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/node/internal.h"
#include "common/node/log.h"

#define HAND_OVER_MS 500
#define LATE_MS 5000
#define SPREAD_MS 500 /* maximum of the random part of either delay */
#define RETRY_MS 1000 /* an entry that a tick did not remove gets another one after this time */
#define BEHIND_MAX_MS 60000

static void tick_done(void *arg, const struct outcome *out)
{
	struct node *node = arg;
	struct ticker *ticker = &node->ticker;
	if (out->feed) {
		int64_t behind_ms = ticker->sent_ms - out->feed->time_ms;
		behind_ms = behind_ms < BEHIND_MAX_MS ? behind_ms : BEHIND_MAX_MS;
		atomic_store(&ticker->behind_ms, behind_ms > 0 ? behind_ms : 0);
	}
	atomic_store(&ticker->submitted, false);
	node_shm_wake_self(node->shm); /* more entries may be due than one event removes */
}

/* Return how long this process waits for others to log the tick. */
static int64_t delay_ms(struct node *node)
{
	uint64_t n = 0;
	random_u64(&n); /* 0 without random numbers: being early does no harm */
	n %= SPREAD_MS;
	if (node->log->drops_idle_ticks)
		return 0;
	if (!procs_take_ticks(node->procs))
		return LATE_MS + (int64_t)n;
	return atomic_load(&node->ticker.last_proc) == node->proc ? 0 : HAND_OVER_MS + (int64_t)n;
}

int64_t tick_if_due(struct node *node, int64_t idle_ms)
{
	struct ticker *ticker = &node->ticker;
	struct txn *txn;
	int64_t expiry_ms = INT64_MAX;
	uint64_t ino = 0;
	/* Set it first: an event that arrives meanwhile lowers it again. */
	atomic_store(&node->wake_ms, INT64_MAX);
	if (node->config.read_only || txn_read(node->store, &txn) < 0)
		return idle_ms;
	bool any = store_first_expiry(txn, &expiry_ms, &ino) == 0;
	bool reached = txn_meta(txn)->log_time_ms >= expiry_ms;
	txn_abort(txn);
	if (!any)
		return idle_ms;
	int64_t now_ms = clock_wall_ms(), mono_ms = clock_mono_ms();
	/* An entry whose expiry log time has reached was left by an event that removed others: no
	 * delay. */
	int64_t due_ms = expiry_ms + (reached ? 0 : atomic_load(&ticker->behind_ms));
	if (due_ms > now_ms) {
		if (expiry_ms < atomic_load(&node->wake_ms))
			atomic_store(&node->wake_ms, expiry_ms);
		return due_ms - now_ms;
	}
	if (ticker->expiry_ms != expiry_ms || ticker->ino != ino) {
		ticker->expiry_ms = expiry_ms;
		ticker->ino = ino;
		ticker->at_ms = mono_ms + delay_ms(node);
	}
	if (mono_ms < ticker->at_ms)
		return ticker->at_ms - mono_ms;
	if (atomic_load(&node->stalled) || node_apply_stalled(node) ||
	    atomic_exchange(&ticker->submitted, true))
		return RETRY_MS;
	ticker->at_ms = mono_ms + (node->log->drops_idle_ticks ? 1 : RETRY_MS);
	ticker->sent_ms = now_ms;
	struct event tick = { .op = EVENT_TICK };
	node_submit(node, &tick, NULL, tick_done, node);
	return ticker->at_ms - mono_ms;
}
