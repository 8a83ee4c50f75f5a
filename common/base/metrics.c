/* Metrics: a table of counters, and their text form.
 *
 * A counter is one relaxed atomic: it orders nothing, so it costs one locked add and may be
 * used on every path. The text is Prometheus' exposition format 0.0.4. Values that are
 * computed on request (offsets, sizes) are not kept here; the handler of the request writes
 * them with metrics_gauge(). */
#include "common/base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

static const struct {
	const char *name;
	const char *help;
} counters[] = {
#define X(id, name, help) { name, help },
	METRICS_COUNTERS(X)
#undef X
};

static _Atomic uint64_t values[METRIC_COUNTERS];

void metrics_add(enum metrics_counter counter, uint64_t n)
{
	atomic_fetch_add_explicit(&values[counter], n, memory_order_relaxed);
}

uint64_t metrics_get(enum metrics_counter counter)
{
	return atomic_load_explicit(&values[counter], memory_order_relaxed);
}

/* Escape the help: in the text format it ends at a newline. */
void metrics_head(FILE *to, const char *name, const char *help, const char *type)
{
	fprintf(to, "# HELP %s ", name);
	for (; *help; help++) {
		if (*help == '\n')
			fputs("\\n", to);
		else if (*help == '\\')
			fputs("\\\\", to);
		else
			fputc(*help, to);
	}
	fprintf(to, "\n# TYPE %s %s\n", name, type);
}

void metrics_write(FILE *to, const struct metrics_other *others, size_t n)
{
	for (int i = 0; i < METRIC_COUNTERS; i++) {
		metrics_head(to, counters[i].name, counters[i].help, "counter");
		fprintf(to, "%s %" PRIu64 "\n", counters[i].name,
		        metrics_get((enum metrics_counter)i));
		for (size_t k = 0; k < n; k++)
			fprintf(to, "%s{%s} %" PRIu64 "\n", counters[i].name, others[k].labels,
			        others[k].values[i]);
	}
}

void metrics_gauge(FILE *to, const char *name, const char *help, double value)
{
	char text[40];

	metrics_head(to, name, help, "gauge");
	if (isnan(value))
		snprintf(text, sizeof(text), "NaN");
	else if (isinf(value))
		snprintf(text, sizeof(text), value > 0 ? "+Inf" : "-Inf");
	else {
		/* 15 digits print a decimal number as it was written; use 17 only if 15 do
		 * not give the same number back. */
		snprintf(text, sizeof(text), "%.15g", value);
		if (strtod(text, NULL) != value)
			snprintf(text, sizeof(text), "%.17g", value);
	}
	fprintf(to, "%s %s\n", name, text);
}
