// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What every plan must be, on random fleets with random rules: each step is judged by a model that
 * knows nothing of the planner's own bookkeeping.
 */
#include "tests/unit/util_model.h"

#ifdef __SANITIZE_ADDRESS__
#define FLEETS 1000
#else
#define FLEETS 10000
#endif

/* --- random worlds ---------------------------------------------------------------------------- */

static void add_rule(struct rng *r, struct model *m)
{
	enum mb_rule_kind kind = rng_below(r, 3) ? MB_RULE_APART : MB_RULE_TOGETHER;
	uint32_t n = 0;
	uint64_t set = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms && n < 3; v++)
		if (rng_below(r, 3) == 0) {
			set |= (uint64_t)1 << v;
			n++;
		}
	if (n >= 2)
		model_add_rule(m, kind, set);
}

static void make_world(struct rng *r, struct model *w, uint64_t seed)
{
	uint32_t n_vms = 1 + (uint32_t)rng_below(r, 8), n_hosts = 1 + (uint32_t)rng_below(r, 4);
	struct mb_plan_options *o = &w->o;

	/* Now and then one that is too large to have all its placements looked at. */
	if (rng_below(r, 200) == 0) {
		n_vms += 16;
		n_hosts += 4;
	}
	*o = (struct mb_plan_options){ .seed = seed };
	fleet_random(r, &w->f, n_vms, n_hosts, rng_below(r, 2));
	if (rng_below(r, 4))
		fleet_scatter(r, &w->f);
	if (rng_below(r, 4) == 0)
		w->f.vms[rng_below(r, n_vms)].host = MB_NOWHERE;
	o->count_sharing_percent = rng_below(r, 3) ? 0 : (uint32_t)rng_below(r, 101);
	o->overcommit_percent = rng_below(r, 4) ? 0 : (uint32_t)rng_below(r, 60);
	o->inflow_max = rng_below(r, 5) ? 0 : 1 + (uint32_t)rng_below(r, 2);
	o->min_gain_pages = rng_below(r, 2) ? 0 : rng_below(r, 3000);
	o->error_pages = rng_below(r, 3) ? 0 : rng_below(r, 3000);
	o->concurrent_max = (uint32_t)rng_below(r, 3);
	o->one_tenant_per_host = rng_below(r, 12) == 0;
	o->one_trust_domain_per_host = rng_below(r, 12) == 0;
	o->hold_s = rng_below(r, 4) ? 0 : 10;
	o->cooldown_s = rng_below(r, 6) ? 0 : 10;
	for (uint32_t h = 0; h < n_hosts; h++) {
		struct mb_plan_host *host = &w->f.hosts[h];

		host->reserve_mb = rng_below(r, 3) ? 0 : host->memory_mb / 10;
		host->capacity[MB_CPU_MILLICORES] = rng_below(r, 3) ? 0 : 3000 + rng_below(r, 5000);
		host->capacity[MB_DISK_KB_S] = rng_below(r, 4) ? 0 : 300 + rng_below(r, 500);
		host->memory_mb *= rng_below(r, 2) ? 1 : 2;
		host->trust = rng_below(r, 16) ? 0 : 1 + (uint32_t)rng_below(r, 2);
		host->state = rng_below(r, 12) ? MB_HOST_ACTIVE : MB_HOST_MAINTENANCE;
		host->cooled_s = rng_below(r, 20);
	}
	for (uint32_t v = 0; v < n_vms; v++) {
		struct mb_plan_vm *vm = &w->f.vms[v];

		vm->tenant = (uint32_t)rng_below(r, 3);
		vm->trust = (uint32_t)rng_below(r, 3);
		vm->mean[MB_CPU_MILLICORES] = rng_below(r, 1500);
		vm->peak[MB_CPU_MILLICORES] = vm->mean[MB_CPU_MILLICORES] + rng_below(r, 500);
		vm->peak[MB_DISK_KB_S] = rng_below(r, 200);
		vm->dirty_kb_s = rng_below(r, 100000);
		vm->settled_s = rng_below(r, 20);
		vm->pinned = vm->host != MB_NOWHERE && rng_below(r, 10) == 0;
	}
	for (uint64_t i = rng_below(r, MODEL_RULES_MAX + 1); i > 0; i--)
		add_rule(r, w);
}

/* --- the model -------------------------------------------------------------------------------- */

static bool load_fits(const struct model *w, const uint32_t *at, uint32_t vm)
{
	const struct mb_fleet_view *f = &w->f.view;
	uint32_t host = at[vm];

	for (unsigned int i = 0; i < MB_RESOURCES; i++) {
		uint64_t mean = 0, peak = 0, capacity = f->hosts[host].capacity[i];

		for (uint32_t v = 0; v < f->n_vms; v++)
			if (at[v] == host) {
				mean += f->vms[v].mean[i];
				peak += f->vms[v].peak[i];
			}
		if (capacity && ((f->vms[vm].mean[i] && mean > capacity) ||
				 (f->vms[vm].peak[i] && peak > capacity)))
			return false;
	}
	return true;
}

/* May `vm` have come to where it is in `at`? */
static bool may_be_there(const struct model *w, const uint32_t *at, uint32_t vm)
{
	const struct mb_fleet_view *f = &w->f.view;
	const struct mb_plan_host *host = &f->hosts[at[vm]];

	if (host->state != MB_HOST_ACTIVE || (host->trust && host->trust != f->vms[vm].trust))
		return false;
	for (uint32_t v = 0; v < f->n_vms; v++) {
		if (at[v] != at[vm])
			continue;
		if (w->o.one_tenant_per_host && f->vms[v].tenant != f->vms[vm].tenant)
			return false;
		if (w->o.one_trust_domain_per_host && f->vms[v].trust != f->vms[vm].trust)
			return false;
	}
	for (uint32_t i = 0; i < f->n_rules; i++) {
		uint32_t there = 0, in = 0;

		for (uint32_t k = 0; k < f->rules[i].n_vms; k++) {
			there += at[f->rules[i].vms[k]] == at[vm];
			in |= f->rules[i].vms[k] == vm;
		}
		if (f->rules[i].kind == MB_RULE_APART && in && there > 1)
			return false;
	}
	return load_fits(w, at, vm);
}

/* Carries the feasible moves out; each must be allowed when it is made. */
static void replay(const struct model *w, const struct mb_plan *plan, uint32_t *at)
{
	const struct mb_fleet_view *f = &w->f.view;
	uint32_t inflow[FLEET_HOSTS_MAX] = { 0 };
	uint64_t last_start = 0;

	for (uint32_t v = 0; v < f->n_vms; v++)
		at[v] = f->vms[v].host;
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct mb_move *m = &plan->moves[i];

		if (!m->feasible)
			continue;
		assert_int_equal(at[m->vm], m->from);
		assert_int_not_equal(m->from, m->to);
		assert_false(f->vms[m->vm].pinned);
		inflow[m->to] += m->from != MB_NOWHERE;
		/* At full size beside those that are there, merged. */
		assert_true(model_full(w, m->vm) <= model_room(w, at, m->to));
		at[m->vm] = m->to;
		assert_true(may_be_there(w, at, m->vm));
		assert_true(!w->o.inflow_max || inflow[m->to] <= w->o.inflow_max);
		assert_true(m->start_s >= last_start);
		last_start = m->start_s;
	}
}

/* --- the laws --------------------------------------------------------------------------------- */

static bool runs_well(const struct model *w)
{
	const struct mb_fleet_view *f = &w->f.view;
	uint32_t now[FLEET_VMS_MAX];

	for (uint32_t v = 0; v < f->n_vms; v++) {
		now[v] = f->vms[v].host;
		if (now[v] == MB_NOWHERE)
			return false;
	}
	for (uint32_t v = 0; v < f->n_vms; v++)
		if (model_room(w, now, now[v]) < 0 || !load_fits(w, now, v))
			return false;
	return true;
}

static unsigned int feasible_moves(const struct mb_plan *plan)
{
	unsigned int n = 0;

	for (size_t i = 0; i < plan->n_moves; i++)
		n += plan->moves[i].feasible;
	return n;
}

static void check_held(const struct model *w, const uint32_t *at)
{
	const struct mb_fleet_view *f = &w->f.view;

	/* Where nothing is wrong, hold times and cooldowns keep VMs where they are. */
	if (!runs_well(w) || f->n_rules || w->o.one_tenant_per_host ||
	    w->o.one_trust_domain_per_host)
		return;
	for (uint32_t v = 0; v < f->n_vms; v++) {
		const struct mb_plan_host *host = &f->hosts[f->vms[v].host];

		if (host->trust && host->trust != f->vms[v].trust)
			return;
	}
	for (uint32_t v = 0; v < f->n_vms; v++)
		if (f->vms[v].settled_s < w->o.hold_s ||
		    f->hosts[f->vms[v].host].cooled_s < w->o.cooldown_s)
			assert_int_equal(at[v], f->vms[v].host);
}

static void check_together(const struct model *w, const struct mb_plan *plan, const uint32_t *at)
{
	const struct mb_fleet_view *f = &w->f.view;

	for (size_t i = 0; i < plan->n_moves; i++)
		if (!plan->moves[i].feasible)
			return;
	for (uint32_t i = 0; i < f->n_rules; i++)
		for (uint32_t k = 1; k < f->rules[i].n_vms; k++)
			if (f->rules[i].kind == MB_RULE_TOGETHER)
				assert_int_equal(at[f->rules[i].vms[0]], at[f->rules[i].vms[k]]);
}

static void test_no_step_breaks_a_rule(void **state)
{
	const struct mb_planner *const obey[] = { &mb_planner_best, &mb_planner_paper };
	struct rng r = { 11 };
	unsigned int plans = 0, moves = 0, stuck = 0, refused = 0;

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		struct model w = { 0 };
		struct mb_err err = { 0 };

		make_world(&r, &w, i);
		for (size_t p = 0; p < 2; p++) {
			uint32_t at[FLEET_VMS_MAX];
			struct mb_plan plan;

			if (mb_plan_make(&plan, obey[p], &w.f.view, &w.o, &err) < 0) {
				/* A clear error, and never the simulation's. */
				assert_true(strstr(err.text, "VM \"") || strstr(err.text, "rule"));
				assert_null(strstr(err.text, "please report"));
				refused++;
				continue;
			}
			replay(&w, &plan, at);
			if (obey[p] == &mb_planner_best) {
				assert_memory_equal(at, plan.host, w.f.view.n_vms * sizeof(*at));
				check_held(&w, at);
				check_together(&w, &plan, at);
			}
			plans++;
			moves += feasible_moves(&plan);
			stuck += (unsigned int)plan.n_moves - feasible_moves(&plan);
			mb_plan_deinit(&plan);
		}
		model_deinit(&w);
	}
	print_message("%u plans, %u moves, %u infeasible; %u fleets refused\n", plans, moves, stuck,
		      refused);
	assert_true(plans > FLEETS / 2 && moves > FLEETS / 2 && stuck && refused);
}

/* A planner's target, before anybody asks how to get there. */
static void test_targets_obey_as_a_whole(void **state)
{
	const struct mb_planner *const obey[] = { &mb_planner_best, &mb_planner_paper };
	struct rng r = { 14 };
	unsigned int targets = 0, shared = 0;

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		struct mb_err err = { 0 };
		struct model w = { 0 };
		struct mb_fleet_view *f = &w.f.view;

		make_world(&r, &w, i);
		/* Who is pinned may be so where no rule would allow it; rules of units are apart.
		 */
		for (uint32_t v = 0; v < f->n_vms; v++)
			w.f.vms[v].pinned = false;
		for (uint32_t k = 0; k < f->n_rules; k++)
			w.rules[k].kind = MB_RULE_APART;
		for (size_t p = 0; p < 2; p++) {
			char note[MB_PLAN_NOTE_BYTES] = "";
			uint32_t at[FLEET_VMS_MAX], inflow[FLEET_HOSTS_MAX] = { 0 };

			if (obey[p]->place(f, &w.o, at, note, &err) < 0)
				continue;
			for (uint32_t v = 0; v < f->n_vms; v++) {
				bool came = at[v] != f->vms[v].host;

				assert_true(at[v] < f->n_hosts);
				assert_true(!came || may_be_there(&w, at, v));
				assert_true(load_fits(&w, at, v));
				assert_true(model_room(&w, at, at[v]) >= 0);
				inflow[at[v]] += came && f->vms[v].host != MB_NOWHERE;
			}
			for (uint32_t h = 0; h < f->n_hosts && w.o.inflow_max; h++)
				assert_true(inflow[h] <= w.o.inflow_max);
			targets++;
			shared += w.o.count_sharing_percent != 0;
		}
		model_deinit(&w);
	}
	assert_true(targets > FLEETS / 2 && shared > FLEETS / 10);
}

static void apply(struct model *w, const struct mb_plan *plan)
{
	for (uint32_t v = 0; v < w->f.view.n_vms; v++)
		w->f.vms[v].host = plan->host[v];
}

static void test_same_input_same_plan_and_no_second_one(void **state)
{
	struct rng r = { 12 };
	unsigned int again_moves = 0, plans = 0;

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		struct mb_plan plan, twin, again;
		struct mb_err err = { 0 };
		struct model w = { 0 };

		make_world(&r, &w, i);
		/* They hide ping-pong, as does a limit that lets only a part of a plan happen. */
		w.o.hold_s = w.o.cooldown_s = w.o.inflow_max = 0;
		if (mb_plan_make(&plan, &mb_planner_best, &w.f.view, &w.o, &err) == 0) {
			assert_ok(mb_plan_make(&twin, &mb_planner_best, &w.f.view, &w.o, &err),
				  &err);
			assert_int_equal(plan.n_moves, twin.n_moves);
			if (plan.n_moves)
				assert_memory_equal(plan.moves, twin.moves,
						    plan.n_moves * sizeof(*plan.moves));
			apply(&w, &plan);
			if (mb_plan_make(&again, &mb_planner_best, &w.f.view, &w.o, &err) == 0) {
				again_moves += feasible_moves(&again) != 0;
				mb_plan_deinit(&again);
			}
			plans++;
			mb_plan_deinit(&plan);
			mb_plan_deinit(&twin);
		}
		model_deinit(&w);
	}
	print_message("%u of %u plans have a second one\n", again_moves, plans);
	assert_true(plans > FLEETS / 3);
	assert_int_equal(again_moves, 0);
}

/* Changes every group's weight a little; returns by how much a placement's saving may change. */
static uint64_t add_noise(struct rng *r, struct fleet *f)
{
	uint64_t most = 0;

	for (size_t i = 0; i < f->groups.n_groups; i++) {
		struct mb_group *g = &f->groups.groups[i];
		uint64_t less = rng_below(r, g->weight_pages / 4 + 1);

		g->weight_pages -= less;
		most += less * (g->n_vms - 1);
	}
	return most;
}

static void test_noise_moves_nothing(void **state)
{
	struct rng r = { 13 };
	unsigned int plans = 0, again_moves = 0, would = 0;

	(void)state;
	for (unsigned int i = 0; i < FLEETS / 2; i++) {
		struct rng twin;
		struct mb_plan plan, again;
		struct mb_err err = { 0 };
		struct model w = { 0 };

		make_world(&r, &w, i);
		w.o.hold_s = w.o.cooldown_s = w.o.inflow_max = 0;
		w.o.min_gain_pages = 0;
		/* The error bound is an input: what the noise to come can do, known beforehand. */
		w.o.error_pages = 0;
		twin = r;
		for (size_t k = 0; k < w.f.groups.n_groups; k++) {
			const struct mb_group *g = &w.f.groups.groups[k];

			w.o.error_pages +=
				rng_below(&twin, g->weight_pages / 4 + 1) * (g->n_vms - 1);
		}
		if (mb_plan_make(&plan, &mb_planner_best, &w.f.view, &w.o, &err) == 0) {
			/* What was too little to move for may become enough: that is no ping-pong.
			 */
			bool moved = plan.n_moves && plan.n_moves == feasible_moves(&plan);

			apply(&w, &plan);
			assert_int_equal(add_noise(&r, &w.f), w.o.error_pages);
			if (mb_plan_make(&again, &mb_planner_best, &w.f.view, &w.o, &err) == 0) {
				again_moves += moved && feasible_moves(&again) && runs_well(&w);
				mb_plan_deinit(&again);
			}
			w.o.error_pages = 0;
			if (mb_plan_make(&again, &mb_planner_best, &w.f.view, &w.o, &err) == 0) {
				would += moved && feasible_moves(&again) && runs_well(&w);
				mb_plan_deinit(&again);
			}
			plans++;
			mb_plan_deinit(&plan);
		}
		model_deinit(&w);
	}
	print_message(
		"%u of %u plans have a second one for noise; %u would without the error bound\n",
		again_moves, plans, would);
	assert_true(would); /* so that it can fail */
	assert_int_equal(again_moves, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_step_breaks_a_rule),
		cmocka_unit_test(test_targets_obey_as_a_whole),
		cmocka_unit_test(test_same_input_same_plan_and_no_second_one),
		cmocka_unit_test(test_noise_moves_nothing),
	};

	return cmocka_run_group_tests_name("plan_property", tests, NULL, NULL);
}
