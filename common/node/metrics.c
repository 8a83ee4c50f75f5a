/* The node's part that writes its metrics, those of its other processes among them.
 *
 * A node is scraped at its REST server, which need not be the process that applies. So each
 * process publishes its counters to the others (node/procs.h), at most NUMBERS_MS old, and the
 * one that is asked writes them with the labels "process" and "mount"; its own have none.
 * A mount that is alone writes a file instead (fs/metrics_file.c). */
#include "common/node/metrics.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#define NUMBERS_MS 500
#define LABELS_MAX (2 * (PROCS_PROGRAM_MAX + PROCS_PLACE_MAX) + 32)

/* The last numbers of a process's slot: the limits that it puts on changes, 0 if it makes
 * none. Its counters come first, and more of both may come in between. */
#define NUMBER_MAX_VALUE (PROCS_NUMBERS - 2)
#define NUMBER_SIZE (PROCS_NUMBERS - 1)
_Static_assert(METRIC_COUNTERS <= NUMBER_MAX_VALUE, "a slot has room for the counters");

void node_publish_numbers(struct node *node)
{
	uint64_t numbers[PROCS_NUMBERS] = { 0 };
	int64_t now_ms = clock_mono_ms();
	if (now_ms - node->published_ms < NUMBERS_MS)
		return;
	node->published_ms = now_ms;
	for (int i = 0; i < METRIC_COUNTERS; i++)
		numbers[i] = metrics_get((enum metrics_counter)i);
	if (!node->config.read_only) {
		numbers[NUMBER_MAX_VALUE] = node->config.max_value;
		numbers[NUMBER_SIZE] = node->config.size_bytes;
	}
	procs_set_numbers(node->procs, numbers, PROCS_NUMBERS);
}

static void warn_not_in_force(const struct node_config *config, const struct procs_info *info,
                              uint64_t size, uint64_t max_value)
{
	logger(LOGGER_WARN,
	       "--size %" PRIu64 " and --max-value %" PRIu64 " bytes are not in force: %s "
	       "(process %d) runs on the same store with %" PRIu64 " and %" PRIu64
	       ", which this program takes over; give both programs the same, and restart both "
	       "to change it",
	       config->size_bytes, config->max_value, info->program, info->pid, size, max_value);
}

void node_adopt_limits(struct node *node)
{
	struct node_config *config = &node->config;
	struct procs_info info;
	for (int i = 0; (i = procs_next(node->procs, i, &info)) >= 0; i++) {
		uint64_t size = info.numbers[NUMBER_SIZE];
		uint64_t max_value = info.numbers[NUMBER_MAX_VALUE];
		if (info.own || !size)
			continue;
		if (!config->read_only &&
		    (size != config->size_bytes || max_value != config->max_value))
			warn_not_in_force(config, &info, size, max_value);
		config->size_bytes = size;
		config->max_value = max_value;
		return;
	}
}

/* The processes of a node as they are at one moment, and the counters of all but this one. */
struct census {
	size_t n, nothers;
	struct procs_info info[PROCS_MAX];
	char labels[PROCS_MAX][LABELS_MAX];
	struct metrics_other others[PROCS_MAX];
};

/* Write NAME="VALUE", escaped as the format wants it. */
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
	              "How far the log's time is ahead of this machine's clock; 0: it is not",
	              ahead_ms > 0 ? (double)ahead_ms / 1000 : 0.0);
	metrics_gauge(to, "keydir_keys", "Keys stored", (double)meta.nkeys);
	metrics_gauge(to, "keydir_directories", "Directories stored", (double)meta.ndirs);
	metrics_gauge(to, "keydir_used_bytes", "What counts against the quota",
	              (double)meta.used_bytes);
	metrics_gauge(to, "keydir_quota_bytes", "The quota (--size)",
	              (double)node->config.size_bytes);
	metrics_gauge(to, "keydir_evicts", "1 if a full cache evicts (--evict)",
	              node->config.evict != EVICT_NONE);
	metrics_gauge(to, "keydir_store_bytes", "Memory that the store's tables take",
	              (double)store_bytes(node->store));
	write_counter(to, "keydir_keys_expired_total", "Entries removed after their expiry",
	              meta.nexpired);
	write_counter(to, "keydir_keys_evicted_total", "Entries evicted to make room",
	              meta.nevicted);
}

void node_metrics_write(struct node *node, FILE *to)
{
	struct node_status status;
	struct census *census = calloc(1, sizeof(*census));
	if (census)
		take_census(node, census);
	metrics_write(to, census ? census->others : NULL, census ? census->nothers : 0);
	if (census) /* without memory, the rest is better than nothing */
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
	              "Age of the oldest write that waits for its outcome; 0: none waits",
	              (double)status.oldest_ms / 1000);
	write_counter(to, "keydir_changes_lost_total",
	              "Changes through a mount that failed after their close had returned",
	              status.lost);
	write_store(node, to);
}
