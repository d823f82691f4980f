// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/client.h"
#include "server/ctl/ctl.h"

struct options {
	const char *server, *fleet, *planner, *overcommit;
	struct mb_plan_options plan;
	bool json;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint64_t percent;

	switch (key) {
	case 's':
		o->server = arg;
		return 0;
	case 'f':
		o->fleet = arg;
		return 0;
	case 'p':
		o->planner = arg;
		return 0;
	case 'S':
		o->plan.strict = true;
		return 0;
	case 'o':
		if (mb_parse_u64(arg, 0, 1000, "--overcommit", &percent, &err) < 0)
			argp_error(state, "%s", err.text);
		o->plan.overcommit_percent = (uint32_t)percent;
		o->overcommit = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "\"%s\" is too much", arg);
		return 0;
	case ARGP_KEY_END:
		if (o->fleet && o->server)
			argp_error(state,
				   "--fleet plans without a server: not together with --server");
		/* A server may know other planners than we do. */
		if (o->fleet && !mb_planner_find(o->planner))
			argp_error(state, "no planner \"%s\" (--help lists them)", o->planner);
		if (o->fleet)
			return 0;
		o->server = mb_ctl_server(o->server);
		if (mb_ctl_server_check(o->server, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Lists the planners below the options. */
static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t n = 0;
	FILE *to;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC || !(to = open_memstream(&list, &n)))
		return (char *)(uintptr_t)text;
	fputs("Planners:\n", to);
	for (size_t i = 0; mb_planner_at(i); i++)
		fprintf(to, "  %-6s %s\n", mb_planner_at(i)->name, mb_planner_at(i)->summary);
	fclose(to);
	return list;
}

static int plan_live(const struct options *o, json_t **ret, struct mb_err *err)
{
	const struct mb_ctl_param params[] = {
		{ "planner", o->planner },
		{ "strict", o->plan.strict ? "1" : "0" },
		{ "overcommit", o->overcommit },
		{ NULL, NULL },
	};

	return mb_ctl_get(o->server, "/v1/plan", params, ret, err);
}

int mb_ctl_plan(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "fleet", 'f', "FILE", 0,
		  "Plan offline: hosts, VMs and their traces from a fleet file (the last epoch of "
		  "each trace)",
		  0 },
		{ "planner", 'p', "NAME", 0, "Planner to use (default best)", 0 },
		{ "strict", 'S', NULL, 0, "Planner seed: with the original's flaws mended", 0 },
		{ "overcommit", 'o', "PERCENT", 0,
		  "Count hosts as that much larger than they are, 0 to 1000 (default 0)", 0 },
		{ "server", 's', "URL", 0,
		  "Server to ask (default: $MBCTL_SERVER, else " MB_CTL_SERVER_DEFAULT ")", 0 },
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.doc = "Which VM should run on which host so that memory sharing saves most, and "
		       "the moves that get there, in order. A dry run: nothing is moved.\v",
		.help_filter = help_filter,
	};
	struct options o = { .planner = "best", .overcommit = "0" };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.fleet)
		r = mb_ctl_plan_offline(o.fleet, mb_planner_find(o.planner), &o.plan, &root, &err);
	else
		r = plan_live(&o, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.json, mb_render_plan, &err);
	return mb_ctl_end(r, &err);
}
