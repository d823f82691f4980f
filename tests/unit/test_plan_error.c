// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/error.h"

#include "proto/sample.h"
#include "tests/unit/util_fleet.h"

enum { VMS = 5, HOSTS = 2, SHIFT = 4, TRIES = 400 };

static void five(struct fleet *f, uint32_t shift)
{
	static const uint64_t mb[VMS] = { 9, 9, 9, 9, 9 };

	fleet_init(f, VMS, mb, HOSTS, mb);
	for (uint32_t v = 0; v < VMS; v++)
		f->vms[v].sample_shift = shift;
}

static uint64_t error_of(const struct fleet *f, const uint32_t *before, const uint32_t *host)
{
	struct mb_err err = { 0 };
	uint64_t ret;

	assert_ok(mb_plan_error_pages(&f->view, before, host, &ret, &err), &err);
	return ret;
}

static const uint32_t apart[VMS] = { 0, 1, 0, 1, 0 }, together[VMS] = { 0, 0, 0, 1, 1 };

static void test_exact_has_none(void **state)
{
	struct fleet f;

	(void)state;
	five(&f, 0);
	fleet_share(&f, 31, 100000);
	assert_int_equal(error_of(&f, NULL, together), 0);
	fleet_deinit(&f);
}

/* What is saved before as after may be off by what it will: the gain is not. */
static void test_what_stays_has_none(void **state)
{
	struct fleet f;

	(void)state;
	five(&f, SHIFT);
	fleet_share(&f, 1 << 0 | 1 << 2, 100000);
	assert_int_equal(error_of(&f, together, together), 0);
	assert_int_equal(error_of(&f, apart, together), 0);
	assert_true(error_of(&f, NULL, together) > 2000);
	/* VM 1 comes to VM 0. */
	fleet_share(&f, 1 << 0 | 1 << 1, 1600);
	assert_in_range(error_of(&f, apart, together), 300, 400);
	/* Nowhere is no host. */
	assert_int_equal(error_of(&f, NULL,
				  (uint32_t[]){ MB_NOWHERE, MB_NOWHERE, MB_NOWHERE, MB_NOWHERE,
						MB_NOWHERE }),
			 0);
	fleet_deinit(&f);
}

/* A page of three VMs on one host is saved twice: if it is no page, twice is missing. */
static void test_counts_copies(void **state)
{
	struct fleet two, three;
	uint64_t one_each, two_each;

	(void)state;
	five(&two, SHIFT);
	five(&three, SHIFT);
	fleet_share(&two, 1 << 0 | 1 << 1, 16000);
	fleet_share(&three, 1 << 0 | 1 << 1 | 1 << 2, 16000);
	one_each = error_of(&two, NULL, together);
	two_each = error_of(&three, NULL, together);
	assert_in_range(two_each, 2 * one_each - 1, 2 * one_each + 1);
	fleet_deinit(&two);
	fleet_deinit(&three);
}

static void test_only_samples_err(void **state)
{
	struct fleet f;
	uint64_t one;

	(void)state;
	five(&f, SHIFT);
	f.vms[0].sample_shift = f.vms[1].sample_shift = 0;
	fleet_share(&f, 1 << 0 | 1 << 1, 1000000);
	assert_int_equal(error_of(&f, NULL, together), 0);
	fleet_share(&f, 1 << 3 | 1 << 4, 16000);
	one = error_of(&f, NULL, together);
	assert_true(one > 900 && one < 1100);
	fleet_deinit(&f);
}

/* Many draws of one fleet: the gain by the sample is off by more in one case of twenty. */
static void test_holds_for_95_percent(void **state)
{
	static const uint64_t sets[] = { 3, 5, 9, 17, 7, 31, 24, 12, 6 };
	static const uint64_t weights[] = { 900, 3000, 500, 40, 2500, 6000, 1000, 8, 4000 };
	unsigned int within = 0;
	struct rng r = { 11 };

	(void)state;
	for (int t = 0; t < TRIES; t++) {
		struct fleet truth, sample;
		int64_t gain, want;

		five(&truth, 0);
		five(&sample, SHIFT);
		for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
			uint64_t light = 0;

			for (uint64_t k = 0; k < weights[i]; k++)
				light += rng_below(&r, 1 << SHIFT) == 0;
			fleet_share(&truth, sets[i], weights[i]);
			if (light)
				fleet_share(&sample, sets[i], light << SHIFT);
		}
		want = (int64_t)(mb_score_inter_pages(&truth.view, together) -
				 mb_score_inter_pages(&truth.view, apart));
		gain = (int64_t)(mb_score_inter_pages(&sample.view, together) -
				 mb_score_inter_pages(&sample.view, apart));
		within += llabs(gain - want) <= (int64_t)error_of(&sample, apart, together);
		fleet_deinit(&truth);
		fleet_deinit(&sample);
	}
	assert_in_range(within, TRIES * 93 / 100, TRIES * 99 / 100);
}

/* A plan that gains less than the error is none, and says so. */
static void test_plan_inside_the_error(void **state)
{
	static const uint64_t vm_mb[] = { 1, 1, 1, 1 }, host_mb[] = { 9, 9 };
	struct mb_plan_options o = { .seed = 1, .concurrent_max = 1 };

	(void)state;
	for (uint32_t shift = 0; shift <= 8; shift += 4) {
		struct mb_err err = { 0 };
		struct mb_plan p;
		struct fleet f;

		fleet_init(&f, 4, vm_mb, 2, host_mb);
		for (uint32_t v = 0; v < 4; v++) {
			f.vms[v].sample_shift = shift;
			f.vms[v].host = v % 2;
		}
		fleet_share(&f, 3, 200);
		assert_ok(mb_plan_make(&p, &mb_planner_best, &f.view, &o, &err), &err);
		/* 200 pages, right within 0, 140 or 1400. */
		assert_int_equal(p.n_moves, shift < 8 ? 1 : 0);
		assert_int_equal(strstr(p.note, "inside the sampling error") != NULL, shift == 8);
		mb_plan_deinit(&p);
		fleet_deinit(&f);
	}
}

/* A count of the sample is 16 pages; the score interval's half width, by hand. */
static void test_counts(void **state)
{
	char text[MB_PLAN_MB_BYTES];

	(void)state;
	assert_int_equal(mb_plan_count_error(86937, 0), 0);
	/* 1.96 * sqrt(15 / 16 * 100) * 16, and what a small count adds. */
	assert_in_range(mb_plan_count_error(1600, SHIFT), 304, 340);
	assert_in_range(mb_plan_count_error(0, SHIFT), 1, 70);
	mb_plan_mb(86937, 0, text);
	assert_string_equal(text, "339.6 MB");
	mb_plan_mb(86937, 77, text);
	assert_string_equal(text, "339.6 +-0.4 MB");
	mb_plan_mb(UINT64_MAX, UINT64_MAX, text);
	assert_non_null(strstr(text, " +-"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_has_none),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_what_stays_has_none),
		cmocka_unit_test(test_counts_copies),
		cmocka_unit_test(test_only_samples_err),
		cmocka_unit_test(test_holds_for_95_percent),
		cmocka_unit_test(test_plan_inside_the_error),
	};

	return cmocka_run_group_tests_name("plan_error", tests, NULL, NULL);
}
