// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

/* Distinct pages of a VM that those on a host have. */
static uint64_t overlap(const struct model *m, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];

	memcpy(then, at, m->f.view.n_vms * sizeof(*then));
	then[vm] = host;
	return mb_score_union_pages(&m->f.view, at, host) + m->f.vms[vm].distinct -
	       mb_score_union_pages(&m->f.view, then, host);
}

static bool fits(const struct model *m, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];

	memcpy(then, at, m->f.view.n_vms * sizeof(*then));
	then[vm] = host;
	return model_is_open(m, vm, host) && model_gets_on(m, then, host) &&
	       model_room(m, then, host) >= 0 &&
	       (!m->o.inflow_max || model_inflow(m, then, host) <= m->o.inflow_max);
}

/* Section 4.1, word by word; MB_NOWHERE or the VM that fits nowhere. */
static uint32_t place(const struct model *m, uint32_t *at)
{
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		at[v] = m->f.vms[v].pinned ? m->f.vms[v].host : MB_NOWHERE;
	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		uint32_t best = MB_NOWHERE;

		if (at[v] != MB_NOWHERE)
			continue;
		for (uint32_t h = 0; h < m->f.view.n_hosts; h++)
			if (fits(m, at, v, h) &&
			    (best == MB_NOWHERE || overlap(m, at, v, h) > overlap(m, at, v, best)))
				best = h;
		if (best == MB_NOWHERE)
			return v;
		at[v] = best;
	}
	return MB_NOWHERE;
}

static void test_word_by_word(void **state)
{
	const struct mb_planner *paper = mb_planner_find("paper");
	unsigned int placed = 0, not_placed = 0;
	struct rng r = { 9 };

	(void)state;
	assert_ptr_equal(paper, &mb_planner_paper);
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t got[FLEET_VMS_MAX], want[FLEET_VMS_MAX], no;
		char note[MB_PLAN_NOTE_BYTES] = "";
		struct mb_err err = { 0 };
		struct model m;
		int e;

		model_random(&r, &m, 1 + (uint32_t)rng_below(&r, 8),
			     1 + (uint32_t)rng_below(&r, 5));
		/* Planners see units: no rule to be together. */
		for (uint32_t k = 0; k < m.f.view.n_rules; k++)
			m.rules[k].kind = MB_RULE_APART;
		if (rng_below(&r, 2))
			model_settle(&r, &m);
		if (m.f.vms[0].host != MB_NOWHERE)
			m.f.vms[0].pinned = rng_below(&r, 2);
		no = place(&m, want);
		e = paper->place(&m.f.view, &m.o, got, note, &err);
		if (no == MB_NOWHERE) {
			assert_ok(e, &err);
			assert_memory_equal(got, want, m.f.view.n_vms * sizeof(*got));
			placed++;
		} else {
			char name[16];

			snprintf(name, sizeof(name), "\"%s\"", m.f.vms[no].name);
			assert_fails(e, ENOSPC, &err, name);
			not_placed++;
		}
		model_deinit(&m);
	}
	assert_true(placed > MODEL_FLEETS / 4 && not_placed > MODEL_FLEETS / 4);
}

static void test_largest_overlap_wins(void **state)
{
	const uint64_t vm_mb[] = { 1, 1, 1, 1 }, host_mb[] = { 2, 1, 4 };
	char note[MB_PLAN_NOTE_BYTES] = "";
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	uint32_t host[4];
	struct fleet f;

	(void)state;
	fleet_init(&f, 4, vm_mb, 3, host_mb);
	/* A page of zeros that all have draws v1 to v0, and no room is left there for v3. */
	fleet_share(&f, 15, 1);
	fleet_share(&f, 9, 500);
	assert_ok(mb_planner_paper.place(&f.view, &o, host, note, &err), &err);
	assert_int_equal(host[0], 0);
	assert_int_equal(host[1], 0);
	assert_int_equal(host[2], 1);
	assert_int_equal(host[3], 2);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_word_by_word),
		cmocka_unit_test(test_largest_overlap_wins),
	};

	return cmocka_run_group_tests_name("plan_paper", tests, NULL, NULL);
}
