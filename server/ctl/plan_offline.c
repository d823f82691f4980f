// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/ctl/apart.h"
#include "server/ctl/ctl.h"
#include "server/ctl/load.h"
#include "server/fleet_file.h"
#include "server/report.h"

/* The last epoch of every VM's trace: loads->items[i] is VM i's. */
static int load_traces(const char *path, const struct mb_fleet_file *f, struct mb_loads *loads,
		       struct mb_err *err)
{
	struct mb_load_progress progress = { .n_files = f->n_vms };
	int r = 0;

	/* Before hours are spent on the others. */
	for (uint32_t i = 0; i < f->n_vms; i++)
		if (!f->vms[i].trace)
			return mb_fail(err, EINVAL,
				       "%s: vms[%" PRIu32
				       "]: VM \"%s\" has no trace; an offline plan "
				       "needs one of every VM",
				       path, i, f->vms[i].name);
	mb_progress_begin(&progress.bar, "reading traces");
	for (uint32_t i = 0; i < f->n_vms && r == 0; i++) {
		progress.file = i;
		r = mb_load_trace(loads, f->vms[i].trace, true, &progress, err);
		if (r < 0)
			mb_fail_in(err, r, "VM \"%s\"", f->vms[i].name);
	}
	mb_progress_end(&progress.bar);
	return r;
}

static int compute_groups(const struct mb_loads *loads, struct mb_groups *ret, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc(loads->n + 1, sizeof(*lists));
	mb_autofree const struct mb_identity **identities = calloc(loads->n + 1, sizeof(void *));

	if (!lists || !identities)
		return mb_fail_mem(err, "the digests of a fleet");
	for (size_t i = 0; i < loads->n; i++) {
		const struct mb_loaded *l = &loads->items[i];

		lists[i] = (struct mb_digest_list){ l->fingerprint.digests,
						    l->fingerprint.n_distinct };
		identities[i] = &l->identity;
	}
	return mb_groups_apart(ret, identities, lists, (uint32_t)loads->n, err);
}

int mb_ctl_plan_offline(const char *fleet_path, const struct mb_planner *planner,
			const struct mb_plan_options *options, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_fleet_file_deinit) struct mb_fleet_file f = { 0 };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_groups_deinit) struct mb_groups groups = { 0 };
	mb_cleanup(mb_plan_deinit) struct mb_plan plan = { 0 };
	mb_autofree struct mb_plan_host *hosts = NULL;
	mb_autofree struct mb_plan_vm *vms = NULL;
	struct mb_fleet_view view;
	int r = mb_fleet_file_read(fleet_path, &f, err);

	if (r == 0)
		r = load_traces(fleet_path, &f, &loads, err);
	if (r == 0)
		r = compute_groups(&loads, &groups, err);
	if (r < 0)
		return r;
	hosts = calloc((size_t)f.n_hosts + 1, sizeof(*hosts));
	vms = calloc((size_t)f.n_vms + 1, sizeof(*vms));
	if (!hosts || !vms)
		return mb_fail_mem(err, "a fleet");
	for (uint32_t i = 0; i < f.n_hosts; i++)
		hosts[i] = (struct mb_plan_host){ .name = f.hosts[i].name,
						  .memory_mb = f.hosts[i].memory_mb };
	for (uint32_t i = 0; i < f.n_vms; i++)
		vms[i] = (struct mb_plan_vm){
			.name = f.vms[i].name,
			.memory_mb = f.vms[i].memory_mb,
			.pages = loads.items[i].fingerprint.n_pages,
			.distinct = loads.items[i].fingerprint.n_distinct,
			.host = f.vms[i].host,
		};
	view = (struct mb_fleet_view){ .hosts = hosts,
				       .vms = vms,
				       .n_hosts = f.n_hosts,
				       .n_vms = f.n_vms,
				       .groups = &groups };
	r = mb_plan_make(&plan, planner, &view, options, err);
	if (r < 0)
		return mb_fail_in(err, r, "planner %s", planner->name);
	*ret = mb_report_plan(&view, &plan, planner, options);
	return *ret ? 0 : mb_fail_mem(err, "the plan's report");
}
