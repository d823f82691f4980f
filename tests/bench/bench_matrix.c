// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who shares how much with whom: the server's groups and matrix next to other ways, and host unions
 * from groups next to merging lists. usage: bench_matrix [--vms N] [--pages P] [--fleet NAME]
 * [--json]
 *
 * All in ns per page-digest, that is per entry of all VMs' lists, for the matrix of all VMs. The
 * others take a time that grows with the pairs: they compare a few VMs, and are scaled to all
 * pairs. What is found is checked: the groups against those that the fleet was made from, the
 * others against the matrix.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/groups_parallel.h"
#include "tests/bench/util_bench.h"
#include "tests/bench/util_lists.h"
#include "tests/bench/util_rivals.h"

enum { FEW = 48 /* VMs that others compare */, OPT_VMS = 1, OPT_PAGES, OPT_FLEET, OPT_OURS };

/* 92 KiB for 230k pages: the paper's size for an error of 0.2 %. */
static const double bloom_bits_per_page = 92 * 1024 * 8 / 230e3;

struct options {
	struct bench_options bench;
	uint64_t vms, pages;
	const char *fleet;
	bool ours; /* without the others, which take most of the time */
};

struct work {
	struct bench_lists l;
	unsigned int threads;
	struct mb_groups groups;
	uint64_t *inter;		 /* of all VMs */
	double *merge, *roaring, *bloom; /* of the first few */
	struct rival_roaring *r;
	struct rival_bloom *b;
	uint32_t few, hosts;
	uint64_t *unions, *merged_unions;
};

static struct mb_err err;

static void groups(struct work *w, unsigned int threads)
{
	mb_groups_deinit(&w->groups);
	bench_must(mb_groups_compute_parallel(&w->groups, w->l.lists, NULL, w->l.n, 0, UINT64_MAX,
					      threads, &err),
		   &err);
}

static void groups_1(void *ctx)
{
	groups(ctx, 1);
}

static void groups_2(void *ctx)
{
	groups(ctx, 2);
}

static void matrix(void *ctx)
{
	struct work *w = ctx;

	mb_groups_matrix(&w->groups, w->l.n, w->inter);
}

static void merge(void *ctx)
{
	struct work *w = ctx;

	rival_merge(w->l.lists, w->few, w->merge);
}

static void roaring(void *ctx)
{
	struct work *w = ctx;

	rival_roaring_compare(w->r, w->roaring);
}

static void bloom(void *ctx)
{
	struct work *w = ctx;

	rival_bloom_compare(w->b, w->bloom);
}

/* Distinct pages of each host. */
static void unions_of_groups(void *ctx)
{
	struct work *w = ctx;
	mb_autofree uint8_t *on_host = bench_alloc(w->l.n);

	for (uint32_t h = 0; h < w->hosts; h++) {
		w->unions[h] = 0;
		for (uint32_t v = 0; v < w->l.n; v++) {
			on_host[v] = w->l.fleet.vms[v].host == h;
			w->unions[h] += on_host[v] ? w->l.lists[v].n : 0;
		}
		w->unions[h] -= mb_groups_inter_saving(&w->groups, on_host);
	}
}

static void unions_of_lists(void *ctx)
{
	struct work *w = ctx;
	mb_autofree struct mb_digest_list *on_host = bench_alloc(w->l.n * sizeof(*on_host));

	for (uint32_t h = 0; h < w->hosts; h++) {
		uint32_t n = 0;

		for (uint32_t v = 0; v < w->l.n; v++)
			if (w->l.fleet.vms[v].host == h)
				on_host[n++] = w->l.lists[v];
		w->merged_unions[h] = n ? rival_union(on_host, n) : 0;
	}
}

/* --- what must hold --------------------------------------------------------------------------- */

static void must(bool good, const char *what)
{
	bench_must(good ? 0 : mb_fail(&err, EIO, "wrong result: %s", what), &err);
}

static void check_groups(const struct work *w)
{
	const struct mb_groups *a = &w->groups, *b = &w->l.fleet.groups;

	must(a->n_groups == b->n_groups && a->n_vms == b->n_vms &&
		     memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0 &&
		     memcmp(a->vms, b->vms, a->n_vms * sizeof(*a->vms)) == 0,
	     "the groups are not those that the fleet was made from");
}

/* Root mean square of the error, in percent of a VM's pages. */
static double rmse_percent(const struct work *w, const double *inter)
{
	double sum = 0, n = 0;

	for (uint32_t i = 0; i < w->few; i++)
		for (uint32_t j = i + 1; j < w->few; j++) {
			double e = inter[i * w->few + j] - (double)w->inter[i * w->l.n + j];

			e = 100 * e / w->l.lists[i].n;
			sum += e * e;
			n++;
		}
	return sqrt(sum / n);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void prepare(struct work *w, const struct options *o)
{
	bench_lists_make(&w->l, o->fleet, (uint32_t)o->vms, (uint32_t)o->pages);
	w->few = MB_MIN(w->l.n, (uint32_t)FEW);
	w->hosts = w->l.fleet.view.n_hosts;
	w->inter = bench_alloc((size_t)w->l.n * w->l.n * sizeof(*w->inter));
	w->merge = bench_alloc(sizeof(double) * w->few * w->few);
	w->roaring = bench_alloc(sizeof(double) * w->few * w->few);
	w->bloom = bench_alloc(sizeof(double) * w->few * w->few);
	w->unions = bench_alloc(w->hosts * sizeof(*w->unions));
	w->merged_unions = bench_alloc(w->hosts * sizeof(*w->merged_unions));
	w->r = rival_roaring_make(w->l.lists, w->few);
	w->b = rival_bloom_make(w->l.lists, w->few, bloom_bits_per_page);
}

static void release(struct work *w)
{
	rival_roaring_free(w->r);
	rival_bloom_free(w->b);
	mb_groups_deinit(&w->groups);
	bench_lists_free(&w->l);
	free(w->inter);
	free(w->merge);
	free(w->roaring);
	free(w->bloom);
	free(w->unions);
	free(w->merged_unions);
}

static void measure_matrix(struct work *w, const struct options *o)
{
	double entries = (double)w->l.n_entries, n = w->l.n, few = w->few;
	double scaled = entries * few * (few - 1) / (n * (n - 1));
	struct bench_case ours[] = {
		{ "groups, one core", groups_1, w, entries, 0 },
		{ "matrix of the groups", matrix, w, entries, 0 },
	};
	struct bench_case others[] = {
		{ "sorted lists, merged", merge, w, scaled, 0 },
		{ "CRoaring, and-cardinality, 32 bits", roaring, w, scaled, 0 },
		{ "Bloom filters, AND and popcount, estimates", bloom, w, scaled, 0 },
	};
	struct bench_report report;
	char note[160];

	bench_run(ours, 2, o->bench.rounds, CLOCK_PROCESS_CPUTIME_ID);
	check_groups(w);
	if (!o->ours) {
		bench_run(others, 3, o->bench.rounds, CLOCK_PROCESS_CPUTIME_ID);
		must(rmse_percent(w, w->merge) == 0, "merged lists and matrix differ");
		must(rmse_percent(w, w->roaring) < 0.1, "CRoaring and matrix differ");
		must(rmse_percent(w, w->bloom) < 1, "Bloom filters and matrix differ");
	}
	snprintf(note, sizeof(note),
		 "fleet %s, %u VMs of %u distinct pages, %zu groups; all pairs, CPU time", o->fleet,
		 w->l.n, w->l.lists[0].n, w->groups.n_groups);
	bench_begin(&report, &o->bench, "matrix", note, "groups and matrix, one core");
	report.base_value = ours[0].ns + ours[1].ns;
	bench_row(&report, report.base, report.base_value, "ns a page-digest");
	bench_rows(&report, ours, 2, "ns a page-digest");
	if (o->ours)
		return;
	bench_rows(&report, others, 3, "ns a page-digest");
	report.base_value = 0;
	bench_row(&report, "a digest in a sorted list", 8, "bytes");
	bench_row(&report, "in CRoaring", (double)rival_roaring_bytes(w->r) * n / few / entries,
		  "bytes");
	bench_row(&report, "in a Bloom filter", (double)rival_bloom_bytes(w->b) * n / few / entries,
		  "bytes");
	bench_row(&report, "Bloom filters' error (RMS)", rmse_percent(w, w->bloom),
		  "% of a VM's pages");
}

static void measure_threads(struct work *w, const struct options *o)
{
	double entries = (double)w->l.n_entries;
	struct bench_case cases[] = {
		{ "groups, one thread", groups_1, w, entries, 0 },
		{ "groups, two threads", groups_2, w, entries, 0 },
	};
	struct bench_report report;

	bench_run(cases, 2, o->bench.rounds, CLOCK_MONOTONIC);
	check_groups(w);
	bench_begin(&report, &o->bench, "matrix", "the same by the clock on the wall",
		    cases[0].what);
	bench_rows(&report, cases, 2, "ns a page-digest");
	if (o->ours)
		return;
	/* What threads cost each other, on a machine that has no free cores. */
	bench_run(cases, 2, o->bench.rounds, CLOCK_PROCESS_CPUTIME_ID);
	cases[0].what = "one thread, CPU time";
	cases[1].what = "two threads, CPU time of both";
	report.base = cases[0].what;
	bench_rows(&report, cases, 2, "ns a page-digest");
}

static void measure_unions(struct work *w, const struct options *o)
{
	double entries = (double)w->l.n_entries;
	struct bench_case cases[] = {
		{ "from the groups", unions_of_groups, w, entries, 0 },
		{ "merging the hosts' lists", unions_of_lists, w, entries, 0 },
	};
	struct bench_report report;
	char note[120];

	bench_run(cases, 2, o->bench.rounds, CLOCK_PROCESS_CPUTIME_ID);
	must(memcmp(w->unions, w->merged_unions, w->hosts * sizeof(*w->unions)) == 0,
	     "unions by groups and by lists differ");
	snprintf(note, sizeof(note), "distinct pages of each of %u hosts", w->hosts);
	bench_begin(&report, &o->bench, "union", note, cases[0].what);
	bench_rows(&report, cases, 2, "ns a page-digest");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	int r = 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->bench;
		break;
	case OPT_VMS:
		r = mb_parse_u64(arg, 2, 20000, "--vms", &o->vms, &err);
		break;
	case OPT_PAGES:
		r = mb_parse_u64(arg, 1000, 1 << 24, "--pages", &o->pages, &err);
		break;
	case OPT_OURS:
		o->ours = true;
		break;
	case OPT_FLEET:
		o->fleet = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "vms", OPT_VMS, "N", 0, "VMs (1000)", 0 },
		{ "pages", OPT_PAGES, "N", 0, "distinct pages of each (65536)", 0 },
		{ "ours", OPT_OURS, 0, 0, "the server's way only, and quickly", 0 },
		{ "fleet", OPT_FLEET, "NAME", 0, "of server/plan/synth_fleet.h (hard)", 0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &bench_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, NULL, NULL, children, NULL, NULL };
	struct options o = { .bench.rounds = 5, .vms = 1000, .pages = 65536, .fleet = "hard" };
	struct work w = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	prepare(&w, &o);
	measure_matrix(&w, &o);
	measure_threads(&w, &o);
	if (!o.ours)
		measure_unions(&w, &o);
	release(&w);
	return 0;
}
