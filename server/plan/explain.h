/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan in words. */
#ifndef MB_PLAN_EXPLAIN_H
#define MB_PLAN_EXPLAIN_H

#include "server/plan/plan.h"

enum { MB_EXPLAIN_BYTES = 400 };

/* Why move i of a plan is there, what it brings and what it costs; one line without a dot. */
void mb_plan_explain(const struct mb_fleet_view *fleet, const struct mb_plan *plan, size_t i,
		     char ret[MB_EXPLAIN_BYTES]);

#endif
