// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/ctl.h"
#include "server/ctl/measure.h"

struct options {
	char **files; /* in argv */
	size_t n_files;
	bool json;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	(void)arg;
	switch (key) {
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_ARGS:
		o->files = state->argv + state->next;
		o->n_files = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (!o->n_files)
			argp_error(state, "name at least two traces");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int mb_ctl_succinct(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "FILE FILE...",
		.doc = "Makes the fingerprints of traces smaller, in the ways that agents can "
		       "(mbagent run --sample, --bloom) and as the paper's Bloom filters, and "
		       "holds "
		       "the sharing that these say against what it is. FILE as for mbctl analyze; "
		       "raw digests are first keyed, as an agent would.\v"
		       "docs/succinct.md has what this says of the original project's traces, "
		       "beside the paper's figures. Comparing is timed for a ratio to comparing "
		       "all "
		       "digests in the same run.",
	};
	struct options o = { 0 };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = mb_load_traces(&loads, o.files, o.n_files, &err);
	if (r == 0)
		r = mb_succinct_measure(&loads, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.json, mb_render_succinct, &err);
	return mb_ctl_end(r, &err);
}
