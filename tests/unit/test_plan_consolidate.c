// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/question.h"

static uint64_t used_pages(const struct model *m, uint32_t host)
{
	uint32_t at[FLEET_VMS_MAX];

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		at[v] = m->f.vms[v].host;
	return mb_score_union_pages(&m->f.view, at, host);
}

static uint32_t vms_on(const struct model *m, const uint32_t *at, uint32_t host)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		n += (at ? at[v] : m->f.vms[v].host) == host;
	return n;
}

static void check_host(const struct model *m, const struct mb_plan *plan, const bool *emptied,
		       uint32_t host, uint32_t low_percent)
{
	uint64_t pages = mb_plan_capacity_mb(&m->f.hosts[host], &m->o) * MB_PLAN_PAGES_PER_MB;

	if (emptied[host]) {
		assert_true(vms_on(m, NULL, host) > 0);
		assert_int_equal(vms_on(m, plan->host, host), 0);
		assert_int_equal(m->f.hosts[host].state, MB_HOST_ACTIVE);
		/* Who made room before may only have made it emptier. */
		assert_true(used_pages(m, host) * 100 < pages * low_percent || plan->n_moves > 1);
	}
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct mb_move *move = &plan->moves[i];

		if (move->to == host)
			assert_true(!emptied[host] && vms_on(m, NULL, host) > 0);
		if (move->from == host)
			assert_int_equal(move->why, emptied[host] ? MB_WHY_EMPTY : MB_WHY_ROOM);
	}
}

static void check_order(const struct model *m, const struct mb_plan *plan)
{
	uint32_t last = MB_NOWHERE;
	bool seen[FLEET_VMS_MAX] = { false };

	for (size_t i = 0; i < plan->n_moves; i++) {
		assert_true(plan->moves[i].feasible);
		/* No VM moves twice. */
		assert_false(seen[plan->moves[i].vm]);
		seen[plan->moves[i].vm] = true;
	}
	/* Lowest use first, as long as nobody has made room, which changes it. */
	for (size_t i = 0; i < plan->n_moves && plan->moves[i].why == MB_WHY_EMPTY; i++) {
		uint32_t from = plan->moves[i].from;

		if (last != MB_NOWHERE && last != from)
			assert_true(used_pages(m, last) <= used_pages(m, from));
		last = from;
	}
}

static void test_random_fleets(void **state)
{
	unsigned int n_emptied = 0, kept = 0, rooms = 0, several = 0;
	struct rng r = { 15 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 9), of_this = 0;
		uint32_t low = (uint32_t)rng_below(&r, 101);
		bool emptied[FLEET_HOSTS_MAX];
		struct mb_err err = { 0 };
		struct mb_plan plan;
		struct model m;

		model_random(&r, &m, n, 2 + (uint32_t)rng_below(&r, 5));
		model_settle(&r, &m);
		for (uint32_t v = 0; v < n; v++)
			m.f.vms[v].pinned = m.f.vms[v].host != MB_NOWHERE && !rng_below(&r, 20);
		assert_ok(mb_plan_consolidate(&plan, emptied, mb_planner_at(rng_below(&r, 3)),
					      &m.f.view, &m.o, low, &err),
			  &err);
		model_check_plan(&m, &plan);
		check_order(&m, &plan);
		for (uint32_t h = 0; h < m.f.view.n_hosts; h++) {
			check_host(&m, &plan, emptied, h, low);
			assert_true(model_gets_on(&m, plan.host, h));
			assert_true(model_room(&m, plan.host, h) >= 0);
			of_this += emptied[h];
			kept += !emptied[h] && vms_on(&m, NULL, h);
		}
		for (uint32_t a = 0; a < n; a++)
			for (uint32_t b = 0; b < a; b++)
				if (model_together(&m, a, b))
					assert_int_equal(plan.host[a], plan.host[b]);
		n_emptied += of_this;
		several += of_this > 1;
		for (size_t k = 0; k < plan.n_moves; k++)
			rooms += plan.moves[k].why == MB_WHY_ROOM;
		mb_plan_deinit(&plan);
		model_deinit(&m);
	}
	print_message("%u hosts emptied, %u kept, %u moves to make room\n", n_emptied, kept, rooms);
	assert_true(n_emptied > MODEL_FLEETS / 10 && kept > MODEL_FLEETS / 10);
	assert_true(several > MODEL_FLEETS / 100 && rooms > 0);
}

static void expect(const struct model *m, uint32_t low_percent, uint32_t want)
{
	bool emptied[FLEET_HOSTS_MAX];
	struct mb_err err = { 0 };
	struct mb_plan plan;

	assert_ok(mb_plan_consolidate(&plan, emptied, &mb_planner_best, &m->f.view, &m->o,
				      low_percent, &err),
		  &err);
	for (uint32_t h = 0; h < m->f.view.n_hosts; h++)
		assert_int_equal(emptied[h], want >> h & 1);
	if (!want)
		assert_int_equal(plan.n_moves, 0);
	mb_plan_deinit(&plan);
}

static void test_thresholds(void **state)
{
	/* Of 8 MB each 1, 2 and 3 are used: a page less, for the edge. h3 is empty. */
	const uint64_t vm_mb[] = { 1, 2, 3 }, host_mb[] = { 8, 8, 8, 8 };
	bool emptied[4];
	struct mb_plan plan;
	struct mb_err err = { 0 };
	struct model m = { 0 };

	(void)state;
	fleet_init(&m.f, 3, vm_mb, 4, host_mb);
	for (uint32_t v = 0; v < 3; v++) {
		m.f.vms[v].host = v;
		m.f.vms[v].pages = m.f.vms[v].distinct = vm_mb[v] * MB_PLAN_PAGES_PER_MB;
		m.f.hosts[v].cooled_s = m.f.vms[v].settled_s = UINT64_MAX;
	}
	expect(&m, 12, 0);
	expect(&m, 13, 1);
	/* h0 goes to h1 or h2; the one that took it in is not emptied. */
	m.f.vms[2].pinned = true;
	m.f.hosts[1].memory_mb = 2;
	expect(&m, 13, 1);
	m.f.hosts[1].memory_mb = 8;
	/* Hosts that may not be touched. */
	m.f.vms[0].pinned = true;
	expect(&m, 13, 0);
	m.f.vms[0].pinned = false;
	m.f.hosts[0].state = MB_HOST_MAINTENANCE;
	expect(&m, 13, 0);
	m.f.hosts[0].state = MB_HOST_ACTIVE;
	m.o.hold_s = 10;
	m.f.vms[0].settled_s = 9;
	expect(&m, 13, 0);
	m.f.vms[0].settled_s = 10;
	expect(&m, 13, 1);
	assert_fails(
		mb_plan_consolidate(&plan, emptied, &mb_planner_best, &m.f.view, &m.o, 101, &err),
		EINVAL, &err, "101 %");
}

/* Wholly or not at all: v1 fits nowhere, so v0 stays, too. */
static void test_not_by_halves(void **state)
{
	const uint64_t vm_mb[] = { 1, 5, 4 }, host_mb[] = { 64, 8 };
	struct model m = { 0 };

	(void)state;
	fleet_init(&m.f, 3, vm_mb, 2, host_mb);
	m.f.vms[2].host = 1;
	m.f.vms[0].host = m.f.vms[1].host = 0;
	m.f.vms[2].pinned = true;
	expect(&m, 50, 0);
	m.f.hosts[1].memory_mb = 10;
	expect(&m, 50, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_fleets),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_not_by_halves),
	};

	return cmocka_run_group_tests_name("plan_consolidate", tests, NULL, NULL);
}
