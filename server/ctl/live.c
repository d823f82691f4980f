// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/client.h"
#include "server/ctl/ctl.h"

struct options {
	const char *server, *vm, *limit;
	bool json, who, exact;
	bool wants_vm;
};

#define SERVER_HELP "Server to ask (default: $MBCTL_SERVER, else " MB_CTL_SERVER_DEFAULT ")"
#define JSON_HELP   "Print the server's JSON (docs/json.md)"

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;
	uint64_t limit;

	switch (key) {
	case 's':
		o->server = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'x':
		o->exact = true;
		return 0;
	case 'w':
		o->who = true;
		return 0;
	case 'n':
		if (mb_parse_u64(arg, 1, 100000, "--limit", &limit, &err) < 0)
			argp_error(state, "%s", err.text);
		o->limit = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (!o->wants_vm || o->vm)
			argp_error(state, "\"%s\" is too much", arg);
		o->vm = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->wants_vm && !o->vm)
			argp_error(state, "name the VM");
		o->server = mb_ctl_server(o->server);
		if (mb_ctl_server_check(o->server, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = { { &mb_ctl_trust_argp, 0, NULL, 0 }, { 0 } };

static const struct argp_option plain_options[] = {
	{ "server", 's', "URL", 0, SERVER_HELP, 0 },
	{ "json", 'j', NULL, 0, JSON_HELP, 0 },
	{ 0 },
};

static int ask(const struct options *o, const char *path, const struct mb_ctl_param *params,
	       mb_render_fn render)
{
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r = mb_ctl_get(o->server, path, params, &root, &err);

	if (r == 0)
		r = mb_ctl_print(root, o->json, render, &err);
	return mb_ctl_end(r, &err);
}

int mb_ctl_status(int argc, char **argv)
{
	static const struct argp argp = {
		.options = plain_options,
		.parser = parse_option,
		.children = children,
		.doc = "The server, its hosts, and every VM's last epoch: pages, distinct digests, "
		       "zero pages and self-sharing apart.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return ask(&o, "/v1/status", NULL, mb_render_status);
}

int mb_ctl_share(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "exact", 'x', NULL, 0,
		  "No estimates: have the server read what its memory budget keeps out", 0 },
		{ "server", 's', "URL", 0, SERVER_HELP, 0 },
		{ "json", 'j', NULL, 0, JSON_HELP, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.doc = "What VMs share: per trust domain the self-sharing of each VM, the inter-VM "
		       "sharing of each two, and per host what its VMs save together. More than 12 "
		       "VMs: the 20 strongest pairs; --json has all.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return ask(
		&o, "/v1/share",
		(const struct mb_ctl_param[]){ { o.exact ? "exact" : NULL, "1" }, { NULL, NULL } },
		mb_render_share);
}

int mb_ctl_history(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "limit", 'n', "N", 0, "Show the last N epochs (default 20)", 0 },
		{ "who", 'w', NULL, 0,
		  "Show which processes dirtied memory in these epochs, and by what", 0 },
		{ "server", 's', "URL", 0, SERVER_HELP, 0 },
		{ "json", 'j', NULL, 0, JSON_HELP, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = children,
		.args_doc = "VM",
		.doc = "Sharing and churn of one VM, one line per epoch, the newest last. Times "
		       "are "
		       "local; churn is the share of pages whose digest changed.",
	};
	struct options o = { .wants_vm = true, .limit = "20" };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return ask(&o, "/v1/history",
		   (const struct mb_ctl_param[]){ { "vm", o.vm },
						  { "limit", o.limit },
						  { o.who ? "who" : NULL, "1" },
						  { NULL, NULL } },
		   o.who ? mb_render_who : mb_render_history);
}

int mb_ctl_audits(int argc, char **argv)
{
	static const struct argp argp = {
		.options = plain_options,
		.parser = parse_option,
		.children = children,
		.doc = "How far trackers can be trusted: what the last audit of each VM, a full "
		       "walk, found that an incremental pass would have missed. By tracker, then "
		       "by VM, the worst first; at most 25 VMs, --json has all.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return ask(&o, "/v1/audits", NULL, mb_render_audits);
}
