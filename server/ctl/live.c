// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>

#include "server/ctl/asking.h"

struct options {
	struct mb_ctl_asking asking;
	const char *vm, *limit;
	bool who, exact;
	bool wants_vm;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->asking;
		return 0;
	case 'x':
		o->exact = true;
		return 0;
	case 'w':
		o->who = true;
		return 0;
	case 'n':
		mb_ctl_take_limit(&o->limit, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		if (!o->wants_vm)
			argp_error(state, "\"%s\" is too much", arg);
		mb_ctl_take_argument(&o->vm, arg, state);
		return 0;
	case ARGP_KEY_END:
		if (o->wants_vm && !o->vm)
			argp_error(state, "name the VM");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int mb_ctl_status(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_option,
		.children = mb_ctl_asking_children,
		.doc = "The server, its hosts, and every VM's last epoch: pages, distinct digests, "
		       "zero pages and self-sharing apart.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return mb_ctl_ask_for(&o.asking, "/v1/status", NULL, mb_render_status);
}

int mb_ctl_share(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "exact", 'x', NULL, 0,
		  "No estimates: have the server read what its memory budget keeps out", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = mb_ctl_asking_children,
		.doc = "What VMs share: per trust domain the self-sharing of each VM, the inter-VM "
		       "sharing of each two, and per host what its VMs save together. More than 12 "
		       "VMs: the 20 strongest pairs; --json has all.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return mb_ctl_ask_for(
		&o.asking, "/v1/share",
		(const struct mb_ctl_param[]){ { o.exact ? "exact" : NULL, "1" }, { NULL, NULL } },
		mb_render_share);
}

int mb_ctl_history(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "limit", 'n', "N", 0, "Show the last N epochs (default 20)", 0 },
		{ "who", 'w', NULL, 0,
		  "Show which processes dirtied memory in these epochs, and by what", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.children = mb_ctl_asking_children,
		.args_doc = "VM",
		.doc = "Sharing and churn of one VM, one line per epoch, the newest last. Times "
		       "are "
		       "local; churn is the share of pages whose digest changed.",
	};
	struct options o = { .wants_vm = true, .limit = "20" };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return mb_ctl_ask_for(&o.asking, "/v1/history",
			      (const struct mb_ctl_param[]){ { "vm", o.vm },
							     { "limit", o.limit },
							     { o.who ? "who" : NULL, "1" },
							     { NULL, NULL } },
			      o.who ? mb_render_who : mb_render_history);
}

int mb_ctl_audits(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_option,
		.children = mb_ctl_asking_children,
		.doc = "How far trackers can be trusted: what the last audit of each VM, a full "
		       "walk, found that an incremental pass would have missed. By tracker, then "
		       "by VM, the worst first; at most 25 VMs, --json has all.",
	};
	struct options o = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	return mb_ctl_ask_for(&o.asking, "/v1/audits", NULL, mb_render_audits);
}
