// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_host.h"

#include "tests/unit/util_doctor.h"

static struct mb_doctor_host read_root(void)
{
	struct mb_doctor_host h;
	struct mb_err err = { 0 };

	assert_ok(mb_doctor_host_read(&h, proc_root, &err), &err);
	return h;
}

static void test_bare(void **state)
{
	struct mb_doctor_host h;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_doctor_host_read(&h, proc_root, &err), ENOENT, &err, "proc");
	root_put("proc/uptime", "1 1\n");
	h = read_root();
	assert_false(h.has_ksm);
	assert_int_equal(h.n_nodes, 1);
	for (int i = 0; i < MB_HOST_NUMBERS; i++)
		assert_false(h.known[i]);
	assert_string_equal(h.thp_enabled, "");
}

static void test_all(void **state)
{
	struct mb_doctor_host h;

	(void)state;
	root_put("sys/kernel/mm/ksm/run", "1\n");
	root_put("sys/kernel/mm/ksm/pages_to_scan", "100\n");
	root_put("sys/kernel/mm/ksm/general_profit", "-4096\n");
	root_put("sys/kernel/mm/ksm/full_scans", "many\n");
	root_put("sys/kernel/mm/ksm/advisor_mode", "[none] scan-time\n");
	root_put("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	root_put("sys/kernel/mm/transparent_hugepage/defrag", "always defer [never]\n");
	root_put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	root_put("sys/kernel/btf/vmlinux", "x");
	root_put("sys/devices/system/node/has_memory", "0-1,3\n");
	root_put("proc/sys/kernel/osrelease", "6.1.0-56-amd64\n");
	root_put("proc/sys/vm/swappiness", "60\n");
	root_put("proc/meminfo", "MemTotal:       2048 kB\nSwapTotal:   1024 kB\n"
				 "SwapFree:     1000 kB\n");
	root_put("proc/vmstat", "nr_free_pages 5\nksm_swpin_copy 7\ncow_ksm 9\n");
	root_put("proc/2/comm", "kthreadd\n");
	root_put("proc/30/comm", "ksmd\n");
	h = read_root();
	assert_true(h.has_ksm && h.has_btf && h.has_ksmd && h.sees_kernel && !h.has_ksmtuned);
	assert_true(h.known[MB_KSM_RUN] && h.number[MB_KSM_RUN] == 1);
	assert_int_equal(mb_host_value(&h, MB_KSM_PAGES_TO_SCAN), 100);
	assert_true(h.known[MB_KSM_PROFIT] && h.number[MB_KSM_PROFIT] == -4096);
	assert_int_equal(mb_host_value(&h, MB_KSM_PROFIT), 0);
	assert_false(h.known[MB_KSM_FULL_SCANS]);
	assert_string_equal(h.advisor, "none");
	assert_string_equal(h.thp_enabled, "madvise");
	assert_string_equal(h.thp_defrag, "never");
	assert_string_equal(h.lockdown, "integrity");
	assert_string_equal(h.release, "6.1.0-56-amd64");
	assert_int_equal(h.n_nodes, 3);
	assert_int_equal(h.memory_bytes, 2048 * 1024);
	assert_int_equal(h.swap_used_bytes, 24 * 1024);
	assert_true(h.has_copies);
	assert_int_equal(h.swapin_copies, 7);
	assert_int_equal(h.write_copies, 9);
	root_put("proc/31/comm", "ksmtuned\n");
	h = read_root();
	assert_true(h.has_ksmtuned);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(mb_host_file(MB_KSM_RUN), "/sys/kernel/mm/ksm/run");
	assert_string_equal(mb_host_key(MB_KSM_ZERO_PAGES), "ksm_zero_pages");
	for (int i = 0; i < MB_HOST_NUMBERS; i++)
		assert_non_null(mb_host_file((enum mb_host_number)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bare, proc_make, proc_clean),
		cmocka_unit_test_setup_teardown(test_all, proc_make, proc_clean),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
