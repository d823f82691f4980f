// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/ptrace.h"

#include "tests/unit/util_test.h"

/* What is missing depends on the machine; that it says so does not. */
static void test_says_what_is_missing(void **state)
{
	static const int codes[] = { EPERM, EACCES };
	struct mb_err err = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_fails(mb_ptrace_fail(codes[i], "process 4711", &err), codes[i], &err,
			     "process 4711: not permitted");
		assert_true(strstr(err.text, "CAP_SYS_PTRACE") ||
			    strstr(err.text, "ptrace_scope is 3"));
	}
	assert_int_equal(mb_ptrace_fail(EPERM, "x", NULL), -EPERM);
}

static void test_check(void **state)
{
	struct mb_err err = { 0 };
	int r = mb_ptrace_check(&err);

	(void)state;
	if (r < 0)
		assert_fails(r, EPERM, &err, "other processes: not permitted");
	else
		assert_string_equal(err.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_what_is_missing),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("ptrace", tests, NULL, NULL);
}
