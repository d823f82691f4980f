// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tracking.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static int parse(struct mb_tracking *t, const char *option)
{
	char text[100], name[] = "t";
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
	assert_false(t.budget_given);
	assert_int_equal(parse(&t, "--budget=2.5"), 0);
	assert_true(t.budget == .025 && t.budget_given);
	assert_int_equal(parse(&t, "--budget=50%"), 0);
	assert_true(t.budget == .5);
	assert_int_equal(parse(&t, "--budget=0"), 0);
	assert_true(t.budget == 0 && t.budget_given);
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"--audit=-1",  "--audit=x",    "--rehash=0",   "--rehash=3",   "--rehash=128",
		"--budget=-1", "--budget=101", "--budget=1%%", "--budget=nan", "--budget=",
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
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests_name("tracking", tests, NULL, NULL);
}
