// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/ctl.h"
#include "server/ctl/diff.h"

struct options {
	const char *traces[2];
	size_t n_traces;
	uint64_t ranges;
	bool json;
};

enum { RANGES_MAX = 1000000 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 'r':
		if (mb_parse_u64(arg, 0, RANGES_MAX, "--ranges", &o->ranges, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->n_traces == 2)
			argp_error(state, "\"%s\" is too much", arg);
		o->traces[o->n_traces++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->n_traces)
			argp_error(state, "name a trace, or two");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int mb_ctl_diff(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "ranges", 'r', "N", 0, "Show the N longest ranges of frames (default 20)", 0 },
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE[#EPOCH] [TRACE[#EPOCH]]",
		.doc = "What changed between two epochs of traces: contents gained and lost, and, "
		       "where frames are stable in both, which frames changed, came and went, by "
		       "class of page. Of a trace without #EPOCH its last epoch; of one trace "
		       "alone "
		       "the first and the last.",
	};
	struct options o = { .ranges = 20 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_diff_make(o.traces[0], o.traces[1], o.ranges, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.json, mb_render_diff, &err);
	return mb_ctl_end(r, &err);
}
