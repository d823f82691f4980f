/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all benchmarks have in common: rounds over cases, medians, ratios, a table or lines of JSON.
 *
 * Cases take turns, one run of each a round, so that what else the machine does meanwhile hits all
 * of them; the median of the rounds counts. Ratios are to one of them, the baseline. Programs of
 * one thread are timed by the CPU time that they took, which a busy machine changes little.
 */
#ifndef MB_UTIL_BENCH_H
#define MB_UTIL_BENCH_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "proto/base/err.h"

struct bench_case {
	const char *what;
	void (*run)(void *ctx);
	void *ctx;
	double units; /* what one run does, in `unit`; 0: what run() left in it */
	/* The result. */
	double ns; /* of one unit, median of the rounds */
};

/* Runs each case once before the rounds, so that memory is there and caches are warm. */
void bench_run(struct bench_case *cases, size_t n, unsigned int rounds, clockid_t clock);

/* Sorts. */
double bench_median(double *values, size_t n);

/* --json: lines of JSON for programs instead of a table. Goes into every benchmark's argp. */
struct bench_options {
	bool json;
	unsigned int rounds;
};
extern const struct argp bench_argp;

/* Ends the program with the reason if r < 0. */
void bench_must(int r, const struct mb_err *err);
void *bench_alloc(size_t bytes); /* never NULL */

/* Where figures go: a heading, then rows. `bench` is the program's part ("hash"). */
struct bench_report {
	const struct bench_options *options;
	const char *bench;
	char note[200];	  /* what was measured, for people; without quotes */
	const char *base; /* what ratios are to */
	double base_value;
};
/* base NULL: no ratios. */
void bench_begin(struct bench_report *r, const struct bench_options *o, const char *bench,
		 const char *note, const char *base);
void bench_row(struct bench_report *r, const char *what, double value, const char *unit);
/* All cases in ns per `unit`; the baseline must be among them. */
void bench_rows(struct bench_report *r, const struct bench_case *cases, size_t n, const char *unit);

/* VmRSS of a process, 0: this one; in bytes, 0: it is gone. */
uint64_t bench_rss_bytes(int pid);
/* VmHWM of this process: the most since bench_reset_peak(). */
uint64_t bench_peak_rss_bytes(void);
void bench_reset_peak(void);

#endif
