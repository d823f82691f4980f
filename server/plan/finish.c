// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/finish.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/cost.h"
#include "server/plan/moves.h"
#include "server/plan/schedule.h"
#include "server/plan/tally.h"

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

int mb_plan_obeys(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  bool *ret_obeys, struct mb_err *err)
{
	mb_cleanup(mb_tally_deinit) struct mb_tally t;
	int r = mb_tally_init(&t, fleet, options, err);

	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		uint32_t host = fleet->vms[v].host;

		ret_obeys[v] =
			host != MB_NOWHERE && (t.host[v] == host || mb_tally_fits(&t, v, host));
		if (ret_obeys[v] && t.host[v] == MB_NOWHERE)
			mb_tally_put(&t, v, host);
	}
	return 0;
}

/* Whom of those on `host` a VM that is nowhere shares most with. `scratch` is 0s, and again. */
static uint32_t closest_on(const struct mb_tally *t, uint32_t vm, uint32_t host, uint64_t *scratch)
{
	const struct mb_groups *g = t->groups;
	uint32_t best = MB_NOWHERE;

	for (unsigned int clear = 0; clear < 2; clear++)
		for (size_t i = t->first_of[vm]; i < t->first_of[vm + 1]; i++) {
			const struct mb_group *group = &g->groups[t->groups_of[i]];
			const uint32_t *vms = g->vms + group->first_vm;

			for (uint32_t k = 0; k < group->n_vms; k++) {
				if (t->host[vms[k]] != host)
					continue;
				scratch[vms[k]] = clear ? 0 : scratch[vms[k]] + group->weight_pages;
				if (!clear &&
				    (best == MB_NOWHERE || scratch[vms[k]] > scratch[best] ||
				     (scratch[vms[k]] == scratch[best] && vms[k] < best)))
					best = vms[k];
			}
		}
	return best;
}

/* What each move changes when its turn comes; the infeasible ones: as if it came. */
static int gains(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		 const struct mb_plan_options *options, struct mb_err *err)
{
	struct mb_fleet_view exact = *fleet;
	mb_cleanup(mb_tally_deinit) struct mb_tally t = { 0 };
	mb_autofree uint64_t *scratch = calloc((size_t)fleet->n_vms + 1, sizeof(*scratch));
	mb_autofree uint32_t *now = malloc(((size_t)fleet->n_vms + 1) * sizeof(*now));
	int r;

	if (!scratch || !now)
		return mb_fail_mem(err, "the gains of moves");
	exact.score_groups = NULL;
	r = mb_tally_init(&t, &exact, options, err);
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = fleet->vms[v].host;
	mb_tally_load(&t, now);
	for (size_t i = 0; i < plan->n_moves; i++) {
		struct mb_move *m = &plan->moves[i];
		uint64_t before = t.saving;

		if (m->from != MB_NOWHERE)
			mb_tally_take(&t, m->vm);
		m->there_pages = mb_tally_gain(&t, m->to, m->vm);
		m->with = closest_on(&t, m->vm, m->to, scratch);
		mb_tally_put(&t, m->vm, m->to);
		m->gain_pages = (int64_t)(t.saving - before);
		if (m->feasible)
			continue;
		mb_tally_take(&t, m->vm);
		if (m->from != MB_NOWHERE)
			mb_tally_put(&t, m->vm, m->from);
	}
	return 0;
}

static enum mb_move_why reason(const struct mb_plan *plan, const struct mb_fleet_view *fleet,
			       const struct mb_units *units, const bool *obeys, size_t i)
{
	const struct mb_move *m = &plan->moves[i];

	if (m->detour)
		return MB_WHY_ROOM;
	if (fleet->vms[m->vm].host == MB_NOWHERE)
		return MB_WHY_PLACE;
	if (!obeys[m->vm])
		return MB_WHY_RULE;
	if (mb_unit_size(units, units->unit_of[m->vm]) > 1 && i &&
	    units->unit_of[plan->moves[i - 1].vm] == units->unit_of[m->vm])
		return MB_WHY_TOGETHER;
	return m->gain_pages > 0 ? MB_WHY_GAIN : MB_WHY_ROOM;
}

static int reasons(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		   const struct mb_units *units, const struct mb_plan_options *options,
		   const enum mb_move_why *why, struct mb_err *err)
{
	mb_autofree bool *obeys = calloc((size_t)fleet->n_vms + 1, sizeof(*obeys));
	int r;

	if (!obeys)
		return mb_fail_mem(err, "the reasons of moves");
	r = mb_plan_obeys(fleet, options, obeys, err);
	for (size_t i = 0; i < plan->n_moves && r == 0; i++) {
		struct mb_move *m = &plan->moves[i];

		/* Who runs nowhere leaves no host, whatever the question. */
		m->why = why && !m->detour && m->from != MB_NOWHERE ?
				 why[m->vm] :
				 reason(plan, fleet, units, obeys, i);
	}
	return r;
}

int mb_plan_finish(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		   const struct mb_units *units, const struct mb_plan_options *options,
		   const enum mb_move_why *why, struct mb_err *err)
{
	mb_autofree uint32_t *now = malloc(((size_t)fleet->n_vms + 1) * sizeof(*now));
	int r;

	if (!now)
		return mb_fail_mem(err, "a plan");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = fleet->vms[v].host;
	for (size_t i = 0; i < plan->n_moves; i++) {
		mb_plan_cost(&plan->moves[i], &fleet->vms[plan->moves[i].vm], options);
		plan->copy_mb += plan->moves[i].feasible ? plan->moves[i].copy_mb : 0;
	}
	if ((r = gains(plan, fleet, options, err)) < 0 ||
	    (r = reasons(plan, fleet, units, options, why, err)) < 0 ||
	    (r = mb_plan_schedule(fleet, options, plan->moves, plan->n_moves, &plan->time_s, err)) <
		    0 ||
	    (r = measure(fleet, now, &plan->before_mb, &plan->before_total_mb,
			 &plan->saving_before_pages, err)) < 0)
		return r;
	return measure(fleet, plan->host, &plan->after_mb, &plan->after_total_mb,
		       &plan->saving_after_pages, err);
}

int mb_plan_order(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		  const struct mb_units *units, const struct mb_plan_options *options,
		  const enum mb_move_why *why, struct mb_err *err)
{
	int r = mb_moves_order(fleet, units, options, plan->host, &plan->moves, &plan->n_moves,
			       err);

	return r < 0 ? r : mb_plan_finish(plan, fleet, units, options, why, err);
}
