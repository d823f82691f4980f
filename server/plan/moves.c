// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/moves.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/tally.h"

/*
 * Up to so many units every order is tried (2^16 sets of moves done), before any detour; fewer
 * where each step has to count what is shared.
 */
#define EXACT_MAX	 16
#define EXACT_MAX_SHARED 10

static const struct mb_groups no_groups;

/* Units (server/plan/unit.h) move; most of them are one VM. */
struct sim {
	const struct mb_fleet_view *fleet;
	const struct mb_plan_options *options;
	const struct mb_units *units;
	const uint32_t *target;	    /* of each VM */
	struct mb_fleet_view seen;  /* the fleet, with the sharing that counts as room */
	struct mb_tally tally;	    /* where each VM is, and what is left */
	int64_t *size;		    /* [0, n_units): hundredths of pages */
	uint32_t *arrived;	    /* [0, n_hosts): migrations so far */
	uint32_t *order;	    /* all units, in the order in which to try them */
	bool *detoured, *no_detour; /* [0, n_units) */
	uint32_t *aside, *aside_to; /* a detour in the making */
	struct mb_move *moves;	    /* at most two per VM */
	size_t n_moves, n_detours, n_infeasible;
};

static void sim_deinit(struct sim *s)
{
	mb_tally_deinit(&s->tally);
	free(s->size);
	free(s->arrived);
	free(s->order);
	free(s->detoured);
	free(s->no_detour);
	free(s->aside);
	free(s->aside_to);
	free(s->moves);
}

static int sim_init(struct sim *s, struct mb_err *err)
{
	size_t n = (size_t)s->fleet->n_vms + 1;
	int r;

	s->seen = *s->fleet;
	/* What an order may count on is exact: no score, and nothing at all if nothing counts. */
	s->seen.score_groups = s->options->count_sharing_percent ? NULL : &no_groups;
	r = mb_tally_init(&s->tally, &s->seen, s->options, err);
	if (r < 0)
		return r;
	s->size = calloc(n, sizeof(*s->size));
	s->arrived = calloc((size_t)s->fleet->n_hosts + 1, sizeof(*s->arrived));
	s->order = calloc(n, sizeof(*s->order));
	s->detoured = calloc(n, sizeof(*s->detoured));
	s->no_detour = calloc(n, sizeof(*s->no_detour));
	s->aside = calloc(n, sizeof(*s->aside));
	s->aside_to = calloc(n, sizeof(*s->aside_to));
	s->moves = calloc(2 * n, sizeof(*s->moves));
	if (!s->size || !s->arrived || !s->order || !s->detoured || !s->no_detour || !s->aside ||
	    !s->aside_to || !s->moves)
		return mb_fail_mem(err, "ordering the moves");
	for (uint32_t v = 0; v < s->fleet->n_vms; v++)
		s->size[s->units->unit_of[v]] += s->tally.full[v];
	return 0;
}

static uint32_t n_units(const struct sim *s)
{
	return s->units->view.n_vms;
}

static uint32_t first_vm(const struct sim *s, uint32_t u)
{
	return s->units->members[s->units->first_of[u]];
}

/* All of a unit have one target. */
static uint32_t target_of(const struct sim *s, uint32_t u)
{
	return s->target[first_vm(s, u)];
}

/* The only place of a unit of one VM; of larger ones that of the first. */
static uint32_t at(const struct sim *s, uint32_t u)
{
	return s->tally.host[first_vm(s, u)];
}

static bool vm_pending(const struct sim *s, uint32_t v)
{
	return s->target[v] != MB_NOWHERE && s->tally.host[v] != s->target[v];
}

static bool pending(const struct sim *s, uint32_t u)
{
	for (uint32_t i = s->units->first_of[u]; i < s->units->first_of[u + 1]; i++)
		if (vm_pending(s, s->units->members[i]))
			return true;
	return false;
}

/* Runs nowhere, wholly or in part: a first placement, which comes after the migrations. */
static bool is_placement(const struct sim *s, uint32_t u)
{
	for (uint32_t i = s->units->first_of[u]; i < s->units->first_of[u + 1]; i++)
		if (s->tally.host[s->units->members[i]] == MB_NOWHERE)
			return true;
	return false;
}

/* At full size on arrival. Members that are there already need nothing more. */
static int64_t size_on_arrival(const struct sim *s, uint32_t u, uint32_t to)
{
	int64_t size = s->size[u];

	for (uint32_t i = s->units->first_of[u]; i < s->units->first_of[u + 1]; i++)
		if (s->tally.host[s->units->members[i]] == to)
			size -= s->tally.full[s->units->members[i]];
	return size;
}

/* Puts the members that are elsewhere, one after the other, as far as the rules allow. */
static bool try_rules(struct sim *s, const uint32_t *vms, uint32_t n, uint32_t to)
{
	uint32_t put = 0;

	while (put < n && (s->tally.host[vms[put]] == to ||
			   mb_room_allows(&s->tally.rules, vms[put], to, MB_NOWHERE, NULL, 0))) {
		if (s->tally.host[vms[put]] != to)
			mb_room_put(&s->tally.rules, vms[put], to);
		put++;
	}
	for (uint32_t i = 0; i < put; i++)
		if (s->tally.host[vms[i]] != to)
			mb_room_take(&s->tally.rules, vms[i], to);
	return put == n;
}

static bool fits(struct sim *s, uint32_t u, uint32_t to)
{
	const uint32_t *vms = s->units->members + s->units->first_of[u];
	uint32_t n = mb_unit_size(s->units, u), cap = s->options->inflow_max, migrations = 0;

	if (size_on_arrival(s, u, to) > s->tally.room[to])
		return false;
	for (uint32_t i = 0; i < n && cap; i++)
		migrations += s->tally.host[vms[i]] != MB_NOWHERE && s->tally.host[vms[i]] != to;
	if (cap && s->arrived[to] + migrations > cap)
		return false;
	return try_rules(s, vms, n, to);
}

/* Back to the start. */
static void sim_reset(struct sim *s)
{
	mb_tally_clear(&s->tally);
	for (uint32_t v = 0; v < s->fleet->n_vms; v++)
		if (s->fleet->vms[v].host != MB_NOWHERE && s->tally.host[v] == MB_NOWHERE)
			mb_tally_put(&s->tally, v, s->fleet->vms[v].host);
	memset(s->arrived, 0, s->fleet->n_hosts * sizeof(*s->arrived));
	memset(s->detoured, 0, n_units(s) * sizeof(*s->detoured));
	s->n_moves = s->n_detours = s->n_infeasible = 0;
}

static void move_vm(struct sim *s, uint32_t v, uint32_t to)
{
	if (s->tally.host[v] != MB_NOWHERE)
		mb_tally_take(&s->tally, v);
	mb_tally_put(&s->tally, v, to);
}

static void sim_move(struct sim *s, uint32_t u, uint32_t to, bool detour)
{
	for (uint32_t i = s->units->first_of[u]; i < s->units->first_of[u + 1]; i++) {
		uint32_t v = s->units->members[i], from = s->tally.host[v];

		if (from == to)
			continue;
		s->moves[s->n_moves++] = (struct mb_move){
			.vm = v, .from = from, .to = to, .feasible = true, .detour = detour
		};
		s->arrived[to] += from != MB_NOWHERE;
		move_vm(s, v, to);
	}
	s->detoured[u] |= detour;
	s->n_detours += detour;
}

/* Every move that has room, again and again in the given order; first placements only if asked. */
static void move_what_fits(struct sim *s, bool placements)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t i = 0; i < n_units(s); i++) {
			uint32_t u = s->order[i], to = target_of(s, u);

			if (!pending(s, u) || is_placement(s, u) != placements || !fits(s, u, to))
				continue;
			sim_move(s, u, to, false);
			moved = true;
		}
	}
}

/* --- stepping aside --------------------------------------------------------------------------- */

/* Only single VMs step aside, and none that is to stay where it is for good. */
static bool may_step_aside(const struct sim *s, uint32_t u, uint32_t host)
{
	return mb_unit_size(s->units, u) == 1 && at(s, u) == host &&
	       target_of(s, u) != MB_NOWHERE && !s->detoured[u] && !s->no_detour[u] &&
	       !mb_tally_pinned(&s->tally, first_vm(s, u));
}

/* The host with most room that u, now on another, can step aside to; MB_NOWHERE if none. */
static uint32_t third_host(struct sim *s, uint32_t u)
{
	const int64_t *room = s->tally.room;
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < s->fleet->n_hosts; h++)
		if (h != at(s, u) && h != target_of(s, u) &&
		    (best == MB_NOWHERE || room[h] > room[best]) && fits(s, u, h))
			best = h;
	return best;
}

/*
 * Which VMs of `host` step aside to free `need` there: one that suffices, the cheapest; else the
 * largest ones until it is enough. A VM that is to stay on the host has to come back, and counts
 * twice. Fills aside[], aside_to[]; returns what is to be copied, or -1 when that is not enough.
 */
static int64_t plan_aside(struct sim *s, uint32_t host, int64_t need, uint32_t *ret_n)
{
	int64_t cost, best_cost = -1, sum = 0;
	uint32_t n = 0;

	for (uint32_t u = 0; u < n_units(s); u++) {
		uint32_t to;

		if (!may_step_aside(s, u, host) || s->size[u] < need)
			continue;
		cost = s->size[u] * (pending(s, u) ? 1 : 2);
		if (best_cost >= 0 && cost >= best_cost)
			continue;
		to = third_host(s, u);
		if (to == MB_NOWHERE)
			continue;
		s->aside[0] = u;
		s->aside_to[0] = to;
		best_cost = cost;
	}
	*ret_n = 1;
	if (best_cost >= 0)
		return best_cost;
	while (need > 0) {
		uint32_t best = MB_NOWHERE;

		for (uint32_t u = 0; u < n_units(s); u++) {
			bool taken = false;

			if (!may_step_aside(s, u, host) || !pending(s, u))
				continue;
			for (uint32_t i = 0; i < n; i++)
				taken |= s->aside[i] == u;
			if (!taken && (best == MB_NOWHERE || s->size[u] > s->size[best]) &&
			    third_host(s, u) != MB_NOWHERE)
				best = u;
		}
		if (best == MB_NOWHERE)
			break;
		s->aside[n] = best;
		s->aside_to[n] = third_host(s, best);
		s->tally.room[s->aside_to[n++]] -= s->size[best];
		need -= s->size[best];
		sum += s->size[best];
	}
	for (uint32_t i = 0; i < n; i++)
		s->tally.room[s->aside_to[i]] += s->size[s->aside[i]];
	*ret_n = n;
	return need > 0 ? -1 : sum;
}

static uint32_t smallest_waiting(const struct sim *s, uint32_t host)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t u = 0; u < n_units(s); u++)
		if (target_of(s, u) == host && pending(s, u) && !is_placement(s, u) &&
		    (best == MB_NOWHERE || s->size[u] < s->size[best]))
			best = u;
	return best;
}

/* What would have to leave before u comes; more than 0, for it waits. */
static int64_t short_of(const struct sim *s, uint32_t u)
{
	int64_t need = size_on_arrival(s, u, target_of(s, u)) - s->tally.room[target_of(s, u)];

	/* Room there is: a rule wants somebody out. */
	return MB_MAX(need, (int64_t)1);
}

/* The last move was the detour of this unit of one VM. */
static void undo_detour(struct sim *s, uint32_t u)
{
	const struct mb_move *m = &s->moves[--s->n_moves];

	s->arrived[m->to]--;
	move_vm(s, m->vm, m->from);
	s->detoured[u] = false;
	s->n_detours--;
}

/*
 * Makes room for one waiting migration, the one for which least must step aside. Of those that
 * wait for the same host only the smallest counts: it needs least. False when nothing can be done.
 */
static bool step_aside(struct sim *s)
{
	int64_t best_cost = -1;
	uint32_t best = MB_NOWHERE, n, done;

	for (uint32_t h = 0; h < s->fleet->n_hosts; h++) {
		uint32_t u = smallest_waiting(s, h);
		int64_t cost;

		if (u == MB_NOWHERE || s->no_detour[u])
			continue;
		cost = plan_aside(s, h, short_of(s, u), &n);
		if (cost >= 0 && (best_cost < 0 || cost < best_cost)) {
			best_cost = cost;
			best = u;
		}
	}
	if (best == MB_NOWHERE)
		return false;
	plan_aside(s, target_of(s, best), short_of(s, best), &n);
	for (done = 0; done < n && fits(s, s->aside[done], s->aside_to[done]); done++)
		sim_move(s, s->aside[done], s->aside_to[done], true);
	if (fits(s, best, target_of(s, best))) {
		sim_move(s, best, target_of(s, best), false);
		return true;
	}
	/* A rule is still in the way: it waits on, and nobody steps aside for it again. */
	while (done-- > 0)
		undo_detour(s, s->aside[done]);
	s->no_detour[best] = true;
	return true;
}

/* --- whole orders ----------------------------------------------------------------------------- */

/* What has not moved by now has no room. */
static void give_up_rest(struct sim *s)
{
	for (uint32_t i = 0; i < n_units(s); i++) {
		uint32_t u = s->order[i];

		for (uint32_t k = s->units->first_of[u]; k < s->units->first_of[u + 1]; k++) {
			uint32_t v = s->units->members[k];

			if (!vm_pending(s, v))
				continue;
			s->moves[s->n_moves++] = (struct mb_move){ .vm = v,
								   .from = s->tally.host[v],
								   .to = s->target[v] };
			s->n_infeasible++;
		}
	}
}

static void run_greedy(struct sim *s)
{
	bool again = true;

	memset(s->no_detour, 0, n_units(s) * sizeof(*s->no_detour));
	while (again) {
		sim_reset(s);
		do {
			move_what_fits(s, false);
		} while (step_aside(s));
		move_what_fits(s, true);
		/* Who stepped aside in vain should have stayed. */
		again = false;
		for (uint32_t u = 0; u < n_units(s); u++)
			if (s->detoured[u] && pending(s, u) && !s->no_detour[u])
				again = s->no_detour[u] = true;
	}
	give_up_rest(s);
}

static int compare_larger(const void *a, const void *b, void *sim)
{
	const struct sim *s = sim;
	uint32_t ua = *(const uint32_t *)a, ub = *(const uint32_t *)b;

	if (s->size[ua] != s->size[ub])
		return s->size[ua] > s->size[ub] ? -1 : 1;
	return (ua > ub) - (ua < ub);
}

static void set_order(struct sim *s, unsigned int strategy)
{
	uint32_t n = n_units(s);

	for (uint32_t u = 0; u < n; u++)
		s->order[u] = u;
	if (strategy == 0)
		return;
	qsort_r(s->order, n, sizeof(*s->order), compare_larger, s);
	for (uint32_t i = 0; i < n / 2 && strategy == 2; i++) {
		uint32_t u = s->order[i];

		s->order[i] = s->order[n - 1 - i];
		s->order[n - 1 - i] = u;
	}
}

/* Undoes and does the moves in which two sets of moves done differ. */
static void go_from_to(struct sim *s, const uint32_t *vms, uint32_t n, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < n; i++)
		if ((from ^ to) >> i & 1)
			move_vm(s, vms[i],
				to >> i & 1 ? s->target[vms[i]] : s->fleet->vms[vms[i]].host);
}

/*
 * Few migrations, of single VMs: is there an order without any detour? What is free depends only
 * on the set of moves done, so that all orders are 2^n sets. Returns false if there is none.
 */
static bool run_exact(struct sim *s, uint8_t *via)
{
	uint32_t max = s->options->count_sharing_percent ? EXACT_MAX_SHARED : EXACT_MAX;
	uint32_t vms[EXACT_MAX], n = 0, full, current = 0;

	sim_reset(s);
	for (uint32_t u = 0; u < n_units(s); u++) {
		if (!pending(s, u) || is_placement(s, u))
			continue;
		if (n == max || mb_unit_size(s->units, u) > 1)
			return false;
		vms[n++] = first_vm(s, u);
	}
	full = ((uint32_t)1 << n) - 1;
	memset(via, UINT8_MAX, (size_t)full + 1);
	via[0] = 0;
	for (uint32_t done = 0; done < full; done++) {
		if (via[done] == UINT8_MAX)
			continue;
		go_from_to(s, vms, n, current, done);
		current = done;
		for (uint32_t i = 0; i < n; i++)
			if (!(done >> i & 1) && via[done | (uint32_t)1 << i] == UINT8_MAX &&
			    fits(s, s->units->unit_of[vms[i]], s->target[vms[i]]))
				via[done | (uint32_t)1 << i] = (uint8_t)i;
	}
	if (via[full] == UINT8_MAX)
		return false;
	/* Back from the end; order[] holds the moves until they are made. */
	sim_reset(s);
	for (uint32_t done = full, i = n; i-- > 0; done &= ~((uint32_t)1 << via[done]))
		s->order[i] = s->units->unit_of[vms[via[done]]];
	for (uint32_t i = 0; i < n; i++)
		sim_move(s, s->order[i], target_of(s, s->order[i]), false);
	set_order(s, 0);
	move_what_fits(s, true);
	give_up_rest(s);
	return true;
}

int mb_moves_order(const struct mb_fleet_view *fleet, const struct mb_units *units,
		   const struct mb_plan_options *options, const uint32_t *target,
		   struct mb_move **ret, size_t *ret_n, struct mb_err *err)
{
	mb_cleanup(sim_deinit) struct sim s = {
		.fleet = fleet, .options = options, .units = units, .target = target
	};
	size_t least_infeasible = SIZE_MAX, least_detours = 0;
	mb_autofree uint8_t *via = malloc((size_t)1 << EXACT_MAX);
	unsigned int best = 0;
	int r;

	r = sim_init(&s, err);
	if (r < 0)
		return r;
	if (!via)
		return mb_fail_mem(err, "ordering the moves");
	for (unsigned int strategy = 0; strategy < 3; strategy++) {
		if (least_infeasible + least_detours == 0)
			break;
		set_order(&s, strategy);
		run_greedy(&s);
		if (s.n_infeasible > least_infeasible ||
		    (s.n_infeasible == least_infeasible && s.n_detours >= least_detours))
			continue;
		least_infeasible = s.n_infeasible;
		least_detours = s.n_detours;
		best = strategy;
	}
	if (least_infeasible + least_detours == 0 || !run_exact(&s, via)) {
		set_order(&s, best);
		run_greedy(&s);
	}
	*ret = mb_take_ptr(s.moves);
	*ret_n = s.n_moves;
	return 0;
}
