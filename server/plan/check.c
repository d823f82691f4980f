// SPDX-License-Identifier: GPL-2.0-or-later
/* Is this a fleet that can be planned for? What the planners add and subtract must not wrap. */
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

#define COUNT_MAX    (1u << 22)		 /* VMs, hosts, rules */
#define LABEL_MAX    (1u << 20)		 /* tenants, trust domains: their squares are summed */
#define PERCENT_MAX  10000		 /* of a capacity */
#define CAPACITY_MAX ((uint64_t)1 << 40) /* of a resource, in its unit */
/* Memory is added up as signed 64-bit hundredths of pages. */
#define MB_SUM_MAX (INT64_MAX / (MB_PLAN_PAGES_PER_MB * 100) / 4)

static int check_host(const struct mb_plan_host *h, const struct mb_plan_options *o,
		      struct mb_err *err)
{
	uint64_t scaled;

	if (__builtin_mul_overflow(h->memory_mb, 100 + (uint64_t)o->overcommit_percent, &scaled) ||
	    scaled / 100 > MB_SUM_MAX)
		return mb_fail(err, EINVAL, "host \"%.80s\" of %llu MB", h->name,
			       (unsigned long long)h->memory_mb);
	if (h->reserve_mb > h->memory_mb)
		return mb_fail(err, EINVAL, "host \"%.80s\" reserves %llu MB of %llu", h->name,
			       (unsigned long long)h->reserve_mb, (unsigned long long)h->memory_mb);
	for (unsigned int r = 0; r < MB_RESOURCES; r++)
		if (h->capacity[r] > CAPACITY_MAX)
			return mb_fail(err, EINVAL, "host \"%.80s\" has a capacity of %llu",
				       h->name, (unsigned long long)h->capacity[r]);
	if (h->state >= MB_HOST_STATES || h->trust > LABEL_MAX)
		return mb_fail(err, EINVAL, "host \"%.80s\" has an unknown state or trust domain",
			       h->name);
	return 0;
}

static int check_vm(const struct mb_fleet_view *f, const struct mb_plan_vm *vm, struct mb_err *err)
{
	if (vm->host != MB_NOWHERE && vm->host >= f->n_hosts)
		return mb_fail(err, EINVAL, "VM \"%.80s\" is on host %u of %u", vm->name, vm->host,
			       f->n_hosts);
	if (vm->distinct > vm->pages)
		return mb_fail(err, EINVAL, "VM \"%.80s\" has %llu distinct pages of %llu",
			       vm->name, (unsigned long long)vm->distinct,
			       (unsigned long long)vm->pages);
	for (unsigned int r = 0; r < MB_RESOURCES; r++)
		if (vm->mean[r] > CAPACITY_MAX || vm->peak[r] > CAPACITY_MAX)
			return mb_fail(err, EINVAL, "VM \"%.80s\" has a load of %llu", vm->name,
				       (unsigned long long)MB_MAX(vm->mean[r], vm->peak[r]));
	if (vm->tenant > LABEL_MAX || vm->trust > LABEL_MAX)
		return mb_fail(err, EINVAL, "VM \"%.80s\" has an unknown tenant or trust domain",
			       vm->name);
	if (vm->pinned && vm->host == MB_NOWHERE)
		return mb_fail(err, EINVAL, "VM \"%.80s\" is pinned, but runs nowhere", vm->name);
	if (vm->host != MB_NOWHERE && f->hosts[vm->host].state == MB_HOST_POOL)
		return mb_fail(err, EINVAL,
			       "VM \"%.80s\" runs on host \"%.80s\", which is switched off, in the "
			       "pool",
			       vm->name, f->hosts[vm->host].name);
	return 0;
}

static int check_sizes(const struct mb_fleet_view *f, const struct mb_plan_options *o,
		       struct mb_err *err)
{
	uint64_t sum = 0, pages = 0;
	int r;

	if (f->n_vms > COUNT_MAX || f->n_hosts > COUNT_MAX || f->n_rules > COUNT_MAX)
		return mb_fail(err, EINVAL, "more than %u VMs, hosts or rules", COUNT_MAX);
	if (o->count_sharing_percent > 100)
		return mb_fail(err, EINVAL, "%u %% of what is shared counts as room",
			       o->count_sharing_percent);
	if (o->mean_percent > PERCENT_MAX || o->peak_percent > PERCENT_MAX)
		return mb_fail(err, EINVAL, "%s loads may fill %u %% of a capacity",
			       o->mean_percent > PERCENT_MAX ? "mean" : "peak",
			       MB_MAX(o->mean_percent, o->peak_percent));
	for (uint32_t h = 0; h < f->n_hosts; h++)
		if ((r = check_host(&f->hosts[h], o, err)) < 0)
			return r;
	for (uint32_t v = 0; v < f->n_vms; v++) {
		const struct mb_plan_vm *vm = &f->vms[v];

		if ((r = check_vm(f, vm, err)) < 0)
			return r;
		if (__builtin_add_overflow(sum, vm->memory_mb, &sum) || sum > MB_SUM_MAX)
			return mb_fail(err, EINVAL, "VM \"%.80s\" of %llu MB", vm->name,
				       (unsigned long long)vm->memory_mb);
		if (__builtin_add_overflow(pages, vm->pages, &pages) ||
		    pages / MB_PLAN_PAGES_PER_MB > MB_SUM_MAX)
			return mb_fail(err, EINVAL, "VM \"%.80s\" of %llu pages", vm->name,
				       (unsigned long long)vm->pages);
	}
	return 0;
}

/* A score subtracts: groups that do not belong to these VMs must not get that far. */
static int check_groups(const struct mb_fleet_view *fleet, const struct mb_groups *g,
			struct mb_err *err)
{
	mb_autofree uint64_t *shared = calloc((size_t)fleet->n_vms + 1, sizeof(*shared));

	if (!shared)
		return mb_fail_mem(err, "checking the sharing groups");
	for (size_t i = 0; i < g->n_groups; i++) {
		const struct mb_group *group = &g->groups[i];

		if (group->n_vms < 2 || group->first_vm > g->n_vms ||
		    group->n_vms > g->n_vms - group->first_vm)
			return mb_fail(err, EINVAL, "sharing group %zu is malformed", i);
		for (uint32_t k = 0; k < group->n_vms; k++) {
			uint32_t v = g->vms[group->first_vm + k];

			if (v >= fleet->n_vms || (k && v <= g->vms[group->first_vm + k - 1]))
				return mb_fail(err, EINVAL, "sharing group %zu has VM %u of %u", i,
					       v, fleet->n_vms);
			if (__builtin_add_overflow(shared[v], group->weight_pages, &shared[v]) ||
			    shared[v] > fleet->vms[v].distinct)
				return mb_fail(err, EINVAL,
					       "VM \"%.80s\" shares more than its %llu distinct "
					       "pages",
					       fleet->vms[v].name,
					       (unsigned long long)fleet->vms[v].distinct);
		}
	}
	return 0;
}

static int check_rule(const struct mb_fleet_view *f, const struct mb_plan_rule *rule,
		      struct mb_err *err)
{
	if (rule->n_vms < 2)
		return mb_fail(err, EINVAL, "rule \"%.80s\" names fewer than two VMs", rule->name);
	for (uint32_t k = 0; k < rule->n_vms; k++)
		if (rule->vms[k] >= f->n_vms || (k && rule->vms[k] <= rule->vms[k - 1]))
			return mb_fail(err, EINVAL,
				       "rule \"%.80s\" names VM %u of %u, or one twice", rule->name,
				       rule->vms[k], f->n_vms);
	return 0;
}

/* What must be on one host, chained by rules: the VM that stands for it. */
static uint32_t stands_for(uint32_t *parent, uint32_t v)
{
	while (parent[v] != v)
		v = parent[v] = parent[parent[v]];
	return v;
}

static int check_together(const struct mb_fleet_view *f, const struct mb_plan_options *o,
			  const struct mb_plan_rule *rule, uint32_t *parent, uint32_t *pinned,
			  struct mb_err *err)
{
	for (uint32_t k = 0; k < rule->n_vms; k++) {
		uint32_t a = stands_for(parent, rule->vms[0]), b = stands_for(parent, rule->vms[k]);
		const struct mb_plan_vm *x = &f->vms[rule->vms[0]], *y = &f->vms[rule->vms[k]];

		if ((o->one_tenant_per_host && x->tenant != y->tenant) ||
		    (o->one_trust_domain_per_host && x->trust != y->trust))
			return mb_fail(err, EINVAL,
				       "rule \"%.80s\" keeps VMs \"%.80s\" and \"%.80s\" together, "
				       "but their tenants or trust domains may not share a host",
				       rule->name, x->name, y->name);
		if (pinned[a] != MB_NOWHERE && pinned[b] != MB_NOWHERE &&
		    f->vms[pinned[a]].host != f->vms[pinned[b]].host)
			return mb_fail(err, EINVAL,
				       "rule \"%.80s\" keeps VMs \"%.80s\" and \"%.80s\" together, "
				       "but they are pinned to two hosts",
				       rule->name, f->vms[pinned[a]].name, f->vms[pinned[b]].name);
		if (pinned[a] == MB_NOWHERE)
			pinned[a] = pinned[b];
		parent[b] = a;
	}
	return 0;
}

static int check_apart(const struct mb_fleet_view *f, const struct mb_plan_rule *rule,
		       uint32_t *parent, const uint32_t *pinned, uint32_t *seen_unit,
		       uint32_t *seen_host, uint32_t mark, struct mb_err *err)
{
	for (uint32_t k = 0; k < rule->n_vms; k++) {
		uint32_t v = rule->vms[k], unit = stands_for(parent, v), host;

		if (seen_unit[unit] == mark)
			return mb_fail(err, EINVAL,
				       "rule \"%.80s\" keeps VM \"%.80s\" apart from one that "
				       "another rule keeps it together with",
				       rule->name, f->vms[v].name);
		seen_unit[unit] = mark;
		if (pinned[unit] == MB_NOWHERE)
			continue;
		host = f->vms[pinned[unit]].host;
		if (seen_host[host] == mark)
			return mb_fail(err, EINVAL,
				       "rule \"%.80s\" keeps VM \"%.80s\" apart from one that is "
				       "pinned to the same host \"%.80s\"",
				       rule->name, f->vms[v].name, f->hosts[host].name);
		seen_host[host] = mark;
	}
	return 0;
}

static int check_rules(const struct mb_fleet_view *f, const struct mb_plan_options *o,
		       struct mb_err *err)
{
	size_t n = (size_t)f->n_vms + 1;
	mb_autofree uint32_t *parent = malloc(n * sizeof(*parent));
	mb_autofree uint32_t *pinned = malloc(n * sizeof(*pinned));
	mb_autofree uint32_t *seen_unit = calloc(n, sizeof(*seen_unit));
	mb_autofree uint32_t *seen_host = calloc((size_t)f->n_hosts + 1, sizeof(*seen_host));
	int r = 0;

	if (!parent || !pinned || !seen_unit || !seen_host)
		return mb_fail_mem(err, "checking the rules");
	for (uint32_t v = 0; v < f->n_vms; v++) {
		parent[v] = v;
		pinned[v] = f->vms[v].pinned ? v : MB_NOWHERE;
	}
	for (uint32_t i = 0; i < f->n_rules && r == 0; i++)
		r = check_rule(f, &f->rules[i], err);
	for (uint32_t i = 0; i < f->n_rules && r == 0; i++)
		if (f->rules[i].kind == MB_RULE_TOGETHER)
			r = check_together(f, o, &f->rules[i], parent, pinned, err);
	for (uint32_t i = 0; i < f->n_rules && r == 0; i++)
		if (f->rules[i].kind == MB_RULE_APART)
			r = check_apart(f, &f->rules[i], parent, pinned, seen_unit, seen_host,
					i + 1, err);
	return r;
}

int mb_plan_check(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  struct mb_err *err)
{
	int r = check_sizes(fleet, options, err);

	if (r == 0)
		r = check_groups(fleet, fleet->groups, err);
	if (r == 0 && fleet->score_groups)
		r = check_groups(fleet, fleet->score_groups, err);
	if (r == 0)
		r = check_rules(fleet, options, err);
	return r;
}
