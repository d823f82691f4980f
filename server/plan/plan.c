// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/moves.h"

static const struct mb_planner *const planners[] = { &mb_planner_seed, &mb_planner_paper,
						     &mb_planner_best };

const struct mb_planner *mb_planner_at(size_t i)
{
	return i < MB_ARRAY_LEN(planners) ? planners[i] : NULL;
}

const struct mb_planner *mb_planner_find(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(planners); i++)
		if (strcmp(planners[i]->name, name) == 0)
			return planners[i];
	return NULL;
}

/* Memory is added up as signed 64-bit MB. */
static int check_sizes(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		       struct mb_err *err)
{
	uint64_t factor = 100 + (uint64_t)options->overcommit_percent;
	int64_t sum = 0, scaled;

	if (fleet->n_vms > INT32_MAX || fleet->n_hosts > INT32_MAX)
		return mb_fail(err, EINVAL, "2^31 VMs or hosts, or more");
	for (uint32_t h = 0; h < fleet->n_hosts; h++)
		if (__builtin_mul_overflow(fleet->hosts[h].memory_mb, factor, &scaled))
			return mb_fail(err, EINVAL, "host \"%s\" of %llu MB", fleet->hosts[h].name,
				       (unsigned long long)fleet->hosts[h].memory_mb);
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		const struct mb_plan_vm *vm = &fleet->vms[v];

		if (vm->host != MB_NOWHERE && vm->host >= fleet->n_hosts)
			return mb_fail(err, EINVAL, "VM \"%s\" is on host %u of %u", vm->name,
				       vm->host, fleet->n_hosts);
		if (vm->distinct > vm->pages)
			return mb_fail(err, EINVAL, "VM \"%s\" has %llu distinct pages of %llu",
				       vm->name, (unsigned long long)vm->distinct,
				       (unsigned long long)vm->pages);
		/* Twice: the seed may take a VM's size off a host two times. */
		if (__builtin_add_overflow(sum, vm->memory_mb, &sum) ||
		    __builtin_add_overflow(sum, vm->memory_mb, &sum))
			return mb_fail(err, EINVAL, "VM \"%s\" of %llu MB", vm->name,
				       (unsigned long long)vm->memory_mb);
	}
	return 0;
}

/* A score subtracts: groups that do not belong to these VMs must not get that far. */
static int check_groups(const struct mb_fleet_view *fleet, struct mb_err *err)
{
	const struct mb_groups *g = fleet->groups;
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
					       "VM \"%s\" shares more than its %llu distinct pages",
					       fleet->vms[v].name,
					       (unsigned long long)fleet->vms[v].distinct);
		}
	}
	return 0;
}

/* Usage per host, and what all hosts save: pages minus distinct pages of the unions. */
static int measure(const struct mb_fleet_view *fleet, const uint32_t *host, uint64_t **ret_mb,
		   uint64_t *ret_total_mb, uint64_t *ret_saving, struct mb_err *err)
{
	uint64_t *mb = malloc(((size_t)fleet->n_hosts + 1) * sizeof(*mb));

	if (!mb)
		return mb_fail_mem(err, "the hosts' usage");
	mb_score_unions(fleet, host, mb);
	*ret_mb = mb;
	*ret_total_mb = 0;
	*ret_saving = 0;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (host[v] != MB_NOWHERE)
			*ret_saving += fleet->vms[v].pages;
	for (uint32_t h = 0; h < fleet->n_hosts; h++) {
		*ret_saving -= mb[h];
		mb[h] /= MB_PLAN_PAGES_PER_MB;
		*ret_total_mb += mb[h];
	}
	return 0;
}

static int make(struct mb_plan *plan, const struct mb_planner *planner,
		const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		struct mb_err *err)
{
	mb_autofree uint32_t *now = NULL;
	int r;

	r = check_sizes(fleet, options, err);
	if (r == 0)
		r = check_groups(fleet, err);
	if (r < 0)
		return r;
	now = malloc(((size_t)fleet->n_vms + 1) * sizeof(*now));
	plan->host = malloc(((size_t)fleet->n_vms + 1) * sizeof(*plan->host));
	if (!now || !plan->host)
		return mb_fail_mem(err, "a plan");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = fleet->vms[v].host;
	r = planner->place(fleet, options, plan->host, plan->note, err);
	if (r < 0)
		return r;
	r = mb_moves_order(fleet, options, plan->host, &plan->moves, &plan->n_moves, err);
	if (r == 0)
		r = measure(fleet, now, &plan->before_mb, &plan->before_total_mb,
			    &plan->saving_before_pages, err);
	if (r == 0)
		r = measure(fleet, plan->host, &plan->after_mb, &plan->after_total_mb,
			    &plan->saving_after_pages, err);
	return r;
}

int mb_plan_make(struct mb_plan *ret, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 struct mb_err *err)
{
	int r;

	*ret = (struct mb_plan){ 0 };
	r = make(ret, planner, fleet, options, err);
	if (r < 0)
		mb_plan_deinit(ret);
	return r;
}

void mb_plan_deinit(struct mb_plan *plan)
{
	free(plan->host);
	free(plan->moves);
	free(plan->before_mb);
	free(plan->after_mb);
	*plan = (struct mb_plan){ 0 };
}
