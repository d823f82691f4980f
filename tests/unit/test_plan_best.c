// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

/* A tenth under ASan: what it may find it finds on few. */
#ifdef __SANITIZE_ADDRESS__
#define FLEETS 30
#else
#define FLEETS 300
#endif

/* A random fleet; half of them are somewhere already, at times with a VM that is new. */
static void make_fleet(struct rng *r, struct fleet *f, uint32_t n_vms, uint32_t n_hosts)
{
	fleet_random(r, f, n_vms, n_hosts, rng_below(r, 2));
	if (rng_below(r, 2))
		fleet_scatter(r, f);
	if (rng_below(r, 4) == 0)
		f->vms[rng_below(r, n_vms)].host = MB_NOWHERE;
}

/* Saving of a planner's placement, or UINT64_MAX if it has none that is whole and fits. */
static uint64_t saving_of(const struct mb_planner *p, const struct fleet *f,
			  const struct mb_plan_options *o)
{
	uint32_t host[FLEET_VMS_MAX];
	char note[MB_PLAN_NOTE_BYTES] = "";
	struct mb_err err = { 0 };

	if (p->place(&f->view, o, host, note, &err) < 0 || !fleet_fits(f, o, host))
		return UINT64_MAX;
	return mb_score_inter_pages(&f->view, host);
}

static void test_small_fleets_against_all_placements(void **state)
{
	struct rng r = { 1 };
	unsigned int solved = 0, optimal = 0;

	(void)state;
	for (unsigned int i = 0; i < 5 * FLEETS; i++) {
		struct mb_plan_options o = { .seed = i,
					     .overcommit_percent =
						     (uint32_t)(i % 5 ? 0 : rng_below(&r, 60)) };
		struct mb_plan_options strict = o;
		uint32_t n_vms = 1 + (uint32_t)rng_below(&r, 6);
		uint32_t n_hosts = 1 + (uint32_t)rng_below(&r, 3);
		uint32_t host[FLEET_VMS_MAX];
		char note[MB_PLAN_NOTE_BYTES] = "";
		uint64_t optimum, saving, seed;
		struct mb_err err = { 0 };
		struct fleet f;
		int ret;

		make_fleet(&r, &f, n_vms, n_hosts);
		optimum = fleet_optimum(&f, &o);
		ret = mb_planner_best.place(&f.view, &o, host, note, &err);
		if (optimum == UINT64_MAX) {
			assert_fails(ret, ENOSPC, &err, "fits on no host");
			fleet_deinit(&f);
			continue;
		}
		assert_ok(ret, &err);
		assert_true(fleet_fits(&f, &o, host));
		saving = mb_score_inter_pages(&f.view, host);
		assert_true(saving <= optimum);
		strict.strict = true;
		seed = saving_of(&mb_planner_seed, &f, &o);
		assert_true(seed == UINT64_MAX || saving >= seed);
		seed = saving_of(&mb_planner_seed, &f, &strict);
		assert_true(seed == UINT64_MAX || saving >= seed);
		solved++;
		optimal += saving == optimum;
		fleet_deinit(&f);
	}
	print_message("%u of %u optimal\n", optimal, solved);
	assert_true(solved > FLEETS);
	assert_int_equal(optimal, solved);
}

static void test_never_worse_than_the_seed(void **state)
{
	struct rng r = { 2 };
	unsigned int better = 0;

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		struct mb_plan_options plain = { 0 }, strict = { .strict = true };
		uint64_t seed, mended, best;
		struct fleet f;

		make_fleet(&r, &f, 4 + (uint32_t)rng_below(&r, 20), 2 + (uint32_t)rng_below(&r, 8));
		seed = saving_of(&mb_planner_seed, &f, &plain);
		mended = saving_of(&mb_planner_seed, &f, &strict);
		best = saving_of(&mb_planner_best, &f, &plain);
		if (seed != UINT64_MAX)
			assert_true(best != UINT64_MAX && best >= seed);
		if (mended != UINT64_MAX) {
			assert_true(best != UINT64_MAX && best >= mended);
			better += best > mended;
		}
		fleet_deinit(&f);
	}
	assert_true(better > FLEETS / 6);
}

static void test_planning_again_moves_nothing(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		struct mb_plan_options o = { .seed = i };
		struct mb_plan plan, again;
		struct mb_err err = { 0 };
		struct fleet f;

		make_fleet(&r, &f, 2 + (uint32_t)rng_below(&r, 9), 1 + (uint32_t)rng_below(&r, 5));
		if (mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err) == 0) {
			for (uint32_t v = 0; v < f.view.n_vms; v++)
				f.vms[v].host = plan.host[v];
			assert_ok(mb_plan_make(&again, &mb_planner_best, &f.view, &o, &err), &err);
			/* What had no room to get there still has none. */
			for (size_t k = 0; k < again.n_moves; k++)
				assert_false(again.moves[k].feasible);
			assert_int_equal(again.saving_before_pages, plan.saving_after_pages);
			assert_int_equal(again.after_total_mb, plan.after_total_mb);
			mb_plan_deinit(&again);
			mb_plan_deinit(&plan);
		}
		fleet_deinit(&f);
	}
}

static void test_same_input_same_plan(void **state)
{
	struct mb_plan_options o = { .seed = 7 };
	struct mb_plan a, b;
	struct rng r = { 4 };
	struct mb_err err = { 0 };
	struct fleet f;

	(void)state;
	for (unsigned int i = 0; i < 30; i++) {
		make_fleet(&r, &f, 12, 4);
		if (mb_plan_make(&a, &mb_planner_best, &f.view, &o, &err) == 0) {
			assert_ok(mb_plan_make(&b, &mb_planner_best, &f.view, &o, &err), &err);
			assert_memory_equal(a.host, b.host, 12 * sizeof(*a.host));
			assert_int_equal(a.n_moves, b.n_moves);
			for (size_t k = 0; k < a.n_moves; k++) {
				assert_int_equal(a.moves[k].vm, b.moves[k].vm);
				assert_int_equal(a.moves[k].to, b.moves[k].to);
			}
			mb_plan_deinit(&a);
			mb_plan_deinit(&b);
		}
		fleet_deinit(&f);
	}
}

static void test_no_gain_no_move(void **state)
{
	const uint64_t vm_mb[] = { 512, 512, 512, 512 }, host_mb[] = { 1024, 1024, 1024 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	/* The pairs are together already, on the hosts that a planner would take last. */
	fleet_init(&f, 4, vm_mb, 3, host_mb);
	fleet_share(&f, 0x3, 100);
	fleet_share(&f, 0xc, 200);
	f.vms[0].host = f.vms[1].host = 2;
	f.vms[2].host = f.vms[3].host = 1;
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(plan.n_moves, 0);
	mb_plan_deinit(&plan);

	/* One swap, through the third host as both are full, wherever the pairs end. */
	f.vms[1].host = 1;
	f.vms[2].host = 2;
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(plan.saving_after_pages - plan.saving_before_pages, 300);
	assert_int_equal(plan.n_moves, 3);
	mb_plan_deinit(&plan);
	fleet_deinit(&f);
}

static void test_a_new_vm_goes_to_its_like(void **state)
{
	const uint64_t vm_mb[] = { 512, 512, 512 }, host_mb[] = { 1024, 1024 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 2, host_mb);
	fleet_share(&f, 0x6, 50);
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].vm, 2);
	assert_int_equal(plan.moves[0].from, MB_NOWHERE);
	assert_int_equal(plan.moves[0].to, 1);
	assert_true(plan.moves[0].feasible);
	mb_plan_deinit(&plan);
	fleet_deinit(&f);
}

static void test_tight_packing_is_found(void **state)
{
	/* Best-fit-decreasing joins 6 and 5, then fails; 6+3+3 and 5+4+3 fit. */
	const uint64_t vm_mb[] = { 6, 5, 4, 3, 3, 3 }, host_mb[] = { 12, 12 };
	const uint64_t too_much[] = { 7, 7, 7 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	fleet_init(&f, 6, vm_mb, 2, host_mb);
	fleet_share(&f, 0x3, 1000);
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_true(fleet_fits(&f, &o, plan.host));
	mb_plan_deinit(&plan);
	fleet_deinit(&f);

	fleet_init(&f, 3, too_much, 2, host_mb);
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), ENOSPC, &err,
		     "VM \"v2\" (7 MB)");
	assert_non_null(strstr(err.text, "5 MB on \"h0\""));
	/* Half as much again does it: 18 MB hosts. */
	o.overcommit_percent = 50;
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	mb_plan_deinit(&plan);
	fleet_deinit(&f);
}

static void test_empty_and_malformed_fleets(void **state)
{
	const uint64_t vm_mb[] = { 1, 1 }, host_mb[] = { 4 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	fleet_init(&f, 0, vm_mb, 0, host_mb);
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(plan.n_moves, 0);
	mb_plan_deinit(&plan);
	fleet_init(&f, 1, vm_mb, 0, host_mb);
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), ENOSPC, &err,
		     "there is none");

	fleet_init(&f, 2, vm_mb, 1, host_mb);
	f.vms[1].host = 1;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "on host 1 of 1");
	f.vms[1].host = 0;
	f.vms[1].memory_mb = UINT64_MAX / 2;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "\"v1\"");
	f.vms[1].memory_mb = 1;
	f.hosts[0].memory_mb = UINT64_MAX / 100;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "\"h0\"");
	f.hosts[0].memory_mb = 4;
	fleet_share(&f, 3, 10);
	f.vms[0].distinct = 9;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "shares more than");
	f.vms[0].distinct = 10;
	f.groups.vms[1] = 2;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "has VM 2 of 2");
	f.groups.groups[0].n_vms = 3;
	assert_fails(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), EINVAL, &err,
		     "malformed");
	fleet_deinit(&f);
}

static void test_planner_table(void **state)
{
	(void)state;
	assert_ptr_equal(mb_planner_find("seed"), &mb_planner_seed);
	assert_ptr_equal(mb_planner_find("best"), &mb_planner_best);
	assert_null(mb_planner_find("worst"));
	for (size_t i = 0; mb_planner_at(i); i++)
		assert_ptr_equal(mb_planner_find(mb_planner_at(i)->name), mb_planner_at(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_fleets_against_all_placements),
		cmocka_unit_test(test_never_worse_than_the_seed),
		cmocka_unit_test(test_planning_again_moves_nothing),
		cmocka_unit_test(test_same_input_same_plan),
		cmocka_unit_test(test_no_gain_no_move),
		cmocka_unit_test(test_a_new_vm_goes_to_its_like),
		cmocka_unit_test(test_tight_packing_is_found),
		cmocka_unit_test(test_empty_and_malformed_fleets),
		cmocka_unit_test(test_planner_table),
	};

	return cmocka_run_group_tests_name("plan_best", tests, NULL, NULL);
}
