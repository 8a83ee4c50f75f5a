/* Faults: what keeps the node from working, whichever of its processes sees it.
 *
 * A process publishes the faults that it sees to the other processes of its node (node/procs.h), so
 * that each of them can answer for the node: in node_status(), and so in /readyz, /v1/status and
 * the metrics, and in a mount that starts. A process that is stopped, or waits for a device, cannot
 * report that itself; the other processes detect it by its missing beats.
 *
 * There are two beats. The node's thread beats at least once a second; with a Kafka log it waits
 * for no device, so a process whose last beat is FROZEN_MS old was stopped or gets no processor
 * time. The consumer beats between its steps, which include waiting for a broker and committing;
 * STUCK_MS is longer than any of these steps on a working device.
 *
 * Each process detects that its store was removed, because the page that they share may have been
 * removed with it, and a process that starts then creates another store. A process that has lost
 * its store continues to answer reads from it, is not ready, and refuses changes.
 *
 * No other process takes over from a process that is alive: a stopped one keeps the lock of
 * consumer.lock, and may keep the store's write transaction. Instead the node is not ready, so that
 * a load balancer uses another node. */
#include "common/node/fault.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"
#include "common/node/log.h"

#include <stdio.h>
#include <string.h>

#define FROZEN_MS 5000
#define STUCK_MS 20000
#define STORE_MS 900 /* between two checks of the store's files */

/* The log messages when a fault begins and when it ends. */
static const struct {
	const char *comes, *goes;
} texts[FAULT_COUNT] = {
	[FAULT_STORE] = { "the store cannot be used", "the store can be used" },
	[FAULT_LOG] = { "the log cannot be used", "the log can be used" },
	[FAULT_APPLY] = { "applying stopped", "applying continues" },
	[FAULT_BLOCKED] = { "the log cannot be used", "the log can be used" },
};

void fault_set(struct node *node, enum procs_fault fault, const char *why)
{
	if (!procs_set_fault(node->procs, fault, why))
		return;
	if (*why)
		logger(LOGGER_ERROR, "%s: %s", texts[fault].comes, why);
	else
		logger(LOGGER_INFO, "%s", texts[fault].goes);
}

void fault_set_stalled(struct node *node, int err)
{
	char why[NODE_WHY_MAX];
	int old = atomic_exchange(&node->stalled, err);
	if (err == old)
		return;
	if (err && !old)
		metrics_add(METRIC_APPLY_STALLS, 1);
	do { /* another thread may have set a newer value: report the latest */
		err = atomic_load(&node->stalled);
		why[0] = '\0';
		if (err)
			snprintf(why, sizeof(why), "applying waits: %s (store %.80s)",
			         strerror(err), store_dir(node->store));
		fault_set(node, FAULT_APPLY, why);
	} while (atomic_load(&node->stalled) != err);
}

int64_t fault_check_store(struct node *node)
{
	char why[NODE_WHY_MAX] = "";
	int64_t now_ms = clock_mono_ms();
	if (now_ms >= node->store_check_ms) {
		node->store_check_ms = now_ms + STORE_MS;
		store_place_check(store_place(node->store), why, sizeof(why));
		fault_set(node, FAULT_STORE, why);
	}
	return node->store_check_ms - now_ms;
}

/* Return whether the process that applies is alive but has been silent for too long. */
static bool applier_is_silent(struct node *node, struct procs_info *ret)
{
	int64_t now_ms = clock_mono_ms();
	return !node->log->workers_apply &&
	       procs_applier_silent(node->procs, now_ms - FROZEN_MS, now_ms - STUCK_MS) &&
	       procs_applier(node->procs, ret);
}

bool node_apply_stalled(struct node *node)
{
	struct procs_info info;
	return procs_faults(node->procs, NULL) & ~node->log->tolerated_faults ||
	       applier_is_silent(node, &info);
}

void fault_explain(struct node *node, char why[NODE_WHY_MAX])
{
	struct procs_info info;
	procs_faults(node->procs, why);
	if (*why || !applier_is_silent(node, &info))
		return;
	int64_t now_ms = clock_mono_ms();
	bool frozen = now_ms - info.beat_ms > FROZEN_MS;
	int64_t since_ms = frozen ? info.beat_ms : info.applied_ms;
	snprintf(why, NODE_WHY_MAX,
	         "%s (process %d), which applies the log for this node, %s for %lld s: resume "
	         "it, or end it so that another process of the node takes over",
	         info.program, info.pid,
	         frozen ? "has been stopped" : "has waited for the store or the log",
	         (long long)(now_ms - since_ms) / 1000);
}
