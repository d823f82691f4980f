// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/reports.h"
#include "proto/churn/churn_report.h"
#include "server/ctl/asking.h"

struct options {
	struct mb_ctl_asking asking;
	const char *of;
	uint64_t since_ns;
	struct mb_reports reports;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 't':
		if (mb_parse_duration_ns(arg, "--since", &o->since_ns, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->asking;
		state->child_inputs[1] = &o->reports;
		return 0;
	case ARGP_KEY_ARG:
		mb_ctl_take_argument(&o->of, arg, state);
		return 0;
	case ARGP_KEY_END:
		o->of = o->of ? o->of : "fleet";
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int render(const json_t *root, FILE *to, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };

	mb_churn_text(root, &text);
	fwrite(text.data, 1, text.len, to);
	return mb_buf_check(&text, "a report", err);
}

int mb_ctl_churn(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "since", 't', "TIME", 0, "How far to look back: 10m, 2h, 7d (default 1h)", 0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &mb_ctl_asking_argp, 0, NULL, 0 },
						      { &mb_reports_churn_argp, 0, NULL, 0 },
						      { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "[VM|HOST|fleet]",
		.doc = "What changed in a VM, in those of a host or in all, how much they had in "
		       "common meanwhile, and what of their sharing lasted, by their last epochs, "
		       "as many as the server still has (64 at most). Of a VM alone also who "
		       "dirtied memory. docs/churn.md says what the figures mean.",
	};
	struct options o = { .since_ns = 3600000000000 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	char since[24];
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	snprintf(since, sizeof(since), "%" PRIu64, o.since_ns / 1000000000);
	r = mb_ctl_get(o.asking.server, "/v1/churn",
		       (const struct mb_ctl_param[]){
			       { "of", o.of }, { "since_s", since }, { NULL, NULL } },
		       &root, &err);
	if (r == 0 && !mb_reports_use_stdout(&o.reports))
		r = mb_ctl_print(root, o.asking.json, render, &err);
	if (r == 0)
		r = mb_reports_write(&o.reports, root, &err);
	return mb_ctl_end(r, &err);
}
