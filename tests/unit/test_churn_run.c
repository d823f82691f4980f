// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_run.h"

#include "agent/workload.h"
#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "tests/unit/util_source.h"

static const char *seed(const char *name, const char *text)
{
	return temp_file(name, text, strlen(text));
}

static struct mb_churn_plan plan_of(const char *source)
{
	struct mb_churn_plan p = { .agent = mb_agent_config_default,
				   .tracking = mb_tracking_default,
				   .interval_ns = 2000000000,
				   .windows_ns = { 2000000000 },
				   .n_windows = 1 };

	p.agent.source = source;
	p.agent.domain = "";
	p.agent.algorithm = MB_SUPERFASTHASH32;
	return p;
}

static int run(const struct mb_churn_plan *p, struct mb_churn_result *ret, struct mb_err *err)
{
	struct mb_ticker ticker;
	int r;

	assert_ok(mb_ticker_open(&ticker, err), err);
	r = mb_churn_run(p, &ticker, ret, err);
	mb_ticker_close(&ticker);
	return r;
}

static double at(const json_t *run, size_t epoch, const char *kind, const char *key)
{
	const json_t *row = json_array_get(json_object_get(run, "epochs"), epoch);

	return mb_json_number(kind ? json_object_get(row, kind) : row, key);
}

/* Three seed traces, which have no times: the interval stands for them. */
static void test_trace(void **state)
{
	struct mb_churn_plan p;
	struct mb_churn_result result;
	struct mb_err err = { 0 };
	char uri[600];

	(void)state;
	snprintf(uri, sizeof(uri), "trace:%s,%s,%s", seed("a", "1\n2\n2\n3\n3\n"),
		 seed("b", "1\n2\n2\n4\n3\n"), seed("c", "5\n2\n2\n4\n3\n"));
	p = plan_of(uri);
	p.references[p.n_references++] = seed("r", "3\n4\n9\n");
	assert_ok(run(&p, &result, &err), &err);
	assert_false(result.by_frame);
	assert_int_equal(result.exit_code, 0);
	assert_string_equal(result.tracker, "none");
	assert_int_equal(json_array_size(json_object_get(result.run, "epochs")), 3);
	assert_true(at(result.run, 1, NULL, "at_s") == 2 && at(result.run, 2, NULL, "at_s") == 4);
	assert_true(at(result.run, 1, NULL, "gained") == 1);
	/* 3 is alone in the second one. */
	assert_true(at(result.run, 0, "self", "digests") == 2);
	assert_true(at(result.run, 1, "self", "kept") == 1);
	assert_true(at(result.run, 1, "reference", "digests") == 2);
	assert_true(json_is_null(json_object_get(result.run, "exit_code")));
	json_decref(result.run);
	/* The first one does not count; two are left. */
	p.warmup = 1;
	assert_ok(run(&p, &result, &err), &err);
	assert_true(at(result.run, 0, NULL, "gained") == 0);
	assert_true(at(result.run, 1, NULL, "gained_digests") == 1);
	assert_true(at(result.run, 1, NULL, "at_s") == 2);
	json_decref(result.run);
	p.warmup = 2;
	assert_fails(run(&p, &result, &err), ENODATA, &err, "1 epochs were taken");
	assert_int_equal(result.exit_code, MB_EXIT_MEASURING);
	p.warmup = 0;
	p.epochs = 2;
	assert_ok(run(&p, &result, &err), &err);
	assert_int_equal(json_array_size(json_object_get(result.run, "epochs")), 2);
	json_decref(result.run);
}

static void test_fails(void **state)
{
	char *command[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, (char[]){ "exit 3" }, NULL };
	struct mb_churn_plan p = plan_of("trace:/nonexistent");
	struct mb_churn_result result;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(run(&p, &result, &err), ENOENT, &err, "/nonexistent");
	assert_int_equal(result.exit_code, MB_EXIT_MEASURING);
	/* It never asks. */
	p = plan_of(MB_CHURN_COMMAND);
	p.command = command;
	p.asks = true;
	p.agent.algorithm = MB_XXH64;
	assert_fails(run(&p, &result, &err), ENODATA, &err, "ended too soon");
	command[0] = (char[]){ "/nonexistent" };
	assert_fails(run(&p, &result, &err), ENOENT, &err, "/nonexistent");
	assert_int_equal(result.exit_code, MB_EXIT_NOT_FOUND);
}

/* A command that asks, and its own exit code. */
static void test_command(void **state)
{
	char *command[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" },
			    (char[]){ "for i in 1 2 3; do echo >&$MB_EPOCH_ASK_FD; "
				      "read x <&$MB_EPOCH_DONE_FD || exit 9; done; exit 4" },
			    NULL };
	struct mb_churn_plan p = plan_of(MB_CHURN_COMMAND);
	struct mb_churn_result result;
	struct mb_err err = { 0 };

	(void)state;
	p.command = command;
	p.asks = true;
	p.agent.algorithm = MB_XXH64;
	assert_ok(run(&p, &result, &err), &err);
	assert_int_equal(result.exit_code, 4);
	assert_true(result.by_frame);
	assert_int_equal(json_array_size(json_object_get(result.run, "epochs")), 3);
	assert_true(at(result.run, 2, NULL, "pages") > 20);
	assert_true(json_is_null(
		json_object_get(json_object_get(result.run, "summary"), "dirtied_per_s")));
	json_decref(result.run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_fails),
		cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
