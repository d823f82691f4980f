/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan becomes an execution: carried out by the dry mover, at once, the same for a server and,
 * offline, for mbctl; or begun, for a mover that takes its time (server/executor.h).
 */
#ifndef MB_SERVER_APPLY_H
#define MB_SERVER_APPLY_H

#include "server/execution.h"

/* Called when it is made and when it has ended; `report` is the plan's. May set keys of `json`. */
typedef int (*mb_apply_keep)(void *ctx, const struct mb_execution *x, const json_t *report,
			     json_t *json, struct mb_err *err);

/*
 * Puts "execution" into `report`. Each move takes the time that the plan expects, beginning at
 * now_ms, but nobody waits for it. `keep` may be NULL.
 */
int mb_apply_dry(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 const struct mb_plan *plan, uint64_t now_ms, json_t *report, mb_apply_keep keep,
		 void *ctx, struct mb_err *err);
/*
 * Only makes it, for the mover of that name: `keep`, required, writes it down, and "execution" in
 * `report` is how it begins.
 */
int mb_apply_begin(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		   const struct mb_plan *plan, const char *mover, uint64_t now_ms, json_t *report,
		   mb_apply_keep keep, void *ctx, struct mb_err *err);
/* One that was begun by a server that is no more, to its end. */
int mb_apply_resume(struct mb_execution *x, uint64_t now_ms, struct mb_err *err);

#endif
