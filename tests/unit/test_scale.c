// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/scale.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_fleet.h"

enum { VMS = 4, SHIFT = 4 };

static struct fleet four(void)
{
	static const uint64_t mb[VMS] = { 1, 1, 1, 1 };
	struct fleet f;

	fleet_init(&f, VMS, mb, 1, mb);
	return f;
}

static void scale(struct fleet *f, const struct mb_sample_size *sizes)
{
	struct mb_err err = { 0 };

	assert_ok(mb_groups_scale(&f->groups, sizes, VMS, &err), &err);
}

static void test_exact_stays(void **state)
{
	const struct mb_sample_size all[VMS] = {
		{ 100, 100 }, { 999983, 999983 }, { 77, 77 }, { 3, 3 }
	};
	struct fleet f = four();

	(void)state;
	fleet_share(&f, 3, 61);
	fleet_share(&f, 7, 39);
	fleet_share(&f, 6, 38);
	scale(&f, all);
	assert_int_equal(f.groups.n_groups, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(f.groups.groups[i].weight_pages == 61 ||
			    f.groups.groups[i].weight_pages == 39 ||
			    f.groups.groups[i].weight_pages == 38);
	fleet_deinit(&f);
}

/* Whatever the draw was: all that one has the others have, too. */
static void test_twins_stay_twins(void **state)
{
	const struct mb_sample_size sizes[VMS] = {
		{ 6000, 100001 }, { 6000, 100001 }, { 6000, 100001 }, { 5, 99 }
	};
	struct fleet f = four();

	(void)state;
	fleet_share(&f, 7, 6000);
	scale(&f, sizes);
	assert_int_equal(f.groups.groups[0].weight_pages, 100001);
	fleet_deinit(&f);
}

/* VM 0 had luck in its draw, VM 1 none: 0's groups are cut to what it has, others' are not. */
static void test_cut_to_what_a_vm_has(void **state)
{
	const struct mb_sample_size sizes[VMS] = {
		{ 100, 1000 }, { 100, 3000 }, { 100, 2000 }, { 1, 1 }
	};
	struct fleet f = four();

	(void)state;
	fleet_share(&f, 3, 50); /* 1000 by rate, half of what VM 0 would have too much */
	fleet_share(&f, 5, 50); /* 750 */
	fleet_share(&f, 6, 20); /* 500 */
	scale(&f, sizes);
	assert_int_equal(f.groups.n_groups, 3);
	for (size_t i = 0; i < 3; i++) {
		const uint32_t *vms = f.groups.vms + f.groups.groups[i].first_vm;
		uint64_t w = f.groups.groups[i].weight_pages;

		assert_int_equal(w, vms[0] == 1 ? 500 : vms[1] == 1 ? 571 : 428);
	}
	fleet_deinit(&f);
}

static void test_nothing_left_goes(void **state)
{
	const struct mb_sample_size sizes[VMS] = { { 10, 0 }, { 10, 160 }, { 10, 160 }, { 0, 0 } };
	struct fleet f = four();

	(void)state;
	fleet_share(&f, 3, 5);
	fleet_share(&f, 6, 5);
	scale(&f, sizes);
	assert_int_equal(f.groups.n_groups, 1);
	assert_int_equal(f.groups.groups[0].weight_pages, 80);
	fleet_deinit(&f);
}

/* No VM shares more than it has, which planners rely on; and all is right on average. */
static void test_random_fleets(void **state)
{
	struct rng r = { 8 };
	double ratio = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct mb_sample_size sizes[VMS] = { 0 };
		uint64_t shared[VMS] = { 0 };
		struct fleet f = four();
		double want = 0, got = 0;

		for (uint64_t set = 1; set < 16; set++) {
			uint64_t weight = rng_below(&r, 2000), light = 0;

			for (uint64_t i = 0; i < weight; i++)
				light += rng_below(&r, 1 << SHIFT) == 0;
			if (light && (set & (set - 1))) {
				fleet_share(&f, set, light);
				want += (double)weight;
			}
			for (uint32_t v = 0; v < VMS; v++) {
				sizes[v].light += set >> v & 1 ? light : 0;
				sizes[v].distinct += set >> v & 1 ? weight : 0;
			}
		}
		scale(&f, sizes);
		for (size_t i = 0; i < f.groups.n_groups; i++) {
			const struct mb_group *g = &f.groups.groups[i];

			got += (double)g->weight_pages;
			for (uint32_t k = 0; k < g->n_vms; k++)
				shared[f.groups.vms[g->first_vm + k]] += g->weight_pages;
		}
		for (uint32_t v = 0; v < VMS; v++)
			assert_true(shared[v] <= sizes[v].distinct);
		ratio += got / want / 200;
		fleet_deinit(&f);
	}
	assert_true(fabs(ratio - 1) < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_stays),
		cmocka_unit_test(test_twins_stay_twins),
		cmocka_unit_test(test_cut_to_what_a_vm_has),
		cmocka_unit_test(test_nothing_left_goes),
		cmocka_unit_test(test_random_fleets),
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
