// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/plan/sample.h"
#include "tests/bench/synth_fleet.h"

/* Few VMs with very many groups, as real memory has. */
static void make_fleet(struct mb_synth_fleet *f, uint32_t n_vms, uint32_t parts)
{
	const struct mb_synth_fleet_params params = {
		.name = "many groups",
		.summary = "",
		.seed = 3,
		.n_hosts = 20,
		.n_vms = n_vms,
		.host_mb = 300 * n_vms / 20,
		.vm_pages = 60000,
		.n_sizes = 1,
		.os = { .n = 3, .pages = 9000, .parts = parts, .keep_percent = 75 },
		.app = { .n = 20, .pages = 9000, .parts = parts, .keep_percent = 75 },
		.data = { .n = 60, .pages = 9000, .parts = parts, .keep_percent = 75 },
		.app_on_os_percent = 50,
	};
	struct mb_err err = { 0 };

	assert_ok(mb_synth_fleet_init(f, &params, &err), &err);
}

static void test_saving_is_right_on_average(void **state)
{
	struct mb_synth_fleet f;
	struct mb_err err = { 0 };
	struct rng r = { 5 };
	double sum = 0;

	(void)state;
	make_fleet(&f, 100, 3000);
	for (unsigned int i = 0; i < 60; i++) {
		struct mb_groups sample;
		struct mb_fleet_view seen = f.view;
		uint32_t host[100];
		double exact, error;

		assert_ok(mb_groups_sample(&sample, &f.groups, f.groups.n_vms / 8, i, &err), &err);
		assert_true(sample.n_vms <= f.groups.n_vms / 4);
		assert_true(sample.n_vms > f.groups.n_vms / 12);
		for (uint32_t v = 0; v < 100; v++)
			host[v] = (uint32_t)rng_below(&r, 20);
		exact = (double)mb_score_inter_pages(&f.view, host);
		seen.groups = &sample;
		error = (double)mb_score_inter_pages(&seen, host) / exact - 1;
		assert_true(error > -0.15 && error < 0.15);
		sum += error;
		mb_groups_deinit(&sample);
	}
	print_message("mean error of a saving by an eighth: %.3f %%\n", 100 * sum / 60);
	assert_true(sum / 60 > -0.015 && sum / 60 < 0.015);
	mb_synth_fleet_deinit(&f);
}

static void test_heavy_groups_are_exact(void **state)
{
	struct mb_group list[] = { { 1000, 0, 2 }, { 1, 2, 2 }, { 1, 4, 2 }, { 500, 6, 3 } };
	uint32_t vms[] = { 0, 1, 0, 2, 1, 2, 0, 1, 2 };
	const struct mb_groups g = { list, 4, vms, 9 };
	struct mb_groups a, b;
	struct mb_err err = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		unsigned int heavy = 0;

		assert_ok(mb_groups_sample(&a, &g, 6, seed, &err), &err);
		assert_ok(mb_groups_sample(&b, &g, 6, seed, &err), &err);
		assert_int_equal(a.n_groups, b.n_groups);
		assert_memory_equal(a.groups, b.groups, a.n_groups * sizeof(*a.groups));
		for (size_t i = 0; i < a.n_groups; i++)
			heavy +=
				a.groups[i].weight_pages == 1000 || a.groups[i].weight_pages == 500;
		assert_int_equal(heavy, 2);
		mb_groups_deinit(&a);
		mb_groups_deinit(&b);
	}
	/* Room for all of it: all of it. */
	assert_ok(mb_groups_sample(&a, &g, 9, 1, &err), &err);
	assert_int_equal(a.n_groups, 4);
	mb_groups_deinit(&a);
}

/* Above its bound `best` goes by a sample; what it says must hold by the exact figures all the
 * same. */
static void test_best_by_a_sample(void **state)
{
#ifdef __SANITIZE_ADDRESS__
	(void)state;
	skip(); /* two minutes; nothing here is not done elsewhere with less */
#else
	struct mb_plan_options o = { .strict = true };
	struct mb_synth_fleet f;
	struct mb_err err = { 0 };
	struct mb_plan best, again, other;

	(void)state;
	make_fleet(&f, 340, 9000);
	assert_true(f.groups.n_vms > 2000000);
	assert_ok(mb_plan_make(&other, &mb_planner_paper, &f.view, &o, &err), &err);
	assert_ok(mb_plan_make(&best, &mb_planner_best, &f.view, &o, &err), &err);
	assert_true(best.saving_after_pages > best.saving_before_pages);
	assert_true(best.saving_after_pages >= other.saving_after_pages);
	for (uint32_t v = 0; v < f.view.n_vms; v++)
		f.vms[v].host = best.host[v];
	assert_ok(mb_plan_make(&again, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(again.n_moves, 0);
	mb_plan_deinit(&best);
	mb_plan_deinit(&again);
	mb_plan_deinit(&other);
	mb_synth_fleet_deinit(&f);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saving_is_right_on_average),
		cmocka_unit_test(test_heavy_groups_are_exact),
		cmocka_unit_test(test_best_by_a_sample),
	};

	return cmocka_run_group_tests_name("plan_sample", tests, NULL, NULL);
}
