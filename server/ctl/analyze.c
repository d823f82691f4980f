// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/analysis.h"
#include "server/ctl/ctl.h"

struct options {
	char **files; /* in argv */
	size_t n_files;
	uint32_t bits;
	bool bits_given, delta, json;
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

static int load_all(const struct options *o, struct mb_loads *loads, struct mb_err *err)
{
	struct mb_load_progress progress = { .n_files = o->n_files };
	int r = 0;

	mb_progress_begin(&progress.bar, "reading traces");
	for (size_t i = 0; i < o->n_files && r == 0; i++) {
		progress.file = i;
		r = mb_load_trace(loads, o->files[i], false, &progress, err);
	}
	mb_progress_end(&progress.bar);
	return r;
}

int mb_ctl_analyze(int argc, char **argv)
{
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
		       "keyed are used as they are.",
	};
	struct options o = { .bits = 64 };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = load_all(&o, &loads, &err);
	if (r == 0)
		r = mb_analysis_make(&loads, o.delta ? o.bits : 0, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.json, mb_render_analyze, &err);
	return mb_ctl_end(r, &err);
}
