// SPDX-License-Identifier: GPL-2.0-or-later
/* All checks together, and the JSON. */
#include "proto/base/cleanup.h"
#include "tests/unit/util_doctor.h"

static void test_all_together(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	struct mb_err err = { 0 };

	(void)state;
	make_host(&d);
	set_number(&d, MB_KSM_RUN, 0);
	d.has_gap = d.has_frames = true;
	d.gap = (struct mb_gap){ .pages = 20000, .distinct = 10000, .predicted = 10000 };
	d.gap.lost[MB_GAP_WAITING] = 4000;
	d.gap.lost[MB_GAP_UNMARKED] = 6000;
	add_process(&d, "qemu-system-x86", 5000);
	d.processes.list[0].resident[MB_GAP_UNMARKED] = 7000;
	d.processes.list[0].lost[MB_GAP_UNMARKED] = 6000;
	assert_ok(mb_doctor_judge(&d, &f, &err), &err);
	/* By what they cost, from whichever family. */
	assert_string_equal(f.list[0].id, "not-mergeable");
	assert_string_equal(f.list[1].id, "ksm-off");
	assert_int_equal(mb_findings_count(&f, MB_SEVERITY_PROBLEM), 2);
	assert_int_equal(f.list[0].lost_pages + f.list[1].lost_pages, d.gap.predicted);
}

static void test_weigh(void **state)
{
	struct mb_doctor d = { 0 };

	(void)state;
	assert_int_equal(mb_doctor_weigh(&d, 255), MB_SEVERITY_NOTE);
	assert_int_equal(mb_doctor_weigh(&d, 256), MB_SEVERITY_PROBLEM);
	d.has_gap = true;
	d.gap.predicted = 100000;
	assert_int_equal(mb_doctor_weigh(&d, 999), MB_SEVERITY_NOTE);
	assert_int_equal(mb_doctor_weigh(&d, 1000), MB_SEVERITY_PROBLEM);
}

static json_int_t number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static void test_json(void **state)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings f = { 0 };
	mb_cleanup(mb_doctor_deinit) struct mb_doctor d;
	const json_t *o;
	json_t *j;

	(void)state;
	make_host(&d);
	add_process(&d, "qemu-system-x86", 5000)->lost[MB_GAP_HUGE] = 3;
	mb_findings_add(&f, MB_SEVERITY_PROBLEM, "x", "");
	j = mb_doctor_to_json(&d, &f);
	assert_string_equal(json_string_value(json_object_get(j, "doctor")), "mbagent");
	assert_int_equal(number(j, "problems"), 1);
	assert_int_equal(json_array_size(json_object_get(j, "findings")), 1);
	o = json_object_get(j, "ksm");
	assert_int_equal(number(o, "pages_sharing"), 900);
	assert_true(json_is_null(json_object_get(o, "pages_skipped")));
	assert_null(json_object_get(o, "swappiness"));
	o = json_array_get(json_object_get(j, "processes"), 0);
	assert_int_equal(number(o, "resident_pages"), 5000);
	assert_int_equal(number(json_object_get(o, "resident"), "waiting"), 5000);
	assert_true(json_is_null(json_object_get(o, "lost")));
	assert_true(json_is_null(json_object_get(j, "predicted")));
	json_decref(j);
	d.has_gap = true;
	d.gap = (struct mb_gap){
		.pages = 9, .distinct = 4, .zero = 2, .predicted = 5, .by_ksm = 1, .otherwise = 1
	};
	d.gap.lost[MB_GAP_HUGE] = 3;
	j = mb_doctor_to_json(&d, &f);
	o = json_object_get(j, "predicted");
	assert_int_equal(number(o, "saving_pages"), 5);
	assert_int_equal(number(o, "by_ksm_pages"), 1);
	assert_int_equal(number(o, "otherwise_pages"), 1);
	assert_int_equal(number(json_object_get(o, "lost"), "huge"), 3);
	assert_null(json_object_get(json_object_get(o, "lost"), "zero_page"));
	o = json_array_get(json_object_get(j, "processes"), 0);
	assert_int_equal(number(json_object_get(o, "lost"), "huge"), 3);
	json_decref(j);
	d.host.has_ksm = false;
	j = mb_doctor_to_json(&d, &f);
	assert_true(json_is_null(json_object_get(j, "ksm")));
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_together),
		cmocka_unit_test(test_weigh),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
