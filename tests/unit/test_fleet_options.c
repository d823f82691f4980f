// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_options.h"

#include "tests/unit/util_test.h"

static void test_defaults(void **state)
{
	struct mb_fleet_options o;
	struct mb_plan_options p;

	(void)state;
	mb_fleet_options_init(&o);
	mb_fleet_options_plan(&o, &p);
	assert_int_equal(p.mean_percent, 80);
	assert_int_equal(p.peak_percent, 100);
	assert_int_equal(p.overcommit_percent, 0);
	assert_int_equal(p.min_gain_pages, 16 * 256);
	assert_int_equal(p.hold_s, 600);
	assert_int_equal(p.cooldown_s, 300);
	assert_false(p.strict || p.one_tenant_per_host || p.one_trust_domain_per_host);
	for (int i = 0; i < MB_OPTIONS; i++) {
		const struct mb_option_info *info = &mb_option_infos[i];

		assert_true(info->name && info->help);
		assert_true(info->flag == !info->unit);
		assert_in_range(info->initial, info->min, info->max);
		assert_in_range(info->max, 1, INT32_MAX);
	}
}

/* Every option reaches its own field of the planner's options, and no other. */
static void test_each_has_its_field(void **state)
{
	unsigned int all = 0;

	(void)state;
	for (int i = 0; i < MB_OPTIONS; i++) {
		struct mb_fleet_options o;
		struct mb_plan_options p;
		unsigned int changed;

		mb_fleet_options_init(&o);
		o.value[i] = o.value[i] == 1 ? 2 : 1;
		mb_fleet_options_plan(&o, &p);
		changed = (p.overcommit_percent != 0) << 0 | (p.count_sharing_percent != 0) << 1 |
			  (p.mean_percent != 80) << 2 | (p.peak_percent != 100) << 3 |
			  (unsigned int)p.one_tenant_per_host << 4 |
			  (unsigned int)p.one_trust_domain_per_host << 5 |
			  (p.inflow_max != 0) << 6 | (p.min_gain_pages != 16 * 256) << 7 |
			  (p.hold_s != 600) << 8 | (p.cooldown_s != 300) << 9 |
			  (p.concurrent_max != 2) << 10 | (p.link_mbit_s != 10000) << 11 |
			  (p.merge_mb_s != 20) << 12;
		/* Those of durable sharing are not the planner's. */
		assert_int_equal(__builtin_popcount(changed), i < MB_OPTION_DURABLE);
		all |= changed;
	}
	assert_int_equal(all, (1 << MB_OPTION_DURABLE) - 1);
}

static void test_set(void **state)
{
	struct mb_fleet_options o;
	struct mb_err err;

	(void)state;
	mb_fleet_options_init(&o);
	assert_int_equal(mb_fleet_options_set(&o, MB_OPTION_MEAN, "x", "60", &err), 0);
	assert_int_equal(o.value[MB_OPTION_MEAN], 60);
	assert_fails(mb_fleet_options_set(&o, MB_OPTION_MEAN, "--mean-percent", "0", &err), EINVAL,
		     &err, "--mean-percent");
	assert_fails(mb_fleet_options_set(&o, MB_OPTION_ONE_TENANT, "x", "2", &err), EINVAL, &err,
		     "x");
	assert_int_equal(o.value[MB_OPTION_MEAN], 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_each_has_its_field),
		cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests_name("fleet_options", tests, NULL, NULL);
}
