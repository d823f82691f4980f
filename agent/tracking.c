// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tracking.h"

#include <stdlib.h>

#include "agent/rehash.h"
#include "proto/base/cli.h"
#include "proto/who.h"

enum { OPT_TRACKER = 768, OPT_AUDIT, OPT_REHASH, OPT_BUDGET, OPT_WHO, OPT_BTF };

const struct mb_tracking mb_tracking_default = {
	.tracker = "auto",
	.audit_every = 60,
	.rehash_every = 16,
	.budget = .01,
	.who = 16,
};

static const struct argp_option options[] = {
	{ "tracker", OPT_TRACKER, "NAME", 0,
	  "how to know which pages were written to: bpf, softdirty, none (every epoch reads all), "
	  "or auto: the best that works, as `mbagent check` says (auto)",
	  0 },
	{ "audit", OPT_AUDIT, "N", 0,
	  "every so many epochs all pages are read, and what the tracker has missed is counted and "
	  "put right; 0: only when it doubts itself (60)",
	  0 },
	{ "rehash", OPT_REHASH, "N", 0,
	  "pages of the kernel's own that no tracker follows and that do not change are read every "
	  "N epochs at most, a power of 2 up to 64; more often if audits find them stale; 1: every "
	  "time (16)",
	  0 },
	{ "budget", OPT_BUDGET, "PERCENT", 0,
	  "CPU time that all this may take in the long run, in percent of one core, from 0.001 on; "
	  "the interval is stretched to keep to it, and that is said; 0: as much as it takes (1; "
	  "0 with --interval 0, and for traces and core files)",
	  0 },
	{ "who", OPT_WHO, "N", 0,
	  "tracker bpf counts which processes dirty memory, by a sample; the names of the N that "
	  "do "
	  "most go to the server with each delta, at most 64, the rest in one; 0: it does not "
	  "count "
	  "(16)",
	  0 },
	{ "btf", OPT_BTF, "FILE", 0,
	  "the kernel's types for tracker bpf, where the kernel does not tell them: of this very "
	  "kernel, raw or in an ELF file; its hooks are kprobes then",
	  0 },
	{ 0 },
};

static int parse_budget(const char *arg, double *ret, struct mb_err *err)
{
	char *end;
	double percent = strtod(arg, &end);

	if (end == arg || (*end && !(end[0] == '%' && !end[1])) || !(percent >= 0) ||
	    !(percent <= 100) || (percent > 0 && percent < .001))
		return mb_fail(err, EINVAL, "--budget %s: percent of a core, 0 or 0.001 to 100",
			       arg);
	*ret = percent / 100;
	return 0;
}

static int parse_period(const char *arg, uint32_t *ret, struct mb_err *err)
{
	uint64_t n;
	int r = mb_parse_u64(arg, 1, MB_REHASH_PERIOD_MAX, "--rehash", &n, err);

	if (r == 0 && n & (n - 1))
		r = mb_fail(err, EINVAL, "--rehash %s: not a power of 2", arg);
	if (r == 0)
		*ret = (uint32_t)n;
	return r;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_tracking *t = state->input;
	struct mb_err err = { 0 };
	uint64_t n = 0;
	int r = 0;

	switch (key) {
	case OPT_TRACKER:
		t->tracker = arg;
		break;
	case OPT_AUDIT:
		r = mb_parse_u64(arg, 0, UINT32_MAX, "--audit", &t->audit_every, &err);
		break;
	case OPT_REHASH:
		r = parse_period(arg, &t->rehash_every, &err);
		break;
	case OPT_BUDGET:
		r = parse_budget(arg, &t->budget, &err);
		t->budget_given = true;
		break;
	case OPT_WHO:
		r = mb_parse_u64(arg, 0, MB_WHO_ROWS_MAX, "--who", &n, &err);
		t->who = (uint32_t)n;
		break;
	case OPT_BTF:
		t->btf = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return -r;
}

const struct argp mb_tracking_argp = { .options = options, .parser = parse };

double mb_tracking_budget(const struct mb_tracking *t, bool live, uint64_t interval_ns)
{
	return t->budget_given || (live && interval_ns) ? t->budget : 0;
}
