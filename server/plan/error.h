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

/* Of a number of a VM's distinct pages, known from 1 in 2^sample_shift of them; 0: exactly. */
uint64_t mb_plan_count_error(uint64_t pages, uint32_t sample_shift);
/* "12.5 MB", "12.5 +-0.3 MB" where it has an error, which is rounded up. */
enum { MB_PLAN_MB_BYTES = 40 };
void mb_plan_mb(uint64_t pages, uint64_t error_pages, char ret[MB_PLAN_MB_BYTES]);

#endif
