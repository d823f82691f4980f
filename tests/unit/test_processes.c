// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/processes.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/util_proc.h"

static int make(void **state)
{
	proc_make(state);
	proc_process(1, 'S', 10, "");
	/* Its first thread has ended; two others have not. */
	proc_process(20, 'Z', 20, "");
	proc_folder("20/task/22");
	proc_folder("20/task/23");
	/* As above, but that one has not ended. */
	proc_process(30, 'S', 30, "");
	proc_folder("30/task/32");
	proc_process(32, 'S', 30, "");
	proc_folder("self");
	proc_put("40", "no folder, so no process");
	return 0;
}

struct seen {
	char ids[8][8];
	size_t n;
	const char *enough, *fails; /* numbers where it says so */
};

static int see(void *arg, const struct mb_process *p, struct mb_err *err)
{
	struct seen *s = arg;

	assert_true(s->n < 8);
	assert_true(faccessat(p->dir, ".", F_OK, 0) == 0);
	snprintf(s->ids[s->n++], sizeof(s->ids[0]), "%s", p->id);
	if (s->fails && !strcmp(p->id, s->fails))
		return mb_fail(err, EIO, "no luck with %s", p->id);
	return s->enough && strstr(s->enough, p->id);
}

static size_t times(const struct seen *s, const char *id)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += !strcmp(s->ids[i], id);
	return n;
}

/* In a real /proc threads are not listed; here they are where a test made a folder for them. */
static void test_each(void **state)
{
	struct seen s = { 0 };
	struct mb_err err = { 0 };
	uint64_t n;

	(void)state;
	proc_remove("40");
	assert_ok(mb_processes_each(proc_root, see, &s, &n, &err), &err);
	assert_int_equal(n, 4);
	assert_int_equal(s.n, 4);
	assert_int_equal(times(&s, "1") + times(&s, "20") + times(&s, "30") + times(&s, "32"), 4);
}

static void test_orphans(void **state)
{
	struct seen s = { 0 };
	struct mb_err err = { 0 };
	uint64_t n;

	(void)state;
	proc_folder("22");
	proc_folder("23");
	assert_ok(mb_processes_each(proc_root, see, &s, &n, &err), &err);
	assert_int_equal(n, 6);
	/* Once for the thread, and once because this folder lists it. */
	assert_int_equal(times(&s, "22"), 2);
	assert_int_equal(times(&s, "23"), 2);
	assert_int_equal(times(&s, "32"), 1);

	/* The first thread asked is enough. */
	s = (struct seen){ .enough = "22 23" };
	assert_ok(mb_processes_each(proc_root, see, &s, &n, &err), &err);
	assert_int_equal(times(&s, "22") + times(&s, "23"), 3);
}

static void test_fails(void **state)
{
	struct seen s = { .fails = "30" };
	struct mb_err err = { 0 };
	uint64_t n;

	(void)state;
	assert_fails(mb_processes_each(proc_root, see, &s, &n, &err), EIO, &err, "no luck with 30");
	assert_fails(mb_processes_each("/nonexistent", see, &s, &n, &err), ENOENT, &err,
		     "/nonexistent");
}

static void test_stat(void **state)
{
	struct mb_process_stat stat;
	char path[64];
	int dir;

	(void)state;
	snprintf(path, sizeof(path), "%s/20", proc_root);
	dir = open(path, O_PATH);
	assert_int_equal(mb_process_stat(dir, &stat), 0);
	assert_int_equal(stat.state, 'Z');
	assert_int_equal(stat.start, 20);
	proc_put("20/stat", "20 (a) Z 4 5");
	assert_int_equal(mb_process_stat(dir, &stat), -ESRCH);
	proc_put("20/stat", "");
	assert_int_equal(mb_process_stat(dir, &stat), -ESRCH);
	close(dir);
	dir = open("/proc/self", O_PATH);
	assert_int_equal(mb_process_stat(dir, &stat), 0);
	assert_int_equal(stat.state, 'R');
	assert_true(stat.start > 0);
	close(dir);
}

static void test_check(void **state)
{
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_processes_check(proc_root, &err), EPERM, &err, "hidepid");
	proc_process(2, 'S', 0, "");
	proc_put("2/comm", "sh\n");
	assert_fails(mb_processes_check(proc_root, &err), EPERM, &err, "PID namespace");
	proc_put("2/comm", "kthreadd\n");
	assert_ok(mb_processes_check(proc_root, &err), &err);
	assert_fails(mb_processes_check("/nonexistent", &err), ENOENT, &err, "/nonexistent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),  cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_fails), cmocka_unit_test(test_stat),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("processes", tests, make, proc_clean);
}
