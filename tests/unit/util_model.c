// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#define PAGE 100 /* memory is counted in hundredths of pages */

static const char *const rule_names[MODEL_RULES_MAX] = { "r0", "r1", "r2", "r3" };

struct mb_plan_rule *model_add_rule(struct model *m, enum mb_rule_kind kind, uint64_t set)
{
	uint32_t i = m->f.view.n_rules++;

	assert_true(i < MODEL_RULES_MAX);
	m->f.view.rules = m->rules;
	m->rules[i] =
		(struct mb_plan_rule){ .kind = kind, .name = rule_names[i], .vms = m->rule_vms[i] };
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (set >> v & 1)
			m->rule_vms[i][m->rules[i].n_vms++] = v;
	return &m->rules[i];
}

/* Two or three VMs; rules that contradict each other are taken back. */
static void random_rule(struct rng *r, struct model *m)
{
	uint32_t n = m->f.view.n_vms;
	uint64_t set = 0;
	struct mb_err err = { 0 };

	for (unsigned int i = 0; i < 3; i++)
		set |= (uint64_t)1 << rng_below(r, n);
	if (!(set & (set - 1)))
		return;
	model_add_rule(m, rng_below(r, 2) ? MB_RULE_APART : MB_RULE_TOGETHER, set);
	if (mb_plan_check(&m->f.view, &m->o, &err) < 0)
		m->f.view.n_rules--;
}

static void random_host(struct rng *r, struct mb_plan_host *h)
{
	h->memory_mb *= 1 + rng_below(r, 2);
	h->reserve_mb = rng_below(r, 3) ? 0 : h->memory_mb / 10;
	for (unsigned int i = 0; i < MB_RESOURCES; i++)
		h->capacity[i] = rng_below(r, 3) ? 0 : 20 + rng_below(r, 30);
	h->state = rng_below(r, 10) ? MB_HOST_ACTIVE :
				      (enum mb_host_state)rng_below(r, MB_HOST_STATES);
	h->trust = rng_below(r, 8) ? 0 : 1 + (uint32_t)rng_below(r, 2);
	h->free_mb = UINT64_MAX;
	h->cooled_s = UINT64_MAX;
}

static void random_vm(struct rng *r, struct mb_plan_vm *vm)
{
	vm->tenant = (uint32_t)rng_below(r, 3);
	vm->trust = (uint32_t)rng_below(r, 3);
	for (unsigned int i = 0; i < MB_RESOURCES; i++) {
		vm->mean[i] = rng_below(r, 2) ? 0 : rng_below(r, 10);
		vm->peak[i] = vm->mean[i] + rng_below(r, 5);
	}
	vm->settled_s = UINT64_MAX;
}

static bool names(const struct mb_plan_rule *rule, uint32_t vm)
{
	for (uint32_t k = 0; k < rule->n_vms; k++)
		if (rule->vms[k] == vm)
			return true;
	return false;
}

void model_random(struct rng *r, struct model *m, uint32_t n_vms, uint32_t n_hosts)
{
	*m = (struct model){ .o = { .seed = 1 } };
	fleet_random(r, &m->f, n_vms, n_hosts, rng_below(r, 2));
	m->o.overcommit_percent = rng_below(r, 3) ? 0 : (uint32_t)rng_below(r, 50);
	m->o.count_sharing_percent = rng_below(r, 2) ? 0 : (uint32_t)rng_below(r, 101);
	m->o.mean_percent = rng_below(r, 2) ? 0 : 50 + (uint32_t)rng_below(r, 60);
	m->o.peak_percent = rng_below(r, 2) ? 0 : 80 + (uint32_t)rng_below(r, 60);
	m->o.one_tenant_per_host = rng_below(r, 6) == 0;
	m->o.one_trust_domain_per_host = rng_below(r, 6) == 0;
	m->o.inflow_max = rng_below(r, 4) ? 0 : 1 + (uint32_t)rng_below(r, 3);
	m->o.concurrent_max = (uint32_t)rng_below(r, 4);
	for (uint32_t h = 0; h < n_hosts; h++)
		random_host(r, &m->f.hosts[h]);
	for (uint32_t v = 0; v < n_vms; v++)
		random_vm(r, &m->f.vms[v]);
	for (uint64_t i = rng_below(r, MODEL_RULES_MAX + 1); i > 0; i--)
		random_rule(r, m);
	/* A group is as large as its memory or its pages, whichever is more: in all, not by VM. */
	for (uint32_t v = 0; v < n_vms; v++) {
		bool grouped = false;

		for (uint32_t u = 0; u < n_vms; u++)
			grouped |= u != v && model_together(m, u, v);
		if (grouped)
			m->f.vms[v].memory_mb += m->f.vms[v].pages / MB_PLAN_PAGES_PER_MB;
	}
}

void model_scatter(struct rng *r, struct model *m)
{
	fleet_scatter(r, &m->f);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (m->f.hosts[m->f.vms[v].host].state == MB_HOST_POOL)
			m->f.vms[v].host = MB_NOWHERE;
}

void model_deinit(struct model *m)
{
	fleet_deinit(&m->f);
}

bool model_together(const struct model *m, uint32_t a, uint32_t b)
{
	uint64_t reached = (uint64_t)1 << a, before;

	do {
		before = reached;
		for (uint32_t i = 0; i < m->f.view.n_rules; i++) {
			uint64_t set = 0;

			for (uint32_t k = 0; k < m->rules[i].n_vms; k++)
				set |= (uint64_t)1 << m->rules[i].vms[k];
			if (m->rules[i].kind == MB_RULE_TOGETHER && (set & reached))
				reached |= set;
		}
	} while (reached != before);
	return reached >> b & 1;
}

static bool loads_fit(const struct model *m, const uint32_t *at, uint32_t host)
{
	uint64_t mean_percent = m->o.mean_percent ? m->o.mean_percent : 100;
	uint64_t peak_percent = m->o.peak_percent ? m->o.peak_percent : 100;

	for (unsigned int i = 0; i < MB_RESOURCES; i++) {
		uint64_t mean = 0, peak = 0, capacity = m->f.hosts[host].capacity[i];

		for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
			mean += at[v] == host ? m->f.vms[v].mean[i] : 0;
			peak += at[v] == host ? m->f.vms[v].peak[i] : 0;
		}
		if (capacity &&
		    (mean * 100 > capacity * mean_percent || peak * 100 > capacity * peak_percent))
			return false;
	}
	return true;
}

bool model_gets_on(const struct model *m, const uint32_t *at, uint32_t host)
{
	const struct mb_plan_vm *vms = m->f.vms;

	for (uint32_t a = 0; a < m->f.view.n_vms; a++) {
		if (at[a] != host)
			continue;
		if (m->f.hosts[host].trust && m->f.hosts[host].trust != vms[a].trust)
			return false;
		for (uint32_t b = a + 1; b < m->f.view.n_vms; b++) {
			if (at[b] != host)
				continue;
			if ((m->o.one_tenant_per_host && vms[a].tenant != vms[b].tenant) ||
			    (m->o.one_trust_domain_per_host && vms[a].trust != vms[b].trust))
				return false;
			for (uint32_t i = 0; i < m->f.view.n_rules; i++)
				if (m->rules[i].kind == MB_RULE_APART && names(&m->rules[i], a) &&
				    names(&m->rules[i], b))
					return false;
		}
	}
	return loads_fit(m, at, host);
}

bool model_is_open(const struct model *m, uint32_t vm, uint32_t host)
{
	enum mb_host_state state = m->f.hosts[host].state;

	return state == MB_HOST_ACTIVE ||
	       (state == MB_HOST_MAINTENANCE && m->f.vms[vm].host == host);
}

uint32_t model_inflow(const struct model *m, const uint32_t *at, uint32_t host)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		n += at[v] == host && m->f.vms[v].host != host && m->f.vms[v].host != MB_NOWHERE;
	return n;
}

int64_t model_full(const struct model *m, uint32_t vm)
{
	int64_t full = (int64_t)m->f.vms[vm].memory_mb * MB_PLAN_PAGES_PER_MB * PAGE;
	int64_t pages = (int64_t)m->f.vms[vm].pages * PAGE;

	return m->o.count_sharing_percent && pages > full ? pages : full;
}

int64_t model_room(const struct model *m, const uint32_t *at, uint32_t host)
{
	int64_t room = (int64_t)mb_plan_capacity_mb(&m->f.hosts[host], &m->o) *
		       MB_PLAN_PAGES_PER_MB * PAGE;
	uint64_t pages = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		if (at[v] != host)
			continue;
		room -= model_full(m, v);
		pages += m->f.vms[v].pages;
	}
	pages -= mb_score_union_pages(&m->f.view, at, host);
	return room + (int64_t)(pages * m->o.count_sharing_percent);
}

bool model_may_come(const struct model *m, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];

	memcpy(then, at, m->f.view.n_vms * sizeof(*then));
	then[vm] = host;
	return model_is_open(m, vm, host) && model_gets_on(m, then, host) &&
	       model_full(m, vm) <= model_room(m, at, host);
}

void model_settle(struct rng *r, struct model *m)
{
	struct mb_plan_vm *vms = m->f.vms;
	uint32_t n = m->f.view.n_vms, at[FLEET_VMS_MAX];

	memset(at, 0xff, sizeof(at));
	for (uint32_t v = 0; v < n; v++)
		for (unsigned int tries = 0; tries < 8 && at[v] == MB_NOWHERE; tries++) {
			uint32_t host = (uint32_t)rng_below(r, m->f.view.n_hosts);

			for (uint32_t u = 0; u < n; u++)
				if (at[u] != MB_NOWHERE && model_together(m, u, v))
					host = at[u];
			/* Hosts in maintenance were open once. */
			if (m->f.hosts[host].state == MB_HOST_MAINTENANCE)
				vms[v].host = host;
			if (model_may_come(m, at, v, host))
				at[v] = host;
			vms[v].host = MB_NOWHERE;
		}
	for (uint32_t v = 0; v < n; v++) {
		vms[v].host = at[v];
		for (uint32_t u = 0; u < n; u++)
			if (at[u] == MB_NOWHERE && model_together(m, u, v))
				vms[v].host = MB_NOWHERE;
	}
}

void model_replay(const struct model *m, const struct mb_move *moves, size_t n, uint32_t *at)
{
	uint32_t inflow[FLEET_HOSTS_MAX] = { 0 };
	bool infeasible = false;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		at[v] = m->f.vms[v].host;
	for (size_t i = 0; i < n; i++) {
		const struct mb_move *move = &moves[i];

		infeasible |= !move->feasible;
		assert_int_equal(move->feasible, !infeasible);
		if (infeasible)
			continue;
		assert_int_equal(move->from, at[move->vm]);
		assert_int_not_equal(move->from, move->to);
		assert_false(m->f.vms[move->vm].pinned);
		assert_true(model_may_come(m, at, move->vm, move->to));
		at[move->vm] = move->to;
		inflow[move->to] += move->from != MB_NOWHERE;
		if (m->o.inflow_max)
			assert_true(inflow[move->to] <= m->o.inflow_max);
	}
}

void model_check_plan(const struct model *m, const struct mb_plan *plan)
{
	const struct mb_fleet_view *f = &m->f.view;
	uint32_t at[FLEET_VMS_MAX];
	uint64_t before = 0, after = 0, pages = 0, last_start = 0;

	model_replay(m, plan->moves, plan->n_moves, at);
	for (size_t i = 0; i < plan->n_moves; i++) {
		const struct mb_move *move = &plan->moves[i];

		if (!move->feasible) {
			at[move->vm] = move->to;
			continue;
		}
		assert_true(move->start_s >= last_start);
		assert_true(move->start_s + move->time_s <= plan->time_s);
		last_start = move->start_s;
	}
	assert_memory_equal(at, plan->host, f->n_vms * sizeof(*at));
	for (uint32_t v = 0; v < f->n_vms; v++)
		at[v] = f->vms[v].host;
	for (uint32_t h = 0; h < f->n_hosts; h++) {
		uint64_t union_before = mb_score_union_pages(f, at, h);
		uint64_t union_after = mb_score_union_pages(f, plan->host, h);

		assert_int_equal(plan->before_mb[h], union_before / MB_PLAN_PAGES_PER_MB);
		assert_int_equal(plan->after_mb[h], union_after / MB_PLAN_PAGES_PER_MB);
		before += union_before;
		after += union_after;
	}
	for (uint32_t v = 0; v < f->n_vms; v++)
		pages += at[v] != MB_NOWHERE ? f->vms[v].pages : 0;
	assert_int_equal(plan->saving_before_pages, pages - before);
	for (uint32_t v = 0; v < f->n_vms; v++)
		pages += (plan->host[v] != MB_NOWHERE ? f->vms[v].pages : 0) -
			 (at[v] != MB_NOWHERE ? f->vms[v].pages : 0);
	assert_int_equal(plan->saving_after_pages, pages - after);
}
