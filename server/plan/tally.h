/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is where, what every VM would save on every host, and where it has room: exact, kept up to
 * date move by move. All by the view's score_groups where it has them.
 *
 *	count(g, h)     how many VMs of group g are on host h
 *	gain[h][v]      sum of the weights of v's groups with count(g, h) >= 1
 *	own(v)          the same for v's host with count >= 2: what is lost if v leaves
 *	saving          sum over groups and hosts of weight * (count - 1, if > 0)
 *
 * Moving v from a to b changes the saving by gain[b][v] - own(v). Only when a count leaves or
 * reaches 0 do the gains of the group's other VMs change.
 *
 * A host's room is its capacity less its VMs at full size, plus the counted part of what they save
 * there (mb_plan_options.count_sharing_percent), self-sharing included. A VM that leaves never
 * takes room with it, since it saved at most its own size.
 */
#ifndef MB_PLAN_TALLY_H
#define MB_PLAN_TALLY_H

#include "server/plan/room.h"

/* Memory is counted in hundredths of pages of 4 KiB, so that percents of pages are exact. */
#define MB_TALLY_PAGE ((int64_t)100)
#define MB_TALLY_MB   (MB_PLAN_PAGES_PER_MB * MB_TALLY_PAGE)

struct mb_tally {
	const struct mb_fleet_view *fleet; /* borrowed */
	const struct mb_groups *groups;	   /* that it goes by; borrowed */
	struct mb_room rules;
	uint32_t *host; /* [0, n_vms): MB_NOWHERE or where it is */
	int64_t *room;	/* [0, n_hosts): what is left, see above */
	int64_t *total; /* [0, n_hosts): capacity */
	int64_t *full;	/* [0, n_vms): full size */
	int64_t *least; /* [0, n_vms): the same less what counts of its self-sharing */
	uint32_t counted_percent;
	const bool *fixed; /* [0, n_vms): further VMs that the search leaves alone; NULL: none */
	uint64_t *gain;	   /* [h * n_vms + v], pages */
	uint64_t saving;   /* pages */
	uint64_t work;	   /* counters touched: a clock that is the same everywhere */
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
/* Nobody anywhere but the pinned. */
void mb_tally_clear(struct mb_tally *t);
/* Everybody where `host` says; MB_NOWHERE is left out. Room and rules are not looked at. */
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

/* What it takes of a host's room once it is merged there. */
static inline int64_t mb_tally_need(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	return t->least[vm] - (int64_t)(t->counted_percent * mb_tally_gain(t, host, vm));
}

/* Room and rules hold for a VM that comes from elsewhere. */
static inline bool mb_tally_fits(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	return mb_tally_need(t, vm, host) <= t->room[host] &&
	       mb_room_allows(&t->rules, vm, host, MB_NOWHERE, NULL, 0);
}

/*
 * The same once `without`, which is there, has left. Where sharing counts as room this is only
 * necessary: `without` may take sharing with it that `vm` counted on. Look at room[] afterwards.
 */
static inline bool mb_tally_may_replace(const struct mb_tally *t, uint32_t vm, uint32_t host,
					uint32_t without)
{
	return mb_tally_need(t, vm, host) <= t->room[host] + t->full[without] &&
	       mb_room_allows(&t->rules, vm, host, without, NULL, 0);
}

static inline bool mb_tally_pinned(const struct mb_tally *t, uint32_t vm)
{
	return t->fleet->vms[vm].pinned || (t->fixed && t->fixed[vm]);
}

#endif
