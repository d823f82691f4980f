// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rebalancing: the planner's target, as far as moves lead there at full size and every rule holds
 * on the way, and only if it pays.
 */
#include "server/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/error.h"
#include "server/plan/finish.h"
#include "server/plan/moves.h"
#include "server/plan/search.h"
#include "server/plan/stage.h"

#define PHASES_MAX 16
#define CLIMB_WORK 20000000 /* counters touched */

struct rebalance {
	struct mb_plan *plan;
	const struct mb_planner *planner;
	const struct mb_plan_options *options;
	struct mb_stage *stage;
	uint32_t *at;	/* where the moves so far have brought the VMs */
	uint32_t *next; /* and where the ones in question would */
	/* VMs that run nowhere or where they must not, and broken rules: they go before gain. */
	uint32_t wrongs, wrongs_at_first;
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

/* Where single moves lead that each pay: for when the planner's target is out of reach. */
static int climb(const struct rebalance *b, const struct mb_units *units, struct mb_err *err)
{
	mb_cleanup(mb_search_deinit) struct mb_search search = { 0 };
	mb_autofree uint32_t *host = malloc(((size_t)units->view.n_vms + 1) * sizeof(*host));
	int r;

	if (!host)
		return mb_fail_mem(err, "a plan");
	r = mb_search_init(&search, &units->view, b->options, err);
	if (r < 0)
		return r;
	for (uint32_t u = 0; u < units->view.n_vms; u++)
		host[u] = units->view.vms[u].host;
	mb_tally_load(&search.tally, host);
	mb_search_climb(&search, b->options->min_gain_pages, CLIMB_WORK);
	mb_units_expand(units, b->stage->view.n_vms, search.tally.host, b->plan->host);
	return 0;
}

static int go_to(struct rebalance *b, const uint32_t *host, uint32_t *ret_wrongs,
		 struct mb_err *err)
{
	for (uint32_t v = 0; v < b->stage->view.n_vms; v++)
		b->stage->vms[v].host = host[v];
	return mb_stage_wrongs(b->stage, b->options, ret_wrongs, err);
}

/*
 * Takes the feasible moves if they mend something or, mending nothing, pay; *ret_kept of them. So
 * no state comes twice, and it ends.
 */
static int take(struct rebalance *b, const struct mb_move *moves, size_t n, size_t *ret_kept,
		struct mb_err *err)
{
	uint32_t n_vms = b->stage->view.n_vms, wrongs;
	size_t kept = 0;
	int r;

	*ret_kept = 0;
	while (kept < n && moves[kept].feasible)
		kept++;
	memcpy(b->next, b->at, n_vms * sizeof(*b->next));
	for (size_t i = 0; i < kept; i++)
		b->next[moves[i].vm] = moves[i].to;
	r = go_to(b, b->next, &wrongs, err);
	if (r < 0)
		return r;
	if (!kept || wrongs > b->wrongs ||
	    (wrongs == b->wrongs && worth(b, b->next, moves, kept) <= worth(b, b->at, NULL, 0)))
		return go_to(b, b->at, &b->wrongs, err);
	memcpy(b->at, b->next, n_vms * sizeof(*b->at));
	b->wrongs = wrongs;
	*ret_kept = kept;
	return append(b->plan, moves, kept, err);
}

/* What best would do, and cannot. */
static int tell_stuck(struct rebalance *b, const struct mb_move *moves, size_t n,
		      const uint32_t *target, struct mb_err *err)
{
	int64_t more = worth(b, target, NULL, 0) - worth(b, b->at, NULL, 0);
	size_t stuck = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		stuck += !moves[i].feasible;
		/* Those who must move and cannot are told one by one. */
		if (!moves[i].feasible && b->wrongs)
			r = append(b->plan, &moves[i], 1, err);
	}
	if (more > 0)
		snprintf(b->plan->note, sizeof(b->plan->note),
			 "a placement that shares %.1f MB more is out of reach: %zu of its moves "
			 "have no room on the way",
			 (double)more / MB_PLAN_PAGES_PER_MB, stuck);
	return r;
}

/*
 * Plans from where the VMs are now, in `at`. *ret_again: the planner's target was not reached, for
 * want of room on the way, but something was gained, and it may be within reach from there.
 */
static int phase(struct rebalance *b, bool *ret_again, struct mb_err *err)
{
	mb_cleanup(mb_units_deinit) struct mb_units units = { 0 };
	mb_autofree struct mb_move *moves = NULL, *others = NULL;
	mb_autofree uint32_t *target = NULL;
	struct mb_stage *s = b->stage;
	size_t n = 0, n_others = 0, kept;
	int r;

	*ret_again = false;
	*b->plan->note = 0;
	r = go_to(b, b->at, &b->wrongs, err);
	if (r < 0)
		return r;
	if ((r = mb_units_init(&units, &s->view, err)) < 0 ||
	    (r = place_units(b, &units, b->plan->note, err)) < 0 ||
	    (r = mb_moves_order(&s->view, &units, b->options, b->plan->host, &moves, &n, err)) < 0)
		return r;
	if (b->planner != &mb_planner_best)
		return append(b->plan, moves, n, err);
	r = take(b, moves, n, &kept, err);
	if (r < 0 || kept == n)
		return r;
	*ret_again = kept && !b->options->inflow_max;
	if (*ret_again)
		return 0;
	target = malloc(((size_t)s->view.n_vms + 1) * sizeof(*target));
	if (!target)
		return mb_fail_mem(err, "a plan");
	memcpy(target, b->plan->host, s->view.n_vms * sizeof(*target));
	if (!kept && ((r = climb(b, &units, err)) < 0 ||
		      (r = mb_moves_order(&s->view, &units, b->options, b->plan->host, &others,
					  &n_others, err)) < 0 ||
		      (r = take(b, others, n_others, &kept, err)) < 0))
		return r;
	*ret_again = kept && !b->options->inflow_max;
	return *ret_again ? 0 : tell_stuck(b, moves, n, target, err);
}

/* The whole of it must pay, and be more than the figures may be wrong by. */
static int drop_if_too_little(struct rebalance *b, const uint32_t *now, struct mb_err *err)
{
	struct mb_plan *plan = b->plan;
	int64_t gain = worth(b, b->at, plan->moves, plan->n_moves) - worth(b, now, NULL, 0);

	uint64_t error;
	int r;

	if (b->wrongs_at_first || !plan->n_moves)
		return 0;
	r = mb_plan_error_pages(&b->stage->view, now, b->at, &error, err);
	if (r < 0 || gain > (int64_t)(b->options->error_pages + error))
		return r;
	if (gain > (int64_t)b->options->error_pages && error)
		snprintf(plan->note, sizeof(plan->note),
			 "what could be gained, %lld pages, is inside the sampling error, %llu",
			 (long long)gain, (unsigned long long)error);
	memcpy(b->at, now, b->stage->view.n_vms * sizeof(*b->at));
	plan->n_moves = 0;
	return 0;
}

static int rebalance(struct mb_plan *plan, const struct mb_planner *planner,
		     const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	mb_cleanup(mb_stage_deinit) struct mb_stage s = { 0 };
	mb_autofree uint32_t *at = malloc(n * sizeof(*at)), *next = malloc(n * sizeof(*next));
	mb_autofree uint32_t *now = malloc(n * sizeof(*now));
	struct rebalance b = { plan, planner, options, &s, at, next, 0, 0 };
	bool again = true;
	int r;

	plan->host = malloc(n * sizeof(*plan->host));
	if (!at || !next || !now || !plan->host)
		return mb_fail_mem(err, "a plan");
	r = mb_plan_check(fleet, options, err);
	if (r == 0)
		r = mb_stage_init(&s, fleet, options, true, err);
	if (r < 0)
		return r;
	r = mb_stage_wrongs(&s, options, &b.wrongs_at_first, err);
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = at[v] = fleet->vms[v].host;
	for (unsigned int i = 0; i < PHASES_MAX && again && r == 0; i++)
		r = phase(&b, &again, err);
	if (r < 0)
		return r;
	if (planner == &mb_planner_best) {
		r = drop_if_too_little(&b, now, err);
		if (r < 0)
			return r;
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
