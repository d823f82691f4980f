/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the VMs move, so that each fits at its full, unshared size when it arrives, and
 * no rule is broken in between.
 *
 * A host's room is as in server/plan/tally.h; what arrived has merged when the next one comes.
 * Migrations come before first placements, which free nothing; VMs that belong together move one
 * right after the other. Where VMs wait for each other in a cycle, one of them goes to a third host
 * first (`detour`); each VM does so at most once. What still has no room stands at the end with
 * feasible = false, and the rest is feasible without it.
 */
#ifndef MB_PLAN_MOVES_H
#define MB_PLAN_MOVES_H

#include "server/plan/unit.h"

/* From where the view says the VMs are to `target` (MB_NOWHERE: stays as it is). *ret is owned. */
int mb_moves_order(const struct mb_fleet_view *fleet, const struct mb_units *units,
		   const struct mb_plan_options *options, const uint32_t *target,
		   struct mb_move **ret, size_t *ret_n, struct mb_err *err);

#endif
