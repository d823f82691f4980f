// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/question.h"

static const struct mb_planner *any_planner(struct rng *r)
{
	return mb_planner_at(rng_below(r, 3));
}

static bool is_pinned_there(const struct model *m, uint32_t host)
{
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (m->f.vms[v].pinned && m->f.vms[v].host == host)
			return true;
	return false;
}

static void check_together(const struct model *m, const uint32_t *at)
{
	for (uint32_t a = 0; a < m->f.view.n_vms; a++)
		for (uint32_t b = 0; b < a; b++)
			if (model_together(m, a, b))
				assert_int_equal(at[a], at[b]);
}

/* Who was there has gone; of the others no more have moved than must make room. */
static void check_moves(const struct model *m, const struct mb_plan *plan, uint32_t host)
{
	uint32_t gone = 0, others = 0, rooms = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		gone += m->f.vms[v].host == host;
		others += m->f.vms[v].host != host && plan->host[v] != m->f.vms[v].host;
		assert_int_not_equal(plan->host[v], host);
		assert_int_equal(plan->host[v] == MB_NOWHERE, m->f.vms[v].host == MB_NOWHERE);
	}
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct mb_move *move = &plan->moves[i];

		assert_int_equal(move->why, move->from == host ? MB_WHY_EMPTY : MB_WHY_ROOM);
		rooms += move->why == MB_WHY_ROOM;
	}
	assert_true(rooms >= others);
	if (!gone)
		assert_int_equal(plan->n_moves, 0);
	/* Groups make room as one, so that others count by VM only where there are none. */
	for (uint32_t i = 0; i < m->f.view.n_rules; i++)
		if (m->rules[i].kind == MB_RULE_TOGETHER)
			return;
	assert_true(others <= gone);
}

static void test_random_fleets(void **state)
{
	unsigned int drained = 0, full = 0, pinned = 0, stuck = 0, two_steps = 0;
	struct rng r = { 14 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 9), host;
		enum mb_host_state was;
		struct mb_err err = { 0 };
		struct mb_plan plan;
		struct model m;
		int e;

		model_random(&r, &m, n, 2 + (uint32_t)rng_below(&r, 4));
		model_settle(&r, &m);
		host = (uint32_t)rng_below(&r, m.f.view.n_hosts);
		for (uint32_t v = 0; v < n; v++)
			m.f.vms[v].pinned = m.f.vms[v].host != MB_NOWHERE && !rng_below(&r, 20);
		e = mb_plan_drain(&plan, any_planner(&r), &m.f.view, &m.o, host, &err);
		if (is_pinned_there(&m, host)) {
			assert_fails(e, EINVAL, &err, "is pinned to it");
			pinned++;
		} else if (e < 0) {
			assert_fails(e, ENOSPC, &err, "fits on no host");
			assert_null(strstr(err.text, "drained"));
			full++;
		} else {
			was = m.f.hosts[host].state;
			m.f.hosts[host].state = MB_HOST_EMPTYING;
			model_check_plan(&m, &plan);
			check_moves(&m, &plan, host);
			check_together(&m, plan.host);
			for (uint32_t h = 0; h < m.f.view.n_hosts; h++) {
				assert_true(model_gets_on(&m, plan.host, h));
				assert_true(model_room(&m, plan.host, h) >= 0);
			}
			m.f.hosts[host].state = was;
			assert_int_equal(*plan.note != 0,
					 plan.n_moves && !plan.moves[plan.n_moves - 1].feasible);
			/* Groups count as one VM of inflow until their moves are ordered. */
			if (*plan.note)
				assert_true(m.o.inflow_max && m.f.view.n_rules);
			stuck += *plan.note != 0;
			drained += plan.n_moves > 0;
			for (size_t k = 0; k < plan.n_moves; k++)
				two_steps += plan.moves[k].why == MB_WHY_ROOM;
		}
		mb_plan_deinit(&plan);
		model_deinit(&m);
	}
	print_message("%u drained, %u full, %u pinned, %u stuck, %u made room\n", drained, full,
		      pinned, stuck, two_steps);
	assert_true(drained > MODEL_FLEETS / 10 && full > MODEL_FLEETS / 10);
	assert_true(pinned > MODEL_FLEETS / 30 && two_steps > MODEL_FLEETS / 100);
	assert_true(stuck * 20 < drained);
}

/* h0 is drained of v0; it fits beside v1 only if v2 goes. */
static void test_two_steps_only_where_needed(void **state)
{
	const uint64_t vm_mb[] = { 4, 3, 3 }, host_mb[] = { 8, 8, 3 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	f.vms[0].host = 0;
	f.vms[1].host = f.vms[2].host = 1;
	f.vms[1].pinned = true;
	assert_ok(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 0, &err), &err);
	assert_int_equal(plan.n_moves, 2);
	assert_int_equal(plan.moves[0].vm, 2);
	assert_int_equal(plan.moves[0].to, 2);
	assert_int_equal(plan.moves[0].why, MB_WHY_ROOM);
	assert_int_equal(plan.moves[1].vm, 0);
	assert_int_equal(plan.moves[1].to, 1);
	assert_int_equal(plan.moves[1].why, MB_WHY_EMPTY);
	mb_plan_deinit(&plan);
	f.hosts[1].memory_mb = 10;
	assert_ok(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 0, &err), &err);
	assert_int_equal(plan.n_moves, 1);
	assert_int_equal(plan.moves[0].to, 1);
	mb_plan_deinit(&plan);
}

static void test_errors_say_who_and_why(void **state)
{
	static const uint32_t both[] = { 0, 1 };
	const struct mb_plan_rule apart = { MB_RULE_APART, "replicas", both, 2 };
	const uint64_t vm_mb[] = { 4, 4 }, host_mb[] = { 8, 7 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	fleet_init(&f, 2, vm_mb, 2, host_mb);
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	assert_fails(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 0, &err), ENOSPC, &err,
		     "VM \"v0\" (4 MB) fits on no host beside the others: the largest room is 3 MB "
		     "on \"h1\"");
	f.hosts[1].memory_mb = 8;
	f.view.rules = &apart;
	f.view.n_rules = 1;
	assert_fails(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 0, &err), ENOSPC, &err,
		     "there is room on \"h1\", but rule \"replicas\" keeps it apart");
	f.vms[0].pinned = true;
	assert_fails(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 0, &err), EINVAL, &err,
		     "host \"h0\" cannot be drained: VM \"v0\" is pinned to it");
	assert_fails(mb_plan_drain(&plan, &mb_planner_best, &f.view, &o, 2, &err), EINVAL, &err,
		     "host 2 of 2");
}

/* v2 runs nowhere, and does so afterwards; v3 and v4, apart against their rule, are not touched. */
static void test_leaves_the_rest_alone(void **state)
{
	const uint64_t vm_mb[] = { 1, 1, 1, 1, 1 }, host_mb[] = { 4, 4, 4 };
	struct model m = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;

	(void)state;
	fleet_init(&m.f, 5, vm_mb, 3, host_mb);
	model_add_rule(&m, MB_RULE_TOGETHER, 24);
	m.f.vms[0].host = 0;
	m.f.vms[1].host = m.f.vms[3].host = 1;
	m.f.vms[4].host = 2;
	for (size_t i = 0; mb_planner_at(i); i++) {
		assert_ok(mb_plan_drain(&plan, mb_planner_at(i), &m.f.view, &m.o, 0, &err), &err);
		assert_int_equal(plan.n_moves, 1);
		assert_int_equal(plan.moves[0].vm, 0);
		assert_int_equal(plan.host[2], MB_NOWHERE);
		mb_plan_deinit(&plan);
	}
	/* But if one of them has to leave, it goes to the other. */
	m.f.vms[3].host = 0;
	assert_ok(mb_plan_drain(&plan, &mb_planner_best, &m.f.view, &m.o, 0, &err), &err);
	assert_int_equal(plan.n_moves, 2 + (plan.host[4] != 2));
	assert_int_equal(plan.host[3], plan.host[4]);
	mb_plan_deinit(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_fleets),
		cmocka_unit_test(test_two_steps_only_where_needed),
		cmocka_unit_test(test_errors_say_who_and_why),
		cmocka_unit_test(test_leaves_the_rest_alone),
	};

	return cmocka_run_group_tests_name("plan_drain", tests, NULL, NULL);
}
