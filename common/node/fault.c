/* The node's part that says what is wrong with it, whichever process saw it.
 *
 * A process publishes what it sees to the others of its node (node/procs.h), so that each of
 * them answers for the node: node_status(), and with it /readyz, /v1/status, the metrics
 * and a mount that starts. What no process can say of itself, that it was stopped or waits
 * for a device, the others see: its beats stay away.
 *
 * There are two of them. The node's thread beats at least once a second; it waits for no
 * device with a log outside, so a process whose beat is FROZEN_MS old was stopped or gets
 * no processor time. The consumer beats between its steps, which include waiting for a
 * broker and committing; STUCK_MS is longer than any of them on a device that works.
 *
 * A store that is removed under its processes is seen by each of them: the page that they
 * share may be gone with it, and a process that starts makes another store. A process that
 * has lost its store goes on answering reads from it, is not ready, and changes nothing.
 *
 * Another process does not take over from one that is alive: a stopped process keeps the
 * lock of consumer.lock, and may keep the store's write transaction as well. It is not
 * ready instead, so that a load balancer uses another node. */
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
#define STORE_MS 900 /* between two looks at the store's files */

/* What the log says when a fault comes, and when it goes. */
static const struct {
	const char *comes, *goes;
} texts[FAULT_COUNT] = {
	[FAULT_STORE] = { "the store cannot be used", "the store can be used" },
	[FAULT_LOG] = { "the log cannot be used", "the log can be used" },
	[FAULT_APPLY] = { "applying stopped", "applying goes on" },
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
	do { /* another thread may say something else meanwhile: the last word counts */
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

/* Return whether the process that applies lives, but has been silent for too long. */
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
	         "%s (process %d), which applies the log for this node, %s for %lld s: let it go "
	         "on, or end it, and another process of the node takes over",
	         info.program, info.pid,
	         frozen ? "has been stopped" : "has waited for the store or the log",
	         (long long)(now_ms - since_ms) / 1000);
}
