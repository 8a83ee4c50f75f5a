/* Numbers: counters and limits that the processes of a node publish to each other.
 *
 * Each process publishes its counters in its slot (node/procs.h), at most NUMBERS_MS old, so that
 * any of them can write the metrics of all (node/metrics.c). The processes of a node must agree on
 * --size and --max-value, because any of them may apply or refuse a change. The one that starts
 * first sets them, and the others adopt its limits.
 *
 * No lock: the slot's numbers and node->max_value are atomic, the rest is set before other threads
 * start. */
#include "common/node/numbers.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/node/internal.h"

#include <inttypes.h>

#define NUMBERS_MS 500

/* The last numbers of a process's slot: the limits that it puts on changes, or 0 if it makes no
 * changes. The counters come first; a later version may have more of both in between. */
#define NUMBER_MAX_VALUE (PROCS_NUMBERS - 2)
#define NUMBER_SIZE (PROCS_NUMBERS - 1)
_Static_assert(METRIC_COUNTERS <= NUMBER_MAX_VALUE, "a slot has room for the counters");

void numbers_publish(struct node *node)
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
	       ", which this program uses instead; give both programs the same values, and "
	       "restart both to change them",
	       config->size_bytes, config->max_value, info->program, info->pid, size, max_value);
}

void numbers_adopt_limits(struct node *node)
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

uint64_t node_max_value(const struct node *node)
{
	return atomic_load_explicit(&node->max_value, memory_order_relaxed);
}
