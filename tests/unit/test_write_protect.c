// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/write_protect.h"

#include "tests/unit/util_proc.h"

static int make(void **state)
{
	proc_make(state);
	proc_process(1, 'S', 0, "");
	/* Its first thread has ended; another has not. */
	proc_process(20, 'Z', 0, "");
	proc_folder("20/task/22");
	proc_folder("22");
	proc_put("22/clear_refs", "");
	proc_folder("self");
	proc_folder("30"); /* has just ended */
	proc_folder("2");
	proc_put("2/comm", "kthreadd\n");
	proc_put("2/clear_refs", "");
	return 0;
}

static void test_all(void **state)
{
	struct mb_write_protect w;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_write_protect_all(proc_root, &w, &err), &err);
	assert_int_equal(w.processes, 5);
	proc_assert_holds("1/clear_refs", "4");
	proc_assert_holds("20/clear_refs", "4");
	proc_assert_holds("22/clear_refs", "4");
}

static void test_refused(void **state)
{
	struct mb_write_protect w;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_write_protect_all("/nonexistent", &w, &err), ENOENT, &err, "/nonexistent");
	/* Neither there nor gone. */
	proc_folder("40");
	proc_folder("40/clear_refs");
	assert_fails(mb_write_protect_all(proc_root, &w, &err), EISDIR, &err, "40: clear_refs");
}

/* What is hidden from us is just not there: the machine's first processes tell. */
static void test_hidden(void **state)
{
	struct mb_write_protect w;
	struct mb_err err = { 0 };

	(void)state;
	proc_remove("2/comm");
	assert_fails(mb_write_protect_all(proc_root, &w, &err), EPERM, &err, "hidepid");
	proc_put("2/comm", "kthreadd\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("write_protect", tests, make, proc_clean);
}
