// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/report.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/plan/explain.h"

static json_t *integer(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *host_name(const struct mb_fleet_view *fleet, uint32_t host)
{
	return host < fleet->n_hosts ? json_string(fleet->hosts[host].name) : json_null();
}

/* What is on one host: before or after. */
struct load {
	json_t *vms;
	uint64_t full_mb;
};

static int add_vm(struct load *l, const struct mb_plan_vm *vm)
{
	l->full_mb += vm->memory_mb;
	return json_array_append_new(l->vms, json_string(vm->name));
}

/*
 * One pass over the VMs, since hosts x VMs is too many. Two loads per host: [2 h] before, [2 h + 1]
 * after.
 */
static int load_hosts(const struct mb_fleet_view *fleet, const struct mb_plan *plan,
		      struct load *loads)
{
	for (size_t i = 0; i < 2 * (size_t)fleet->n_hosts; i++)
		if (!(loads[i].vms = json_array()))
			return -1;
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		const struct mb_plan_vm *vm = &fleet->vms[v];
		uint32_t before = vm->host, after = plan->host[v];

		if (before < fleet->n_hosts && add_vm(&loads[2 * (size_t)before], vm) < 0)
			return -1;
		if (after < fleet->n_hosts && add_vm(&loads[2 * (size_t)after + 1], vm) < 0)
			return -1;
	}
	return 0;
}

static json_t *report_hosts(const struct mb_fleet_view *fleet, const struct mb_plan *plan)
{
	size_t n_loads = 2 * (size_t)fleet->n_hosts;
	mb_autofree struct load *loads = calloc(n_loads + 1, sizeof(*loads));
	json_t *ret = json_array();
	int r = loads && ret ? load_hosts(fleet, plan, loads) : -1;

	for (uint32_t h = 0; h < fleet->n_hosts && r == 0; h++) {
		const struct load *before = &loads[2 * (size_t)h], *after = before + 1;

		r = json_array_append_new(ret,
					  json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:O, s:O}",
						    "name", fleet->hosts[h].name, "memory_mb",
						    integer(fleet->hosts[h].memory_mb), "before_mb",
						    integer(plan->before_mb[h]), "after_mb",
						    integer(plan->after_mb[h]), "full_before_mb",
						    integer(before->full_mb), "full_after_mb",
						    integer(after->full_mb), "vms_before",
						    before->vms, "vms_after", after->vms));
	}
	for (size_t i = 0; loads && i < n_loads; i++)
		json_decref(loads[i].vms);
	if (r == 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static json_t *report_placement(const struct mb_fleet_view *fleet, const struct mb_plan *plan)
{
	json_t *ret = json_object();
	int r = ret ? 0 : -1;

	for (uint32_t v = 0; v < fleet->n_vms && r == 0; v++)
		r = json_object_set_new(ret, fleet->vms[v].name, host_name(fleet, plan->host[v]));
	if (r == 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static json_t *report_move(const struct mb_fleet_view *fleet, const struct mb_plan *plan, size_t i)
{
	static const char *const why[] = {
		[MB_WHY_GAIN] = "gain",		[MB_WHY_PLACE] = "place",
		[MB_WHY_RULE] = "rule",		[MB_WHY_EMPTY] = "empty",
		[MB_WHY_RELIEVE] = "relieve",	[MB_WHY_ROOM] = "room",
		[MB_WHY_TOGETHER] = "together",
	};
	const struct mb_move *m = &plan->moves[i];
	const struct mb_plan_vm *vm = &fleet->vms[m->vm];
	char reason[MB_EXPLAIN_BYTES];

	mb_plan_explain(fleet, plan, i, reason);
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:s}", "vm",
		vm->name, "from", host_name(fleet, m->from), "to", host_name(fleet, m->to),
		"memory_mb", integer(vm->memory_mb), "feasible", (int)m->feasible, "detour",
		(int)m->detour, "why", why[m->why], "gain_pages", json_integer(m->gain_pages),
		"there_pages", integer(m->there_pages), "with",
		m->with < fleet->n_vms ? json_string(fleet->vms[m->with].name) : json_null(),
		"copy_mb", integer(m->copy_mb), "start_s", integer(m->start_s), "time_s",
		integer(m->time_s), "converges", (int)m->converges, "reason", reason);
}

static json_t *report_moves(const struct mb_fleet_view *fleet, const struct mb_plan *plan)
{
	json_t *ret = json_array();
	int r = ret ? 0 : -1;

	for (size_t i = 0; i < plan->n_moves && r == 0; i++)
		r = json_array_append_new(ret, report_move(fleet, plan, i));
	if (r == 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static json_t *report_saving(const struct mb_fleet_view *fleet, const struct mb_plan *plan)
{
	mb_autofree uint32_t *now = calloc((size_t)fleet->n_vms + 1, sizeof(*now));

	if (!now)
		return NULL;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		now[v] = fleet->vms[v].host;
	/* The gain may be negative. */
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "before_pages",
			 integer(plan->saving_before_pages), "after_pages",
			 integer(plan->saving_after_pages), "gain_pages",
			 integer(plan->saving_after_pages - plan->saving_before_pages),
			 "inter_before_pages", integer(mb_score_inter_pages(fleet, now)),
			 "inter_after_pages", integer(mb_score_inter_pages(fleet, plan->host)));
}

json_t *mb_report_plan(const struct mb_fleet_view *fleet, const struct mb_plan *plan,
		       const struct mb_planner *planner, const struct mb_plan_options *options)
{
	/* What is saved may be negative: VMs that ran nowhere before take memory now. */
	return json_pack("{s:s, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "planner",
			 planner->name, "strict", options->strict, "note", plan->note, "hosts",
			 report_hosts(fleet, plan), "before_mb", integer(plan->before_total_mb),
			 "after_mb", integer(plan->after_total_mb), "saved_mb",
			 integer(plan->before_total_mb - plan->after_total_mb), "placement",
			 report_placement(fleet, plan), "saving", report_saving(fleet, plan),
			 "copy_mb", integer(plan->copy_mb), "time_s", integer(plan->time_s),
			 "moves", report_moves(fleet, plan));
}

json_t *mb_report_ranks(const struct mb_fleet_view *fleet, uint32_t vm, const struct mb_rank *ranks,
			const struct mb_planner *planner, const struct mb_plan_options *options)
{
	json_t *hosts = json_array();
	int r = hosts ? 0 : -1;

	for (uint32_t i = 0; i < fleet->n_hosts && r == 0; i++) {
		const struct mb_rank *k = &ranks[i];

		r = json_array_append_new(
			hosts,
			json_pack("{s:s, s:b, s:b, s:f, s:o, s:o, s:o, s:s}", "name",
				  fleet->hosts[k->host].name, "fits", (int)k->fits, "wakes",
				  (int)k->wakes, "value", k->value, "gain_pages",
				  integer(k->gain_pages), "used_after_mb",
				  integer(k->used_after_mb), "memory_mb",
				  integer(fleet->hosts[k->host].memory_mb), "reason", k->reason));
	}
	if (r < 0) {
		json_decref(hosts);
		return NULL;
	}
	return json_pack("{s:s, s:b, s:s, s:o, s:o, s:o}", "planner", planner->name, "strict",
			 (int)options->strict, "vm", fleet->vms[vm].name, "host",
			 host_name(fleet, fleet->vms[vm].host), "memory_mb",
			 integer(fleet->vms[vm].memory_mb), "hosts", hosts);
}

json_t *mb_report_emptied(const struct mb_fleet_view *fleet, const bool *emptied)
{
	json_t *ret = json_array();

	for (uint32_t h = 0; ret && h < fleet->n_hosts; h++)
		if (emptied[h] &&
		    json_array_append_new(ret, json_string(fleet->hosts[h].name)) < 0) {
			json_decref(ret);
			return NULL;
		}
	return ret;
}

static json_t *report_hotspot(const struct mb_fleet_view *fleet, const struct mb_hotspot *spot)
{
	return json_pack("{s:o, s:s, s:o, s:b, s:o, s:o*}", "host", host_name(fleet, spot->host),
			 "reason", spot->reason, "woken", host_name(fleet, spot->woken), "relieved",
			 (int)spot->relieved, "lost_pages", integer(spot->lost_pages),
			 "lost_error_pages",
			 spot->lost_error_pages ? integer(spot->lost_error_pages) : NULL);
}

json_t *mb_report_hotspots(const struct mb_fleet_view *fleet, const struct mb_hotspot *spots,
			   size_t n)
{
	json_t *ret = json_array();

	for (size_t i = 0; ret && i < n; i++)
		if (json_array_append_new(ret, report_hotspot(fleet, &spots[i])) < 0) {
			json_decref(ret);
			return NULL;
		}
	return ret;
}
