// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/schedule.h"

#include "proto/base/cli.h"
#include "proto/msg.h"

enum { OPT_EPOCHS = 512 };

static const struct argp_option options[] = {
	{ "vm", 'n', "NAME", 0, "the VM's name in the fleet (a trace's own, or the host name)", 0 },
	{ "interval", 'i', "TIME", 0,
	  "from one epoch's start to the next: 500ms, 10s, 2m; 0: without a pause (60s)", 0 },
	{ "epochs", OPT_EPOCHS, "N", 0,
	  "end when N epochs are taken (and acked); 0: go on (run: 0, record: 1)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_schedule *s = state->input;
	struct mb_err err = { 0 };
	int r = 0;

	switch (key) {
	case 'n':
		r = mb_name_check(arg, "VM", &err);
		s->vm = arg;
		break;
	case 'i':
		r = mb_parse_duration_ns(arg, "--interval", &s->interval_ns, &err);
		break;
	case OPT_EPOCHS:
		r = mb_parse_u64(arg, 0, UINT32_MAX, "--epochs", &s->epochs, &err);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return 0;
}

const struct argp mb_schedule_argp = { .options = options, .parser = parse };
