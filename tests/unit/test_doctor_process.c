// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_process.h"

#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

/* QEMU as smaps shows it: guest RAM, and what is none. */
#define MAP(range, perms, flags, extra)                                                            \
	range " " perms " 00000000 00:00 0 \n"                                                     \
	      "Rss:              65536 kB\n" extra "VmFlags: rd wr " flags "\n"
#define HUGETLB                                                                                    \
	"7f0000000000-7f0010000000 rw-p 00000000 00:0f 11141 /anon_hugepage (deleted)\n"          \
	"Rss:                   0 kB\n"                                                            \
	"Shared_Hugetlb:    16384 kB\n"                                                            \
	"Private_Hugetlb:   65536 kB\n"                                                            \
	"VmFlags: rd wr ht\n"
#define HEAP MAP("555500000000-555501000000", "rw-p", "ac", "")

static void make_process(int pid, const char *name, const char *smaps)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/%d/comm", pid);
	root_put(path, name);
	snprintf(path, sizeof(path), "proc/%d/smaps", pid);
	root_put(path, smaps);
}

static const struct mb_doctor_process *add(struct mb_doctor_processes *p, int pid, bool all)
{
	struct mb_err err = { 0 };

	assert_ok(mb_doctor_process_add(p, proc_root, pid, all, &err), &err);
	return &p->list[p->n - 1];
}

static void test_marked(void **state)
{
	mb_cleanup(mb_doctor_processes_deinit) struct mb_doctor_processes all = { 0 };
	const struct mb_doctor_process *p;

	(void)state;
	make_process(7, "qemu-system-x86\n",
		     HEAP MAP("7f0000000000-7f0010000000", "rw-p", "ac mg",
			      "AnonHugePages:    16384 kB\nSwap:               8 kB\n"));
	root_put("proc/7/ksm_merging_pages", "123\n");
	root_put("proc/7/ksm_stat", "ksm_rmap_items 5\nksm_process_profit -64\n");
	p = add(&all, 7, false);
	assert_true(p->monitor);
	assert_string_equal(p->name, "qemu-system-x86");
	assert_int_equal(p->ram.n, 1);
	assert_int_equal(p->resident[MB_GAP_WAITING], 12288);
	assert_int_equal(p->resident[MB_GAP_HUGE], 4096);
	assert_int_equal(mb_doctor_resident(p), 16384);
	assert_int_equal(p->swapped, 2);
	assert_true(p->has_merging && p->merging == 123);
	assert_true(p->has_profit && p->profit_bytes == -64);
}

static void test_states(void **state)
{
	mb_cleanup(mb_doctor_processes_deinit) struct mb_doctor_processes all = { 0 };
	const struct mb_doctor_process *p;

	(void)state;
	make_process(8, "kvm\n", MAP("7f0000000000-7f0010000000", "rw-p", "ac", ""));
	p = add(&all, 8, false);
	assert_int_equal(p->resident[MB_GAP_UNMARKED], 16384);
	assert_false(p->has_merging || p->has_profit);
	make_process(9, "kvm\n", MAP("7f0000000000-7f0010000000", "rw-s", "sh", ""));
	assert_int_equal(add(&all, 9, false)->resident[MB_GAP_SHARED], 16384);
	/* Of 256 MB 80 are there; Rss says nothing of it. */
	make_process(10, "kvm\n", HUGETLB);
	assert_int_equal(add(&all, 10, false)->resident[MB_GAP_HUGETLB], 20480);
	make_process(12, "cat\n", HUGETLB);
	assert_int_equal(add(&all, 12, true)->resident[MB_GAP_HUGETLB], 20480);
}

static void test_all_memory(void **state)
{
	mb_cleanup(mb_doctor_processes_deinit) struct mb_doctor_processes all = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	make_process(11, "cat\n", MAP("7f0000000000-7f0000100000", "rw-p", "ac", ""));
	assert_fails(mb_doctor_process_add(&all, proc_root, 11, false, &err), ENOENT, &err,
		     "process:11,all");
	assert_int_equal(all.n, 0);
	assert_false(add(&all, 11, true)->monitor);
	assert_fails(mb_doctor_process_add(&all, proc_root, 12, false, &err), ESRCH, &err,
		     "no process 12");
	make_process(13, "cat\n", "what is this\n");
	assert_fails(mb_doctor_process_add(&all, proc_root, 13, true, &err), EBADMSG, &err,
		     "process 13: smaps line 1");
}

static void test_find(void **state)
{
	mb_cleanup(mb_doctor_processes_deinit) struct mb_doctor_processes all = { 0 };
	struct mb_err err = { 0 };
	size_t unreadable;
	char path[256];

	(void)state;
	make_process(20, "bash\n", HEAP);
	make_process(21, "qemu-system-x86\n",
		     MAP("7f0000000000-7f0010000000", "rw-p", "ac mg", ""));
	/* Known by its program, whatever its name is. */
	make_process(22, "web1\n", MAP("7f0000000000-7f0010000000", "rw-p", "ac mg", ""));
	snprintf(path, sizeof(path), "%s/proc/22/exe", proc_root);
	assert_int_equal(symlink("/usr/bin/qemu-system-x86_64 (deleted)", path), 0);
	/* Ended, and not waited for; and one that is not understood. */
	make_process(23, "qemu-system-x86\n", "");
	make_process(24, "qemu-system-x86\n", "what is this\n");
	assert_ok(mb_doctor_process_find(&all, proc_root, &unreadable, &err), &err);
	assert_int_equal(all.n, 2);
	assert_int_equal(all.list[0].pid + all.list[1].pid, 43);
	assert_int_equal(unreadable, 1);
	assert_non_null(strstr(err.text, "process 24"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_marked, proc_make, proc_clean),
		cmocka_unit_test_setup_teardown(test_states, proc_make, proc_clean),
		cmocka_unit_test_setup_teardown(test_all_memory, proc_make, proc_clean),
		cmocka_unit_test_setup_teardown(test_find, proc_make, proc_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
