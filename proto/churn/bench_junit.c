// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_junit.h"

#include <string.h>

#include "proto/churn/put.h"

static const char *text_of(const json_t *o, const char *key, const char *none)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : none;
}

static const json_t *check_of(const json_t *root, const char *metric)
{
	const json_t *checks = json_object_get(json_object_get(root, "gate"), "checks"), *c;
	size_t i;

	json_array_foreach(checks, i, c)
	{
		if (strcmp(text_of(c, "metric", ""), metric) == 0)
			return c;
	}
	return NULL;
}

static bool run_failed(const json_t *run)
{
	return json_integer_value(json_object_get(run, "exit_code")) != 0;
}

static bool has_command(const json_t *run)
{
	return json_is_integer(json_object_get(run, "exit_code"));
}

static void count(const json_t *root, size_t *tests, size_t *failures)
{
	const json_t *runs = json_object_get(root, "runs"), *run;
	json_t *m;
	const char *name;
	size_t i;

	*tests = *failures = 0;
	json_array_foreach(runs, i, run)
	{
		*tests += has_command(run);
		*failures += run_failed(run);
	}
	json_object_foreach(json_object_get(root, "metrics"), name, m)
	{
		++*tests;
		*failures += json_is_true(json_object_get(check_of(root, name), "failed"));
	}
}

static void put_case(struct mb_buf *to, const char *suite, const char *name)
{
	mb_put(to, "    <testcase classname=\"");
	mb_put_escaped(to, suite);
	mb_put(to, "\" name=\"");
	mb_put_escaped(to, name);
	mb_put(to, "\"");
}

static void put_runs(const json_t *root, const char *suite, struct mb_buf *to)
{
	const json_t *runs = json_object_get(root, "runs"), *run;
	char name[40];
	size_t i;

	json_array_foreach(runs, i, run)
	{
		long long code = json_integer_value(json_object_get(run, "exit_code"));

		if (!has_command(run))
			continue;
		snprintf(name, sizeof(name), "run %zu", i + 1);
		put_case(to, suite, name);
		mb_put(to, " time=\"");
		mb_put_number(to, json_object_get(run, "summary"), "duration_s", 3, "0");
		if (run_failed(run))
			mb_put(to,
			       "\">\n      <failure type=\"exit code\" message=\"the command ended "
			       "with exit code %lld\"/>\n    </testcase>\n",
			       code);
		else
			mb_put(to, "\"/>\n");
	}
}

static void put_metric(const json_t *root, const char *suite, const char *name, const json_t *m,
		       struct mb_buf *to)
{
	const json_t *c = check_of(root, name);

	put_case(to, suite, name);
	mb_put(to, " time=\"0\">\n");
	if (json_is_true(json_object_get(c, "failed"))) {
		mb_put(to, "      <failure type=\"regression\" message=\"");
		mb_put_escaped(to, text_of(c, "text", ""));
		mb_put(to, "\"/>\n");
	}
	mb_put(to, "      <system-out>");
	if (c) {
		mb_put_escaped(to, text_of(c, "text", ""));
	} else {
		mb_put_number(to, m, "mean", 3, "-");
		mb_put(to, " ");
		mb_put_escaped(to, text_of(m, "unit", ""));
		mb_put(to, ", mean of %zu", json_array_size(json_object_get(m, "values")));
	}
	mb_put(to, "</system-out>\n    </testcase>\n");
}

void mb_bench_junit(const json_t *root, struct mb_buf *to)
{
	const char *suite = text_of(root, "name", "churn"), *name;
	size_t tests, failures;
	json_t *m;

	count(root, &tests, &failures);
	mb_put(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	mb_put(to, "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"0\">\n", tests, failures);
	mb_put(to, "  <testsuite name=\"");
	mb_put_escaped(to, suite);
	mb_put(to, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n", tests,
	       failures);
	put_runs(root, suite, to);
	json_object_foreach(json_object_get(root, "metrics"), name, m)
		put_metric(root, suite, name, m, to);
	mb_put(to, "  </testsuite>\n</testsuites>\n");
}
