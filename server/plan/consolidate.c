// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Consolidation (paper 4.2), in three phases: which hosts use little memory, where their VMs could
 * go, and the moves. A host is emptied wholly or not at all; hosts that are empty already, or that
 * have just been emptied, take nobody.
 */
#include "server/plan/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/evict.h"
#include "server/plan/finish.h"
#include "server/plan/stage.h"

struct consolidation {
	struct mb_plan *plan;
	const struct mb_planner *planner;
	const struct mb_plan_options *options;
	struct mb_stage stage;
	struct mb_search search; /* over the stage's units */
	uint64_t *used;		 /* [0, n_hosts): pages after sharing */
	uint32_t *vms_on;	 /* [0, n_hosts) */
	bool *tried, *moved;
	bool *gone; /* units that have moved: none is to move twice */
	uint32_t *unit_host, *evicted, *host;
};

static void deinit(struct consolidation *c)
{
	mb_search_deinit(&c->search);
	mb_stage_deinit(&c->stage);
	free(c->used);
	free(c->vms_on);
	free(c->tried);
	free(c->moved);
	free(c->gone);
	free(c->unit_host);
	free(c->evicted);
	free(c->host);
}

static int init(struct consolidation *c, const struct mb_fleet_view *fleet, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1, n_hosts = (size_t)fleet->n_hosts + 1;

	c->plan->host = malloc(n * sizeof(*c->plan->host));
	c->used = calloc(n_hosts, sizeof(*c->used));
	c->vms_on = calloc(n_hosts, sizeof(*c->vms_on));
	c->tried = calloc(n_hosts, sizeof(*c->tried));
	c->moved = calloc(n, sizeof(*c->moved));
	c->gone = calloc(n, sizeof(*c->gone));
	c->unit_host = calloc(n, sizeof(*c->unit_host));
	c->evicted = calloc(n, sizeof(*c->evicted));
	c->host = calloc(n, sizeof(*c->host));
	if (!c->plan->host || !c->used || !c->vms_on || !c->tried || !c->moved || !c->gone ||
	    !c->unit_host || !c->evicted || !c->host)
		return mb_fail_mem(err, "a consolidation");
	return 0;
}

/* How full the hosts are now, and which may be emptied at all. */
static void look(struct consolidation *c, uint32_t low_percent)
{
	const struct mb_fleet_view *f = &c->stage.view;

	for (uint32_t v = 0; v < f->n_vms; v++)
		c->host[v] = f->vms[v].host;
	mb_score_unions(f, c->host, c->used);
	memset(c->vms_on, 0, f->n_hosts * sizeof(*c->vms_on));
	for (uint32_t v = 0; v < f->n_vms; v++) {
		if (c->host[v] == MB_NOWHERE)
			continue;
		c->vms_on[c->host[v]]++;
		c->tried[c->host[v]] |= f->vms[v].pinned;
	}
	for (uint32_t h = 0; h < f->n_hosts; h++) {
		uint64_t pages =
			MB_PLAN_PAGES_PER_MB * mb_plan_capacity_mb(&f->hosts[h], c->options);

		c->tried[h] |= !c->vms_on[h] || f->hosts[h].state != MB_HOST_ACTIVE ||
			       c->used[h] * 100 >= pages * low_percent;
		/* Nobody wants VMs on a host that can be switched off. */
		if (!c->vms_on[h] && f->hosts[h].state == MB_HOST_ACTIVE)
			c->stage.hosts[h].state = MB_HOST_EMPTYING;
	}
}

/* The one that uses least; MB_NOWHERE when all have been tried. */
static uint32_t next_host(const struct consolidation *c)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < c->stage.view.n_hosts; h++)
		if (!c->tried[h] && (best == MB_NOWHERE || c->used[h] < c->used[best]))
			best = h;
	return best;
}

static int try_to_empty(struct consolidation *c, uint32_t host, bool *ret, struct mb_err *err)
{
	const struct mb_fleet_view *units = &c->stage.units.view;
	struct mb_no_fit no;
	uint32_t n = 0;
	int r;

	*ret = false;
	c->stage.hosts[host].state = MB_HOST_EMPTYING;
	for (uint32_t u = 0; u < units->n_vms; u++) {
		/* A unit is where its first VM is, but where it was spread to begin with. */
		c->unit_host[u] = c->search.tally.host[u];
		if (c->unit_host[u] != host)
			continue;
		c->unit_host[u] = MB_NOWHERE;
		c->evicted[n++] = u;
	}
	for (uint32_t i = 0; i < n; i++)
		mb_tally_take(&c->search.tally, c->evicted[i]);
	if (mb_evict(&c->search, c->planner, c->evicted, n, c->moved, &no)) {
		r = mb_evict_go(&c->stage, &c->search, c->planner, c->options, c->moved, c->host,
				c->plan, ret, err);
		if (r < 0 || *ret)
			return r;
	}
	for (uint32_t i = 0; i < n; i++)
		c->unit_host[c->evicted[i]] = host;
	mb_tally_load(&c->search.tally, c->unit_host);
	c->stage.hosts[host].state = MB_HOST_ACTIVE;
	return 0;
}

static int consolidate(struct consolidation *c, const struct mb_fleet_view *fleet,
		       uint32_t low_percent, bool *emptied, struct mb_err *err)
{
	mb_autofree enum mb_move_why *why = malloc(((size_t)fleet->n_vms + 1) * sizeof(*why));
	size_t done = 0;
	uint32_t h;
	int r = mb_plan_check(fleet, c->options, err);

	if (r < 0)
		return r;
	if (low_percent > 100)
		return mb_fail(err, EINVAL, "hosts that use less than %u %% of their memory",
			       low_percent);
	if (!why)
		return mb_fail_mem(err, "a consolidation");
	if ((r = init(c, fleet, err)) < 0 ||
	    (r = mb_stage_init(&c->stage, fleet, c->options, true, err)) < 0 ||
	    (r = mb_search_init(&c->search, &c->stage.units.view, c->options, err)) < 0)
		return r;
	c->search.tally.fixed = c->gone;
	look(c, low_percent);
	for (uint32_t u = 0; u < c->stage.units.view.n_vms; u++)
		c->unit_host[u] = c->stage.units.view.vms[u].host;
	mb_tally_load(&c->search.tally, c->unit_host);
	while ((h = next_host(c)) != MB_NOWHERE) {
		c->tried[h] = true;
		r = try_to_empty(c, h, &emptied[h], err);
		if (r < 0)
			return r;
		if (!emptied[h])
			continue;
		/* Who took in VMs keeps them: none is to move twice. */
		for (; done < c->plan->n_moves; done++) {
			const struct mb_move *move = &c->plan->moves[done];

			c->tried[move->to] = true;
			c->gone[c->stage.units.unit_of[move->vm]] = true;
			c->stage.vms[move->vm].pinned = true;
		}
		look(c, low_percent);
	}
	mb_stage_rewind(&c->stage, fleet, c->plan->host);
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		why[v] = fleet->vms[v].host != MB_NOWHERE && emptied[fleet->vms[v].host] ?
				 MB_WHY_EMPTY :
				 MB_WHY_ROOM;
	return mb_plan_finish(c->plan, &c->stage.view, &c->stage.units, c->options, why, err);
}

int mb_plan_consolidate(struct mb_plan *ret, bool *ret_emptied, const struct mb_planner *planner,
			const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
			uint32_t low_percent, struct mb_err *err)
{
	mb_cleanup(deinit) struct consolidation c = { .plan = ret,
						      .planner = planner,
						      .options = options };
	int r;

	*ret = (struct mb_plan){ 0 };
	memset(ret_emptied, 0, fleet->n_hosts * sizeof(*ret_emptied));
	r = consolidate(&c, fleet, low_percent, ret_emptied, err);
	if (r < 0)
		mb_plan_deinit(ret);
	return r;
}
