// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

void mb_units_deinit(struct mb_units *u)
{
	free(u->unit_of);
	free(u->first_of);
	free(u->members);
	free(u->vms);
	free(u->rules);
	free(u->rule_vms);
	free(u->names);
	mb_groups_deinit(&u->groups);
	mb_groups_deinit(&u->score_groups);
	*u = (struct mb_units){ 0 };
}

static uint32_t root_of(uint32_t *parent, uint32_t v)
{
	while (parent[v] != v)
		v = parent[v] = parent[parent[v]];
	return v;
}

/* unit_of[]: units are numbered by their first VM. Returns their number. */
static uint32_t join(struct mb_units *u, const struct mb_fleet_view *f)
{
	uint32_t *parent = u->unit_of, n = 0;

	for (uint32_t v = 0; v < f->n_vms; v++)
		parent[v] = v;
	for (uint32_t i = 0; i < f->n_rules; i++)
		for (uint32_t k = 1; k < f->rules[i].n_vms; k++) {
			uint32_t a = root_of(parent, f->rules[i].vms[0]);
			uint32_t b = root_of(parent, f->rules[i].vms[k]);

			if (f->rules[i].kind == MB_RULE_TOGETHER)
				parent[MB_MAX(a, b)] = MB_MIN(a, b);
		}
	/* Roots first: a root is the lowest of its unit, so it is numbered before it is needed. */
	for (uint32_t v = 0; v < f->n_vms; v++)
		u->first_of[v] = root_of(parent, v);
	for (uint32_t v = 0; v < f->n_vms; v++)
		parent[v] = u->first_of[v] == v ? n++ : parent[u->first_of[v]];
	return n;
}

static void list_members(struct mb_units *u, uint32_t n_vms, uint32_t n_units)
{
	memset(u->first_of, 0, ((size_t)n_units + 1) * sizeof(*u->first_of));
	for (uint32_t v = 0; v < n_vms; v++)
		u->first_of[u->unit_of[v] + 1]++;
	for (uint32_t i = 0; i < n_units; i++)
		u->first_of[i + 1] += u->first_of[i];
	/* Filling moves first_of[i] to the end of i's part, which is where i + 1 begins. */
	for (uint32_t v = 0; v < n_vms; v++)
		u->members[u->first_of[u->unit_of[v]]++] = v;
	memmove(u->first_of + 1, u->first_of, n_units * sizeof(*u->first_of));
	u->first_of[0] = 0;
}

/* Where most of a unit's memory is; the lowest host on a tie. MB_NOWHERE: on no (open) host. */
static uint32_t majority_host(const struct mb_units *u, const struct mb_fleet_view *f,
			      uint32_t unit, bool open)
{
	const uint32_t *members = u->members + u->first_of[unit];
	uint32_t n = mb_unit_size(u, unit), best = MB_NOWHERE;
	uint64_t best_mb = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t host = f->vms[members[i]].host;
		uint64_t mb = 0;

		if (f->vms[members[i]].pinned)
			return host;
		if (host == MB_NOWHERE || (open && f->hosts[host].state != MB_HOST_ACTIVE))
			continue;
		for (uint32_t k = 0; k < n; k++)
			mb += f->vms[members[k]].host == host ? f->vms[members[k]].memory_mb : 0;
		if (best == MB_NOWHERE || mb > best_mb || (mb == best_mb && host < best)) {
			best = host;
			best_mb = mb;
		}
	}
	return best;
}

/* Where the rest of it has to go: to a host that takes VMs, if one of them is on such a one. */
static uint32_t host_of(const struct mb_units *u, const struct mb_fleet_view *f, uint32_t unit)
{
	const uint32_t *members = u->members + u->first_of[unit];
	uint32_t host = MB_NOWHERE;
	bool split = false;

	for (uint32_t i = 1; i < mb_unit_size(u, unit); i++)
		split |= f->vms[members[i]].host != f->vms[members[0]].host;
	if (split)
		host = majority_host(u, f, unit, true);
	return host != MB_NOWHERE ? host : majority_host(u, f, unit, false);
}

static uint64_t beyond_pages(const struct mb_plan_vm *vm)
{
	uint64_t own = vm->memory_mb * MB_PLAN_PAGES_PER_MB;

	return vm->pages > own ? vm->pages - own : 0;
}

static void add_vm(struct mb_plan_vm *to, const struct mb_plan_vm *vm)
{
	to->others++;
	to->beyond_pages += beyond_pages(vm);
	to->memory_mb += vm->memory_mb;
	to->pages += vm->pages;
	to->distinct += vm->distinct;
	to->pinned |= vm->pinned;
	/* Of several domains: a host of one takes them as little as a VM of none. */
	if (to->trust != vm->trust)
		to->trust = 0;
	for (unsigned int r = 0; r < MB_RESOURCES; r++) {
		to->mean[r] += vm->mean[r];
		to->peak[r] += vm->peak[r];
	}
}

static void make_vms(struct mb_units *u, const struct mb_fleet_view *f, uint32_t n_units)
{
	for (uint32_t i = 0; i < n_units; i++) {
		const uint32_t *members = u->members + u->first_of[i];
		struct mb_plan_vm *to = &u->vms[i];
		uint32_t running = 0;

		*to = f->vms[members[0]];
		if (mb_unit_size(u, i) == 1)
			continue;
		to->beyond_pages = beyond_pages(to);
		for (uint32_t k = 1; k < mb_unit_size(u, i); k++)
			add_vm(to, &f->vms[members[k]]);
		for (uint32_t k = 0; k < mb_unit_size(u, i); k++)
			running += f->vms[members[k]].host != MB_NOWHERE;
		to->others_running = running ? running - 1 : 0;
		snprintf(u->names[i], sizeof(u->names[i]), "%.80s (with %u more)", to->name,
			 mb_unit_size(u, i) - 1);
		to->name = u->names[i];
		to->host = host_of(u, f, i);
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Maps VMs to units, ascending and each once; returns how many are left. */
static uint32_t map_set(const struct mb_units *u, const uint32_t *vms, uint32_t n, uint32_t *ret)
{
	uint32_t kept = 0;

	for (uint32_t k = 0; k < n; k++)
		ret[k] = u->unit_of[vms[k]];
	qsort(ret, n, sizeof(*ret), compare_u32);
	for (uint32_t k = 0; k < n; k++)
		if (!k || ret[k] != ret[kept - 1])
			ret[kept++] = ret[k];
	return kept;
}

/*
 * What is shared inside a unit is shared wherever it runs: it makes the unit smaller, and is no
 * group's any more. `vms` (NULL: leave them) get their distinct pages less.
 */
static int map_groups(const struct mb_units *u, const struct mb_groups *g, struct mb_groups *ret,
		      struct mb_plan_vm *vms, struct mb_err *err)
{
	ret->groups = malloc((g->n_groups + 1) * sizeof(*ret->groups));
	ret->vms = malloc((g->n_vms + 1) * sizeof(*ret->vms));
	if (!ret->groups || !ret->vms)
		return mb_fail_mem(err, "the sharing groups of units");
	for (size_t i = 0; i < g->n_groups; i++) {
		struct mb_group to = { .weight_pages = g->groups[i].weight_pages,
				       .first_vm = (uint32_t)ret->n_vms };
		uint32_t *set = ret->vms + ret->n_vms;
		const uint32_t *from = g->vms + g->groups[i].first_vm;

		to.n_vms = map_set(u, from, g->groups[i].n_vms, set);
		/* One of each unit's members has the page itself; the others save it. */
		for (uint32_t k = 0; k < g->groups[i].n_vms && vms; k++)
			vms[u->unit_of[from[k]]].distinct -= to.weight_pages;
		for (uint32_t k = 0; k < to.n_vms && vms; k++)
			vms[set[k]].distinct += to.weight_pages;
		if (to.n_vms < 2)
			continue;
		ret->groups[ret->n_groups++] = to;
		ret->n_vms += to.n_vms;
	}
	return 0;
}

static void map_rules(struct mb_units *u, const struct mb_fleet_view *f)
{
	uint32_t *next = u->rule_vms;

	for (uint32_t i = 0; i < f->n_rules; i++) {
		struct mb_plan_rule to = f->rules[i];

		if (to.kind != MB_RULE_APART)
			continue;
		to.n_vms = map_set(u, to.vms, to.n_vms, next);
		to.vms = next;
		next += to.n_vms;
		u->rules[u->view.n_rules++] = to;
	}
	u->view.rules = u->rules;
}

int mb_units_init(struct mb_units *u, const struct mb_fleet_view *f, struct mb_err *err)
{
	size_t n = (size_t)f->n_vms + 2, members = 1;
	uint32_t n_units;
	int r = 0;

	*u = (struct mb_units){ .view = *f };
	u->unit_of = calloc(n, sizeof(*u->unit_of));
	u->first_of = calloc(n, sizeof(*u->first_of));
	u->members = calloc(n, sizeof(*u->members));
	if (!u->unit_of || !u->first_of || !u->members)
		goto nomem;
	n_units = join(u, f);
	list_members(u, f->n_vms, n_units);
	if (n_units == f->n_vms)
		return 0;
	for (uint32_t i = 0; i < f->n_rules; i++)
		members += f->rules[i].n_vms;
	u->vms = calloc(n, sizeof(*u->vms));
	u->rules = calloc((size_t)f->n_rules + 1, sizeof(*u->rules));
	u->rule_vms = calloc(members, sizeof(*u->rule_vms));
	u->names = calloc(n_units, sizeof(*u->names));
	if (!u->vms || !u->rules || !u->rule_vms || !u->names)
		goto nomem;
	make_vms(u, f, n_units);
	u->view.vms = u->vms;
	u->view.n_vms = n_units;
	u->view.n_rules = 0;
	map_rules(u, f);
	r = map_groups(u, f->groups, &u->groups, u->vms, err);
	u->view.groups = &u->groups;
	if (r == 0 && f->score_groups) {
		r = map_groups(u, f->score_groups, &u->score_groups, NULL, err);
		u->view.score_groups = &u->score_groups;
	}
	if (r < 0)
		mb_units_deinit(u);
	return r;
nomem:
	mb_units_deinit(u);
	return mb_fail_mem(err, "the units of a fleet");
}

void mb_units_expand(const struct mb_units *u, uint32_t n_vms, const uint32_t *unit_host,
		     uint32_t *ret_host)
{
	for (uint32_t v = 0; v < n_vms; v++)
		ret_host[v] = unit_host[u->unit_of[v]];
}
