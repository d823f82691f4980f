// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent doctor`: why memory that could be merged is not, and what mends it. */
#include <argp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/cmd.h"
#include "agent/doctor.h"
#include "agent/doctor_predict.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/log.h"

enum { OPT_BTF = 1, OPT_ROOT };
enum { SOURCES_MAX = 1024 };

struct options {
	struct {
		int pid;
		bool all;
	} sources[SOURCES_MAX];
	size_t n_sources;
	const char *root;
	struct mb_tracker_options tracker;
	bool json;
};

static const struct argp_option options[] = {
	{ "source", 's', "process:PID[,ram|all]", 0,
	  "a process whose memory is read, page by page, and held against what KSM has merged of "
	  "it: a VM monitor's guest RAM (ram, the default), or all its private memory. As often as "
	  "there are such. Without it, every VM monitor is looked at, and no memory is read",
	  0 },
	{ "btf", OPT_BTF, "FILE", 0, "the kernel's types for tracker bpf, as for mbagent run", 0 },
	{ "root", OPT_ROOT, "DIR", 0,
	  "look at a copy of another machine's /proc and /sys in DIR, as from a bug report: no "
	  "memory is read, no tracker tried",
	  0 },
	{ "json", 'j', 0, 0, "JSON (docs/json.md); `mbctl doctor --ksm HOST=FILE` reads it", 0 },
	{ 0 },
};

/* "process:4711,all" */
static int parse_source(const char *text, struct options *o, struct mb_err *err)
{
	static const char scheme[] = "process:";
	const char *number = text + sizeof(scheme) - 1, *mode;
	char digits[24];
	uint64_t pid;
	int r;

	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return mb_fail(err, EINVAL, "--source %.60s: process:PID[,ram|all] is wanted",
			       text);
	mode = number + strcspn(number, ",");
	if (*mode && strcmp(mode, ",all") != 0 && strcmp(mode, ",ram") != 0)
		return mb_fail(err, EINVAL, "--source: \"%.40s\" is neither ram nor all", mode + 1);
	if (o->n_sources == SOURCES_MAX)
		return mb_fail(err, E2BIG, "--source: more than %d", SOURCES_MAX);
	snprintf(digits, sizeof(digits), "%.*s", (int)MB_MIN(mode - number, 23), number);
	r = mb_parse_u64(digits, 1, INT_MAX, "--source: PID", &pid, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->n_sources; i++)
		if (o->sources[i].pid == (int)pid)
			return mb_fail(err, EINVAL, "--source: process %d twice", (int)pid);
	o->sources[o->n_sources].pid = (int)pid;
	o->sources[o->n_sources++].all = strcmp(mode, ",all") == 0;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 's':
		if (parse_source(arg, o, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	case OPT_BTF:
		o->tracker.btf = arg;
		return 0;
	case OPT_ROOT:
		o->root = arg;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int gather_processes(struct mb_doctor *d, const struct options *o, struct mb_err *err)
{
	const char *root = o->root ? o->root : "";
	int r = 0;

	d->chosen = o->n_sources > 0;
	if (!d->chosen) {
		r = mb_doctor_process_find(&d->processes, root, &d->unreadable, &d->why_unreadable);
		if (r < 0 && err)
			*err = d->why_unreadable;
		return r;
	}
	for (size_t i = 0; i < o->n_sources && r == 0; i++)
		r = mb_doctor_process_add(&d->processes, root, o->sources[i].pid, o->sources[i].all,
					  err);
	if (r < 0 || o->root)
		return r;
	r = mb_doctor_predict(&d->processes, &d->gap, &d->has_frames, err);
	d->has_gap = r == 0;
	return r;
}

static int run(const struct options *o, struct mb_doctor *d, struct mb_findings *f,
	       struct mb_err *err)
{
	json_t *root;
	int r = gather_processes(d, o, err);

	/* Settings last: ksmd goes on while memory is read. */
	if (r == 0)
		r = mb_doctor_host_read(&d->host, o->root ? o->root : "", err);
	if (r < 0)
		return r;
	if (!o->root)
		mb_doctor_try_trackers(d, &o->tracker);
	r = mb_doctor_judge(d, f, err);
	if (r < 0)
		return r;
	if (!o->json) {
		mb_findings_print(f, stdout);
	} else {
		root = mb_doctor_to_json(d, f);
		if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) < 0)
			r = mb_fail_mem(err, "an answer");
		json_decref(root);
		putchar('\n');
	}
	if (fflush(stdout) != 0)
		r = mb_fail(err, errno, "standard output: %m");
	return r;
}

int mb_cmd_doctor(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		NULL,
		"Says why memory that could be merged is not (KSM is off or slow, memory is not "
		"marked for "
		"it, huge pages, NUMA), what each reason costs, and the command that mends it; and "
		"why "
		"trackers do not work here. Changes nothing."
		"\vExit codes: 0 nothing is wrong, 1 there are problems, 2 it could not look, or "
		"wrong usage. docs/doctor.md has every finding.",
		NULL,
		NULL,
		NULL,
	};
	mb_cleanup(mb_findings_deinit) struct mb_findings findings = { 0 };
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d = { 0 };
	struct options o = { 0 };
	struct mb_err err = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (run(&o, &d, &findings, &err) < 0) {
		mb_error("%s", err.text);
		return MB_EXIT_USAGE;
	}
	return mb_findings_exit_code(&findings);
}
