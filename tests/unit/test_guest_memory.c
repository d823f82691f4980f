// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/guest_memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

static char proc[64];

static void write_text(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remove_text(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	unlink(path);
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	snprintf(proc, sizeof(proc), "/tmp/guest_memory.XXXXXX");
	assert_non_null(mkdtemp(proc));
	snprintf(path, sizeof(path), "%s/pressure", proc);
	assert_int_equal(mkdir(path, 0755), 0);
	write_text("meminfo", "MemTotal:  1000 kB\nMemFree:    100 kB\nMemAvailable:  300 kB\n");
	write_text("vmstat", "nr_free_pages 25\npswpin 1000\npswpout 2000\nxpswpin 7\n");
	write_text("pressure/memory", "some avg10=0.00 avg60=12.50 avg300=0.00 total=1\n"
				      "full avg10=9.99 avg60=3.07 avg300=0.00 total=1\n");
	return 0;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	remove_text("meminfo");
	remove_text("vmstat");
	remove_text("pressure/memory");
	snprintf(path, sizeof(path), "%s/pressure", proc);
	rmdir(path);
	rmdir(proc);
	return 0;
}

static void test_what_the_kernel_says(void **state)
{
	struct mb_guest_memory m;
	struct mb_err err = { 0 };
	struct mb_guest g;

	(void)state;
	assert_ok(mb_guest_memory_open(&m, proc, &err), &err);
	mb_guest_memory_look(&m, 5000, &g);
	assert_true(g.known && g.has_stalls);
	assert_int_equal(g.free_bytes, 100 * 1024);
	assert_int_equal(g.available_bytes, 300 * 1024);
	assert_int_equal(g.some_per_myriad, 1250);
	assert_int_equal(g.full_per_myriad, 307);
	/* The first look has nothing to compare with. */
	assert_int_equal(g.swapped_ns, 0);
	/* The same open files, read again. */
	write_text("vmstat", "pswpin 1003\npswpout 2007\n");
	mb_guest_memory_look(&m, 9000, &g);
	assert_int_equal(g.swapped_ns, 4000);
	assert_int_equal(g.swapped_bytes, 10 * sysconf(_SC_PAGESIZE));
	/* Counters that went back, as after a restore: not known, and then from there. */
	write_text("vmstat", "pswpin 3\npswpout 7\n");
	mb_guest_memory_look(&m, 9500, &g);
	assert_int_equal(g.swapped_ns, 0);
	write_text("vmstat", "pswpin 4\npswpout 7\n");
	mb_guest_memory_look(&m, 9600, &g);
	assert_int_equal(g.swapped_ns, 100);
	assert_int_equal(g.swapped_bytes, sysconf(_SC_PAGESIZE));
	mb_guest_memory_close(&m);
	mb_guest_memory_look(&m, 9700, &g);
	assert_false(g.known);
}

static void test_what_is_missing(void **state)
{
	struct mb_guest_memory m;
	struct mb_err err = { 0 };
	struct mb_guest g;

	(void)state;
	/* A kernel that counts no stalls, and one without swap. */
	remove_text("pressure/memory");
	write_text("vmstat", "nr_free_pages 25\n");
	assert_ok(mb_guest_memory_open(&m, proc, &err), &err);
	for (uint64_t at = 1; at < 3; at++) {
		mb_guest_memory_look(&m, at, &g);
		assert_true(g.known);
		assert_false(g.has_stalls);
		assert_int_equal(g.swapped_ns, 0);
	}
	mb_guest_memory_close(&m);
	/* Nonsense is not known. */
	write_text("pressure/memory", "some avg60=1\nfull avg60=x\n");
	write_text("meminfo", "MemFree: lots\n");
	assert_ok(mb_guest_memory_open(&m, proc, &err), &err);
	mb_guest_memory_look(&m, 1, &g);
	assert_false(g.known);
	write_text("meminfo", "MemAvailable: 1\nMemFree: 2");
	mb_guest_memory_look(&m, 2, &g);
	assert_true(g.known && !g.has_stalls);
	/* More than all cannot be, and no line may be taken for another one. */
	write_text("pressure/memory", "some avg60=123.00\nfull avg60=0.00\n");
	mb_guest_memory_look(&m, 3, &g);
	assert_true(g.has_stalls);
	assert_int_equal(g.some_per_myriad, 10000);
	mb_guest_memory_close(&m);
	remove_text("vmstat");
	assert_fails(mb_guest_memory_open(&m, proc, &err), ENOENT, &err, "vmstat");
	remove_text("meminfo");
	assert_fails(mb_guest_memory_open(&m, proc, &err), ENOENT, &err, "meminfo");
}

/* This machine has all of it, or says that it has not. */
static void test_a_real_kernel(void **state)
{
	struct mb_guest_memory m;
	struct mb_err err = { 0 };
	struct mb_guest g;

	(void)state;
	assert_ok(mb_guest_memory_open(&m, "/proc", &err), &err);
	mb_guest_memory_look(&m, 1, &g);
	assert_true(g.known);
	assert_true(g.available_bytes && g.free_bytes);
	mb_guest_memory_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_the_kernel_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_missing, set_up, tear_down),
		cmocka_unit_test(test_a_real_kernel),
	};

	return cmocka_run_group_tests_name("guest_memory", tests, NULL, NULL);
}
