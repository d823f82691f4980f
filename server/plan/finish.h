/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From ordered moves to a plan that can be shown: simulated, costed, with before and after. */
#ifndef MB_PLAN_FINISH_H
#define MB_PLAN_FINISH_H

#include "server/plan/unit.h"

/*
 * plan->host and plan->moves (in order, with feasible and detour) are given; all else is filled in.
 * `why` (NULL: told from the fleet) says for each VM why it moves.
 */
int mb_plan_finish(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		   const struct mb_units *units, const struct mb_plan_options *options,
		   const enum mb_move_why *why, struct mb_err *err);

/*
 * Orders the moves from where the fleet says to plan->host, which must be whole, and finishes.
 * What the questions beside rebalancing use.
 */
int mb_plan_order(struct mb_plan *plan, const struct mb_fleet_view *fleet,
		  const struct mb_units *units, const struct mb_plan_options *options,
		  const enum mb_move_why *why, struct mb_err *err);

/* Does a VM run where no rule or want of room drives it out? ret_obeys[0, n_vms). */
int mb_plan_obeys(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  bool *ret_obeys, struct mb_err *err);

#endif
