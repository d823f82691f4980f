// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/report_error.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/estimate.h"

int mb_report_estimate(json_t *to, unsigned int shift, uint32_t n_paged_out, struct mb_err *err)
{
	if (!shift)
		return 0;
	return json_object_set_new(to, "estimate",
				   json_pack("{s:i, s:I}", "one_in", 1 << shift, "paged_out",
					     (json_int_t)n_paged_out)) < 0 ?
		       mb_fail_mem(err, "an answer") :
		       0;
}

static int put(json_t *to, const char *key, uint64_t v, struct mb_err *err)
{
	return json_object_set_new(to, key, json_integer((json_int_t)v)) < 0 ?
		       mb_fail_mem(err, "an answer") :
		       0;
}

/* Rounded up: an error must not become less. */
static uint64_t mb_of(uint64_t pages)
{
	return (pages + MB_PLAN_PAGES_PER_MB - 1) / MB_PLAN_PAGES_PER_MB;
}

/* Errors of a placement, and of what it changes of another one. */
struct errors {
	uint64_t *hosts;
	uint64_t sum;
};

static void errors_deinit(struct errors *e)
{
	free(e->hosts);
}

static int errors_init(struct errors *e, const struct mb_live_fleet *f, const uint32_t *host,
		       const uint32_t *before, struct mb_err *err)
{
	e->hosts = calloc((size_t)f->view.n_hosts + 1, sizeof(*e->hosts));
	if (!e->hosts)
		return mb_fail_mem(err, "an answer");
	return mb_estimate_saving_errors(f->view.groups, f->sample_shift, host, before,
					 f->view.n_vms, f->view.n_hosts, e->hosts, &e->sum, err);
}

/* Where VMs are; `without` is nowhere. */
static uint32_t *hosts_now(const struct mb_live_fleet *f, uint32_t without)
{
	uint32_t *now = calloc((size_t)f->view.n_vms + 1, sizeof(*now));

	for (uint32_t v = 0; now && v < f->view.n_vms; v++)
		now[v] = v == without ? MB_NOWHERE : f->view.vms[v].host;
	return now;
}

/* --- share ------------------------------------------------------------------------------------ */

/* n x n, as `inter` is. */
static json_t *inter_errors(const struct mb_comparable *set)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < set->n; i++) {
		json_t *row = json_array();

		for (uint32_t j = 0; j < set->n; j++) {
			uint64_t error = mb_comparable_inter_error(set, i, j);

			json_array_append_new(row, json_integer((json_int_t)error));
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

static int put_identity(json_t *to, const struct mb_comparable *set, struct mb_err *err)
{
	json_t *vms = json_object_get(to, "vms"), *vm;
	size_t i;
	int r;

	json_array_foreach(vms, i, vm)
	{
		r = put(vm, "inter_error", mb_comparable_any_error(set, (uint32_t)i), err);
		if (r < 0)
			return r;
	}
	return json_object_set_new(to, "inter_error", inter_errors(set)) < 0 ?
		       mb_fail_mem(err, "an answer") :
		       0;
}

int mb_report_share_errors(json_t *report, const struct mb_sharing_view *view,
			   const struct mb_live_fleet *f, struct mb_err *err)
{
	mb_autofree uint32_t *now = hosts_now(f, MB_NOWHERE);
	json_t *hosts = json_object_get(report, "hosts"), *host;
	json_t *sets = json_object_get(report, "identities"), *set;
	mb_cleanup(errors_deinit) struct errors e = { 0 };
	size_t i;
	int r;

	json_array_foreach(sets, i, set)
	{
		if (!mb_comparable_is_estimate(&view->sets[i]))
			continue;
		r = put_identity(set, &view->sets[i], err);
		if (r < 0)
			return r;
	}
	if (!view->sample_shift)
		return 0;
	r = now ? errors_init(&e, f, now, NULL, err) : mb_fail_mem(err, "an answer");
	if (r < 0)
		return r;
	json_array_foreach(hosts, i, host)
	{
		r = put(host, "error_pages", e.hosts[i], err);
		if (r < 0)
			return r;
	}
	return mb_report_estimate(report, view->sample_shift, view->fleet.n_paged_out, err);
}

/* --- plans ------------------------------------------------------------------------------------ */

/* A digest of the VM counts once: it is there, and it was shared where the VM came from. */
static int put_moves(json_t *list, const struct mb_live_fleet *f, const struct mb_plan *plan,
		     struct mb_err *err)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_moves && r == 0; i++) {
		json_t *move = json_array_get(list, i);
		double there = (double)plan->moves[i].there_pages;
		double left = there - (double)plan->moves[i].gain_pages;

		r = put(move, "there_error_pages", mb_estimate_error(there, 1, f->sample_shift),
			err);
		if (r == 0)
			r = put(move, "gain_error_pages",
				mb_estimate_error(there + MB_MAX(left, 0.0), 1, f->sample_shift),
				err);
	}
	return r;
}

int mb_report_plan_errors(json_t *report, const struct mb_live_fleet *f, const struct mb_plan *plan,
			  struct mb_err *err)
{
	mb_autofree uint32_t *now = hosts_now(f, MB_NOWHERE);
	mb_cleanup(errors_deinit) struct errors before = { 0 }, after = { 0 }, change = { 0 };
	json_t *saving = json_object_get(report, "saving"), *hosts, *host;
	size_t i;
	int r;

	if (!f->sample_shift)
		return 0;
	if (!now)
		return mb_fail_mem(err, "an answer");
	if ((r = errors_init(&before, f, now, NULL, err)) < 0 ||
	    (r = errors_init(&after, f, plan->host, NULL, err)) < 0 ||
	    (r = errors_init(&change, f, plan->host, now, err)) < 0 ||
	    (r = put(saving, "before_error_pages", before.sum, err)) < 0 ||
	    (r = put(saving, "after_error_pages", after.sum, err)) < 0 ||
	    (r = put(saving, "gain_error_pages", change.sum, err)) < 0 ||
	    (r = put(report, "before_error_mb", mb_of(before.sum), err)) < 0 ||
	    (r = put(report, "after_error_mb", mb_of(after.sum), err)) < 0 ||
	    (r = put(report, "saved_error_mb", mb_of(change.sum), err)) < 0)
		return r;
	hosts = json_object_get(report, "hosts");
	json_array_foreach(hosts, i, host)
	{
		if ((r = put(host, "before_error_mb", mb_of(before.hosts[i]), err)) < 0 ||
		    (r = put(host, "after_error_mb", mb_of(after.hosts[i]), err)) < 0)
			return r;
	}
	return put_moves(json_object_get(report, "moves"), f, plan, err);
}

int mb_report_rank_errors(json_t *report, const struct mb_live_fleet *f, uint32_t vm,
			  const struct mb_rank *ranks, struct mb_err *err)
{
	mb_autofree uint32_t *now = hosts_now(f, vm);
	mb_cleanup(errors_deinit) struct errors e = { 0 };
	json_t *hosts = json_object_get(report, "hosts"), *host;
	size_t i;
	int r = 0;

	if (!f->sample_shift)
		return 0;
	r = now ? errors_init(&e, f, now, NULL, err) : mb_fail_mem(err, "an answer");
	if (r < 0)
		return r;
	json_array_foreach(hosts, i, host)
	{
		uint64_t gain = mb_estimate_error((double)ranks[i].gain_pages, 1, f->sample_shift);

		if ((r = put(host, "gain_error_pages", gain, err)) < 0 ||
		    (r = put(host, "used_after_error_mb", mb_of(gain + e.hosts[ranks[i].host]),
			     err)) < 0)
			return r;
	}
	return 0;
}
