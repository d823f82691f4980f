// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/estimate.h"

#include <math.h>

#include "tests/unit/util_test.h"

static void test_threshold(void **state)
{
	(void)state;
	assert_int_equal(mb_sample_last(64, 0), UINT64_MAX);
	assert_int_equal(mb_sample_last(64, 4), UINT64_MAX / 16);
	assert_int_equal(mb_sample_last(48, 6), ((uint64_t)1 << 42) - 1);
	assert_int_equal(mb_sample_last(32, 12), ((uint64_t)1 << 20) - 1);
}

static void test_error_by_hand(void **state)
{
	(void)state;
	/* No sample, or nothing that could be: no error. */
	assert_int_equal(mb_estimate_error(1e6, 1, 0), 0);
	assert_int_equal(mb_estimate_error(0, 0, 6), 0);
	/* Nothing was found of what is asked for: z^2 / p. */
	assert_int_equal(mb_estimate_error(0, 1, 4), 62);
	/* 16000 pages from 1000 in the sample: (1.96 sqrt(937.5 + .96) + 1.92) * 16. */
	assert_int_equal(mb_estimate_error(16000, 1, 4), 992);
	/* Digests that count twice: twice that. */
	assert_int_equal(mb_estimate_error(64000, 2, 4), 1983);
}

/* Coins are tossed for real: how often is the truth within the error? */
static void test_error_holds(void **state)
{
	static const struct {
		uint32_t digests, members;
		unsigned int shift;
	} cases[] = { { 0, 1, 4 },     { 3, 1, 4 },	{ 40, 1, 4 },	{ 500, 1, 4 },
		      { 20000, 1, 4 }, { 20000, 1, 6 }, { 100, 1, 10 }, { 3000, 5, 6 } };
	enum { TRIALS = 400 };
	struct rng r = { 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t x = cases[i].members, truth = x * cases[i].digests, within = 0;

		for (int trial = 0; trial < TRIALS; trial++) {
			uint64_t found = 0, estimate, error;

			for (uint32_t d = 0; d < cases[i].digests; d++)
				found += rng_next(&r) <= mb_sample_last(64, cases[i].shift);
			estimate = (found * x) << cases[i].shift;
			error = mb_estimate_error((double)((found * x * x) << cases[i].shift), x,
						  cases[i].shift);
			within += truth <= estimate + error && estimate <= truth + error;
		}
		/* 95 %, and three standard deviations of so many trials. */
		assert_true(within >= TRIALS * 92 / 100);
	}
}

/* Groups {0, 1}: 3, {0, 2}: 1, {1, 2}: 5. */
static void make_groups(struct mb_groups *g)
{
	static const struct mb_group groups[] = { { 3, 0, 2 }, { 1, 2, 2 }, { 5, 4, 2 } };
	static const uint32_t vms[] = { 0, 1, 0, 2, 1, 2 };

	*g = (struct mb_groups){ malloc(sizeof(groups)), 3, malloc(sizeof(vms)), 6 };
	assert_non_null(g->groups);
	assert_non_null(g->vms);
	memcpy(g->groups, groups, sizeof(groups));
	memcpy(g->vms, vms, sizeof(vms));
}

static void test_groups(void **state)
{
	static const uint64_t plenty[] = { 1000, 1000, 1000 }, few[] = { 32, 1000, 50 };
	uint64_t any[3];
	struct mb_groups g;
	struct mb_err err = { 0 };

	(void)state;
	make_groups(&g);
	assert_ok(mb_estimate_groups(&g, 4, plenty, 3, &err), &err);
	assert_int_equal(g.n_groups, 3);
	assert_int_equal(g.groups[0].weight_pages, 48);
	assert_int_equal(g.groups[2].weight_pages, 80);
	mb_groups_deinit(&g);
	/* 64 pages of VM 0 where it has 32, 96 of VM 2 where it has 50. */
	make_groups(&g);
	assert_ok(mb_estimate_groups(&g, 4, few, 3, &err), &err);
	mb_groups_any(&g, 3, any);
	for (int v = 0; v < 3; v++)
		assert_true(any[v] <= few[v]);
	assert_int_equal(g.groups[0].weight_pages, 24);
	assert_int_equal(g.groups[1].weight_pages, 8);
	assert_int_equal(g.groups[2].weight_pages, 41);
	mb_groups_deinit(&g);
	/* Nothing is left of a group: it goes. */
	make_groups(&g);
	assert_ok(mb_estimate_groups(&g, 4, (const uint64_t[]){ 0, 1000, 1000 }, 3, &err), &err);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].first_vm, 0);
	assert_int_equal(g.vms[0], 1);
	assert_int_equal(g.n_vms, 2);
	mb_groups_deinit(&g);
}

/* By hand: what each host's figure and the sum of them have of each group. */
static void test_saving_errors(void **state)
{
	/* {0, 1, 2}: 160, {0, 3}: 320. */
	struct mb_group groups[] = { { 160, 0, 3 }, { 320, 3, 2 } };
	uint32_t vms[] = { 0, 1, 2, 0, 3 };
	const struct mb_groups g = { groups, 2, vms, 5 };
	const uint32_t host[] = { 0, 0, 0, 1 }, other[] = { 0, 0, 1, 0 };
	uint64_t errors[3], sum;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_estimate_saving_errors(&g, 4, host, NULL, 4, 3, errors, &sum, &err), &err);
	assert_int_equal(errors[0], mb_estimate_error(160 * 4, 2, 4));
	/* One VM, no VM: nothing to be wrong about. */
	assert_int_equal(errors[1], 0);
	assert_int_equal(errors[2], 0);
	assert_int_equal(sum, errors[0]);
	/* Host 0 loses one page of each digest of the first group and gains the second's. */
	assert_ok(mb_estimate_saving_errors(&g, 4, other, host, 4, 2, errors, &sum, &err), &err);
	assert_int_equal(errors[0], mb_estimate_error(160 + 320, 2, 4));
	assert_int_equal(sum, errors[0]);
	/* What stays as it is brings no error but that of what was not seen. */
	assert_ok(mb_estimate_saving_errors(&g, 4, host, host, 4, 2, errors, &sum, &err), &err);
	assert_int_equal(sum, mb_estimate_error(0, 2, 4));
	/* Nowhere. */
	assert_ok(mb_estimate_saving_errors(&g, 4,
					    (const uint32_t[]){ UINT32_MAX, UINT32_MAX, 0, 1 },
					    NULL, 4, 2, errors, &sum, &err),
		  &err);
	assert_int_equal(sum, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threshold),     cmocka_unit_test(test_error_by_hand),
		cmocka_unit_test(test_error_holds),   cmocka_unit_test(test_groups),
		cmocka_unit_test(test_saving_errors),
	};

	return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
