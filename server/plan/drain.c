// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/evict.h"
#include "server/plan/finish.h"
#include "server/plan/stage.h"

static int check(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t host, struct mb_err *err)
{
	int r = mb_plan_check(fleet, options, err);

	if (r < 0)
		return r;
	if (host >= fleet->n_hosts)
		return mb_fail(err, EINVAL, "host %u of %u", host, fleet->n_hosts);
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (fleet->vms[v].host == host && fleet->vms[v].pinned)
			return mb_fail(
				err, EINVAL,
				"host \"%.80s\" cannot be drained: VM \"%.80s\" is pinned to "
				"it",
				fleet->hosts[host].name, fleet->vms[v].name);
	return 0;
}

/* Where the units end: those of the host elsewhere, and others where they must make room. */
static int evict_host(struct mb_search *search, const struct mb_planner *planner, uint32_t host,
		      bool *moved, struct mb_err *err)
{
	const struct mb_fleet_view *view = search->tally.fleet;
	size_t n_vms = view->n_vms;
	mb_autofree uint32_t *at = calloc(n_vms + 1, sizeof(*at));
	mb_autofree uint32_t *evicted = calloc(n_vms + 1, sizeof(*evicted));
	struct mb_no_fit no;
	uint32_t n = 0;

	if (!at || !evicted)
		return mb_fail_mem(err, "draining a host");
	for (uint32_t u = 0; u < n_vms; u++) {
		at[u] = view->vms[u].host;
		if (at[u] != host)
			continue;
		at[u] = MB_NOWHERE;
		evicted[n++] = u;
	}
	mb_tally_load(&search->tally, at);
	if (!mb_evict(search, planner, evicted, n, moved, &no))
		return mb_search_fail(view, &no, err);
	return 0;
}

/* Not all of them can get there: how far it leads, and that it leads no further. */
static int order_what_can_go(struct mb_plan *plan, struct mb_stage *s,
			     const struct mb_plan_options *options, const uint32_t *unit_host,
			     const enum mb_move_why *why, struct mb_err *err)
{
	size_t stuck = 0;
	int r;

	mb_stage_target(s, unit_host, plan->host);
	r = mb_plan_order(plan, &s->view, &s->units, options, why, err);
	for (size_t i = 0; i < plan->n_moves; i++)
		stuck += !plan->moves[i].feasible;
	snprintf(plan->note, sizeof(plan->note),
		 "%zu moves have no room on the way: the host is not empty after this plan", stuck);
	return r;
}

static int drain(struct mb_plan *plan, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t host, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	mb_cleanup(mb_stage_deinit) struct mb_stage s = { 0 };
	mb_cleanup(mb_search_deinit) struct mb_search search = { 0 };
	mb_autofree enum mb_move_why *why = malloc(n * sizeof(*why));
	mb_autofree uint32_t *unit_host = malloc(n * sizeof(*unit_host));
	mb_autofree bool *moved = calloc(n, sizeof(*moved));
	bool went = false;
	int r = check(fleet, options, host, err);

	if (r < 0)
		return r;
	plan->host = malloc(n * sizeof(*plan->host));
	if (!why || !unit_host || !moved || !plan->host)
		return mb_fail_mem(err, "draining a host");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		why[v] = fleet->vms[v].host == host ? MB_WHY_EMPTY : MB_WHY_ROOM;
	/* Who drains a host does not wait for hold times. */
	r = mb_stage_init(&s, fleet, options, false, err);
	if (r < 0)
		return r;
	s.hosts[host].state = MB_HOST_EMPTYING;
	if ((r = mb_search_init(&search, &s.units.view, options, err)) < 0 ||
	    (r = evict_host(&search, planner, host, moved, err)) < 0 ||
	    (r = mb_evict_go(&s, &search, planner, options, moved, unit_host, plan, &went, err)) <
		    0)
		return r;
	if (!went)
		return order_what_can_go(plan, &s, options, unit_host, why, err);
	mb_stage_rewind(&s, fleet, plan->host);
	return mb_plan_finish(plan, &s.view, &s.units, options, why, err);
}

int mb_plan_drain(struct mb_plan *ret, const struct mb_planner *planner,
		  const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  uint32_t host, struct mb_err *err)
{
	int r;

	*ret = (struct mb_plan){ 0 };
	r = drain(ret, planner, fleet, options, host, err);
	if (r < 0)
		mb_plan_deinit(ret);
	return r;
}
