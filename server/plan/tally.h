/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is where, and what every VM would save on every host: exact, kept up to date move by move.
 *
 *	count(g, h)     how many VMs of group g are on host h
 *	gain[h][v]      sum of the weights of v's groups with count(g, h) >= 1
 *	own(v)          the same for v's host with count >= 2: what is lost if v leaves
 *	saving          sum over groups and hosts of weight * (count - 1, if > 0)
 *
 * Moving v from a to b changes the saving by gain[b][v] - own(v). Only when a count leaves or
 * reaches 0 do the gains of the group's other VMs change.
 */
#ifndef MB_PLAN_TALLY_H
#define MB_PLAN_TALLY_H

#include "server/plan/plan.h"

struct mb_tally {
	const struct mb_fleet_view *fleet; /* borrowed */
	uint32_t *host;			   /* [0, n_vms): MB_NOWHERE or where it is */
	int64_t *free_mb;		   /* [0, n_hosts): at full size */
	int64_t *total_mb;		   /* [0, n_hosts): capacity */
	uint64_t *gain;			   /* [h * n_vms + v], pages */
	uint64_t saving;		   /* pages */
	uint64_t work; /* counters touched: a clock that is the same everywhere */
	/* Which groups a VM is in: groups_of[first_of[v], first_of[v + 1]), ascending. */
	size_t *first_of;
	uint32_t *groups_of;
	/*
	 * count(g, .) is in counts[row_of[g], row_of[g + 1]): a counter per host, or, where the
	 * group is small beside the hosts, a list: length, then (host, counter) pairs. So memory
	 * grows with the VM sets, not with groups x hosts.
	 */
	size_t *row_of;
	uint32_t *counts;
};

int mb_tally_init(struct mb_tally *t, const struct mb_fleet_view *fleet,
		  const struct mb_plan_options *options, struct mb_err *err);
void mb_tally_deinit(struct mb_tally *t);
/* Nobody anywhere. */
void mb_tally_clear(struct mb_tally *t);
/* Everybody where `host` says; MB_NOWHERE is left out. Capacity is not looked at. */
void mb_tally_load(struct mb_tally *t, const uint32_t *host);

void mb_tally_put(struct mb_tally *t, uint32_t vm, uint32_t host);
void mb_tally_take(struct mb_tally *t, uint32_t vm);
uint64_t mb_tally_own(struct mb_tally *t, uint32_t vm);
/*
 * The saving's change if VMs a and b, on two hosts, change places:
 * gain - own of both, less what each gains only from the other.
 */
int64_t mb_tally_swap(struct mb_tally *t, uint32_t a, uint32_t b, uint64_t own_a, uint64_t own_b);

static inline uint64_t mb_tally_gain(const struct mb_tally *t, uint32_t host, uint32_t vm)
{
	return t->gain[(size_t)host * t->fleet->n_vms + vm];
}

static inline int64_t mb_tally_size(const struct mb_tally *t, uint32_t vm)
{
	return (int64_t)t->fleet->vms[vm].memory_mb;
}

#endif
