// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/search.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

static const struct mb_groups no_groups;

/* Does more than memory tell hosts apart, so that those with equal room are not the same? */
static bool told_apart(const struct mb_fleet_view *f, const struct mb_plan_options *o)
{
	const struct mb_plan_host *first = f->hosts;
	bool apart = o->one_tenant_per_host || o->one_trust_domain_per_host || o->inflow_max;

	for (uint32_t h = 0; h < f->n_hosts && !apart; h++)
		apart = f->hosts[h].state != MB_HOST_ACTIVE || f->hosts[h].trust != first->trust ||
			memcmp(f->hosts[h].capacity, first->capacity, sizeof(first->capacity)) != 0;
	for (uint32_t v = 0; v < f->n_vms && !apart; v++)
		apart = f->vms[v].pinned;
	return apart;
}

int mb_search_init(struct mb_search *s, const struct mb_fleet_view *fleet,
		   const struct mb_plan_options *options, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	int r;

	*s = (struct mb_search){ .told_apart = told_apart(fleet, options) };
	s->nothing_shared = *fleet;
	s->nothing_shared.groups = &no_groups;
	s->nothing_shared.score_groups = NULL;
	s->all_full = *options;
	s->all_full.count_sharing_percent = 0;
	r = mb_tally_init(&s->tally, fleet, options, err);
	if (r == 0)
		r = mb_tally_init(&s->packing, &s->nothing_shared, &s->all_full, err);
	if (r < 0) {
		mb_search_deinit(s);
		return r;
	}
	/* A VM whose fingerprint is larger than it: as large as the search takes it for. */
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		s->packing.full[v] = s->packing.least[v] = s->tally.full[v];
	/* The pinned were put there with less. */
	mb_tally_clear(&s->packing);
	s->any = malloc(n * sizeof(*s->any));
	s->own = malloc(n * sizeof(*s->own));
	s->best_host = malloc(n * sizeof(*s->best_host));
	s->order = malloc(n * sizeof(*s->order));
	s->tried_room = malloc(n * sizeof(*s->tried_room));
	s->used = malloc(((size_t)fleet->n_hosts + 1) * sizeof(*s->used));
	s->ways_out = malloc(n * sizeof(*s->ways_out));
	s->gain_of = malloc(((size_t)fleet->n_hosts + 1) * sizeof(*s->gain_of));
	s->lacks = malloc(((size_t)fleet->n_hosts + 1) * sizeof(*s->lacks));
	if (!s->any || !s->own || !s->best_host || !s->order || !s->tried_room || !s->used ||
	    !s->ways_out || !s->gain_of || !s->lacks) {
		mb_search_deinit(s);
		return mb_fail_mem(err, "the search for a placement");
	}
	mb_groups_any(s->tally.groups, fleet->n_vms, s->any);
	return 0;
}

void mb_search_deinit(struct mb_search *s)
{
	mb_tally_deinit(&s->tally);
	mb_tally_deinit(&s->packing);
	free(s->any);
	free(s->own);
	free(s->best_host);
	free(s->order);
	free(s->tried_room);
	free(s->used);
	free(s->ways_out);
	free(s->gain_of);
	free(s->lacks);
	*s = (struct mb_search){ 0 };
}

uint32_t mb_search_best_host(struct mb_tally *t, uint32_t v)
{
	uint32_t best = MB_NOWHERE;

	t->work += t->fleet->n_hosts;
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (h != t->host[v] &&
		    (best == MB_NOWHERE || mb_tally_gain(t, h, v) > mb_tally_gain(t, best, v)) &&
		    mb_tally_fits(t, v, h))
			best = h;
	return best;
}

static uint32_t best_empty_host(const struct mb_tally *t, uint32_t v)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (!t->rules.n_vms[h] && mb_tally_fits(t, v, h) &&
		    (best == MB_NOWHERE || t->room[h] > t->room[best]))
			best = h;
	return best;
}

/* The next VM to place; *ret_open: it shall open a host. MB_NOWHERE: all placed. */
static uint32_t next_to_place(const struct mb_search *s, unsigned int open_percent, bool *ret_open)
{
	const struct mb_tally *t = &s->tally;
	uint32_t best = MB_NOWHERE, opener = MB_NOWHERE, any_best = MB_NOWHERE;
	uint64_t best_gain = 0, any_gain = 0;

	for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
		uint64_t gain;

		if (t->host[v] != MB_NOWHERE)
			continue;
		gain = mb_tally_gain(t, s->best_host[v], v);
		if (opener == MB_NOWHERE || s->any[v] > s->any[opener])
			opener = v;
		if (any_best == MB_NOWHERE || gain > any_gain) {
			any_best = v;
			any_gain = gain;
		}
		if (gain && gain * 100 >= s->any[v] * open_percent &&
		    (best == MB_NOWHERE || gain > best_gain)) {
			best = v;
			best_gain = gain;
		}
	}
	*ret_open = best == MB_NOWHERE && opener != MB_NOWHERE &&
		    best_empty_host(t, opener) != MB_NOWHERE;
	return *ret_open ? opener : best != MB_NOWHERE ? best : any_best;
}

bool mb_search_fill(struct mb_search *s, unsigned int open_percent)
{
	struct mb_tally *t = &s->tally;
	uint32_t v;
	bool open;

	for (v = 0; v < t->fleet->n_vms; v++) {
		if (t->host[v] != MB_NOWHERE)
			continue;
		s->best_host[v] = mb_search_best_host(t, v);
		if (s->best_host[v] == MB_NOWHERE)
			return false;
	}
	while ((v = next_to_place(s, open_percent, &open)) != MB_NOWHERE) {
		uint32_t h = open ? best_empty_host(t, v) : s->best_host[v];

		mb_tally_put(t, v, h);
		t->work += t->fleet->n_vms;
		/* Gains only grew, on h only, and room only shrank, on h only. */
		for (uint32_t u = 0; u < t->fleet->n_vms; u++) {
			if (t->host[u] != MB_NOWHERE)
				continue;
			if (s->best_host[u] == h && !mb_tally_fits(t, u, h)) {
				s->best_host[u] = mb_search_best_host(t, u);
				if (s->best_host[u] == MB_NOWHERE)
					return false;
			} else if (mb_tally_fits(t, u, h) &&
				   mb_tally_gain(t, h, u) > mb_tally_gain(t, s->best_host[u], u)) {
				s->best_host[u] = h;
			}
		}
	}
	return true;
}
