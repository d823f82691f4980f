// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/finish.h"
#include "server/plan/moves.h"
#include "server/plan/stage.h"

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

#define PHASES_MAX 4

struct rebalance {
	struct mb_plan *plan;
	const struct mb_planner *planner;
	const struct mb_plan_options *options;
	struct mb_stage *stage;
	uint32_t *at;	/* where the moves so far have brought the VMs */
	uint32_t *next; /* and where the ones in question would */
	bool must;	/* VMs run nowhere, or where they must not: not all is a matter of gain */
};

static int place_units(const struct rebalance *b, const struct mb_units *units, char *note,
		       struct mb_err *err)
{
	mb_autofree uint32_t *host = malloc(((size_t)units->view.n_vms + 1) * sizeof(*host));
	int r;

	if (!host)
		return mb_fail_mem(err, "a plan");
	r = b->planner->place(&units->view, b->options, host, note, err);
	if (r == 0)
		mb_units_expand(units, b->stage->view.n_vms, host, b->plan->host);
	return r;
}

static int append(struct mb_plan *plan, const struct mb_move *moves, size_t n, struct mb_err *err)
{
	void *p = reallocarray(plan->moves, plan->n_moves + n + 1, sizeof(*plan->moves));

	if (!p)
		return mb_fail_mem(err, "a plan");
	plan->moves = p;
	memcpy(plan->moves + plan->n_moves, moves, n * sizeof(*moves));
	plan->n_moves += n;
	return 0;
}

static int64_t worth(const struct rebalance *b, const uint32_t *host, const struct mb_move *moves,
		     size_t n)
{
	struct mb_fleet_view score = b->stage->view;
	uint64_t cost = 0;

	if (score.score_groups)
		score.groups = score.score_groups;
	for (size_t i = 0; i < n; i++)
		cost += moves[i].feasible && moves[i].from != MB_NOWHERE ?
				b->options->min_gain_pages :
				0;
	return (int64_t)mb_score_inter_pages(&score, host) - (int64_t)cost;
}

/*
 * Plans from where the VMs are now, in `at`. *ret_again: the planner's target is not reached, for
 * want of room on the way, but something was gained, and it may be within reach from there.
 */
static int phase(struct rebalance *b, bool *ret_again, struct mb_err *err)
{
	mb_cleanup(mb_units_deinit) struct mb_units units = { 0 };
	mb_autofree struct mb_move *moves = NULL;
	struct mb_stage *s = b->stage;
	size_t n = 0, kept = 0;
	int r;

	*ret_again = false;
	for (uint32_t v = 0; v < s->view.n_vms; v++)
		s->vms[v].host = b->at[v];
	*b->plan->note = 0;
	if ((r = mb_units_init(&units, &s->view, err)) < 0 ||
	    (r = place_units(b, &units, b->plan->note, err)) < 0 ||
	    (r = mb_moves_order(&s->view, &units, b->options, b->plan->host, &moves, &n, err)) < 0)
		return r;
	if (b->planner != &mb_planner_best)
		return append(b->plan, moves, n, err);
	while (kept < n && moves[kept].feasible)
		kept++;
	memcpy(b->next, b->at, s->view.n_vms * sizeof(*b->next));
	for (size_t i = 0; i < kept; i++)
		b->next[moves[i].vm] = moves[i].to;
	if (memcmp(b->next, b->at, s->view.n_vms * sizeof(*b->at)) == 0 ||
	    (!b->must && worth(b, b->next, moves, kept) <= worth(b, b->at, NULL, 0)))
		kept = 0;
	if (kept)
		memcpy(b->at, b->next, s->view.n_vms * sizeof(*b->at));
	*ret_again = kept && kept < n && !b->options->inflow_max;
	r = append(b->plan, moves, kept, err);
	/* Those who must move and cannot are told at the end. */
	for (size_t i = kept; i < n && r == 0 && !*ret_again && b->must; i++)
		if (!moves[i].feasible)
			r = append(b->plan, &moves[i], 1, err);
	return r;
}

/* The whole of it must pay, and be more than the figures may be wrong by. */
static void drop_if_too_little(struct rebalance *b, const uint32_t *now)
{
	struct mb_plan *plan = b->plan;
	int64_t gain = worth(b, b->at, plan->moves, plan->n_moves) - worth(b, now, NULL, 0);

	if (b->must || !plan->n_moves || gain > (int64_t)b->options->error_pages)
		return;
	memcpy(b->at, now, b->stage->view.n_vms * sizeof(*b->at));
	plan->n_moves = 0;
}

static int rebalance(struct mb_plan *plan, const struct mb_planner *planner,
		     const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	mb_cleanup(mb_stage_deinit) struct mb_stage s = { 0 };
	mb_autofree uint32_t *at = malloc(n * sizeof(*at)), *next = malloc(n * sizeof(*next));
	mb_autofree uint32_t *now = malloc(n * sizeof(*now));
	struct rebalance b = { plan, planner, options, &s, at, next, false };
	bool again = true;
	int r;

	plan->host = malloc(n * sizeof(*plan->host));
	if (!at || !next || !now || !plan->host)
		return mb_fail_mem(err, "a plan");
	r = mb_plan_check(fleet, options, err);
	if (r == 0)
		r = mb_stage_init(&s, fleet, options, true, &b.must, err);
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = at[v] = fleet->vms[v].host;
	for (unsigned int i = 0; i < PHASES_MAX && again && r == 0; i++)
		r = phase(&b, &again, err);
	if (r < 0)
		return r;
	if (planner == &mb_planner_best) {
		drop_if_too_little(&b, now);
		memcpy(plan->host, at, fleet->n_vms * sizeof(*at));
	}
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		s.vms[v].host = now[v];
	return mb_plan_finish(plan, &s.view, &s.units, options, NULL, err);
}

int mb_plan_make(struct mb_plan *ret, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 struct mb_err *err)
{
	int r;

	*ret = (struct mb_plan){ 0 };
	r = rebalance(ret, planner, fleet, options, err);
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
