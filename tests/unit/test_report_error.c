// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/report_error.h"

#include "server/estimate.h"
#include "server/report.h"
#include "tests/unit/util_fleet.h"

enum { SHIFT = 4 };

/* VMs 0 and 1 on h0 and h1 share 1600 pages; 2, nowhere, 320 with both. */
static void make_fleet(struct fleet *f, struct mb_live_fleet *live)
{
	static const uint64_t vm_mb[] = { 100, 100, 100 }, host_mb[] = { 300, 300 };

	fleet_init(f, 3, vm_mb, 2, host_mb);
	fleet_share(f, 3, 1600);
	fleet_share(f, 7, 320);
	f->vms[0].host = 0;
	f->vms[1].host = 1;
	*live = (struct mb_live_fleet){ .view = f->view,
					.hosts = f->hosts,
					.vms = f->vms,
					.sample_shift = SHIFT,
					.n_paged_out = 2 };
}

static int64_t number_at(const json_t *o, const char *key)
{
	if (!json_is_integer(json_object_get(o, key)))
		fail_msg("no %s", key);
	return json_integer_value(json_object_get(o, key));
}

static void test_plan(void **state)
{
	const struct mb_plan_options options = { 0 };
	struct mb_plan plan = { 0 };
	struct mb_live_fleet live;
	struct mb_err err = { 0 };
	struct fleet f;
	json_t *report, *move, *h0;
	uint64_t error;

	(void)state;
	make_fleet(&f, &live);
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &options, &err), &err);
	report = mb_report_plan(&f.view, &plan, &mb_planner_best, &options);
	assert_non_null(report);
	assert_ok(mb_report_plan_errors(report, &live, &plan, &err), &err);
	/* Nothing is shared before; all are together after. */
	assert_int_equal(plan.host[0], plan.host[1]);
	assert_int_equal(plan.host[0], plan.host[2]);
	error = mb_estimate_error(1600 + 320 * 4, 2, SHIFT);
	assert_int_equal(number_at(json_object_get(report, "saving"), "before_error_pages"), 0);
	assert_int_equal(number_at(json_object_get(report, "saving"), "after_error_pages"), error);
	assert_int_equal(number_at(json_object_get(report, "saving"), "gain_error_pages"), error);
	assert_int_equal(number_at(report, "saved_error_mb"), (error + 255) / 256);
	assert_int_equal(number_at(report, "before_error_mb"), 0);
	h0 = json_array_get(json_object_get(report, "hosts"), plan.host[0]);
	assert_int_equal(number_at(h0, "after_error_mb"), (error + 255) / 256);
	assert_int_equal(number_at(h0, "before_error_mb"), 0);
	for (size_t i = 0; i < plan.n_moves; i++) {
		double there = (double)plan.moves[i].there_pages;

		move = json_array_get(json_object_get(report, "moves"), i);
		assert_int_equal(number_at(move, "there_error_pages"),
				 mb_estimate_error(there, 1, SHIFT));
		/* What it left behind was worth nothing. */
		assert_int_equal(number_at(move, "gain_error_pages"),
				 mb_estimate_error(there, 1, SHIFT));
	}
	assert_true(plan.n_moves == 2);
	json_decref(report);
	mb_plan_deinit(&plan);
	fleet_deinit(&f);
}

static void test_place(void **state)
{
	const struct mb_plan_options options = { 0 };
	struct mb_live_fleet live;
	struct mb_rank *ranks;
	struct mb_err err = { 0 };
	struct fleet f;
	json_t *report, *host;
	uint64_t gain;

	(void)state;
	make_fleet(&f, &live);
	f.vms[1].host = 0;
	assert_ok(mb_plan_rank(&ranks, &mb_planner_best, &f.view, &options, 2, &err), &err);
	report = mb_report_ranks(&f.view, 2, ranks, &mb_planner_best, &options);
	assert_ok(mb_report_rank_errors(report, &live, 2, ranks, &err), &err);
	assert_int_equal(ranks[0].host, 0);
	host = json_array_get(json_object_get(report, "hosts"), 0);
	gain = mb_estimate_error(320, 1, SHIFT);
	assert_int_equal(number_at(host, "gain_error_pages"), gain);
	assert_int_equal(number_at(host, "used_after_error_mb"),
			 (gain + mb_estimate_error(1920, 1, SHIFT) + 255) / 256);
	/* Nobody is there. */
	host = json_array_get(json_object_get(report, "hosts"), 1);
	assert_int_equal(number_at(host, "used_after_error_mb"),
			 (mb_estimate_error(0, 1, SHIFT) + 255) / 256);
	json_decref(report);
	free(ranks);
	fleet_deinit(&f);
}

static void test_share(void **state)
{
	uint32_t vms[] = { 0, 2 };
	uint64_t inter[] = { 0, 320, 320, 0 }, any[] = { 1920, 320 };
	struct mb_comparable set = {
		.vms = vms, .n = 2, .inter = inter, .any = any, .shift = SHIFT
	};
	struct mb_sharing_view view = {
		.sets = &set, .n_sets = 1, .sample_shift = SHIFT, .fleet.n_paged_out = 2
	};
	json_t *report = json_pack("{s:[{s:[{}, {}]}], s:[{}, {}]}", "identities", "vms", "hosts");
	struct mb_live_fleet live;
	struct mb_err err = { 0 };
	struct fleet f;
	json_t *identity, *row;

	(void)state;
	assert_non_null(report);
	make_fleet(&f, &live);
	f.vms[1].host = 0;
	assert_ok(mb_report_share_errors(report, &view, &live, &err), &err);
	assert_int_equal(number_at(json_object_get(report, "estimate"), "one_in"), 16);
	assert_int_equal(number_at(json_object_get(report, "estimate"), "paged_out"), 2);
	identity = json_array_get(json_object_get(report, "identities"), 0);
	assert_int_equal(
		number_at(json_array_get(json_object_get(identity, "vms"), 0), "inter_error"),
		mb_estimate_error(1920, 1, SHIFT));
	row = json_array_get(json_object_get(identity, "inter_error"), 1);
	assert_int_equal(json_integer_value(json_array_get(row, 0)),
			 mb_estimate_error(320, 1, SHIFT));
	assert_int_equal(json_integer_value(json_array_get(row, 1)), 0);
	assert_int_equal(
		number_at(json_array_get(json_object_get(report, "hosts"), 0), "error_pages"),
		mb_estimate_error(1920, 1, SHIFT));
	assert_int_equal(
		number_at(json_array_get(json_object_get(report, "hosts"), 1), "error_pages"), 0);
	json_decref(report);
	fleet_deinit(&f);
}

/* Exact answers are left as they are. */
static void test_exact(void **state)
{
	const struct mb_sharing_view view = { 0 };
	const struct mb_plan plan = { 0 };
	json_t *report = json_object();
	struct mb_live_fleet live;
	struct mb_err err = { 0 };
	struct fleet f;

	(void)state;
	make_fleet(&f, &live);
	live.sample_shift = 0;
	f.vms[1].host = 0;
	assert_ok(mb_report_estimate(report, 0, 7, &err), &err);
	assert_ok(mb_report_share_errors(report, &view, &live, &err), &err);
	assert_ok(mb_report_plan_errors(report, &live, &plan, &err), &err);
	assert_ok(mb_report_rank_errors(report, &live, 0, NULL, &err), &err);
	assert_int_equal(json_object_size(report), 0);
	json_decref(report);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_exact),
	};

	return cmocka_run_group_tests_name("report_error", tests, NULL, NULL);
}
