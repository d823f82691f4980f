/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options that say which reports of a measurement are written, and what it is held against:
 * the same for all programs. A report is made of JSON with "metrics" (proto/churn/bench.h).
 */
#ifndef MB_BASE_REPORTS_H
#define MB_BASE_REPORTS_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/churn/bench_gate.h"

/* A gate's failure, beside those of cli.h and env(1). */
enum { MB_EXIT_WORSE = 123 };

struct mb_reports {
	const char *name;		      /* the benchmark's; NULL: not given */
	const char *github, *bencher, *junit; /* files to write, "-": standard output; NULL: no */
	const char *json, *csv, *html;	      /* of churn */
	const char *baseline;
	bool has_limit;
	struct mb_gate_wish gate; /* no metric given: "dirtied" */
};

/* Child parsers for argp, whose input is a struct mb_reports: those of all, those of churn. */
extern const struct argp mb_reports_argp, mb_reports_churn_argp;

/* Something of it goes to standard output, where nothing else may be then. */
bool mb_reports_use_stdout(const struct mb_reports *r);
/*
 * Holds root's metrics against the baseline, if there is one, and puts "gate" into it. The baseline
 * is read before anything is measured, so that it is not found wanting afterwards.
 */
int mb_reports_read_baseline(const struct mb_reports *r, json_t **ret, struct mb_err *err);
int mb_reports_hold(const struct mb_reports *r, const json_t *baseline, json_t *root,
		    bool *ret_failed, struct mb_err *err);
/* All that are wanted; root's "name" is the benchmark's. */
int mb_reports_write(const struct mb_reports *r, json_t *root, struct mb_err *err);

#endif
