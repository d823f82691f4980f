// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory of a child of ours, page by page; what KSM does with it is in tests/flow/doctor.sh. */
#include "agent/doctor_predict.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ptrace.h"
#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { PAGES = 8192, CONTENTS = 10, PAGE = 4096 };

/* A child with PAGES pages of 10 contents, one of them zero, and nothing else of that size. */
static pid_t start_child(void)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		char *m = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		madvise(m, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE);
		for (size_t i = 0; m != MAP_FAILED && i < PAGES; i++)
			*(volatile char *)(m + i * PAGE) = (char)(i % CONTENTS);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_child(void **state)
{
	mb_cleanup(mb_doctor_processes_deinit) struct mb_doctor_processes p = { 0 };
	pid_t pid = start_child();
	struct mb_err err = { 0 };
	struct mb_gap g;
	bool frames;
	int r;

	(void)state;
	if (mb_ptrace_check(&err) < 0) {
		end_child(pid);
		print_message("%s\n", err.text);
		skip();
	}
	r = mb_doctor_process_add(&p, "", pid, false, &err);
	if (r == 0)
		r = mb_doctor_predict(&p, &g, &frames, &err);
	end_child(pid);
	assert_ok(r, &err);
	assert_int_equal(g.pages, PAGES);
	assert_int_equal(g.distinct, CONTENTS);
	assert_int_equal(g.zero, PAGES / CONTENTS + 1);
	assert_int_equal(g.predicted, PAGES - CONTENTS);
	assert_int_equal(g.lost[MB_GAP_UNMARKED], g.predicted);
	assert_int_equal(g.lost_zero[MB_GAP_UNMARKED], g.zero - 1);
	assert_int_equal(p.list[0].lost[MB_GAP_UNMARKED], g.predicted);
	assert_int_equal(p.list[0].resident[MB_GAP_UNMARKED], PAGES);
}

static void test_gone(void **state)
{
	struct mb_doctor_process gone = { .pid = 999999999 };
	struct mb_doctor_processes p = { .list = &gone, .n = 1 };
	struct mb_err err = { 0 };
	struct mb_gap g;
	bool frames;

	(void)state;
	assert_fails(mb_doctor_predict(&p, &g, &frames, &err), ENOENT, &err, "999999999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
