// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

static const struct mb_findings *found(const struct mb_doctor *d)
{
	return found_by(d, mb_doctor_memory_checks);
}

static void test_nobody(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	assert_finding(found(&d), "no-processes", MB_SEVERITY_NOTE, "--source process:PID");
	d.unreadable = 2;
	strcpy(d.why_unreadable.text, "process 5: smaps: not allowed");
	assert_none(found(&d), "no-processes");
	assert_finding(found(&d), "unreadable", MB_SEVERITY_NOTE, "root");
	assert_string_equal(find_id(found(&d), "unreadable")->seen[0].value, d.why_unreadable.text);
}

static void test_predicted(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	add_process(&d, "qemu", 100);
	assert_none(found(&d), "predicted");
	d.has_gap = true;
	d.gap = (struct mb_gap){ .pages = 5120,
				 .distinct = 2048,
				 .zero = 9,
				 .predicted = 3072,
				 .by_ksm = 2000,
				 .otherwise = 48 };
	assert_finding(found(&d), "predicted", MB_SEVERITY_OK, "");
	assert_non_null(
		strstr(find_id(found(&d), "predicted")->text, "3072 could be saved, 12.0 MB"));
	assert_non_null(strstr(find_id(found(&d), "predicted")->text, "1024 are lost (4.0 MB)"));
	assert_finding(found(&d), "frames-hidden", MB_SEVERITY_NOTE, "root");
	d.has_frames = true;
	assert_none(found(&d), "frames-hidden");
}

/* Each state of memory that KSM never looks at, without and with figures of its pages. */
static void never_merged(enum mb_gap_state state, const char *id, const char *name, const char *fix)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	struct mb_doctor_process *p;

	make_host(&d);
	p = add_process(&d, name, 0);
	assert_none(found(&d), id);
	p->resident[state] = 4096;
	assert_finding(found(&d), id, MB_SEVERITY_PROBLEM, fix);
	assert_true(find_id(found(&d), id)->at_most);
	assert_int_equal(find_id(found(&d), id)->lost_pages, 4096);
	assert_non_null(strstr(find_id(found(&d), id)->text, "16.0 MB"));
	assert_non_null(strstr(find_id(found(&d), id)->of, name));
	assert_string_equal(find_id(found(&d), id)->seen[0].what, "/proc/100/smaps");
	/* Its pages have few twins. */
	d.has_gap = true;
	d.gap.predicted = 100000;
	p->lost[state] = 900;
	assert_finding(found(&d), id, MB_SEVERITY_NOTE, fix);
	assert_int_equal(find_id(found(&d), id)->lost_pages, 900);
	assert_false(find_id(found(&d), id)->at_most);
	p->lost[state] = 1100;
	assert_finding(found(&d), id, MB_SEVERITY_PROBLEM, fix);
}

static void test_never_merged(void **state)
{
	(void)state;
	never_merged(MB_GAP_UNMARKED, "not-mergeable", "qemu-system-x86", "mem-merge=on");
	never_merged(MB_GAP_UNMARKED, "not-mergeable", "cloud-hyperviso", "mergeable=on");
	never_merged(MB_GAP_UNMARKED, "not-mergeable", "firecracker", "MemoryKSM=yes");
	never_merged(MB_GAP_SHARED, "shared-memory", "qemu-system-x86", "share=off");
	never_merged(MB_GAP_HUGETLB, "hugetlb", "qemu-system-x86", "hugetlbfs");
}

static void test_huge(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	struct mb_doctor_process *p;

	(void)state;
	make_host(&d);
	strcpy(d.host.thp_enabled, "madvise");
	p = add_process(&d, "qemu-system-x86", 0);
	p->resident[MB_GAP_HUGE] = 5120;
	assert_finding(found(&d), "huge-pages", MB_SEVERITY_NOTE, "echo never >");
	assert_non_null(strstr(find_id(found(&d), "huge-pages")->text, "20.0 MB"));
	assert_false(find_id(found(&d), "huge-pages")->has_lost);
	d.has_gap = true;
	d.gap.predicted = 5000;
	p->lost[MB_GAP_HUGE] = 3000;
	assert_finding(found(&d), "huge-pages", MB_SEVERITY_PROBLEM, "echo never >");
	assert_int_equal(find_id(found(&d), "huge-pages")->lost_pages, 3000);
	/* ksmd may yet come to them. */
	set_number(&d, MB_KSM_FULL_SCANS, 1);
	assert_finding(found(&d), "huge-pages", MB_SEVERITY_NOTE, "echo never >");
	/* While KSM is off they are lost for that: no page counts twice. */
	set_number(&d, MB_KSM_RUN, 0);
	assert_int_equal(find_id(found(&d), "huge-pages")->lost_pages, 0);
	strcpy(d.host.thp_enabled, "never");
	assert_string_equal(find_id(found(&d), "huge-pages")->fix, "");
}

static void test_swapped_and_merging(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	struct mb_doctor_process *p;

	(void)state;
	make_host(&d);
	p = add_process(&d, "qemu-system-x86", 1000);
	assert_none(found(&d), "swapped");
	assert_none(found(&d), "merging");
	p->swapped = 512;
	p->has_merging = p->has_profit = true;
	p->merging = 700;
	p->profit_bytes = -5;
	assert_finding(found(&d), "swapped", MB_SEVERITY_NOTE, "hotspot");
	assert_non_null(strstr(find_id(found(&d), "swapped")->text, "2.0 MB"));
	assert_finding(found(&d), "merging", MB_SEVERITY_OK, "");
	assert_non_null(strstr(find_id(found(&d), "merging")->text, "700 of its 1000"));
	assert_string_equal(find_id(found(&d), "merging")->seen[1].value, "ksm_process_profit -5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_predicted),
		cmocka_unit_test(test_never_merged),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_swapped_and_merging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
