// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All placements of a small fleet, by branch and bound. One VM after the other, in a fixed order,
 * goes to each host that has room, and a branch is left where even the most that the rest can add
 * is not more than what is known. In whatever order they come: a set of VMs that fits and obeys
 * does so when one leaves (server/plan/room.h, tally.h), so no placement is missed.
 *
 * The most that VM i, not placed yet, can add is
 *
 *	the weight of its groups that have a member before it in the order, and not more than
 *	what it gains now on the best host that takes it, plus the weight of its groups that have a
 *	member before it that is not placed yet either
 */
#include "server/plan/search.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

struct all {
	struct mb_search *s;
	uint64_t end; /* of the work */
	uint64_t more_than;
	bool any_at_all; /* nothing is known: whatever fits is more */
	bool found, cut;
	uint32_t n, *order;
	uint32_t *ret_host;
	uint64_t met[MB_SEARCH_ALL_VMS_MAX];
	/* [d][i]: the groups of the i-th that one of the d-th to the last before it has, too. */
	uint64_t to_come[MB_SEARCH_ALL_VMS_MAX + 1][MB_SEARCH_ALL_VMS_MAX];
};

/* Large ones are the hardest to fit; of equals those first that have most in common. */
static int compare(const void *a, const void *b, void *search)
{
	struct mb_search *s = search;
	uint32_t va = *(const uint32_t *)a, vb = *(const uint32_t *)b;

	if (s->tally.full[va] == s->tally.full[vb] && s->any[va] != s->any[vb])
		return s->any[va] > s->any[vb] ? -1 : 1;
	return mb_search_compare_larger(a, b, &s->tally);
}

static void set_bounds(struct all *a, uint32_t i)
{
	const struct mb_tally *t = &a->s->tally;
	uint32_t v = a->order[i];

	for (size_t k = t->first_of[v]; k < t->first_of[v + 1]; k++) {
		const struct mb_group *g = &t->groups->groups[t->groups_of[k]];
		bool pinned = false;
		uint32_t last = 0; /* + 1: of its members before i */

		for (uint32_t m = 0; m < g->n_vms; m++) {
			uint32_t u = t->groups->vms[g->first_vm + m];

			pinned |= t->host[u] != MB_NOWHERE;
			for (uint32_t p = last; p < i; p++)
				last = a->order[p] == u ? p + 1 : last;
		}
		a->met[i] += pinned || last ? g->weight_pages : 0;
		for (uint32_t d = 0; d < last; d++)
			a->to_come[d][i] += g->weight_pages;
	}
}

/* What can be saved at most from here on; false where those to come cannot all be placed. */
static bool bound(struct all *a, uint32_t d, uint64_t *ret_most)
{
	struct mb_tally *t = &a->s->tally;

	*ret_most = t->saving;
	for (uint32_t i = d; i < a->n; i++) {
		uint32_t best = MB_NOWHERE, v = a->order[i];

		t->work += t->fleet->n_hosts;
		for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
			if ((best == MB_NOWHERE ||
			     mb_tally_gain(t, h, v) > mb_tally_gain(t, best, v)) &&
			    mb_tally_fits(t, v, h))
				best = h;
		if (best == MB_NOWHERE)
			return false;
		*ret_most += MB_MIN(a->met[i], mb_tally_gain(t, best, v) + a->to_come[d][i]);
	}
	return true;
}

/* Empty hosts that nothing tells apart: one of them is enough. */
static bool is_another_empty(const struct mb_search *s, uint32_t host)
{
	const struct mb_tally *t = &s->tally;

	for (uint32_t h = 0; h < host && !s->told_apart && !t->rules.n_vms[host]; h++)
		if (!t->rules.n_vms[h] && t->total[h] == t->total[host])
			return true;
	return false;
}

/* The host after `tried` where v gains most, the lower index on a tie: good placements first. */
static uint32_t next_host(const struct mb_search *s, uint32_t v, uint32_t tried)
{
	const struct mb_tally *t = &s->tally;
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
		uint64_t gain = mb_tally_gain(t, h, v);

		if (tried != MB_NOWHERE && (gain > mb_tally_gain(t, tried, v) ||
					    (gain == mb_tally_gain(t, tried, v) && h <= tried)))
			continue;
		if ((best == MB_NOWHERE || gain > mb_tally_gain(t, best, v)) &&
		    mb_tally_fits(t, v, h) && !is_another_empty(s, h))
			best = h;
	}
	return best;
}

static bool pays(const struct all *a, uint64_t saving)
{
	return a->any_at_all || saving > a->more_than;
}

static void take_it(struct all *a)
{
	const struct mb_tally *t = &a->s->tally;

	if (!pays(a, t->saving))
		return;
	a->any_at_all = false;
	a->found = true;
	a->more_than = t->saving;
	memcpy(a->ret_host, t->host, t->fleet->n_vms * sizeof(*a->ret_host));
}

static void look(struct all *a, uint32_t d)
{
	struct mb_tally *t = &a->s->tally;
	uint32_t v, h = MB_NOWHERE;
	uint64_t most;

	if (d == a->n) {
		take_it(a);
		return;
	}
	v = a->order[d];
	a->cut |= t->work > a->end;
	if (a->cut || !bound(a, d, &most))
		return;
	while (!a->cut && pays(a, most) && (h = next_host(a->s, v, h)) != MB_NOWHERE) {
		mb_tally_put(t, v, h);
		look(a, d + 1);
		mb_tally_take(t, v);
	}
}

bool mb_search_all(struct mb_search *s, const uint64_t *more_than, uint64_t work,
		   uint32_t *ret_host, bool *ret_found)
{
	struct mb_tally *t = &s->tally;
	struct all a = { .s = s,
			 .end = t->work + work,
			 .more_than = more_than ? *more_than : 0,
			 .any_at_all = !more_than,
			 .order = s->order,
			 .ret_host = ret_host };

	*ret_found = false;
	mb_tally_clear(t);
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (t->host[v] == MB_NOWHERE)
			a.order[a.n++] = v;
	if (a.n > MB_SEARCH_ALL_VMS_MAX)
		return false;
	qsort_r(a.order, a.n, sizeof(*a.order), compare, s);
	for (uint32_t i = 0; i < a.n; i++)
		set_bounds(&a, i);
	look(&a, 0);
	*ret_found = a.found;
	return !a.cut;
}
