/* Samples: times of many rounds, and their percentiles. */
#ifndef KEYDIR_BENCH_SAMPLES_H
#define KEYDIR_BENCH_SAMPLES_H

#include <stddef.h>

/* Initialized with zeros; samples_print() frees the contents. */
struct samples {
	double *us;
	size_t n, room;
};

/* Return the monotonic clock in us. */
double samples_now(void);
/* Add a round that took US. Exit when out of memory. */
void samples_add(struct samples *samples, double us);
/* Print the 50th and the 99th percentile in us. Return 0, or 1 if there is no round. */
int samples_print(struct samples *samples);
/* The same, followed by the 99.9th percentile and the maximum. */
int samples_print_tail(struct samples *samples);

#endif
