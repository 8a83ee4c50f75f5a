/* Times of many rounds, and what the median and the slow ones took. */
#ifndef KEYDIR_BENCH_SAMPLES_H
#define KEYDIR_BENCH_SAMPLES_H

#include <stddef.h>

/* Starts as zeros; what it holds is freed by samples_print. */
struct samples {
	double *us;
	size_t n, room;
};

/* The monotonic clock, in us. */
double samples_now(void);
/* Adds a round that took US. Ends the program if there is no memory. */
void samples_add(struct samples *samples, double us);
/* Prints the 50th and the 99th percentile in us. 0, or 1 without a round. */
int samples_print(struct samples *samples);
/* The same, and behind them the 99.9th percentile and the longest. */
int samples_print_tail(struct samples *samples);

#endif
