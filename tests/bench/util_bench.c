// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"

enum { OPT_JSON = 1024, OPT_ROUNDS };

static const struct argp_option options[] = {
	{ "json", OPT_JSON, 0, 0, "a line of JSON per figure", 9 },
	{ "rounds", OPT_ROUNDS, "N", 0, "runs of each case; the median counts", 9 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bench_options *o = state->input;
	struct mb_err err;
	uint64_t n;

	switch (key) {
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_ROUNDS:
		if (mb_parse_u64(arg, 1, 1000, "--rounds", &n, &err) < 0)
			argp_error(state, "%s", err.text);
		o->rounds = (unsigned int)n;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp bench_argp = { .options = options, .parser = parse };

void bench_must(int r, const struct mb_err *err)
{
	if (r >= 0)
		return;
	fprintf(stderr, "benchmark: %s\n", err->text);
	exit(1);
}

void *bench_alloc(size_t bytes)
{
	struct mb_err err = { 0 };
	void *p = calloc(1, bytes + 1);

	if (!p)
		bench_must(mb_fail_mem(&err, "what is measured"), &err);
	return p;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

void bench_run(struct bench_case *cases, size_t n, unsigned int rounds, clockid_t clock)
{
	mb_autofree double *ns = bench_alloc(n * rounds * sizeof(*ns));

	for (size_t c = 0; c < n; c++)
		cases[c].run(cases[c].ctx);
	for (unsigned int i = 0; i < rounds; i++)
		for (size_t c = 0; c < n; c++) {
			uint64_t start = mb_clock_ns(clock);

			cases[c].run(cases[c].ctx);
			ns[c * rounds + i] = (double)(mb_clock_ns(clock) - start);
		}
	for (size_t c = 0; c < n; c++)
		cases[c].ns = bench_median(ns + c * rounds, rounds) / cases[c].units;
}

void bench_begin(struct bench_report *r, const struct bench_options *o, const char *bench,
		 const char *note, const char *base)
{
	*r = (struct bench_report){ .options = o, .bench = bench, .base = base };
	snprintf(r->note, sizeof(r->note), "%s", note);
	if (!o->json)
		printf("\n%s: %s\n", bench, note);
}

void bench_row(struct bench_report *r, const char *what, double value, const char *unit)
{
	double ratio = r->base_value > 0 ? value / r->base_value : 0;

	if (r->options->json) {
		printf("{\"bench\":\"%s\",\"of\":\"%s\",\"what\":\"%s\",\"value\":%.6g,"
		       "\"unit\":\"%s\"",
		       r->bench, r->note, what, value, unit);
		if (ratio > 0)
			printf(",\"ratio\":%.4g,\"to\":\"%s\"", ratio, r->base);
		printf("}\n");
	} else {
		printf("  %-52s %12.*f %-22s", what, value < 100 ? 2 : 0, value, unit);
		if (ratio > 0)
			printf(" %8.2f x %s", ratio, r->base);
		putchar('\n');
	}
	fflush(stdout);
}

void bench_rows(struct bench_report *r, const struct bench_case *cases, size_t n, const char *unit)
{
	for (size_t i = 0; i < n; i++)
		if (r->base && strcmp(cases[i].what, r->base) == 0)
			r->base_value = cases[i].ns;
	for (size_t i = 0; i < n; i++)
		bench_row(r, cases[i].what, cases[i].ns, unit);
}

static uint64_t status_bytes(int pid, const char *key)
{
	mb_autofclose FILE *f = NULL;
	char path[64], line[256];
	uint64_t kb = 0;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/status");
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kb = strtoull(line + strlen(key), NULL, 10);
	return kb * 1024;
}

uint64_t bench_rss_bytes(int pid)
{
	return status_bytes(pid, "VmRSS:");
}

uint64_t bench_peak_rss_bytes(void)
{
	return status_bytes(0, "VmHWM:");
}

void bench_reset_peak(void)
{
	mb_autofclose FILE *f = fopen("/proc/self/clear_refs", "we");

	if (f)
		fputs("5", f);
}
