// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/moves.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* Up to so many migrations every order is tried (2^16 sets of moves done), before any detour. */
#define EXACT_MAX 16

struct sim {
	const struct mb_fleet_view *fleet;
	const struct mb_plan_options *options;
	const uint32_t *target;
	uint32_t *at;		    /* [0, n_vms): where each VM is now */
	int64_t *free_mb;	    /* [0, n_hosts) */
	uint32_t *order;	    /* all VMs, in the order in which to try them */
	bool *detoured, *no_detour; /* [0, n_vms) */
	uint32_t *aside, *aside_to; /* a detour in the making */
	struct mb_move *moves;	    /* at most two per VM */
	size_t n_moves, n_detours, n_infeasible;
};

static void sim_deinit(struct sim *s)
{
	free(s->at);
	free(s->free_mb);
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

	s->at = calloc(n, sizeof(*s->at));
	s->free_mb = calloc((size_t)s->fleet->n_hosts + 1, sizeof(*s->free_mb));
	s->order = calloc(n, sizeof(*s->order));
	s->detoured = calloc(n, sizeof(*s->detoured));
	s->no_detour = calloc(n, sizeof(*s->no_detour));
	s->aside = calloc(n, sizeof(*s->aside));
	s->aside_to = calloc(n, sizeof(*s->aside_to));
	s->moves = calloc(2 * n, sizeof(*s->moves));
	if (!s->at || !s->free_mb || !s->order || !s->detoured || !s->no_detour || !s->aside ||
	    !s->aside_to || !s->moves)
		return mb_fail_mem(err, "ordering the moves");
	return 0;
}

static int64_t size_mb(const struct sim *s, uint32_t v)
{
	return (int64_t)s->fleet->vms[v].memory_mb;
}

static bool pending(const struct sim *s, uint32_t v)
{
	return s->target[v] != MB_NOWHERE && s->at[v] != s->target[v];
}

/* Back to the start. */
static void sim_reset(struct sim *s)
{
	const struct mb_fleet_view *f = s->fleet;

	for (uint32_t h = 0; h < f->n_hosts; h++)
		s->free_mb[h] = (int64_t)mb_plan_capacity_mb(&f->hosts[h], s->options);
	for (uint32_t v = 0; v < f->n_vms; v++) {
		s->at[v] = f->vms[v].host;
		if (s->at[v] != MB_NOWHERE)
			s->free_mb[s->at[v]] -= size_mb(s, v);
		s->detoured[v] = false;
	}
	s->n_moves = s->n_detours = s->n_infeasible = 0;
}

static void sim_move(struct sim *s, uint32_t v, uint32_t to, bool detour)
{
	s->moves[s->n_moves++] = (struct mb_move){
		.vm = v, .from = s->at[v], .to = to, .feasible = true, .detour = detour
	};
	if (s->at[v] != MB_NOWHERE)
		s->free_mb[s->at[v]] += size_mb(s, v);
	s->free_mb[to] -= size_mb(s, v);
	s->at[v] = to;
	s->detoured[v] |= detour;
	s->n_detours += detour;
}

/* Every move that has room, again and again in the given order; first placements only if asked. */
static void move_what_fits(struct sim *s, bool placements)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t i = 0; i < s->fleet->n_vms; i++) {
			uint32_t v = s->order[i], to = s->target[v];

			if (!pending(s, v) || (s->at[v] == MB_NOWHERE) != placements ||
			    size_mb(s, v) > s->free_mb[to])
				continue;
			sim_move(s, v, to, false);
			moved = true;
		}
	}
}

/* The host with most room that VM v, now on `from`, can step aside to; MB_NOWHERE if none. */
static uint32_t third_host(const struct sim *s, uint32_t v)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < s->fleet->n_hosts; h++)
		if (h != s->at[v] && h != s->target[v] && size_mb(s, v) <= s->free_mb[h] &&
		    (best == MB_NOWHERE || s->free_mb[h] > s->free_mb[best]))
			best = h;
	return best;
}

/*
 * Which VMs of `host` step aside to free `need` MB there: one that suffices, the cheapest; else
 * the largest ones until it is enough. A VM that is to stay on the host has to come back, and
 * counts twice. Fills aside[], aside_to[]; returns the MB to copy, or -1 when that is not enough.
 */
static int64_t plan_aside(struct sim *s, uint32_t host, int64_t need, uint32_t *ret_n)
{
	int64_t cost, best_cost = -1, sum = 0;
	uint32_t n = 0;

	for (uint32_t v = 0; v < s->fleet->n_vms; v++) {
		uint32_t to;

		if (s->at[v] != host || s->target[v] == MB_NOWHERE || s->detoured[v] ||
		    s->no_detour[v] || size_mb(s, v) < need)
			continue;
		cost = size_mb(s, v) * (pending(s, v) ? 1 : 2);
		if (best_cost >= 0 && cost >= best_cost)
			continue;
		to = third_host(s, v);
		if (to == MB_NOWHERE)
			continue;
		s->aside[0] = v;
		s->aside_to[0] = to;
		best_cost = cost;
	}
	*ret_n = 1;
	if (best_cost >= 0)
		return best_cost;
	for (cost = 0; need > 0;) {
		uint32_t best = MB_NOWHERE;

		for (uint32_t v = 0; v < s->fleet->n_vms; v++) {
			bool taken = false;

			if (s->at[v] != host || !pending(s, v) || s->detoured[v] ||
			    s->no_detour[v] || third_host(s, v) == MB_NOWHERE)
				continue;
			for (uint32_t i = 0; i < n; i++)
				taken |= s->aside[i] == v;
			if (!taken && (best == MB_NOWHERE || size_mb(s, v) > size_mb(s, best)))
				best = v;
		}
		if (best == MB_NOWHERE)
			break;
		s->aside[n] = best;
		s->aside_to[n] = third_host(s, best);
		s->free_mb[s->aside_to[n++]] -= size_mb(s, best);
		need -= size_mb(s, best);
		sum += size_mb(s, best);
	}
	for (uint32_t i = 0; i < n; i++)
		s->free_mb[s->aside_to[i]] += size_mb(s, s->aside[i]);
	*ret_n = n;
	return need > 0 ? -1 : sum;
}

static uint32_t smallest_waiting(const struct sim *s, uint32_t host)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t v = 0; v < s->fleet->n_vms; v++)
		if (s->target[v] == host && pending(s, v) && s->at[v] != MB_NOWHERE &&
		    (best == MB_NOWHERE || size_mb(s, v) < size_mb(s, best)))
			best = v;
	return best;
}

/*
 * Makes room for one waiting migration, the one for which least must step aside. Of those that
 * wait for the same host only the smallest counts: it needs least.
 */
static bool step_aside(struct sim *s)
{
	int64_t best_cost = -1;
	uint32_t best = MB_NOWHERE, n;

	for (uint32_t h = 0; h < s->fleet->n_hosts; h++) {
		uint32_t v = smallest_waiting(s, h);
		int64_t cost;

		if (v == MB_NOWHERE)
			continue;
		cost = plan_aside(s, h, size_mb(s, v) - s->free_mb[h], &n);
		if (cost >= 0 && (best_cost < 0 || cost < best_cost)) {
			best_cost = cost;
			best = v;
		}
	}
	if (best == MB_NOWHERE)
		return false;
	plan_aside(s, s->target[best], size_mb(s, best) - s->free_mb[s->target[best]], &n);
	for (uint32_t i = 0; i < n; i++)
		sim_move(s, s->aside[i], s->aside_to[i], true);
	sim_move(s, best, s->target[best], false);
	return true;
}

/* What has not moved by now has no room. */
static void give_up_rest(struct sim *s)
{
	for (uint32_t i = 0; i < s->fleet->n_vms; i++) {
		uint32_t v = s->order[i];

		if (!pending(s, v))
			continue;
		s->moves[s->n_moves++] =
			(struct mb_move){ .vm = v, .from = s->at[v], .to = s->target[v] };
		s->n_infeasible++;
	}
}

static void run_greedy(struct sim *s)
{
	bool again = true;

	while (again) {
		sim_reset(s);
		do {
			move_what_fits(s, false);
		} while (step_aside(s));
		move_what_fits(s, true);
		/* Who stepped aside in vain should have stayed. */
		again = false;
		for (uint32_t v = 0; v < s->fleet->n_vms; v++)
			if (s->detoured[v] && pending(s, v) && !s->no_detour[v])
				again = s->no_detour[v] = true;
	}
	give_up_rest(s);
}

static int compare_larger(const void *a, const void *b, void *sim)
{
	const struct sim *s = sim;
	uint32_t va = *(const uint32_t *)a, vb = *(const uint32_t *)b;

	if (size_mb(s, va) != size_mb(s, vb))
		return size_mb(s, va) > size_mb(s, vb) ? -1 : 1;
	return (va > vb) - (va < vb);
}

static void set_order(struct sim *s, unsigned int strategy)
{
	uint32_t n = s->fleet->n_vms;

	for (uint32_t v = 0; v < n; v++)
		s->order[v] = v;
	if (strategy == 0)
		return;
	qsort_r(s->order, n, sizeof(*s->order), compare_larger, s);
	for (uint32_t i = 0; i < n / 2 && strategy == 2; i++) {
		uint32_t v = s->order[i];

		s->order[i] = s->order[n - 1 - i];
		s->order[n - 1 - i] = v;
	}
}

/*
 * Few migrations: is there an order without any detour? What is free depends only on the set of
 * moves done, so that all orders are 2^n sets. Returns false if there is none.
 */
static bool run_exact(struct sim *s, uint8_t *via)
{
	uint32_t vms[EXACT_MAX], n = 0, full;

	sim_reset(s);
	for (uint32_t v = 0; v < s->fleet->n_vms; v++) {
		if (!pending(s, v) || s->at[v] == MB_NOWHERE)
			continue;
		if (n == EXACT_MAX)
			return false;
		vms[n++] = v;
	}
	full = ((uint32_t)1 << n) - 1;
	memset(via, UINT8_MAX, (size_t)full + 1);
	via[0] = 0;
	for (uint32_t done = 0; done < full; done++) {
		if (via[done] == UINT8_MAX)
			continue;
		for (uint32_t i = 0; i < n; i++)
			if (done >> i & 1) {
				s->free_mb[s->at[vms[i]]] += size_mb(s, vms[i]);
				s->free_mb[s->target[vms[i]]] -= size_mb(s, vms[i]);
			}
		for (uint32_t i = 0; i < n; i++)
			if (!(done >> i & 1) && via[done | (uint32_t)1 << i] == UINT8_MAX &&
			    size_mb(s, vms[i]) <= s->free_mb[s->target[vms[i]]])
				via[done | (uint32_t)1 << i] = (uint8_t)i;
		for (uint32_t i = 0; i < n; i++)
			if (done >> i & 1) {
				s->free_mb[s->at[vms[i]]] -= size_mb(s, vms[i]);
				s->free_mb[s->target[vms[i]]] += size_mb(s, vms[i]);
			}
	}
	if (via[full] == UINT8_MAX)
		return false;
	/* Back from the end; order[] holds the moves until they are made. */
	for (uint32_t done = full, i = n; i-- > 0; done &= ~((uint32_t)1 << via[done]))
		s->order[i] = vms[via[done]];
	for (uint32_t i = 0; i < n; i++)
		sim_move(s, s->order[i], s->target[s->order[i]], false);
	set_order(s, 0);
	move_what_fits(s, true);
	give_up_rest(s);
	return true;
}

int mb_moves_order(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		   const uint32_t *target, struct mb_move **ret, size_t *ret_n, struct mb_err *err)
{
	mb_cleanup(
		sim_deinit) struct sim s = { .fleet = fleet, .options = options, .target = target };
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
		memset(s.no_detour, 0, fleet->n_vms * sizeof(*s.no_detour));
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
		memset(s.no_detour, 0, fleet->n_vms * sizeof(*s.no_detour));
		set_order(&s, best);
		run_greedy(&s);
	}
	*ret = mb_take_ptr(s.moves);
	*ret_n = s.n_moves;
	return 0;
}
