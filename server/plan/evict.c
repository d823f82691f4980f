// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/evict.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

#define IMPROVE_WORK 5000000 /* counters touched */

static int compare_smaller(const void *a, const void *b, void *tally)
{
	const struct mb_tally *t = tally;
	uint32_t va = *(const uint32_t *)a, vb = *(const uint32_t *)b;

	if (t->full[va] != t->full[vb])
		return t->full[va] < t->full[vb] ? -1 : 1;
	return (va > vb) - (va < vb);
}

/* On arrival it has its full size. */
static bool arrives(const struct mb_tally *t, uint32_t v, uint32_t host)
{
	return t->full[v] <= t->room[host] && mb_tally_fits(t, v, host);
}

static uint32_t best_for(const struct mb_tally *t, const struct mb_planner *planner, uint32_t v,
			 uint32_t but)
{
	uint32_t best = MB_NOWHERE;
	double best_value = 0, value;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
		if (h == but || !arrives(t, v, h))
			continue;
		value = planner->value(t, v, h);
		if (best == MB_NOWHERE || value > best_value) {
			best = h;
			best_value = value;
		}
	}
	return best;
}

/* Would v fit where w is, once w has gone to another host? Does it if so. */
static bool push(struct mb_tally *t, const struct mb_planner *planner, uint32_t v, uint32_t w)
{
	uint32_t host = t->host[w], to;

	if (!mb_room_allows(&t->rules, v, host, w, NULL, 0) ||
	    t->full[v] > t->room[host] + t->full[w])
		return false;
	to = best_for(t, planner, w, host);
	if (to == MB_NOWHERE)
		return false;
	mb_search_move(t, w, to);
	if (arrives(t, v, host)) {
		mb_tally_put(t, v, host);
		return true;
	}
	mb_search_move(t, w, host);
	return false;
}

/* The smallest unit that makes room by leaving, of those that have not moved already. */
static bool two_steps(struct mb_search *s, const struct mb_planner *planner, uint32_t v,
		      bool *moved)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = 0;

	for (uint32_t w = 0; w < t->fleet->n_vms; w++)
		if (t->host[w] != MB_NOWHERE && !mb_tally_pinned(t, w) && !moved[w])
			s->order[n++] = w;
	qsort_r(s->order, n, sizeof(*s->order), compare_smaller, t);
	for (uint32_t i = 0; i < n; i++)
		if (push(t, planner, v, s->order[i])) {
			moved[s->order[i]] = true;
			return true;
		}
	return false;
}

/* That there is room on hosts which must be empty is no news to who empties them. */
static void tell_no_fit(struct mb_tally *t, uint32_t v, struct mb_no_fit *ret)
{
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (t->fleet->hosts[h].state == MB_HOST_EMPTYING)
			t->room[h] = MB_MIN(t->room[h], (int64_t)0);
	mb_search_no_fit(t, v, ret);
}

bool mb_evict(struct mb_search *s, const struct mb_planner *planner, uint32_t *vms, uint32_t n,
	      bool *moved, struct mb_no_fit *ret_no)
{
	struct mb_tally *t = &s->tally;

	memset(moved, 0, t->fleet->n_vms * sizeof(*moved));
	for (uint32_t i = 0; i < n; i++)
		moved[vms[i]] = true;
	qsort_r(vms, n, sizeof(*vms), mb_search_compare_larger, t);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t host = best_for(t, planner, vms[i], MB_NOWHERE);

		if (host != MB_NOWHERE) {
			mb_tally_put(t, vms[i], host);
		} else if (!two_steps(s, planner, vms[i], moved)) {
			tell_no_fit(t, vms[i], ret_no);
			return false;
		}
	}
	return true;
}

void mb_evict_improve(struct mb_search *s, bool *moved)
{
	const bool *fixed = s->tally.fixed;

	for (uint32_t v = 0; v < s->tally.fleet->n_vms; v++)
		moved[v] = !moved[v];
	s->tally.fixed = moved;
	mb_search_improve(s, IMPROVE_WORK);
	s->tally.fixed = fixed;
	for (uint32_t v = 0; v < s->tally.fleet->n_vms; v++)
		moved[v] = !moved[v];
}

int mb_evict_go(struct mb_stage *stage, struct mb_search *s, const struct mb_planner *planner,
		const struct mb_plan_options *options, bool *moved, uint32_t *unit_host,
		struct mb_plan *plan, bool *ret, struct mb_err *err)
{
	struct mb_tally *t = &s->tally;
	int r;

	*ret = false;
	memcpy(unit_host, t->host, t->fleet->n_vms * sizeof(*unit_host));
	if (planner == &mb_planner_best) {
		mb_evict_improve(s, moved);
		r = mb_stage_go(stage, options, t->host, plan, ret, err);
		if (r < 0 || *ret)
			return r;
		mb_tally_load(t, unit_host);
	}
	return mb_stage_go(stage, options, unit_host, plan, ret, err);
}
