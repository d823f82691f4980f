// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/search.h"

#include <stdlib.h>

#define PACK_STEPS 200000 /* placements tried before a packing is given up */

int mb_search_compare_larger(const void *a, const void *b, void *tally)
{
	const struct mb_tally *t = tally;
	uint32_t va = *(const uint32_t *)a, vb = *(const uint32_t *)b;

	if (t->full[va] != t->full[vb])
		return t->full[va] > t->full[vb] ? -1 : 1;
	return (va > vb) - (va < vb);
}

/*
 * The next host to try for a VM after `tried`, which had `room` when it came: best fit first. Where
 * no rules tell hosts apart, those with equal room are interchangeable, and one of them is enough.
 */
static uint32_t next_fit(const struct mb_tally *t, uint32_t v, uint32_t tried, int64_t room,
			 bool interchangeable)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
		bool after = tried == MB_NOWHERE || t->room[h] > room ||
			     (t->room[h] == room && h > tried && !interchangeable);

		if (after && (best == MB_NOWHERE || t->room[h] < t->room[best]) &&
		    mb_tally_fits(t, v, h))
			best = h;
	}
	return best;
}

void mb_search_no_fit(const struct mb_tally *t, uint32_t v, struct mb_no_fit *ret)
{
	*ret = (struct mb_no_fit){ .vm = v, .host = MB_NOWHERE };
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (ret->host == MB_NOWHERE || t->room[h] > t->room[ret->host])
			ret->host = h;
	if (ret->host == MB_NOWHERE)
		return;
	ret->room_mb = t->room[ret->host] / MB_TALLY_MB;
	/* Is it room that is short, or does a rule forbid where there is room? */
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (t->full[v] <= t->room[h]) {
			ret->host = h;
			ret->room_mb = t->room[h] / MB_TALLY_MB;
			mb_room_allows(&t->rules, v, h, MB_NOWHERE, ret->rule, sizeof(ret->rule));
			return;
		}
}

int mb_search_fail(const struct mb_fleet_view *fleet, const struct mb_no_fit *no,
		   struct mb_err *err)
{
	const struct mb_plan_vm *vm = &fleet->vms[no->vm];
	unsigned long long mb = vm->memory_mb;

	if (no->host == MB_NOWHERE)
		return mb_fail(err, ENOSPC, "VM \"%.80s\" (%llu MB) fits on no host: there is none",
			       vm->name, mb);
	if (*no->rule)
		return mb_fail(err, ENOSPC,
			       "VM \"%.80s\" (%llu MB) fits on no host beside the others: there is "
			       "room on \"%.80s\", but %s",
			       vm->name, mb, fleet->hosts[no->host].name, no->rule);
	return mb_fail(err, ENOSPC,
		       "VM \"%.80s\" (%llu MB) fits on no host beside the others: the largest room "
		       "is %lld MB on \"%.80s\"",
		       vm->name, mb, (long long)no->room_mb, fleet->hosts[no->host].name);
}

/* Sets *ret_no on the first failure: what best-fit-decreasing could not place. */
static bool pack(struct mb_search *s, struct mb_no_fit *ret_no)
{
	struct mb_tally *p = &s->packing;
	uint32_t n = 0, depth = 0, *tried = s->best_host; /* of order[i] */
	int64_t *room = s->tried_room;			  /* which that host had */
	bool failed = false, interchangeable = !p->fleet->n_rules && !s->told_apart;
	uint64_t steps = 0;

	mb_tally_clear(p);
	for (uint32_t v = 0; v < p->fleet->n_vms; v++)
		if (p->host[v] == MB_NOWHERE)
			s->order[n++] = v;
	for (uint32_t i = 0; i < n; i++)
		tried[i] = MB_NOWHERE;
	qsort_r(s->order, n, sizeof(*s->order), mb_search_compare_larger, p);
	while (depth < n && steps++ < PACK_STEPS) {
		uint32_t v = s->order[depth], h;

		if (p->host[v] != MB_NOWHERE)
			mb_tally_take(p, v);
		h = next_fit(p, v, tried[depth], room[depth], interchangeable);
		tried[depth] = h;
		if (h != MB_NOWHERE) {
			room[depth++] = p->room[h];
			mb_tally_put(p, v, h);
			continue;
		}
		if (!failed)
			mb_search_no_fit(p, v, ret_no);
		failed = true;
		if (depth-- == 0)
			break;
	}
	return depth == n;
}

bool mb_search_pack(struct mb_search *s, struct mb_no_fit *ret_no)
{
	struct mb_tally *t = &s->tally;

	mb_tally_clear(t);
	if (!pack(s, ret_no))
		return false;
	mb_tally_load(t, s->packing.host);
	return true;
}
