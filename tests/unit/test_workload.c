// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/workload.h"

#include <signal.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

/* Waits for them, however long that takes. */
enum { LONG_MS = 60000 };

static void start(const char *script, bool asks, struct mb_workload *ret)
{
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, strdup(script), NULL };
	struct mb_err err = { 0 };
	int code;

	assert_ok(mb_workload_start(argv, asks, ret, &code, &err), &err);
	free(argv[2]);
}

static void test_exit_codes(void **state)
{
	static const struct {
		const char *script;
		int code;
	} cases[] = { { "exit 0", 0 }, { "exit 7", 7 }, { "kill -9 $$", 137 } };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		struct mb_workload w;

		start(cases[i].script, false, &w);
		assert_true(mb_workload_ended(&w, LONG_MS));
		assert_int_equal(w.exit_code, cases[i].code);
		assert_true(mb_workload_ended(&w, 0));
		mb_workload_stop(&w, 0);
		mb_workload_close(&w);
	}
}

static void test_no_program(void **state)
{
	char *none[] = { (char[]){ "/no/such/program" }, NULL };
	char *text[] = { (char[]){ "/etc/passwd" }, NULL };
	struct mb_workload w;
	struct mb_err err = { 0 };
	int code = 0;

	(void)state;
	assert_fails(mb_workload_start(none, true, &w, &code, &err), ENOENT, &err, "/no/such");
	assert_int_equal(code, MB_EXIT_NOT_FOUND);
	assert_int_equal(w.pid, 0);
	assert_fails(mb_workload_start(text, false, &w, &code, &err), EACCES, &err, "passwd");
	assert_int_equal(code, MB_EXIT_NO_EXEC);
	assert_false(mb_workload_ended(&w, 0));
	mb_workload_close(&w);
}

static void test_stop(void **state)
{
	struct mb_workload w;

	(void)state;
	start("exec sleep 1000", false, &w);
	assert_false(mb_workload_ended(&w, 0));
	mb_workload_stop(&w, LONG_MS);
	assert_int_equal(w.exit_code, 128 + SIGTERM);
	mb_workload_close(&w);
	/* One that will not. */
	start("trap '' TERM; echo >&$MB_EPOCH_ASK_FD; exec sleep 1000", true, &w);
	while (!mb_workload_asks(&w))
		usleep(1000);
	mb_workload_stop(&w, 50);
	assert_int_equal(w.exit_code, 128 + SIGKILL);
	mb_workload_close(&w);
}

static void test_asks(void **state)
{
	struct mb_workload w;
	int n = 0;

	(void)state;
	start("for i in 1 2 3; do echo >&$MB_EPOCH_ASK_FD; read x <&$MB_EPOCH_DONE_FD || exit 9; "
	      "done; exit 4",
	      true, &w);
	while (!mb_workload_ended(&w, 1)) {
		if (!mb_workload_asks(&w))
			continue;
		n++;
		mb_workload_answer(&w);
	}
	assert_int_equal(n, 3);
	assert_int_equal(w.exit_code, 4);
	/* Nobody is there any more. */
	assert_false(mb_workload_asks(&w));
	assert_int_equal(w.ask_fd, -1);
	mb_workload_answer(&w);
	mb_workload_answer(&w);
	assert_int_equal(w.done_fd, -1);
	mb_workload_close(&w);
}

/* It does not inherit what we have blocked and ignored. */
static void test_signals(void **state)
{
	struct mb_workload w;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	start("grep -q '^SigBlk:.0*$' /proc/self/status && "
	      "! grep '^SigIgn' /proc/self/status | grep -q '1...$'",
	      false, &w);
	assert_true(mb_workload_ended(&w, LONG_MS));
	assert_int_equal(w.exit_code, 0);
	mb_workload_close(&w);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes), cmocka_unit_test(test_no_program),
		cmocka_unit_test(test_stop),	   cmocka_unit_test(test_asks),
		cmocka_unit_test(test_signals),
	};

	/* As the program that uses it. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
