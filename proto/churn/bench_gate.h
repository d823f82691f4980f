/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gate of a build: metrics of now held against those of a baseline (bench.h). One fails only
 * when the lower bound of its relative change is above the limit (mb_bench_sample_change()), so
 *that noise fails a build in one of forty cases at most; where several metrics are held, each is
 *held to a higher confidence, so that this is true of all of them together (Bonferroni).
 *
 *	{ "limit_percent", "confidence", "failed",
 *	  "checks": [ { "metric", "unit", "base_runs", "base_mean", "runs", "mean",
 *"change_percent", "low_percent", "high_percent", "failed", "text" } ] }
 */
#ifndef MB_BENCH_GATE_H
#define MB_BENCH_GATE_H

#include "proto/churn/bench.h"

enum { MB_GATE_METRICS_MAX = 16 };

struct mb_gate_wish {
	double limit; /* .05: by 5 % */
	const char *metrics[MB_GATE_METRICS_MAX];
	size_t n_metrics;
};

/* "5%", "7.5": percent, from 0 to 10000. */
int mb_gate_parse_limit(const char *text, double *ret, struct mb_err *err);

/*
 * *ret: as above. -EINVAL: a metric that either side does not have, has in another unit, or has of
 * less than two runs: then there is no telling.
 */
int mb_gate(const json_t *base, const json_t *now, const struct mb_gate_wish *wish, json_t **ret,
	    struct mb_err *err);

#endif
