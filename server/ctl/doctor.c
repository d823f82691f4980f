// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbctl doctor`: what is wrong with the fleet, and what mends it. */
#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/findings.h"
#include "server/ctl/asking.h"
#include "server/ctl/ksm_gap.h"

enum { KSM_MAX = 1024, NAME_MAX_BYTES = 128 };

struct options {
	struct mb_ctl_asking asking;
	const char *of;
	char stale[24]; /* seconds; "": by each VM's own pace */
	struct {
		char host[NAME_MAX_BYTES];
		const char *path;
	} ksm[KSM_MAX];
	size_t n_ksm;
};

/* "HOST=FILE" */
static int parse_ksm(const char *text, struct options *o, struct mb_err *err)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text || !eq[1] || eq - text >= NAME_MAX_BYTES)
		return mb_fail(err, EINVAL, "--ksm %.80s: HOST=FILE is wanted", text);
	if (o->n_ksm == KSM_MAX)
		return mb_fail(err, E2BIG, "--ksm: more than %d", KSM_MAX);
	snprintf(o->ksm[o->n_ksm].host, NAME_MAX_BYTES, "%.*s", (int)(eq - text), text);
	o->ksm[o->n_ksm++].path = eq + 1;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	uint64_t stale_ns;
	struct mb_err err;
	int r = 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->asking;
		return 0;
	case 'k':
		r = parse_ksm(arg, o, &err);
		break;
	case 't':
		r = mb_parse_duration_ns(arg, "--stale", &stale_ns, &err);
		if (r == 0 && stale_ns < 1000000000)
			r = mb_fail(&err, ERANGE, "--stale: a second at least");
		if (r == 0)
			snprintf(o->stale, sizeof(o->stale), "%" PRIu64, stale_ns / 1000000000);
		break;
	case ARGP_KEY_ARG:
		mb_ctl_take_argument(&o->of, arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return 0;
}

/* What the hosts' own doctors say, against the server's word. */
static int compare(const struct options *o, struct mb_findings *found, struct mb_err *err)
{
	mb_cleanup(mb_ctl_json_unref) json_t *share = NULL;
	int r = o->n_ksm ? mb_ctl_get(o->asking.server, "/v1/share", NULL, &share, err) : 0;

	for (size_t i = 0; i < o->n_ksm && r == 0; i++) {
		mb_cleanup(mb_ctl_json_unref) json_t *file = NULL;

		r = mb_ctl_ksm_read(o->ksm[i].path, &file, err);
		if (r == 0)
			r = mb_ctl_ksm_compare(share, o->ksm[i].host, file, mb_unix_ns() / 1000000,
					       found, err);
	}
	return r;
}

static int print(const struct options *o, json_t *root, const struct mb_findings *found,
		 struct mb_err *err)
{
	if (!o->asking.json) {
		mb_findings_print(found, stdout);
		return fflush(stdout) == 0 ? 0 : mb_fail(err, errno, "standard output: %m");
	}
	if (json_object_set_new(root, "findings", mb_findings_to_json(found)) < 0 ||
	    json_object_set_new(
		    root, "problems",
		    json_integer((json_int_t)mb_findings_count(found, MB_SEVERITY_PROBLEM))) < 0)
		return mb_fail_mem(err, "an answer");
	return mb_ctl_print(root, true, NULL, err);
}

static int run(const struct options *o, struct mb_findings *found, struct mb_err *err)
{
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_ctl_param params[3] = { { NULL, NULL } };
	size_t n = 0;
	int r;

	if (o->of)
		params[n++] = (struct mb_ctl_param){ "of", o->of };
	if (*o->stale)
		params[n++] = (struct mb_ctl_param){ "stale_s", o->stale };
	r = mb_ctl_get(o->asking.server, "/v1/doctor", params, &root, err);
	if (r == 0)
		r = mb_findings_from_json(json_object_get(root, "findings"), found, err);
	if (r == 0)
		r = compare(o, found, err);
	if (r < 0)
		return r;
	mb_findings_sort(found);
	return print(o, root, found, err);
}

int mb_ctl_doctor(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "ksm", 'k', "HOST=FILE", 0,
		  "Hold what the VMs of a host could save against what KSM has merged there: FILE "
		  "is "
		  "what `mbagent doctor --json` printed on that host. As often as there are such",
		  0 },
		{ "stale", 't', "TIME", 0,
		  "An agent is stale without an epoch for so long (default: three times as long as "
		  "its last ones were apart, three minutes at least)",
		  0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = mb_ctl_asking_children,
		.args_doc = "[VM|HOST]",
		.doc = "Says what is wrong with the fleet, or with one VM or the VMs of one host, "
		       "and "
		       "the command that mends it: agents that are silent or refused, trackers "
		       "that miss pages, VMs that are not compared, hosts that planners do not "
		       "know, a server that cannot keep what comes. Changes nothing."
		       "\vExit codes: 0 nothing is wrong, 1 there are problems, 2 it could not "
		       "look, "
		       "or wrong usage. docs/doctor.md has every finding.",
	};
	mb_cleanup(mb_findings_deinit) struct mb_findings found = { 0 };
	static struct options o;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = run(&o, &found, &err);
	mb_ctl_end(r, &err);
	return r < 0 ? MB_EXIT_USAGE : mb_findings_exit_code(&found);
}
