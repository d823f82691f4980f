// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/stage.h"

#include "tests/unit/util_model.h"

/* Four VMs of 4 MB on three hosts of 16 MB: v0 and v1 on h0, v2 on h1, v3 nowhere. */
static void make(struct model *m)
{
	const uint64_t vm_mb[] = { 4, 4, 4, 4 }, host_mb[] = { 16, 16, 16 };

	*m = (struct model){ 0 };
	fleet_init(&m->f, 4, vm_mb, 3, host_mb);
	m->f.vms[0].host = m->f.vms[1].host = 0;
	m->f.vms[2].host = 1;
	for (uint32_t v = 0; v < 4; v++)
		m->f.vms[v].settled_s = UINT64_MAX;
	for (uint32_t h = 0; h < 3; h++)
		m->f.hosts[h].cooled_s = UINT64_MAX;
}

/* The VMs that a stage holds, as a bitmap. */
static uint64_t held(const struct model *m, bool hold)
{
	struct mb_err err = { 0 };
	struct mb_stage s = { 0 };
	uint64_t set = 0;

	assert_ok(mb_stage_init(&s, &m->f.view, &m->o, hold, &err), &err);
	for (uint32_t v = 0; v < s.view.n_vms; v++) {
		set |= (uint64_t)s.vms[v].pinned << v;
		/* Units are told. */
		assert_true(!s.vms[v].pinned || s.units.view.vms[s.units.unit_of[v]].pinned);
	}
	mb_stage_deinit(&s);
	return set;
}

static void test_who_is_held(void **state)
{
	struct model m;

	(void)state;
	make(&m);
	m.o.hold_s = m.o.cooldown_s = 10;
	assert_int_equal(held(&m, true), 0);
	m.f.vms[1].settled_s = 9;
	assert_int_equal(held(&m, true), 0x2);
	assert_int_equal(held(&m, false), 0);
	m.f.vms[1].settled_s = 10;
	m.f.hosts[0].cooled_s = 9;
	assert_int_equal(held(&m, true), 0x3);
	m.f.hosts[0].cooled_s = 10;
	m.f.hosts[1].state = MB_HOST_MAINTENANCE;
	assert_int_equal(held(&m, true), 0x4);
	/* Who is nowhere is placed, whatever. */
	m.f.vms[3].settled_s = 0;
	assert_int_equal(held(&m, true), 0x4);
	/* The operator's own pins count with and without. */
	m.f.vms[0].pinned = true;
	assert_int_equal(held(&m, true), 0x5);
	assert_int_equal(held(&m, false), 0x1);
	/* Where a rule is broken it is mended: the second of two that must be apart. */
	m.f.vms[0].pinned = false;
	m.f.vms[0].settled_s = m.f.vms[1].settled_s = 0;
	assert_int_equal(held(&m, true), 0x7);
	model_add_rule(&m, MB_RULE_APART, 0x3);
	assert_int_equal(held(&m, true), 0x5);
	model_deinit(&m);
}

static void test_what_is_spread_is_not_held(void **state)
{
	struct model m;

	(void)state;
	make(&m);
	m.o.hold_s = 10;
	m.f.vms[3].host = 1;
	for (uint32_t v = 0; v < 4; v++)
		m.f.vms[v].settled_s = 0;
	assert_int_equal(held(&m, true), 0xf);
	/* Each pair is together, and held. */
	model_add_rule(&m, MB_RULE_TOGETHER, 0xc);
	model_add_rule(&m, MB_RULE_TOGETHER, 0x3);
	assert_int_equal(held(&m, true), 0xf);
	/* Two VMs of the pairs shall meet: then all four are one unit, on two hosts. */
	model_add_rule(&m, MB_RULE_TOGETHER, 0x6);
	assert_int_equal(held(&m, true), 0);
	/* Who is pinned stays so. */
	m.f.vms[3].pinned = true;
	assert_int_equal(held(&m, true), 0x8);
	model_deinit(&m);
}

/* Of a spread chain two were held, on two hosts, and one of them was moved all the same. */
static void test_a_spread_chain_can_come_together(void **state)
{
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct model m;
	uint32_t at[FLEET_VMS_MAX];

	(void)state;
	make(&m);
	m.o.hold_s = 10;
	m.f.vms[3].host = 1;
	m.f.vms[0].settled_s = m.f.vms[3].settled_s = 0;
	model_add_rule(&m, MB_RULE_TOGETHER, 0x3);
	model_add_rule(&m, MB_RULE_TOGETHER, 0xc);
	model_add_rule(&m, MB_RULE_TOGETHER, 0x6);
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &m.f.view, &m.o, &err), &err);
	model_replay(&m, plan.moves, plan.n_moves, at);
	for (uint32_t v = 1; v < 4; v++)
		assert_int_equal(at[v], at[0]);
	assert_int_equal(plan.n_moves, 2);
	mb_plan_deinit(&plan);
	model_deinit(&m);
}

static uint32_t wrongs(const struct model *m)
{
	struct mb_err err = { 0 };
	struct mb_stage s = { 0 };
	uint32_t n = 99;

	assert_ok(mb_stage_init(&s, &m->f.view, &m->o, true, &err), &err);
	assert_ok(mb_stage_wrongs(&s, &m->o, &n, &err), &err);
	mb_stage_deinit(&s);
	return n;
}

static void test_wrongs(void **state)
{
	struct model m;

	(void)state;
	make(&m);
	assert_int_equal(wrongs(&m), 1); /* v3 runs nowhere */
	m.f.vms[3].host = 2;
	assert_int_equal(wrongs(&m), 0);
	model_add_rule(&m, MB_RULE_APART, 0x3);
	assert_int_equal(wrongs(&m), 1);
	model_add_rule(&m, MB_RULE_TOGETHER, 0xc);
	assert_int_equal(wrongs(&m), 2);
	m.f.hosts[2].memory_mb = 3;
	assert_int_equal(wrongs(&m), 3);
	model_deinit(&m);
}

static void target_of(struct mb_stage *s, uint32_t unit, uint32_t to, uint32_t *ret)
{
	uint32_t unit_host[FLEET_VMS_MAX];

	for (uint32_t u = 0; u < s->units.view.n_vms; u++)
		unit_host[u] = u == unit ? to : s->unit_host[u];
	mb_stage_target(s, unit_host, ret);
}

/* v0, v1 and v2 belong together, and v2 is elsewhere. */
static void test_targets_of_spread_units(void **state)
{
	uint32_t at[FLEET_VMS_MAX];
	struct mb_err err = { 0 };
	struct mb_stage s = { 0 };
	struct model m;

	(void)state;
	make(&m);
	model_add_rule(&m, MB_RULE_TOGETHER, 0x7);
	assert_ok(mb_stage_init(&s, &m.f.view, &m.o, false, &err), &err);
	assert_int_equal(s.units.view.n_vms, 2);
	assert_int_equal(s.unit_host[0], 0);
	/* It stays: that v2 is elsewhere is not this question's business. */
	target_of(&s, 0, 0, at);
	assert_true(at[0] == 0 && at[1] == 0 && at[2] == 1 && at[3] == MB_NOWHERE);
	/* It goes: all of it. */
	target_of(&s, 0, 2, at);
	assert_true(at[0] == 2 && at[1] == 2 && at[2] == 2);
	target_of(&s, 1, 1, at);
	assert_int_equal(at[3], 1);
	/* v2 must not stay where it is. */
	s.hosts[1].state = MB_HOST_EMPTYING;
	target_of(&s, 0, 0, at);
	assert_true(at[0] == 0 && at[1] == 0 && at[2] == 0);
	/* Nowhere is no target. */
	target_of(&s, 0, MB_NOWHERE, at);
	assert_true(at[0] == 0 && at[2] == 1);
	mb_stage_deinit(&s);
	model_deinit(&m);
}

static bool go(struct mb_stage *s, const struct model *m, uint32_t unit, uint32_t to,
	       struct mb_plan *plan)
{
	uint32_t unit_host[FLEET_VMS_MAX];
	struct mb_err err = { 0 };
	bool went = false;

	for (uint32_t u = 0; u < s->units.view.n_vms; u++)
		unit_host[u] = u == unit ? to : s->unit_host[u];
	assert_ok(mb_stage_go(s, &m->o, unit_host, plan, &went, &err), &err);
	return went;
}

static void test_goes_or_does_nothing(void **state)
{
	struct mb_plan plan = { 0 };
	struct mb_err err = { 0 };
	struct mb_stage s = { 0 };
	uint32_t at[FLEET_VMS_MAX];
	struct model m;

	(void)state;
	make(&m);
	m.o.inflow_max = 2;
	m.f.hosts[1].memory_mb = 8;
	assert_ok(mb_stage_init(&s, &m.f.view, &m.o, false, &err), &err);
	assert_true(go(&s, &m, 0, 1, &plan));
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(s.vms[0].host, 1);
	assert_int_equal(s.unit_host[0], 1);
	/* No room: as before. */
	assert_false(go(&s, &m, 1, 1, &plan));
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(s.vms[1].host, 0);
	assert_int_equal(s.unit_host[1], 0);
	/* Nothing to do is no failure. */
	assert_true(go(&s, &m, 1, 0, &plan));
	assert_int_equal(plan.n_moves, 1);
	/* The limit is one of the whole plan; first placements are no migrations. */
	assert_true(go(&s, &m, 1, 2, &plan));
	assert_true(go(&s, &m, 2, 2, &plan));
	assert_false(go(&s, &m, 0, 2, &plan));
	assert_true(go(&s, &m, 3, 2, &plan));
	assert_int_equal(plan.n_moves, 4);
	model_replay(&m, plan.moves, plan.n_moves, at);
	for (uint32_t v = 0; v < 4; v++)
		assert_int_equal(at[v], s.vms[v].host);
	free(plan.moves);
	mb_stage_deinit(&s);
	model_deinit(&m);
}

static void test_rewind(void **state)
{
	struct mb_plan plan = { 0 };
	struct mb_err err = { 0 };
	struct mb_stage s = { 0 };
	uint32_t at[FLEET_VMS_MAX];
	struct model m;

	(void)state;
	make(&m);
	m.f.hosts[2].state = MB_HOST_POOL;
	assert_ok(mb_stage_init(&s, &m.f.view, &m.o, false, &err), &err);
	s.hosts[2].state = MB_HOST_ACTIVE;
	assert_true(go(&s, &m, 2, 2, &plan));
	mb_stage_rewind(&s, &m.f.view, at);
	assert_true(at[0] == 0 && at[1] == 0 && at[2] == 2 && at[3] == MB_NOWHERE);
	for (uint32_t v = 0; v < 4; v++)
		assert_int_equal(s.vms[v].host, m.f.vms[v].host);
	assert_int_equal(s.hosts[2].state, MB_HOST_POOL);
	/* The fleet itself was never touched. */
	assert_int_equal(m.f.vms[2].host, 1);
	free(plan.moves);
	mb_stage_deinit(&s);
	model_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_held),
		cmocka_unit_test(test_what_is_spread_is_not_held),
		cmocka_unit_test(test_a_spread_chain_can_come_together),
		cmocka_unit_test(test_wrongs),
		cmocka_unit_test(test_targets_of_spread_units),
		cmocka_unit_test(test_goes_or_does_nothing),
		cmocka_unit_test(test_rewind),
	};

	return cmocka_run_group_tests_name("plan_stage", tests, NULL, NULL);
}
