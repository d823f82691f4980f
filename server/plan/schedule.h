/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When each move of an ordered plan begins, so many at a time as hosts bear; and so the simulation
 * that a plan must pass before anybody sees it.
 *
 * A migrating VM takes its full size, its loads and its rules on both hosts until it ends; a host
 * counts what it shares as room only after the time it takes to merge it. Moves begin in their
 * order. Since the order holds when each move waits for all before it, none waits for ever.
 */
#ifndef MB_PLAN_SCHEDULE_H
#define MB_PLAN_SCHEDULE_H

#include "server/plan/plan.h"

/*
 * Fills start_s of the feasible moves, whose time_s is known, and *ret_time_s, when all have ended.
 * -EPROTO: the order breaks a rule or has no room; the plan must not be shown.
 */
int mb_plan_schedule(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     struct mb_move *moves, size_t n_moves, uint64_t *ret_time_s,
		     struct mb_err *err);

#endif
