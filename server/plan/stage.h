/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fleet with what a question adds to it: which VMs stay, which hosts open or close. A copy, so
 * that it may be changed; only the sharing groups and names are the fleet's own.
 */
#ifndef MB_PLAN_STAGE_H
#define MB_PLAN_STAGE_H

#include "server/plan/unit.h"

struct mb_stage {
	struct mb_fleet_view view;
	struct mb_plan_vm *vms; /* the view's; owned */
	struct mb_plan_host *hosts;
	struct mb_plan_vm *vms_at_first;
	struct mb_units units; /* of the VMs as they were at first; its hosts are the stage's */
	uint32_t *unit_host;   /* where each unit counts as being now */
};

/*
 * `fleet` must have passed mb_plan_check(). With `hold`, hold time, cooldown and maintenance keep
 * VMs where they are, but where that breaks a rule.
 */
int mb_stage_init(struct mb_stage *s, const struct mb_fleet_view *fleet,
		  const struct mb_plan_options *options, bool hold, struct mb_err *err);
void mb_stage_deinit(struct mb_stage *s);

/* How many VMs run nowhere or where they must not, and how many rules are broken, as it is now. */
int mb_stage_wrongs(const struct mb_stage *s, const struct mb_plan_options *options, uint32_t *ret,
		    struct mb_err *err);

/*
 * Where the VMs are when the units have gone to unit_host[]. A spread unit that stays is not
 * brought together on the way: that is for who rebalances. But none of it stays where nobody may.
 */
void mb_stage_target(const struct mb_stage *s, const uint32_t *unit_host, uint32_t *ret_host);

/*
 * Goes on: moves the units to unit_host[], if every move on the way is feasible; then they are
 * appended to the plan, and the stage's VMs are where they have come to. False, and nothing done,
 * if not. On an error *ret is not set.
 */
int mb_stage_go(struct mb_stage *s, const struct mb_plan_options *options,
		const uint32_t *unit_host, struct mb_plan *plan, bool *ret, struct mb_err *err);
/* Back to where the fleet says; plan->host gets where the stage's VMs were. */
void mb_stage_rewind(struct mb_stage *s, const struct mb_fleet_view *fleet, uint32_t *ret_host);

#endif
