/* Metrics: a table of counters, and gauges, in Prometheus text format. */
#ifndef KEYDIR_METRICS_H
#define KEYDIR_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* name, help. Slots in shared memory (node/procs.h) hold the counters by their position in
 * this table, so append new ones at the end. Names end in _total, as Prometheus' naming
 * conventions demand. */
#define METRICS_COUNTERS(X)                                                                        \
	X(EVENTS_APPLIED, "keydir_events_applied_total", "Events applied by this process")         \
	X(EVENTS_SUBMITTED, "keydir_events_submitted_total", "Events submitted by this process")   \
	X(EVENTS_REJECTED, "keydir_events_rejected_total", "Events rejected while applying")       \
	X(WRITES_REFUSED, "keydir_writes_refused_total", "Writes refused by quota or value limit") \
	X(WRITES_HELD, "keydir_writes_held_total",                                                 \
	  "Writes that waited until something was evicted")                                        \
	X(EVICTIONS, "keydir_evictions_submitted_total", "Evictions submitted by this process")    \
	X(WRITES_UNKNOWN, "keydir_writes_unknown_total", "Writes whose outcome stayed unknown")    \
	X(LOG_ERRORS, "keydir_log_errors_total", "Errors that the log reported")                   \
	X(APPLY_STALLS, "keydir_apply_stalls_total", "Times that applying had to wait for room")   \
	X(MOUNT_CHECKS, "keydir_mount_checks_total",                                               \
	  "Entries in the kernel's cache that this mount compared with the store")                 \
	X(MOUNT_DIFFERENCES, "keydir_mount_differences_total",                                     \
	  "Entries in the kernel's cache that differed from the store")

enum metrics_counter {
#define X(id, name, help) METRIC_##id,
	METRICS_COUNTERS(X)
#undef X
	        METRIC_COUNTERS
};

/* Add N to COUNTER. Thread-safe; relaxed atomics. */
void metrics_add(enum metrics_counter counter, uint64_t n);
uint64_t metrics_get(enum metrics_counter counter);
/* Counters of another process: its labels, in the form that goes between braces, and
 * METRIC_COUNTERS values. The caller owns both. */
struct metrics_other {
	const char *labels;
	const uint64_t *values;
};

/* Write all counters of this process and of the N OTHERS in the text exposition format. */
void metrics_write(FILE *to, const struct metrics_other *others, size_t n);
/* Write the HELP and TYPE lines of a metric; its samples must follow. */
void metrics_head(FILE *to, const char *name, const char *help, const char *type);
/* Write one gauge with its HELP and TYPE lines. */
void metrics_gauge(FILE *to, const char *name, const char *help, double value);

#endif
