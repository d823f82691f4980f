// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/apply.h"

#include "proto/base/cleanup.h"
#include "server/execution_drive.h"

/* Longer than any migration: whoever does not wait need not look often. */
#define DAY_MS ((uint64_t)86400000)

static void json_unref(json_t **j)
{
	json_decref(*j);
}

/* Nothing fails in a dry run, so that a move is asked about some few times. */
int mb_apply_resume(struct mb_execution *x, uint64_t now_ms, struct mb_err *err)
{
	struct mb_mover dry = { &mb_mover_dry };

	return mb_execution_rush(x, &dry, now_ms, 1000 + 100 * (uint64_t)x->n_moves, err);
}

static int tell(const struct mb_execution *x, const char *mover, const json_t *report,
		mb_apply_keep keep, void *ctx, json_t **ret, struct mb_err *err)
{
	mb_cleanup(json_unref) json_t *json = mb_execution_to_json(x);
	int r = 0;

	if (!json || json_object_set_new(json, "mover", json_string(mover)) < 0)
		return mb_fail_mem(err, "an execution");
	if (keep)
		r = keep(ctx, x, report, json, err);
	if (r == 0)
		*ret = mb_take_ptr(json);
	return r;
}

int mb_apply_dry(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 const struct mb_plan *plan, uint64_t now_ms, json_t *report, mb_apply_keep keep,
		 void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_execution_deinit) struct mb_execution x = { 0 };
	mb_cleanup(json_unref) json_t *before = NULL;
	struct mb_execution_options o = mb_execution_options_default;
	json_t *after = NULL;
	int r;

	o.per_host_max = MB_MAX(options->concurrent_max, 1u);
	o.backoff_max_ms = DAY_MS;
	if ((r = mb_execution_create(&x, fleet, options, plan, &o, now_ms, err)) < 0 ||
	    (r = tell(&x, mb_mover_dry.name, report, keep, ctx, &before, err)) < 0 ||
	    (r = mb_apply_resume(&x, now_ms, err)) < 0 ||
	    (r = tell(&x, mb_mover_dry.name, report, keep, ctx, &after, err)) < 0)
		return r;
	if (json_object_set_new(report, "execution", after) < 0)
		return mb_fail_mem(err, "an answer");
	return 0;
}

int mb_apply_begin(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		   const struct mb_plan *plan, const char *mover, uint64_t now_ms, json_t *report,
		   mb_apply_keep keep, void *ctx, struct mb_err *err)
{
	mb_cleanup(mb_execution_deinit) struct mb_execution x = { 0 };
	struct mb_execution_options o = mb_execution_options_default;
	json_t *begun = NULL;
	int r;

	o.per_host_max = MB_MAX(options->concurrent_max, 1u);
	if ((r = mb_execution_create(&x, fleet, options, plan, &o, now_ms, err)) < 0 ||
	    (r = tell(&x, mover, report, keep, ctx, &begun, err)) < 0)
		return r;
	if (json_object_set_new(report, "execution", begun) < 0)
		return mb_fail_mem(err, "an answer");
	return 0;
}
