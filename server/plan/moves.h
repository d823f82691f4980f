/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the VMs move, so that each fits at its full, unshared size when it arrives.
 *
 * A host's free memory is its capacity minus the full sizes of the VMs on it. Migrations come
 * before first placements, which free nothing. Where VMs wait for each other in a cycle, one of
 * them goes to a third host first (`detour`); each VM does so at most once. What still has no room
 * stands at the end with feasible = false, and the rest is feasible without it.
 */
#ifndef MB_PLAN_MOVES_H
#define MB_PLAN_MOVES_H

#include "server/plan/plan.h"

/* From where the view says the VMs are to `target` (MB_NOWHERE: stays as it is). *ret is owned. */
int mb_moves_order(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		   const uint32_t *target, struct mb_move **ret, size_t *ret_n, struct mb_err *err);

#endif
