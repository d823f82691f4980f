// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/reports.h"

#include "proto/base/file.h"
#include "tests/unit/util_churn.h"
#include "tests/unit/util_source.h"

static const char *baseline(const char *text)
{
	return temp_file("baseline", text, strlen(text));
}

static error_t on_key(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = state->child_inputs[1] = state->input;
	return 0;
}

static int try(int argc, char **argv, struct mb_reports *ret)
{
	static const struct argp_child children[] = { { &mb_reports_argp, 0, NULL, 0 },
						      { &mb_reports_churn_argp, 0, NULL, 0 },
						      { 0 } };
	static const struct argp argp = { .parser = on_key, .children = children };

	*ret = (struct mb_reports){ 0 };
	return argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS, NULL, ret);
}

#define ARGV(...) ((char *[]){ (char[]){ "test" }, __VA_ARGS__, NULL })
#define A(text)	  ((char[]){ text })

static void test_options(void **state)
{
	struct mb_reports r;

	(void)state;
	assert_int_equal(try(6,
			     ARGV(A("--name=x"), A("--github=-"), A("--csv=c"), A("--html=h"),
				  A("--junit=j")),
			     &r),
			 0);
	assert_string_equal(r.name, "x");
	assert_true(mb_reports_use_stdout(&r));
	assert_string_equal(r.csv, "c");
	assert_int_equal(r.gate.n_metrics, 1);
	assert_string_equal(r.gate.metrics[0], "dirtied");
	assert_int_equal(try(5,
			     ARGV(A("--baseline=b"), A("--fail-above=5%"), A("--metric=pages"),
				  A("--metric=x")),
			     &r),
			 0);
	assert_false(mb_reports_use_stdout(&r));
	assert_int_equal(r.gate.n_metrics, 2);
	assert_true(r.gate.limit == .05);
	/* Half of what belongs together, and nonsense. */
	assert_int_not_equal(try(2, ARGV(A("--baseline=b")), &r), 0);
	assert_int_not_equal(try(2, ARGV(A("--fail-above=5")), &r), 0);
	assert_int_not_equal(try(2, ARGV(A("--metric=pages")), &r), 0);
	assert_int_not_equal(try(3, ARGV(A("--baseline=b"), A("--fail-above=much")), &r), 0);
	assert_int_not_equal(try(2, ARGV(A("--name=")), &r), 0);
}

static void test_baseline(void **state)
{
	struct mb_reports r = { .baseline = NULL };
	struct mb_err err = { 0 };
	json_t *base = NULL;

	(void)state;
	assert_ok(mb_reports_read_baseline(&r, &base, &err), &err);
	assert_null(base);
	r.baseline = "/nonexistent";
	assert_fails(mb_reports_read_baseline(&r, &base, &err), ENOENT, &err, "--baseline");
	r.baseline = baseline("{\n\"metrics\": {},\n}");
	assert_fails(mb_reports_read_baseline(&r, &base, &err), EINVAL, &err, "line 3");
	r.baseline = baseline("{\"metrics\": []}");
	assert_fails(mb_reports_read_baseline(&r, &base, &err), EINVAL, &err, "no \"metrics\"");
	assert_null(base);
}

static void test_hold(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	struct mb_reports r = { .gate = {
					.limit = .05, .metrics = { "dirtied" }, .n_metrics = 1 } };
	json_t *base = NULL;
	struct mb_err err = { 0 };
	bool failed = true;

	(void)state;
	assert_ok(mb_reports_hold(&r, NULL, root, &failed, &err), &err);
	assert_false(failed);
	r.baseline = baseline("{\"metrics\": {\"dirtied\": {\"unit\": \"pages/epoch\","
			      " \"values\": [20, 20]}}}");
	assert_ok(mb_reports_read_baseline(&r, &base, &err), &err);
	assert_ok(mb_reports_hold(&r, base, root, &failed, &err), &err);
	assert_true(failed);
	assert_true(json_is_true(json_object_get(json_object_get(root, "gate"), "failed")));
	r.gate.limit = .2;
	assert_ok(mb_reports_hold(&r, base, root, &failed, &err), &err);
	assert_false(failed);
	r.gate.metrics[0] = "speed";
	assert_fails(mb_reports_hold(&r, base, root, &failed, &err), EINVAL, &err,
		     "no metric \"speed\"");
	json_decref(base);
}

static void is_file(const char *path, const char *part)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_file_read(path, 1 << 20, &text, &err), &err);
	assert_has(&text, part);
}

static void test_write(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	struct mb_reports r = { .github = temp_file("github", "", 0),
				.bencher = temp_file("bencher", "", 0),
				.junit = temp_file("junit", "", 0),
				.json = temp_file("json", "", 0),
				.csv = temp_file("csv", "", 0),
				.html = temp_file("html", "", 0) };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_reports_write(&r, root, &err), &err);
	is_file(r.github, ": dirtied\"");
	is_file(r.bencher, "\"upper_value\"");
	is_file(r.junit, "<testsuites");
	is_file(r.json, "\"windows_s\"");
	is_file(r.csv, "run,epoch");
	is_file(r.html, "<!DOCTYPE html>");
	r = (struct mb_reports){ .csv = "/nonexistent/file" };
	assert_fails(mb_reports_write(&r, root, &err), ENOENT, &err, "/nonexistent/file");
	r = (struct mb_reports){ .html = "/dev/full" };
	assert_fails(mb_reports_write(&r, root, &err), ENOSPC, &err, "/dev/full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_baseline),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
