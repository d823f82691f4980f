/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far the figures of an answer may be off (estimate.h), as keys beside them (docs/json.md):
 * nothing is added where they are exact.
 */
#ifndef MB_SERVER_REPORT_ERROR_H
#define MB_SERVER_REPORT_ERROR_H

#include <jansson.h>

#include "server/live_fleet.h"
#include "server/plan/question.h"

/* The key "estimate": that the figures are estimates, and from what. */
int mb_report_estimate(json_t *to, unsigned int shift, uint32_t n_paged_out, struct mb_err *err);

/* To the answer of /v1/share, identities and hosts in their order; says that it is an estimate. */
int mb_report_share_errors(json_t *report, const struct mb_sharing_view *view,
			   const struct mb_live_fleet *fleet, struct mb_err *err);
/* To what mb_report_plan() made of `plan`. */
int mb_report_plan_errors(json_t *report, const struct mb_live_fleet *fleet,
			  const struct mb_plan *plan, struct mb_err *err);
/* To what mb_report_ranks() made of `ranks`. */
int mb_report_rank_errors(json_t *report, const struct mb_live_fleet *fleet, uint32_t vm,
			  const struct mb_rank *ranks, struct mb_err *err);

#endif
