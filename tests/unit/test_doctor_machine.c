// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

static const struct mb_findings *found(const struct mb_doctor *d)
{
	return found_by(d, mb_doctor_machine_checks);
}

static void test_thp(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	assert_int_equal(found(&d)->n, 0);
	strcpy(d.host.thp_enabled, "never");
	assert_finding(found(&d), "thp", MB_SEVERITY_OK, "");
	strcpy(d.host.thp_enabled, "always");
	strcpy(d.host.thp_defrag, "defer");
	set_number(&d, MB_THP_KHUGEPAGED_PAGES, 4096);
	assert_finding(found(&d), "thp", MB_SEVERITY_NOTE, "echo madvise >");
	assert_int_equal(find_id(found(&d), "thp")->n_seen, 3);
}

static void test_swap(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	d.host.swapin_copies = 12;
	d.host.swap_bytes = 8 << 20;
	d.host.swap_used_bytes = 3 << 20;
	set_number(&d, MB_SWAPPINESS, 60);
	assert_finding(found(&d), "swap-copies", MB_SEVERITY_NOTE, "mbctl hotspot");
	assert_string_equal(find_id(found(&d), "swap-copies")->seen[1].value,
			    "3 of 8 MB of swap used");
}

static void test_writes(void **state)
{
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;

	(void)state;
	make_host(&d);
	d.host.has_copies = true;
	d.host.write_copies = 899;
	assert_none(found(&d), "merged-in-vain");
	d.host.write_copies = 900;
	assert_finding(found(&d), "merged-in-vain", MB_SEVERITY_NOTE, "mbctl churn");
	set_number(&d, MB_KSM_SHARING, 0);
	assert_none(found(&d), "merged-in-vain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thp),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
