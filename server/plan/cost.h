/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a live migration by pre-copy costs: all memory is copied, then what was dirtied meanwhile,
 * and so on. With r = dirty rate / link rate the rounds add up to memory / (1 - r), the last one
 * being short enough to stop the VM for; at r >= 1 it never converges.
 */
#ifndef MB_PLAN_COST_H
#define MB_PLAN_COST_H

#include "server/plan/plan.h"

/* Fills copy_mb, time_s and converges. A first placement copies nothing. */
void mb_plan_cost(struct mb_move *move, const struct mb_plan_vm *vm,
		  const struct mb_plan_options *options);
/* How long a host takes to merge what arrived. */
uint64_t mb_plan_merge_s(const struct mb_plan_vm *vm, const struct mb_plan_options *options);

#endif
