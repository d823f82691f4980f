// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/reports.h"
#include "proto/churn/bench.h"
#include "server/ctl/analysis.h"
#include "server/ctl/ctl.h"
#include "server/ctl/trace_churn.h"

struct options {
	char **files; /* in argv */
	size_t n_files;
	uint32_t bits;
	bool bits_given, delta, json;
	struct mb_reports reports;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint64_t bits;

	switch (key) {
	case 'd':
		o->delta = true;
		return 0;
	case 'b':
		if (mb_parse_u64(arg, 0, 64, "--bits", &bits, &err) < 0 ||
		    (bits != 64 && bits != 48 && bits != 32))
			argp_error(state, "--bits: \"%s\" is none of 64, 48, 32", arg);
		o->bits = (uint32_t)bits;
		o->bits_given = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->reports;
		return 0;
	case ARGP_KEY_ARGS:
		o->files = state->argv + state->next;
		o->n_files = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (!o->n_files)
			argp_error(state, "name at least one trace");
		if (o->bits_given && !o->delta)
			argp_error(state, "--bits goes with --delta only");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Figures of benchmarks: each trace is a run. */
static int add_metrics(const struct options *o, json_t *root, struct mb_err *err)
{
	json_t *metrics = json_object();
	int r = json_object_set_new(root, "metrics", metrics) < 0 ? mb_fail_mem(err, "figures") : 0;

	for (size_t i = 0; i < o->n_files && r == 0; i++)
		r = mb_trace_churn(o->files[i], metrics, err);
	if (r == 0 &&
	    (mb_bench_end(metrics) < 0 ||
	     json_object_set_new(root, "name",
				 json_string(o->reports.name ? o->reports.name : "analyze")) < 0))
		r = mb_fail(err, EINVAL, "--name is no UTF-8");
	return r;
}

/* Figures of benchmarks take a second reading. */
static bool reads_stdin(const struct options *o)
{
	for (size_t i = 0; i < o->n_files; i++)
		if (strcmp(o->files[i], "-") == 0)
			return true;
	return false;
}

static void print_gate(const json_t *root)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(root, "gate"), "checks"), i, c) printf(
		"%s %s\n", json_is_true(json_object_get(c, "failed")) ? "WORSE  " : "ok     ",
		json_string_value(json_object_get(c, "text")));
}

static int report(const struct options *o, json_t *root, bool *ret_worse, struct mb_err *err)
{
	mb_cleanup(mb_ctl_json_unref) json_t *baseline = NULL;
	bool asked = o->reports.name || o->reports.github || o->reports.bencher ||
		      o->reports.junit || o->reports.baseline;
	int r = mb_reports_read_baseline(&o->reports, &baseline, err);

	*ret_worse = false;
	if (r == 0 && asked && reads_stdin(o))
		r = mb_fail(err, EINVAL, "-: a benchmark needs a file, which it reads twice");
	if (r == 0 && (asked || (o->json && !reads_stdin(o))))
		r = add_metrics(o, root, err);
	if (r == 0)
		r = mb_reports_hold(&o->reports, baseline, root, ret_worse, err);
	if (r == 0 && !mb_reports_use_stdout(&o->reports)) {
		r = mb_ctl_print(root, o->json, mb_render_analyze, err);
		if (r == 0 && !o->json)
			print_gate(root);
	}
	return r < 0 ? r : mb_reports_write(&o->reports, root, err);
}

int mb_ctl_analyze(int argc, char **argv)
{
	static const struct argp_child children[] = { { &mb_reports_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp_option options[] = {
		{ "delta", 'd', NULL, 0, "Also make the delta from each trace to the next", 0 },
		{ "bits", 'b', "64|48|32", 0, "Bits of each digest in a delta (default 64)", 0 },
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "FILE...",
		.children = children,
		.doc = "What traces share with themselves and with each other. FILE is a trace "
		       "of the seed project (one decimal hash per line) or a compact one; "
		       "either may be packed with zstd. Each epoch of a compact trace counts as "
		       "one, named FILE#EPOCH.\v"
		       "pages counts every copy, distinct each digest once; self = pages - "
		       "distinct, of which the zero page's copies are shown apart. inter = "
		       "digests that both have: the saving that placement decides. overlap = "
		       "the sum of the smaller number of copies: the seed's \"sharing "
		       "predicted\". saving = pages of both minus distinct digests of both "
		       "together.\n\n"
		       "Files and pairs are compared by the digests that the traces hold. For "
		       "--delta, raw ones are first keyed, with a fixed key, and cut to --bits, "
		       "since that is what an agent would send; --bits 32 sends raw "
		       "SuperFastHash as it is (seed traces only). Traces that were recorded "
		       "keyed are used as they are.\n\n"
		       "For benchmarks each FILE is one run: its pages, and what changed from "
		       "epoch "
		       "to epoch (docs/ci.md). Exit code 123: a metric is worse than --fail-above "
		       "allows.",
	};
	struct options o = { .bits = 64 };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	bool worse = false;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_load_traces(&loads, o.files, o.n_files, &err);
	if (r == 0)
		r = mb_analysis_make(&loads, o.delta ? o.bits : 0, &root, &err);
	if (r == 0)
		r = report(&o, root, &worse, &err);
	return r == 0 && worse ? MB_EXIT_WORSE : mb_ctl_end(r, &err);
}
