// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tracking.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static int parse(struct mb_tracking *t, const char *option)
{
	static char text[100]; /* what is parsed may point to it */
	char name[] = "t";
	char *argv[] = { name, text, NULL };

	snprintf(text, sizeof(text), "%s", option);
	*t = mb_tracking_default;
	return argp_parse(&mb_tracking_argp, 2, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP,
			  NULL, t);
}

static void test_options(void **state)
{
	struct mb_tracking t;

	(void)state;
	assert_int_equal(parse(&t, "--tracker=bpf"), 0);
	assert_string_equal(t.tracker, "bpf");
	assert_int_equal(parse(&t, "--audit=0"), 0);
	assert_int_equal(t.audit_every, 0);
	assert_int_equal(parse(&t, "--rehash=64"), 0);
	assert_int_equal(t.rehash_every, 64);
	assert_int_equal(t.who, mb_tracking_default.who);
	assert_int_equal(parse(&t, "--who=64"), 0);
	assert_int_equal(t.who, 64);
	assert_int_equal(parse(&t, "--who=0"), 0);
	assert_int_equal(t.who, 0);
	assert_null(t.btf);
	assert_int_equal(parse(&t, "--btf=/f"), 0);
	assert_string_equal(t.btf, "/f");
	assert_false(t.budget_given);
	assert_int_equal(parse(&t, "--budget=2.5"), 0);
	assert_true(t.budget == .025 && t.budget_given);
	assert_int_equal(parse(&t, "--budget=50%"), 0);
	assert_true(t.budget == .5);
	assert_int_equal(parse(&t, "--budget=0"), 0);
	assert_true(t.budget == 0 && t.budget_given);
	assert_int_equal(parse(&t, "--budget=0.001"), 0);
	assert_true(t.budget > .9e-5 && t.budget < 1.1e-5);
}

static void test_which_budget_holds(void **state)
{
	struct mb_tracking t = mb_tracking_default;

	(void)state;
	assert_true(mb_tracking_budget(&t, true, 1) == .01);
	assert_true(mb_tracking_budget(&t, true, 0) == 0);
	/* A replay is not to be slowed down, unless somebody says so. */
	assert_true(mb_tracking_budget(&t, false, 1) == 0);
	assert_int_equal(parse(&t, "--budget=1"), 0);
	assert_true(mb_tracking_budget(&t, false, 0) == .01);
	assert_int_equal(parse(&t, "--budget=0"), 0);
	assert_true(mb_tracking_budget(&t, true, 1) == 0);
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"--who=65",	   "--who=-1",	      "--audit=-1",   "--audit=x",
		"--rehash=0",	   "--rehash=3",      "--rehash=128", "--budget=-1",
		"--budget=101",	   "--budget=1%%",    "--budget=nan", "--budget=",
		"--budget=0.0009", "--budget=1e-300",
	};
	struct mb_tracking t;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++)
		if (parse(&t, bad[i]) == 0)
			fail_msg("%s is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_which_budget_holds),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests_name("tracking", tests, NULL, NULL);
}
