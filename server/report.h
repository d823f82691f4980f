/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A plan as JSON (docs/json.md): the same from the server as from `mbctl plan --fleet`. */
#ifndef MB_SERVER_REPORT_H
#define MB_SERVER_REPORT_H

#include <jansson.h>

#include "server/plan/plan.h"

/*
 * `plan` is what `planner` made of `fleet` under `options`. A new reference; NULL: out of memory.
 */
json_t *mb_report_plan(const struct mb_fleet_view *fleet, const struct mb_plan *plan,
		       const struct mb_planner *planner, const struct mb_plan_options *options);

#endif
