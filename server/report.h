/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What planners say as JSON (docs/json.md). All give a new reference; NULL: out of memory. */
#ifndef MB_SERVER_REPORT_H
#define MB_SERVER_REPORT_H

#include <jansson.h>

#include "server/plan/question.h"

/* `plan` is what `planner` made of `fleet` under `options`. */
json_t *mb_report_plan(const struct mb_fleet_view *fleet, const struct mb_plan *plan,
		       const struct mb_planner *planner, const struct mb_plan_options *options);
/* Of all hosts, as mb_plan_rank() gives them. */
json_t *mb_report_ranks(const struct mb_fleet_view *fleet, uint32_t vm, const struct mb_rank *ranks,
			const struct mb_planner *planner, const struct mb_plan_options *options);
/* The hosts that can go to the pool. */
json_t *mb_report_emptied(const struct mb_fleet_view *fleet, const bool *emptied);
json_t *mb_report_hotspots(const struct mb_fleet_view *fleet, const struct mb_hotspot *spots,
			   size_t n);

#endif
