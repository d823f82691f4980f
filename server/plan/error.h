/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far off a placement's saving may be where sharing is known from samples (proto/sample.h). */
#ifndef MB_PLAN_ERROR_H
#define MB_PLAN_ERROR_H

#include "server/plan/plan.h"

/*
 * Half the width of the 95 % interval of what inter-VM sharing saves with the VMs on host[], less
 * what it saves with them on before[], NULL: nowhere. What is the same in both has no error. 0
 * where all is known exactly.
 */
int mb_plan_error_pages(const struct mb_fleet_view *fleet, const uint32_t *before,
			const uint32_t *host, uint64_t *ret, struct mb_err *err);

#endif
