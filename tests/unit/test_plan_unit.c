// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "proto/base/cleanup.h"
#include "server/plan/room.h"
#include "server/plan/tally.h"
#include "server/plan/unit.h"

static void check_members(const struct model *m, const struct mb_units *u)
{
	const struct mb_fleet_view *f = &m->f.view;
	uint32_t next = 0;

	for (uint32_t a = 0; a < f->n_vms; a++) {
		bool first = true;

		for (uint32_t b = 0; b < f->n_vms; b++) {
			assert_int_equal(u->unit_of[a] == u->unit_of[b], model_together(m, a, b));
			first &= b >= a || u->unit_of[a] != u->unit_of[b];
		}
		/* Numbered by their first VMs. */
		if (first)
			assert_int_equal(u->unit_of[a], next++);
	}
	assert_int_equal(u->view.n_vms, next);
	for (uint32_t i = 0; i < next; i++)
		for (uint32_t k = 0; k < mb_unit_size(u, i); k++) {
			uint32_t v = u->members[u->first_of[i] + k];

			assert_int_equal(u->unit_of[v], i);
			assert_true(!k || v > u->members[u->first_of[i] + k - 1]);
		}
	assert_int_equal(u->first_of[next], f->n_vms);
}

/*
 * Where the pinned one is, else where most of the memory is, the lowest host on a tie. The rest can
 * come to active hosts only, so that a spread one counts as on one of them if it can.
 */
static uint32_t majority(const struct model *m, const struct mb_units *u, uint32_t unit)
{
	uint64_t mb[FLEET_HOSTS_MAX] = { 0 };
	uint32_t best = MB_NOWHERE, open = MB_NOWHERE;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (u->unit_of[v] == unit && m->f.vms[v].pinned)
			return m->f.vms[v].host;
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (u->unit_of[v] == unit && m->f.vms[v].host != MB_NOWHERE)
			mb[m->f.vms[v].host] += m->f.vms[v].memory_mb;
	for (uint32_t h = 0; h < m->f.view.n_hosts; h++) {
		if (mb[h] && (best == MB_NOWHERE || mb[h] > mb[best]))
			best = h;
		if (mb[h] && m->f.hosts[h].state == MB_HOST_ACTIVE &&
		    (open == MB_NOWHERE || mb[h] > mb[open]))
			open = h;
	}
	return open != MB_NOWHERE ? open : best;
}

static void check_sums(const struct model *m, const struct mb_units *u, uint32_t unit)
{
	const struct mb_plan_vm *got = &u->view.vms[unit];
	struct mb_plan_vm want = { 0 };

	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		const struct mb_plan_vm *vm = &m->f.vms[v];

		if (u->unit_of[v] != unit)
			continue;
		want.memory_mb += vm->memory_mb;
		want.pages += vm->pages;
		want.pinned |= vm->pinned;
		for (unsigned int i = 0; i < MB_RESOURCES; i++) {
			want.mean[i] += vm->mean[i];
			want.peak[i] += vm->peak[i];
		}
	}
	assert_int_equal(got->memory_mb, want.memory_mb);
	assert_int_equal(got->pages, want.pages);
	assert_int_equal(got->pinned, want.pinned);
	assert_memory_equal(got->mean, want.mean, sizeof(want.mean));
	assert_memory_equal(got->peak, want.peak, sizeof(want.peak));
	assert_int_equal(got->host, majority(m, u, unit));
}

/* Any placement of the units shares, fills and offends as that of their VMs does. */
static void check_placement(struct rng *r, const struct model *m, const struct mb_units *u)
{
	const struct mb_fleet_view *f = &m->f.view;
	struct mb_fleet_view score = *f, unit_score = u->view;
	uint32_t unit_host[FLEET_VMS_MAX], at[FLEET_VMS_MAX];
	uint64_t unions[FLEET_HOSTS_MAX], unit_unions[FLEET_HOSTS_MAX], inside = 0;

	for (uint32_t i = 0; i < u->view.n_vms; i++) {
		unit_host[i] = (uint32_t)rng_below(r, f->n_hosts + 1);
		if (unit_host[i] == f->n_hosts)
			unit_host[i] = MB_NOWHERE;
	}
	mb_units_expand(u, f->n_vms, unit_host, at);
	for (uint32_t v = 0; v < f->n_vms; v++)
		assert_int_equal(at[v], unit_host[u->unit_of[v]]);
	mb_score_unions(f, at, unions);
	mb_score_unions(&u->view, unit_host, unit_unions);
	assert_memory_equal(unions, unit_unions, f->n_hosts * sizeof(*unions));
	for (uint32_t v = 0; v < f->n_vms; v++)
		inside += at[v] != MB_NOWHERE ? f->vms[v].distinct : 0;
	for (uint32_t i = 0; i < u->view.n_vms; i++)
		inside -= unit_host[i] != MB_NOWHERE ? u->view.vms[i].distinct : 0;
	assert_int_equal(mb_score_inter_pages(f, at),
			 mb_score_inter_pages(&u->view, unit_host) + inside);
	/* The score is mapped alike: what is inside units does not depend on where they are. */
	score.groups = f->score_groups;
	unit_score.groups = u->view.score_groups;
	inside = mb_score_inter_pages(&score, at) - mb_score_inter_pages(&unit_score, unit_host);
	for (uint32_t i = 0; i < u->view.n_vms; i++) {
		uint32_t alone[FLEET_VMS_MAX];

		memset(alone, 0xff, sizeof(alone));
		for (uint32_t v = 0; v < f->n_vms; v++)
			if (u->unit_of[v] == i)
				alone[v] = at[v];
		inside -= mb_score_inter_pages(&score, alone);
	}
	assert_int_equal(inside, 0);
}

/* A unit that is alone gets on with a host just if its VMs do. */
static void check_alone(const struct model *m, const struct mb_units *u)
{
	struct mb_plan_options o = m->o;
	struct mb_err err = { 0 };
	struct mb_room room;

	o.inflow_max = 0;
	assert_ok(mb_room_init(&room, &u->view, &o, &err), &err);
	for (uint32_t i = 0; i < u->view.n_vms; i++)
		for (uint32_t h = 0; h < m->f.view.n_hosts; h++) {
			uint32_t at[FLEET_VMS_MAX];

			memset(at, 0xff, sizeof(at));
			for (uint32_t v = 0; v < m->f.view.n_vms; v++)
				if (u->unit_of[v] == i)
					at[v] = h;
			if (m->f.hosts[h].state == MB_HOST_ACTIVE)
				assert_int_equal(mb_room_allows(&room, i, h, MB_NOWHERE, NULL, 0),
						 model_gets_on(m, at, h));
		}
	mb_room_deinit(&room);
}

/* Two units get on just if all their VMs do. */
static void check_apart(const struct model *m, const struct mb_units *u, uint32_t a, uint32_t b)
{
	bool want = false, got = false;

	for (uint32_t i = 0; i < m->f.view.n_rules; i++) {
		bool has_a = false, has_b = false;

		for (uint32_t k = 0; k < m->rules[i].n_vms; k++) {
			has_a |= u->unit_of[m->rules[i].vms[k]] == a;
			has_b |= u->unit_of[m->rules[i].vms[k]] == b;
		}
		want |= m->rules[i].kind == MB_RULE_APART && has_a && has_b;
	}
	for (uint32_t i = 0; i < u->view.n_rules; i++) {
		const struct mb_plan_rule *rule = &u->view.rules[i];
		bool has_a = false, has_b = false;

		assert_int_equal(rule->kind, MB_RULE_APART);
		for (uint32_t k = 0; k < rule->n_vms; k++) {
			has_a |= rule->vms[k] == a;
			has_b |= rule->vms[k] == b;
			assert_true(!k || rule->vms[k] > rule->vms[k - 1]);
		}
		got |= has_a && has_b;
	}
	assert_int_equal(got, want);
}

static void test_random_fleets(void **state)
{
	struct rng r = { 4 };
	unsigned int joined = 0;

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 10);
		mb_cleanup(mb_units_deinit) struct mb_units u = { 0 };
		struct mb_groups score;
		struct mb_err err = { 0 };
		struct model m;

		model_random(&r, &m, n, 1 + (uint32_t)rng_below(&r, 5));
		model_scatter(&r, &m);
		if (m.f.vms[0].host != MB_NOWHERE)
			m.f.vms[0].pinned = rng_below(&r, 2);
		score = m.f.groups;
		score.groups = calloc(score.n_groups + 1, sizeof(*score.groups));
		assert_non_null(score.groups);
		for (size_t g = 0; g < score.n_groups; g++) {
			score.groups[g] = m.f.groups.groups[g];
			score.groups[g].weight_pages /= 2;
		}
		m.f.view.score_groups = &score;
		assert_ok(mb_units_init(&u, &m.f.view, &err), &err);
		joined += u.view.n_vms < n;
		check_members(&m, &u);
		for (uint32_t k = 0; k < u.view.n_vms; k++)
			check_sums(&m, &u, k);
		for (unsigned int k = 0; k < 3; k++)
			check_placement(&r, &m, &u);
		check_alone(&m, &u);
		for (uint32_t a = 0; a < u.view.n_vms; a++)
			for (uint32_t b = 0; b < a; b++)
				check_apart(&m, &u, a, b);
		/* Units are a fleet like others. */
		assert_ok(mb_plan_check(&u.view, &m.o, &err), &err);
		free(score.groups);
		model_deinit(&m);
	}
	assert_true(joined > MODEL_FLEETS / 4);
}

static void test_three_chained(void **state)
{
	const uint64_t vm_mb[] = { 10, 20, 30, 5 }, host_mb[] = { 100, 100 };
	struct mb_err err = { 0 };
	struct mb_units u;
	struct model m = { 0 };

	(void)state;
	fleet_init(&m.f, 4, vm_mb, 2, host_mb);
	model_add_rule(&m, MB_RULE_TOGETHER, 3);
	model_add_rule(&m, MB_RULE_TOGETHER, 6);
	model_add_rule(&m, MB_RULE_APART, 9);
	fleet_share(&m.f, 3, 100);
	fleet_share(&m.f, 15, 10);
	/* v0 and v1 are together less than v2; v3 runs nowhere. */
	m.f.vms[0].host = m.f.vms[1].host = 0;
	m.f.vms[1].memory_mb = 19;
	m.f.vms[2].host = 1;
	assert_ok(mb_units_init(&u, &m.f.view, &err), &err);
	assert_int_equal(u.view.n_vms, 2);
	assert_int_equal(u.view.vms[0].memory_mb, 59);
	assert_int_equal(u.view.vms[0].host, 1);
	assert_int_equal(u.view.vms[1].host, MB_NOWHERE);
	assert_string_equal(u.view.vms[0].name, "v0 (with 2 more)");
	/* 900 each of its own, 100 that two have, 10 that all have. */
	assert_int_equal(u.view.vms[0].distinct, 2810);
	assert_int_equal(u.view.n_rules, 1);
	assert_int_equal(u.view.rules[0].n_vms, 2);
	assert_int_equal(u.view.groups->n_groups, 1);
	mb_units_deinit(&u);
	model_deinit(&m);
}

/* A host of one trust domain takes no group that has a VM of another. */
static void test_mixed_trust(void **state)
{
	const uint64_t vm_mb[] = { 1, 1 }, host_mb[] = { 4, 4 };
	struct mb_err err = { 0 };
	struct model m = { 0 };
	struct mb_units u;

	(void)state;
	fleet_init(&m.f, 2, vm_mb, 2, host_mb);
	model_add_rule(&m, MB_RULE_TOGETHER, 3);
	m.f.vms[0].trust = m.f.hosts[0].trust = 1;
	m.f.vms[1].trust = 2;
	assert_ok(mb_units_init(&u, &m.f.view, &err), &err);
	check_alone(&m, &u);
	mb_units_deinit(&u);
}

/* A unit is as large as its VMs are, one by one, and brings as many migrations. */
static void test_large_as_its_vms(void **state)
{
	const uint64_t vm_mb[] = { 4, 4, 4, 1 }, host_mb[] = { 64, 64 };
	struct mb_units u = { 0 };
	struct mb_tally vms, units;
	struct mb_err err = { 0 };
	struct model m = { .o = { .count_sharing_percent = 50, .inflow_max = 2 } };

	(void)state;
	fleet_init(&m.f, 4, vm_mb, 2, host_mb);
	/* The sums hide that v0's fingerprint is larger than it is. */
	m.f.vms[0].pages = m.f.vms[0].distinct = 6 * MB_PLAN_PAGES_PER_MB;
	m.f.vms[1].pages = m.f.vms[1].distinct = 1;
	m.f.vms[2].pages = m.f.vms[2].distinct = 4 * MB_PLAN_PAGES_PER_MB + 3;
	m.f.vms[0].host = m.f.vms[1].host = m.f.vms[3].host = 0;
	model_add_rule(&m, MB_RULE_TOGETHER, 0x7);
	assert_ok(mb_units_init(&u, &m.f.view, &err), &err);
	assert_int_equal(u.view.vms[0].others, 2);
	assert_int_equal(u.view.vms[0].others_running, 1);
	assert_int_equal(u.view.vms[1].others, 0);
	assert_ok(mb_tally_init(&vms, &m.f.view, &m.o, &err), &err);
	assert_ok(mb_tally_init(&units, &u.view, &m.o, &err), &err);
	assert_int_equal(units.full[0], vms.full[0] + vms.full[1] + vms.full[2]);
	assert_int_equal(units.full[0], 14 * MB_TALLY_MB + 3 * MB_TALLY_PAGE);
	assert_int_equal(units.full[1], vms.full[3]);
	/* Two of it migrate, v2 is placed first: that is the limit. */
	assert_true(mb_tally_fits(&units, 0, 1));
	mb_tally_put(&units, 0, 1);
	assert_int_equal(units.rules.inflow[1], 2);
	assert_false(mb_tally_fits(&units, 1, 1));
	mb_tally_take(&units, 0);
	assert_int_equal(units.rules.inflow[1], 0);
	mb_tally_put(&units, 1, 1);
	assert_false(mb_tally_fits(&units, 0, 1));
	/* Where it is nobody comes. */
	assert_true(mb_tally_fits(&units, 0, 0));
	mb_tally_put(&units, 0, 0);
	assert_int_equal(units.rules.inflow[0], 0);
	mb_tally_deinit(&units);
	mb_tally_deinit(&vms);
	mb_units_deinit(&u);
	model_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_fleets),
		cmocka_unit_test(test_three_chained),
		cmocka_unit_test(test_mixed_trust),
		cmocka_unit_test(test_large_as_its_vms),
	};

	return cmocka_run_group_tests_name("plan_unit", tests, NULL, NULL);
}
