// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/asking.h"

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_ctl_asking *a = state->input;
	struct mb_err err;

	switch (key) {
	case 's':
		a->server = arg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case ARGP_KEY_END:
		a->server = mb_ctl_server(a->server);
		if (mb_ctl_server_check(a->server, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "server", 's', "URL", 0,
	  "Server to ask (default: $MBCTL_SERVER, else " MB_CTL_SERVER_DEFAULT ")", 0 },
	{ "json", 'j', NULL, 0, "Print the server's JSON (docs/json.md)", 0 },
	{ 0 },
};

static const struct argp_child trust[] = { { &mb_ctl_trust_argp, 0, NULL, 0 }, { 0 } };

const struct argp mb_ctl_asking_argp = { .options = options, .parser = parse, .children = trust };

const struct argp_child mb_ctl_asking_children[] = { { &mb_ctl_asking_argp, 0, NULL, 0 }, { 0 } };

void mb_ctl_take_argument(const char **to, const char *arg, struct argp_state *state)
{
	if (*to)
		argp_error(state, "\"%s\" is too much", arg);
	*to = arg;
}

void mb_ctl_take_limit(const char **to, const char *arg, struct argp_state *state)
{
	struct mb_err err;
	uint64_t limit;

	if (mb_parse_u64(arg, 1, 100000, "--limit", &limit, &err) < 0)
		argp_error(state, "%s", err.text);
	*to = arg;
}

int mb_ctl_ask_for(const struct mb_ctl_asking *a, const char *path,
		   const struct mb_ctl_param *params, mb_render_fn render)
{
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r = mb_ctl_get(a->server, path, params, &root, &err);

	if (r == 0)
		r = mb_ctl_print(root, a->json, render, &err);
	return mb_ctl_end(r, &err);
}
