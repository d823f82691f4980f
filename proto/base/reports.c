// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/reports.h"

#include <fcntl.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/churn/bench_junit.h"
#include "proto/churn/churn_report.h"

enum {
	OPT_NAME = 1024,
	OPT_GITHUB,
	OPT_BENCHER,
	OPT_JUNIT,
	OPT_BASELINE,
	OPT_FAIL_ABOVE,
	OPT_METRIC,
	OPT_JSON_FILE,
	OPT_CSV,
	OPT_HTML,
};

/* A baseline of a thousand runs with their epochs. */
enum { BASELINE_BYTES_MAX = 256 << 20 };

static const struct argp_option options[] = {
	{ "name", OPT_NAME, "NAME", 0, "what the benchmark is called in reports", 20 },
	{ "github", OPT_GITHUB, "FILE", 0,
	  "write figures for github-action-benchmark, tool customSmallerIsBetter (-: standard "
	  "output, as for all of these)",
	  20 },
	{ "bencher", OPT_BENCHER, "FILE", 0, "write figures in Bencher Metric Format", 20 },
	{ "junit", OPT_JUNIT, "FILE", 0, "write JUnit XML", 20 },
	{ "baseline", OPT_BASELINE, "FILE", 0,
	  "JSON that this command wrote before, to hold figures against; goes with --fail-above",
	  21 },
	{ "fail-above", OPT_FAIL_ABOVE, "PERCENT", 0,
	  "end with exit code 123 when a metric is above the baseline's by more than that, beyond "
	  "noise: when the lower bound of the 95 % interval of its change is (Welch's t-test)",
	  21 },
	{ "metric", OPT_METRIC, "NAME", 0,
	  "a metric that is held against the baseline; may be given several times", 21 },
	{ 0 },
};

static const struct argp_option churn_options[] = {
	{ "json-file", OPT_JSON_FILE, "FILE", 0, "write all figures as JSON (docs/json.md)", 20 },
	{ "csv", OPT_CSV, "FILE", 0, "write a line an epoch as CSV", 20 },
	{ "html", OPT_HTML, "FILE", 0, "write a report with plots, one HTML file", 20 },
	{ 0 },
};

static int add_metric(struct mb_reports *r, const char *name, struct mb_err *err)
{
	if (r->gate.n_metrics == MB_GATE_METRICS_MAX)
		return mb_fail(err, EINVAL, "--metric: more than %d", MB_GATE_METRICS_MAX);
	r->gate.metrics[r->gate.n_metrics++] = name;
	return 0;
}

static int check_name(struct mb_reports *r, const char *name, struct mb_err *err)
{
	if (!*name || strlen(name) > MB_BENCH_NAME_MAX)
		return mb_fail(err, EINVAL, "--name: 1 to %d bytes", MB_BENCH_NAME_MAX);
	r->name = name;
	return 0;
}

static int parse_limit(struct mb_reports *r, const char *text, struct mb_err *err)
{
	int code = mb_gate_parse_limit(text, &r->gate.limit, err);

	r->has_limit = true;
	return code < 0 ? mb_fail_in(err, code, "--fail-above") : 0;
}

static int check_all(struct mb_reports *r, struct mb_err *err)
{
	if (r->has_limit != (r->baseline != NULL))
		return mb_fail(err, EINVAL, "--baseline and --fail-above go together");
	if (r->gate.n_metrics && !r->baseline)
		return mb_fail(err, EINVAL, "--metric goes with --baseline");
	return r->gate.n_metrics ? 0 : add_metric(r, "dirtied", err);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mb_reports *r = state->input;
	struct mb_err err = { 0 };
	int code = 0;

	switch (key) {
	case OPT_NAME:
		code = check_name(r, arg, &err);
		break;
	case OPT_GITHUB:
		r->github = arg;
		break;
	case OPT_BENCHER:
		r->bencher = arg;
		break;
	case OPT_JUNIT:
		r->junit = arg;
		break;
	case OPT_BASELINE:
		r->baseline = arg;
		break;
	case OPT_FAIL_ABOVE:
		code = parse_limit(r, arg, &err);
		break;
	case OPT_METRIC:
		code = add_metric(r, arg, &err);
		break;
	case ARGP_KEY_END:
		code = check_all(r, &err);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (code < 0)
		argp_error(state, "%s", err.text);
	return -code;
}

static error_t parse_churn(int key, char *arg, struct argp_state *state)
{
	struct mb_reports *r = state->input;

	switch (key) {
	case OPT_JSON_FILE:
		r->json = arg;
		return 0;
	case OPT_CSV:
		r->csv = arg;
		return 0;
	case OPT_HTML:
		r->html = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mb_reports_argp = { .options = options, .parser = parse };
const struct argp mb_reports_churn_argp = { .options = churn_options, .parser = parse_churn };

static bool is_stdout(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

bool mb_reports_use_stdout(const struct mb_reports *r)
{
	return is_stdout(r->github) || is_stdout(r->bencher) || is_stdout(r->junit) ||
	       is_stdout(r->json) || is_stdout(r->csv) || is_stdout(r->html);
}

/* --- the baseline ----------------------------------------------------------------------------- */

int mb_reports_read_baseline(const struct mb_reports *r, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	json_error_t why;
	int code;

	*ret = NULL;
	if (!r->baseline)
		return 0;
	code = mb_file_read(r->baseline, BASELINE_BYTES_MAX, &text, err);
	if (code < 0)
		return mb_fail_in(err, code, "--baseline");
	*ret = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return mb_fail(err, EINVAL, "--baseline %s: line %d: %s", r->baseline, why.line,
			       why.text);
	if (json_is_object(json_object_get(*ret, "metrics")))
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return mb_fail(err, EINVAL, "--baseline %s: no \"metrics\" in it", r->baseline);
}

int mb_reports_hold(const struct mb_reports *r, const json_t *baseline, json_t *root,
		    bool *ret_failed, struct mb_err *err)
{
	json_t *gate;
	int code;

	*ret_failed = false;
	if (!baseline)
		return 0;
	code = mb_gate(json_object_get(baseline, "metrics"), json_object_get(root, "metrics"),
		       &r->gate, &gate, err);
	if (code < 0)
		return mb_fail_in(err, code, "--baseline %s", r->baseline);
	*ret_failed = json_is_true(json_object_get(gate, "failed"));
	return json_object_set_new(root, "gate", gate) < 0 ? mb_fail_mem(err, "a report") : 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int write_text(const char *path, const struct mb_buf *text, struct mb_err *err)
{
	int fd = 1, r = mb_buf_check(text, "a report", err);

	if (r < 0)
		return r;
	if (!is_stdout(path))
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return mb_fail(err, errno, "%s: %m", path);
	r = mb_write_all(fd, text->data, text->len, err);
	if (fd != 1 && close(fd) < 0 && r == 0)
		r = mb_fail(err, errno, "%m");
	return r < 0 ? mb_fail_in(err, r, "%s", is_stdout(path) ? "standard output" : path) : 0;
}

static int write_json(const char *path, const json_t *root, struct mb_err *err)
{
	mb_autofree char *dump = json_dumps(root, JSON_INDENT(1));
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };

	if (!dump)
		return mb_fail_mem(err, "a report");
	mb_buf_put(&text, dump, strlen(dump));
	mb_buf_put_u8(&text, '\n');
	return write_text(path, &text, err);
}

static int write_by(const char *path, void (*make)(const json_t *root, struct mb_buf *to),
		    const json_t *root, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };

	if (!path)
		return 0;
	make(root, &text);
	return write_text(path, &text, err);
}

static int write_figures(const char *path,
			 int (*make)(const char *name, json_t *metrics, json_t **ret,
				     struct mb_err *err),
			 const json_t *root, struct mb_err *err)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	json_t *figures;
	int r;

	if (!path)
		return 0;
	r = make(name ? name : "", json_object_get(root, "metrics"), &figures, err);
	if (r < 0)
		return mb_fail_in(err, r, "%s", path);
	r = write_json(path, figures, err);
	json_decref(figures);
	return r;
}

int mb_reports_write(const struct mb_reports *r, json_t *root, struct mb_err *err)
{
	int code;

	if ((code = write_figures(r->github, mb_bench_github, root, err)) < 0 ||
	    (code = write_figures(r->bencher, mb_bench_bencher, root, err)) < 0 ||
	    (code = write_by(r->junit, mb_bench_junit, root, err)) < 0 ||
	    (code = write_by(r->csv, mb_churn_csv, root, err)) < 0 ||
	    (code = write_by(r->html, mb_churn_html, root, err)) < 0)
		return code;
	return r->json ? write_json(r->json, root, err) : 0;
}
