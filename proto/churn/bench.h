/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures that benchmarks follow, as JSON:
 *
 *	{ NAME: { "unit", "values": [ one a run ... ], "mean", "low", "high" } }
 *
 * of all of which less is better. low and high: 95 % confidence of the mean (bench_stats.h), null
 * with less than two runs. And the two formats that trackers of benchmarks read:
 *
 *	github-action-benchmark, tool customSmallerIsBetter:
 *	[ { "name", "unit", "value", "range", "extra" } ]
 *	Bencher Metric Format (bencher.dev), adapter json:
 *	{ BENCHMARK: { MEASURE: { "value", "lower_value", "upper_value" } } }
 */
#ifndef MB_BENCH_H
#define MB_BENCH_H

#include <jansson.h>

#include "proto/base/err.h"
#include "proto/churn/bench_stats.h"

#define MB_BENCH_CONFIDENCE .95

/* One run's value; makes the metric if there is none of that name. -ENOMEM. */
int mb_bench_add(json_t *metrics, const char *name, const char *unit, double value);
/* Once all values are there. */
int mb_bench_end(json_t *metrics);

enum { MB_BENCH_RUNS_MAX = 1000, MB_BENCH_NAME_MAX = 512 };

/* -EBADMSG: it is no metric, or has a value that is no number >= 0. */
int mb_bench_sample(const json_t *metrics, const char *name, struct mb_sample *ret,
		    struct mb_err *err);

/*
 * Where figures begin: `name` goes in front of each, in the one, and is the benchmark in the other.
 * -EINVAL for one that trackers do not take: empty, or longer than MB_BENCH_NAME_MAX.
 */
int mb_bench_github(const char *name, json_t *metrics, json_t **ret, struct mb_err *err);
int mb_bench_bencher(const char *name, json_t *metrics, json_t **ret, struct mb_err *err);

#endif
