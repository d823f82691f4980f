/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether runs got worse than other runs, beyond their noise: Welch's t-test, which takes neither
 * equal numbers of runs nor equal spread for granted, turned round into an interval of the ratio of
 * means (Fieller). Runs of one side must be independent of each other, and about as one would
 * expect of sums of many small effects (normal); few runs give wide intervals, not wrong ones.
 *
 * Own code, for one function of a library: GSL's is GPL-3, which the BPF programs (GPL-2.0) that
 * mbagent carries do not go with.
 */
#ifndef MB_BENCH_STATS_H
#define MB_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct mb_sample {
	size_t n;
	double mean, sd; /* sd: of the sample (n - 1); 0 where n < 2 */
};
struct mb_sample mb_bench_sample_of(const double *values, size_t n);

/* Student's t with `df` degrees of freedom, not always whole: P(T <= t), and its inverse. */
double mb_student_cdf(double t, double df);
double mb_student_quantile(double p, double df);

struct mb_interval {
	double low, high;
};
/* Of the mean, two-sided with this confidence (.95); n < 2: from -INFINITY to INFINITY. */
struct mb_interval mb_sample_interval(const struct mb_sample *s, double confidence);

/*
 * mean(now) / mean(base) - 1: the relative change, with its interval. Values are >= 0. A base
 * whose mean is not told from 0 bounds nothing from above (INFINITY); from one that is 0 in all
 * runs everything that is told from 0 is infinitely far. -INFINITY to INFINITY where either has
 * less than two runs.
 */
struct mb_bench_change {
	double change;
	struct mb_interval interval;
};
struct mb_bench_change mb_bench_sample_change(const struct mb_sample *base,
					      const struct mb_sample *now, double confidence);

#endif
