// SPDX-License-Identifier: GPL-2.0-or-later
/* `mbagent churn`: what a workload does to pages and to what they share, epoch by epoch. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/churn_run.h"
#include "agent/cmd.h"
#include "agent/printable.h"
#include "agent/workload.h"
#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/log.h"
#include "proto/base/reports.h"
#include "proto/churn/churn_json.h"
#include "proto/churn/churn_report.h"
#include "proto/churn/put.h"

struct options {
	struct mb_churn_plan plan;
	struct mb_reports reports;
	uint64_t repeat;
	bool json, quiet, interval_given;
};

enum { OPT_FOR = 1, OPT_EPOCHS, OPT_WARMUP, OPT_ASKS, OPT_REFERENCE, OPT_WINDOWS, OPT_REPEAT };

static const struct argp_option churn_options[] = {
	{ "interval", 'i', "TIME", 0, "from one epoch's start to the next (1s)", 10 },
	{ "for", OPT_FOR, "TIME", 0, "end after that time; COMMAND is told to end (SIGTERM)", 10 },
	{ "epochs", OPT_EPOCHS, "N", 0, "end after N epochs, the first one included", 10 },
	{ "warmup", OPT_WARMUP, "N", 0, "leave out the first N epochs (0)", 10 },
	{ "asks", OPT_ASKS, NULL, 0,
	  "COMMAND says itself when an epoch is due, so that what is measured does not depend on "
	  "speed: it writes a byte to the descriptor MB_EPOCH_ASK_FD in its environment, and reads "
	  "one from MB_EPOCH_DONE_FD",
	  10 },
	{ "repeat", OPT_REPEAT, "N", 0, "run it N times, up to 1000 (1)", 10 },
	{ "reference", OPT_REFERENCE, "TRACE", 0,
	  "also look for sharing with these contents: the last epoch of a trace, as of another VM, "
	  "or `mbctl reference` of a fleet; may be given several times",
	  11 },
	{ "windows", OPT_WINDOWS, "TIME,...", 0,
	  "how long pages must stay unchanged to count as durable (1m,5m,15m)", 11 },
	{ "json", 'j', NULL, 0, "JSON on standard output instead of text", 20 },
	{ "quiet", 'q', NULL, 0, "nothing on standard output", 20 },
	{ 0 },
};

static int parse_windows(char *arg, struct mb_churn_plan *p, struct mb_err *err)
{
	char *rest = arg, *word;

	p->n_windows = 0;
	while ((word = strsep(&rest, ","))) {
		uint64_t ns;
		int r = mb_parse_duration_ns(word, "--windows", &ns, err);

		if (r < 0)
			return r;
		if (p->n_windows == MB_CHURN_WINDOWS_MAX || !ns ||
		    (p->n_windows && ns <= p->windows_ns[p->n_windows - 1]))
			return mb_fail(err, EINVAL, "--windows: up to %d, ascending, above 0",
				       MB_CHURN_WINDOWS_MAX);
		p->windows_ns[p->n_windows++] = ns;
	}
	return 0;
}

/* What argp cannot know of each option alone. */
static void check(const struct options *o, struct argp_state *state)
{
	const struct mb_churn_plan *p = &o->plan;

	if (!p->command && strcmp(p->agent.source, MB_CHURN_COMMAND) == 0)
		argp_error(state, "--source is missing, or -- COMMAND");
	if (p->asks && !p->command)
		argp_error(state, "--asks goes with a COMMAND");
	if (p->asks && o->interval_given)
		argp_error(state, "--asks and --interval do not go together");
	if (p->tracking.budget_given)
		argp_error(state, "--budget: what is measured is not put off to save time");
	if (p->epochs == 1)
		argp_error(state, "--epochs: a change takes 2");
	if (!p->interval_ns && !p->asks)
		argp_error(state, "--interval: above 0");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_churn_plan *p = &o->plan;
	struct mb_err err = { 0 };
	int r = 0;

	switch (key) {
	case 'i':
		r = mb_parse_duration_ns(arg, "--interval", &p->interval_ns, &err);
		o->interval_given = true;
		break;
	case OPT_FOR:
		r = mb_parse_duration_ns(arg, "--for", &p->for_ns, &err);
		break;
	case OPT_EPOCHS:
		r = mb_parse_u64(arg, 0, MB_CHURN_EPOCHS_MAX, "--epochs", &p->epochs, &err);
		break;
	case OPT_WARMUP:
		r = mb_parse_u64(arg, 0, UINT32_MAX, "--warmup", &p->warmup, &err);
		break;
	case OPT_ASKS:
		p->asks = true;
		break;
	case OPT_REPEAT:
		r = mb_parse_u64(arg, 1, MB_BENCH_RUNS_MAX, "--repeat", &o->repeat, &err);
		break;
	case OPT_REFERENCE:
		if (p->n_references == MB_CHURN_REFERENCES_MAX)
			r = mb_fail(&err, EINVAL, "--reference: more than %d",
				    MB_CHURN_REFERENCES_MAX);
		else
			p->references[p->n_references++] = arg;
		break;
	case OPT_WINDOWS:
		r = parse_windows(arg, p, &err);
		break;
	case 'j':
		o->json = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &p->agent;
		state->child_inputs[1] = &p->tracking;
		state->child_inputs[2] = state->child_inputs[3] = &o->reports;
		break;
	case ARGP_KEY_ARGS:
		p->command = state->argv + state->next;
		break;
	case ARGP_KEY_SUCCESS:
		check(o, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (r < 0)
		argp_error(state, "%s", err.text);
	return 0;
}

static void on_refused(void *ctx, const char *name, const char *reason)
{
	(void)ctx;
	mb_warning("tracker %s: %s", name, reason);
}

/* --- the report ------------------------------------------------------------------------------- */

static const char *name_of(const struct options *o)
{
	const char *slash;

	if (o->reports.name)
		return o->reports.name;
	if (!o->plan.command)
		return o->plan.agent.source;
	slash = strrchr(o->plan.command[0], '/');
	return slash && slash[1] ? slash + 1 : o->plan.command[0];
}

static json_t *command_json(char *const *command)
{
	json_t *ret = command ? json_array() : json_null();

	for (; command && *command; command++)
		json_array_append_new(ret, mb_json_any_text(*command));
	return ret;
}

static json_t *reference_json(const struct mb_churn_plan *p)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };

	if (!p->n_references)
		return json_null();
	for (size_t i = 0; i < p->n_references; i++)
		mb_put(&text, "%s%s", i ? ", " : "", p->references[i]);
	return text.failed ? NULL : mb_json_any_text((const char *)text.data);
}

static json_t *report(const struct options *o, const struct mb_churn_result *first)
{
	const struct mb_churn_plan *p = &o->plan;
	json_t *windows = json_array();

	for (uint32_t w = 0; w < p->n_windows; w++)
		json_array_append_new(windows, json_real((double)p->windows_ns[w] / 1e9));
	return json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:[], s:{}}", "name",
			 mb_json_any_text(name_of(o)), "source", mb_json_any_text(first->source),
			 "command", command_json(p->command), "by",
			 first->by_frame ? "frame" : "content", "tracker", first->tracker,
			 "interval_s",
			 p->asks ? json_null() : json_real((double)p->interval_ns / 1e9),
			 "windows_s", windows, "reference", reference_json(p), "runs", "metrics");
}

/* The metrics are what the run's summary says. */
static int add_run(json_t *root, struct mb_churn_result *result, struct mb_err *err)
{
	const json_t *summary = json_object_get(result->run, "summary");
	int r = mb_churn_measure(summary, json_object_get(root, "metrics"));

	if (r == 0 &&
	    json_array_append_new(json_object_get(root, "runs"), mb_take_ptr(result->run)) < 0)
		r = -ENOMEM;
	return r < 0 ? mb_fail_mem(err, "a report") : 0;
}

static int run_all(const struct options *o, struct mb_ticker *ticker, json_t **ret,
		   int *ret_exit_code, struct mb_err *err)
{
	int r = 0;

	*ret_exit_code = 0;
	for (uint64_t i = 0; r == 0 && i < o->repeat && !ticker->stop; i++) {
		struct mb_churn_result result;

		if (o->repeat > 1 && o->plan.live)
			printf("run %llu of %llu\n", (unsigned long long)i + 1,
			       (unsigned long long)o->repeat);
		r = mb_churn_run(&o->plan, ticker, &result, err);
		if (r < 0) {
			*ret_exit_code = result.exit_code;
			return o->repeat > 1 ?
				       mb_fail_in(err, r, "run %llu", (unsigned long long)i + 1) :
				       r;
		}
		/* The first that failed is what is told. */
		*ret_exit_code = *ret_exit_code ? *ret_exit_code : result.exit_code;
		if (!*ret && !(*ret = report(o, &result)))
			r = mb_fail_mem(err, "a report");
		if (r == 0)
			r = add_run(*ret, &result, err);
		json_decref(result.run);
	}
	return r == 0 && mb_bench_end(json_object_get(*ret, "metrics")) < 0 ?
		       mb_fail_mem(err, "a report") :
		       r;
}

static int print(const struct options *o, json_t *root, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	int r;

	if (o->quiet || (mb_reports_use_stdout(&o->reports) && !o->json))
		return 0;
	if (o->json)
		return mb_reports_write(&(struct mb_reports){ .json = "-" }, root, err);
	fflush(stdout);
	mb_churn_text(root, &text);
	r = mb_buf_check(&text, "a report", err);
	if (r == 0 && (fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0))
		r = mb_fail(err, errno ? errno : EIO, "standard output: %m");
	return r;
}

/* Whoever is to run N times, or a command to its end, and was stopped has not done so. */
static int stopped(const struct options *o, const json_t *root, struct mb_err *err)
{
	const struct mb_churn_plan *p = &o->plan;
	size_t runs = json_array_size(json_object_get(root, "runs"));

	if (runs == o->repeat && !p->command && !p->for_ns && !p->epochs)
		return 0;
	return mb_fail(err, EINTR, "stopped in run %zu of %llu", runs,
		       (unsigned long long)o->repeat);
}

static int measure(const struct options *o, int *ret_exit_code, struct mb_err *err)
{
	mb_cleanup(mb_json_unrefp) json_t *baseline = NULL;
	mb_cleanup(mb_json_unrefp) json_t *root = NULL;
	struct mb_ticker ticker = { .fd = -1 };
	bool worse = false;
	int r;

	*ret_exit_code = MB_EXIT_MEASURING;
	r = mb_reports_read_baseline(&o->reports, &baseline, err);
	if (r == 0)
		r = mb_ticker_open(&ticker, err);
	if (r == 0)
		r = run_all(o, &ticker, &root, ret_exit_code, err);
	if (r < 0) {
		mb_ticker_close(&ticker);
		return r;
	}
	if (ticker.stop)
		r = stopped(o, root, err);
	else
		r = mb_reports_hold(&o->reports, baseline, root, &worse, err);
	mb_ticker_close(&ticker);
	/* What was measured is told, whatever it is worth. */
	if (print(o, root, r < 0 ? NULL : err) < 0 && r == 0)
		r = -EIO;
	if (mb_reports_write(&o->reports, root, r < 0 ? NULL : err) < 0 && r == 0)
		r = -EIO;
	if (r < 0)
		*ret_exit_code = MB_EXIT_MEASURING;
	else if (worse && !*ret_exit_code)
		*ret_exit_code = MB_EXIT_WORSE;
	return r;
}

int mb_cmd_churn(int argc, char **argv)
{
	static const struct argp_child children[] = { { &mb_agent_argp, 0, NULL, 0 },
						      { &mb_tracking_argp, 0, NULL, 0 },
						      { &mb_reports_argp, 0, NULL, 0 },
						      { &mb_reports_churn_argp, 0, NULL, 0 },
						      { 0 } };
	static const struct argp argp = {
		churn_options,
		parse,
		"[-- COMMAND [ARG...]]",
		"Says what COMMAND does to the pages of a source, and to what they share, epoch by "
		"epoch: pages dirtied, contents gained and lost, what of the sharing lasts. "
		"Without --source it reads the memory of COMMAND's own process; without COMMAND "
		"it measures until --for or --epochs, the end of a trace, or SIGINT."
		"\v"
		"Exit codes: COMMAND's own; 123: a metric is worse than --fail-above allows; 125: "
		"measuring failed, or wrong usage; 126: COMMAND cannot be run; 127: there is no "
		"such command. docs/churn.md says what the figures mean.",
		children,
		NULL,
		NULL,
	};
	struct options o = {
		.plan = { .agent = mb_agent_config_default,
			  .tracking = mb_tracking_default,
			  .interval_ns = 1000000000,
			  .windows_ns = { 60000000000, 300000000000, 900000000000 },
			  .n_windows = 3,
			  .refused = on_refused },
		.repeat = 1,
	};
	struct mb_err err = { 0 };
	int exit_code, r;

	/* 2 may be the command's. */
	argp_err_exit_status = MB_EXIT_MEASURING;
	o.plan.agent.source = MB_CHURN_COMMAND;
	/* What follows COMMAND is its own, as with env(1). */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	/* Raw digests belong to no trust domain, and so compare with those of traces. */
	if (!o.plan.agent.key_file && o.plan.agent.domain == mb_agent_config_default.domain)
		o.plan.agent.domain = "";
	o.plan.live = !o.quiet && !o.json && !mb_reports_use_stdout(&o.reports);
	signal(SIGPIPE, SIG_IGN);
	r = measure(&o, &exit_code, &err);
	if (r < 0)
		mb_agent_failed(&err);
	return exit_code;
}
