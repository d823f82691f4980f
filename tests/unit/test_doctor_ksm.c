// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

static const struct mb_findings *found(const struct mb_doctor *d)
{
	return found_by(d, mb_doctor_ksm_checks);
}

static void set_gap(struct mb_doctor *d, uint64_t predicted, enum mb_gap_state state, uint64_t lost)
{
	d->has_gap = d->has_frames = true;
	d->gap = (struct mb_gap){ .pages = 2 * predicted, .predicted = predicted };
	d->gap.lost[state] = lost;
	d->gap.by_ksm = predicted - lost;
}

static void test_well(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	const struct mb_findings *f;

	(void)state;
	make_host(&d);
	f = found(&d);
	assert_finding(f, "ksm-on", MB_SEVERITY_OK, "");
	assert_finding(f, "ksm-speed", MB_SEVERITY_OK, "");
	assert_int_equal(f->n, 2);
}

static void test_missing_and_off(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	set_number(&d, MB_KSM_RUN, 0);
	/* As in a guest. */
	assert_finding(found(&d), "ksm-off", MB_SEVERITY_NOTE, "echo 1");
	d.unreadable = 1;
	assert_finding(found(&d), "ksm-off", MB_SEVERITY_PROBLEM, "echo 1");
	d.unreadable = 0;
	add_process(&d, "qemu", 5);
	set_gap(&d, 5000, MB_GAP_WAITING, 3000);
	d.gap.lost[MB_GAP_HUGE] = 500;
	assert_finding(found(&d), "ksm-off", MB_SEVERITY_PROBLEM,
		       "echo 1 > /sys/kernel/mm/ksm/run");
	/* What is in huge pages waits for it, too. */
	assert_int_equal(find_id(found(&d), "ksm-off")->lost_pages, 3500);
	assert_non_null(strstr(find_id(found(&d), "ksm-off")->text, "900 pages"));
	assert_none(found(&d), "ksm-behind");
	set_number(&d, MB_KSM_RUN, 2);
	assert_finding(found(&d), "ksm-unmerged", MB_SEVERITY_PROBLEM, "echo 1");
	d.host.has_ksmtuned = true;
	assert_finding(found(&d), "ksm-unmerged", MB_SEVERITY_PROBLEM, "/etc/ksmtuned.conf");
	assert_finding(found(&d), "ksm-tuned", MB_SEVERITY_NOTE, "ksmtuned");
	memset(&d.host, 0, sizeof(d.host));
	assert_finding(found(&d), "ksm-missing", MB_SEVERITY_PROBLEM, "CONFIG_KSM");
	assert_int_equal(find_id(found(&d), "ksm-missing")->lost_pages, 3500);
	assert_int_equal(found(&d)->n, 1);
}

static void test_ksmd(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	d.host.has_ksmd = false;
	assert_finding(found(&d), "ksmd-missing", MB_SEVERITY_PROBLEM, "dmesg");
	/* A container sees no kernel thread at all. */
	d.host.sees_kernel = false;
	assert_none(found(&d), "ksmd-missing");
}

static void test_speed(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	uint64_t pages;

	(void)state;
	make_host(&d);
	/* 16 GiB at 5000 pages a second: 838 s. */
	add_process(&d, "qemu", 4194304);
	assert_int_equal(mb_doctor_scan_s(&d, &pages), 838);
	assert_int_equal(pages, 4194304);
	assert_finding(found(&d), "ksm-speed", MB_SEVERITY_NOTE,
		       "echo 300 > /sys/kernel/mm/ksm/pages_to_scan");
	add_process(&d, "qemu", 4194304);
	assert_finding(found(&d), "ksm-speed", MB_SEVERITY_PROBLEM, "echo 600 > ");
	strcpy(d.host.advisor, "none");
	assert_finding(found(&d), "ksm-speed", MB_SEVERITY_PROBLEM, "echo scan-time > ");
	strcpy(d.host.advisor, "scan-time");
	assert_finding(found(&d), "ksm-speed", MB_SEVERITY_PROBLEM,
		       "echo 300 > /sys/kernel/mm/ksm/advisor_target_scan_time");
	d.host.has_ksmtuned = true;
	assert_finding(found(&d), "ksm-speed", MB_SEVERITY_PROBLEM, "KSM_NPAGES_MAX");
	/* What does not scan has no speed. */
	set_number(&d, MB_KSM_PAGES_TO_SCAN, 0);
	assert_none(found(&d), "ksm-speed");
}

static void test_behind(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	set_gap(&d, 10000, MB_GAP_WAITING, 900);
	assert_finding(found(&d), "ksm-behind", MB_SEVERITY_NOTE, "wait for two scans");
	set_gap(&d, 10000, MB_GAP_WAITING, 2000);
	assert_finding(found(&d), "ksm-behind", MB_SEVERITY_PROBLEM, "wait for two scans");
	assert_int_equal(find_id(found(&d), "ksm-behind")->lost_pages, 2000);
	set_number(&d, MB_KSM_FULL_SCANS, 1);
	assert_finding(found(&d), "ksm-behind", MB_SEVERITY_NOTE, "wait");
	assert_non_null(strstr(find_id(found(&d), "ksm-behind")->text, "twice"));
	/* Nobody knows what is merged. */
	d.has_frames = false;
	assert_none(found(&d), "ksm-behind");
}

static void test_volatile(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	set_number(&d, MB_KSM_VOLATILE, 200);
	assert_none(found(&d), "ksm-volatile");
	set_number(&d, MB_KSM_VOLATILE, 2000);
	assert_finding(found(&d), "ksm-volatile", MB_SEVERITY_NOTE, "mbctl churn");
	assert_true(find_id(found(&d), "ksm-volatile")->at_most);
	assert_int_equal(find_id(found(&d), "ksm-volatile")->lost_pages, 2000);
	/* Of the first scan all are. */
	set_number(&d, MB_KSM_FULL_SCANS, 1);
	assert_none(found(&d), "ksm-volatile");
}

static void test_nodes_and_chains(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	set_gap(&d, 10000, MB_GAP_MERGED, 600);
	assert_finding(found(&d), "ksm-max-sharing", MB_SEVERITY_PROBLEM, "echo 1024 > max_page");
	assert_none(found(&d), "ksm-numa");
	d.host.n_nodes = 2;
	assert_finding(found(&d), "ksm-numa", MB_SEVERITY_OK, "");
	set_number(&d, MB_KSM_ACROSS_NODES, 0);
	assert_finding(found(&d), "ksm-numa", MB_SEVERITY_PROBLEM, "echo 1 > merge_across_nodes");
	assert_int_equal(find_id(found(&d), "ksm-numa")->lost_pages, 600);
	d.gap.lost[MB_GAP_MERGED] = 64;
	assert_finding(found(&d), "ksm-numa", MB_SEVERITY_NOTE, "echo 1 > merge_across_nodes");
	/* What it costs is not known; where no VM runs, it is nothing. */
	d.has_gap = false;
	assert_finding(found(&d), "ksm-numa", MB_SEVERITY_NOTE, "echo 1 > merge_across_nodes");
	add_process(&d, "qemu", 5);
	assert_finding(found(&d), "ksm-numa", MB_SEVERITY_PROBLEM, "echo 1 > merge_across_nodes");
	d.has_gap = true;
	/* The same pages are not lost twice. */
	assert_none(found(&d), "ksm-max-sharing");
}

static void test_counters(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	set_number(&d, MB_KSM_USE_ZERO, 1);
	assert_finding(found(&d), "ksm-zero-pages", MB_SEVERITY_NOTE, "");
	assert_non_null(strstr(find_id(found(&d), "ksm-zero-pages")->text, "nowhere"));
	set_number(&d, MB_KSM_ZERO_PAGES, 5);
	assert_null(strstr(find_id(found(&d), "ksm-zero-pages")->text, "nowhere"));
	set_number(&d, MB_KSM_PROFIT, 4096);
	assert_none(found(&d), "ksm-unprofitable");
	set_number(&d, MB_KSM_PROFIT, -(1 << 20));
	assert_finding(found(&d), "ksm-unprofitable", MB_SEVERITY_NOTE, "echo 2 >");
	assert_non_null(strstr(find_id(found(&d), "ksm-unprofitable")->text, "1.0 MB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well),
		cmocka_unit_test(test_missing_and_off),
		cmocka_unit_test(test_ksmd),
		cmocka_unit_test(test_speed),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_volatile),
		cmocka_unit_test(test_nodes_and_chains),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
