/* Samples: times of many rounds. All are kept and sorted at the end, so that
 * percentiles are exact, for Keydir and its peers alike. Not thread-safe. */
#include "tests/bench/samples.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double samples_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void samples_add(struct samples *samples, double us)
{
	if (samples->n == samples->room) {
		size_t room = samples->room ? 2 * samples->room : 4096;
		double *more = realloc(samples->us, room * sizeof(*more));
		if (!more) {
			fprintf(stderr, "samples: out of memory\n");
			exit(1);
		}
		samples->us = more;
		samples->room = room;
	}
	samples->us[samples->n++] = us;
}

static int by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static int print_percentiles(struct samples *samples, bool tail)
{
	size_t n = samples->n;
	if (!n) {
		fprintf(stderr, "samples: no round was completed\n");
		return 1;
	}
	qsort(samples->us, n, sizeof(*samples->us), by_time);
	printf("%.1f %.1f", samples->us[n / 2], samples->us[n - 1 - n / 100]);
	if (tail)
		printf(" %.1f %.1f", samples->us[n - 1 - n / 1000], samples->us[n - 1]);
	putchar('\n');
	free(samples->us);
	*samples = (struct samples){ 0 };
	return 0;
}

int samples_print(struct samples *samples)
{
	return print_percentiles(samples, false);
}

int samples_print_tail(struct samples *samples)
{
	return print_percentiles(samples, true);
}
