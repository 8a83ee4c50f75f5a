/* Metrics: write the metrics of this process and of the other processes of its node.
 *
 * Prometheus scrapes the REST server of a node, which need not be the process that applies. So the
 * process that is scraped also writes the counters that the others publish (node/numbers.h), with the
 * labels "process" and "mount"; its own have no labels. A mount without a REST server writes a file
 * instead (fs/metrics_file.c). No state, no lock. */
#include "common/node/node.h"

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define LABELS_MAX (2 * (PROCS_PROGRAM_MAX + PROCS_PLACE_MAX) + 32)

/* The processes of a node at one moment, and the counters of all except this one. */
struct census {
	size_t n, nothers;
	struct procs_info info[PROCS_MAX];
	char labels[PROCS_MAX][LABELS_MAX];
	struct metrics_other others[PROCS_MAX];
};

/* Write NAME="VALUE", with VALUE escaped as the format requires. Returns the end of the text. */
static char *add_label(char *to, const char *name, const char *value)
{
	while (*name)
		*to++ = *name++;
	*to++ = '=';
	*to++ = '"';
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			*to++ = '\\';
		*to++ = *value;
	}
	*to++ = '"';
	*to = '\0';
	return to;
}

static void take_census(struct node *node, struct census *ret)
{
	for (int i = 0; ret->n < PROCS_MAX; i++) {
		struct procs_info *info = &ret->info[ret->n];
		char *labels = ret->labels[ret->n];
		i = procs_next(node->procs, i, info);
		if (i < 0)
			return;
		char *end = add_label(labels, "process", info->program);
		if (info->place[0]) {
			*end++ = ',';
			add_label(end, "mount", info->place);
		}
		if (!info->own)
			ret->others[ret->nothers++] = (struct metrics_other){ labels,
				                                              info->numbers };
		ret->n++;
	}
}

static void write_processes(FILE *to, const struct census *census)
{
	int64_t now_ms = clock_mono_ms();
	metrics_head(to, "keydir_process_applies", "1 if this process of the node applies the log",
	             "gauge");
	for (size_t i = 0; i < census->n; i++)
		fprintf(to, "keydir_process_applies{%s} %d\n", census->labels[i],
		        census->info[i].applies);
	metrics_head(to, "keydir_process_silent_seconds",
	             "Time since this process of the node last showed that it runs", "gauge");
	for (size_t i = 0; i < census->n; i++)
		fprintf(to, "keydir_process_silent_seconds{%s} %.3f\n", census->labels[i],
		        (double)(now_ms - census->info[i].beat_ms) / 1000);
}

static void write_counter(FILE *to, const char *name, const char *help, uint64_t value)
{
	metrics_head(to, name, help, "counter");
	fprintf(to, "%s %" PRIu64 "\n", name, value);
}

static void write_store(struct node *node, FILE *to)
{
	struct txn *txn;
	if (txn_read(node->store, &txn) < 0)
		return;
	const struct store_meta meta = *txn_meta(txn);
	txn_abort(txn);
	int64_t ahead_ms = meta.log_time_ms - clock_wall_ms();
	metrics_gauge(to, "keydir_log_time_ahead_seconds",
	              "How far the log's time is ahead of this machine's clock, or 0",
	              ahead_ms > 0 ? (double)ahead_ms / 1000 : 0.0);
	metrics_gauge(to, "keydir_keys", "Keys stored", (double)meta.nkeys);
	metrics_gauge(to, "keydir_directories", "Directories stored", (double)meta.ndirs);
	metrics_gauge(to, "keydir_used_bytes", "Bytes that count against the quota",
	              (double)meta.used_bytes);
	metrics_gauge(to, "keydir_quota_bytes", "The quota (--size)",
	              (double)node->config.size_bytes);
	metrics_gauge(to, "keydir_evicts", "1 if a full cache evicts (--evict)",
	              node->config.evict != EVICT_NONE);
	metrics_gauge(to, "keydir_store_bytes", "Memory that the store's tables take",
	              (double)store_bytes(node->store));
	write_counter(to, "keydir_keys_expired_total", "Entries removed after their expiry",
	              meta.nexpired);
	write_counter(to, "keydir_keys_evicted_total", "Entries evicted to make space",
	              meta.nevicted);
}

void node_metrics_write(struct node *node, FILE *to)
{
	struct node_status status;
	struct census *census = calloc(1, sizeof(*census));
	if (census)
		take_census(node, census);
	metrics_write(to, census ? census->others : NULL, census ? census->nothers : 0);
	if (census) /* without memory, write the rest */
		write_processes(to, census);
	free(census);
	node_status(node, &status);
	metrics_gauge(to, "keydir_ready", "1 if the node is ready", status.ready);
	metrics_gauge(to, "keydir_log_up", "1 if the log answers", status.log_up);
	metrics_gauge(to, "keydir_applies", "1 if this process applies the log", status.applies);
	metrics_gauge(to, "keydir_applied_offset", "Offset of the last event applied",
	              (double)status.applied);
	metrics_gauge(to, "keydir_log_end_offset", "Newest offset known of the log",
	              (double)status.log_end);
	metrics_gauge(to, "keydir_lag_events", "Events in the log that are not applied yet",
	              status.log_end > status.applied ? (double)(status.log_end - status.applied) :
	                                                0.0);
	metrics_gauge(to, "keydir_lag_seconds", "Age of the newest applied event while behind",
	              (double)status.lag_ms / 1000);
	metrics_gauge(to, "keydir_pending_writes", "Writes that wait for their outcome",
	              (double)status.pending);
	metrics_gauge(to, "keydir_oldest_write_seconds",
	              "Age of the oldest write that waits for its outcome, or 0",
	              (double)status.oldest_ms / 1000);
	write_counter(to, "keydir_changes_lost_total",
	              "Changes through a mount that failed after their close had returned",
	              status.lost);
	write_store(node, to);
}
