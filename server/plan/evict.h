/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds new places for a few units while the others stay: what draining and consolidating do.
 *
 * Largest first, each to the host that the planner values most. Where none has room, another unit
 * moves away first (the paper's two-step move, 4.2): the smallest that does.
 */
#ifndef MB_PLAN_EVICT_H
#define MB_PLAN_EVICT_H

#include "server/plan/search.h"
#include "server/plan/stage.h"

/*
 * Places all units of `search->tally` that are nowhere and that vms[0, n) names, each at full size
 * when its turn comes. `search` is over the view of units; moved[0, n_vms) gets who moves. False:
 * *ret_no says who found no place, and the tally is to be loaded again.
 */
bool mb_evict(struct mb_search *search, const struct mb_planner *planner, uint32_t *vms, uint32_t n,
	      bool *moved, struct mb_no_fit *ret_no);

/*
 * Looks again at those that moved, and at nobody else, for what saves more. Whether they can get
 * there at full size is not looked at.
 */
void mb_evict_improve(struct mb_search *search, bool *moved);

/*
 * Goes where the tally has the units: where `best` finds more saving for those that moved, if they
 * get there at full size, else as mb_evict() left them; unit_host[0, n_vms) gets the latter. *ret
 * false: not even that can be reached, and nothing was done.
 */
int mb_evict_go(struct mb_stage *stage, struct mb_search *search, const struct mb_planner *planner,
		const struct mb_plan_options *options, bool *moved, uint32_t *unit_host,
		struct mb_plan *plan, bool *ret, struct mb_err *err);

#endif
