// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api_metrics.h"

#include <stddef.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "proto/metrics.h"
#include "server/scene.h"

/* --- each VM ---------------------------------------------------------------------------------- */

static double online(const struct mb_vm *vm)
{
	return vm->session != 0;
}

static double pages(const struct mb_vm *vm)
{
	return (double)vm->sharing.pages;
}

static double distinct(const struct mb_vm *vm)
{
	return (double)vm->sharing.distinct;
}

static double zero(const struct mb_vm *vm)
{
	return (double)vm->sharing.zero;
}

static double self_nonzero(const struct mb_vm *vm)
{
	return (double)vm->sharing.self_nonzero;
}

static double memory(const struct mb_vm *vm)
{
	return (double)vm->memory_bytes;
}

static double acked(const struct mb_vm *vm)
{
	return (double)vm->acked_unix_ns / 1e9;
}

static double epochs(const struct mb_vm *vm)
{
	return (double)vm->totals.epochs;
}

static double changed(const struct mb_vm *vm)
{
	return (double)vm->totals.changed_pages;
}

static double wire(const struct mb_vm *vm)
{
	return (double)vm->totals.wire_bytes;
}

static double audits(const struct mb_vm *vm)
{
	return (double)vm->totals.audit.audits;
}

static double audit_changed(const struct mb_vm *vm)
{
	return (double)mb_audit_sum(vm->totals.audit.changed, vm->totals.audit.follows);
}

static double audit_stale(const struct mb_vm *vm)
{
	return (double)mb_audit_sum(vm->totals.audit.stale, vm->totals.audit.follows);
}

static const struct {
	const char *name;
	enum mb_metrics_type type;
	const char *help;
	double (*of)(const struct mb_vm *vm);
	bool held; /* only of VMs whose fingerprint is held */
} of_vm[] = {
	{ "memory_buddies_vm_online", MB_GAUGE, "1 while the VM's agent is connected.", online,
	  false },
	{ "memory_buddies_vm_memory_bytes", MB_GAUGE, "Memory of the VM at full size.", memory,
	  false },
	{ "memory_buddies_vm_pages", MB_GAUGE, "Pages of the VM's fingerprint, copies included.",
	  pages, true },
	{ "memory_buddies_vm_distinct_pages", MB_GAUGE, "Distinct contents among them.", distinct,
	  true },
	{ "memory_buddies_vm_zero_pages", MB_GAUGE, "Copies of the zero page among them.", zero,
	  true },
	{ "memory_buddies_vm_self_sharing_pages", MB_GAUGE,
	  "Further copies of other contents than the zero page, inside the VM.", self_nonzero,
	  true },
	{ "memory_buddies_vm_acked_timestamp_seconds", MB_GAUGE,
	  "When the VM's last epoch was acked.", acked, true },
	{ "memory_buddies_vm_epochs_total", MB_COUNTER,
	  "Epochs of the VM that have arrived since the server started.", epochs, false },
	{ "memory_buddies_vm_changed_pages_total", MB_COUNTER,
	  "Pages whose content had changed from one epoch to the next.", changed, false },
	{ "memory_buddies_vm_received_bytes_total", MB_COUNTER,
	  "Bytes of the VM's deltas, as frames on the wire.", wire, false },
	{ "memory_buddies_vm_audits_total", MB_COUNTER, "Audits of the VM's tracker.", audits,
	  false },
	{ "memory_buddies_vm_audit_changed_pages_total", MB_COUNTER,
	  "Changed pages of classes that the tracker follows, as audits found.", audit_changed,
	  false },
	{ "memory_buddies_vm_audit_stale_pages_total", MB_COUNTER,
	  "Those of them that the tracker had missed.", audit_stale, false },
};

static void put_vms(struct mb_metrics *m, const struct mb_fleet_snapshot *fleet)
{
	for (size_t k = 0; k < MB_ARRAY_LEN(of_vm); k++) {
		mb_metrics_family(m, of_vm[k].name, of_vm[k].type, of_vm[k].help);
		for (uint32_t i = 0; i < fleet->n; i++) {
			const struct mb_vm *vm = &fleet->vms[i];

			if (of_vm[k].held && !vm->epoch)
				continue;
			mb_metrics_label(m, "vm", vm->name);
			mb_metrics_put(m, of_vm[k].of(vm));
		}
	}
}

/* --- what was computed last ------------------------------------------------------------------- */

static void put_inter(struct mb_metrics *m, const struct mb_sharing_view *view)
{
	mb_metrics_family(m, "memory_buddies_vm_inter_sharable_pages", MB_GAUGE,
			  "Distinct contents of the VM that at least one other VM has, too.");
	for (uint32_t k = 0; k < view->n_sets; k++) {
		const struct mb_comparable *set = &view->sets[k];

		for (uint32_t i = 0; i < set->n; i++) {
			mb_metrics_label(m, "vm", view->fleet.vms[set->vms[i]].name);
			mb_metrics_put(m, (double)set->any[i]);
		}
	}
}

struct host_figures {
	double vms, memory_bytes, pages, saving, inter;
};

static void figure_host(const struct mb_scene *s, uint32_t host, uint8_t *on_host,
			struct host_figures *ret)
{
	uint64_t n_pages = 0, n_distinct = 0, n_inter;

	*ret = (struct host_figures){
		.memory_bytes = (double)(s->fleet.hosts[host].memory_mb << 20),
	};
	for (uint32_t i = 0; i < s->fleet.view.n_vms; i++) {
		on_host[i] = s->fleet.vms[i].host == host;
		ret->vms += on_host[i];
		n_pages += on_host[i] ? s->fleet.vms[i].pages : 0;
		n_distinct += on_host[i] ? s->fleet.vms[i].distinct : 0;
	}
	n_inter = mb_groups_inter_saving(&s->view->groups, on_host);
	ret->pages = (double)n_pages;
	ret->inter = (double)n_inter;
	ret->saving = (double)(n_pages - n_distinct + n_inter);
}

static const struct {
	const char *name, *help;
	size_t offset;
	bool from_file; /* only of hosts that the fleet file names */
} of_host[] = {
	{ "memory_buddies_host_vms", "VMs on the host.", offsetof(struct host_figures, vms),
	  false },
	{ "memory_buddies_host_memory_bytes", "Memory of the host, as the fleet file says.",
	  offsetof(struct host_figures, memory_bytes), true },
	{ "memory_buddies_host_pages", "Pages of the fingerprints of the host's VMs.",
	  offsetof(struct host_figures, pages), false },
	{ "memory_buddies_host_saving_pages",
	  "Those that merging all equal ones could save; compare with node_ksmd_pages_sharing.",
	  offsetof(struct host_figures, saving), false },
	{ "memory_buddies_host_inter_saving_pages",
	  "The part of it that is there because these VMs share a host.",
	  offsetof(struct host_figures, inter), false },
};

static int put_hosts(struct mb_metrics *m, const struct mb_scene *s, struct mb_err *err)
{
	mb_autofree struct host_figures *figures =
		calloc(s->fleet.view.n_hosts + 1, sizeof(*figures));
	mb_autofree uint8_t *on_host = calloc(s->fleet.view.n_vms + 1, 1);

	if (!figures || !on_host)
		return mb_fail_mem(err, "metrics");
	for (uint32_t i = 0; i < s->fleet.view.n_hosts; i++)
		figure_host(s, i, on_host, &figures[i]);
	for (size_t k = 0; k < MB_ARRAY_LEN(of_host); k++) {
		mb_metrics_family(m, of_host[k].name, MB_GAUGE, of_host[k].help);
		for (uint32_t i = 0; i < s->fleet.view.n_hosts; i++) {
			if (of_host[k].from_file && i >= s->fleet.n_file_hosts)
				continue;
			mb_metrics_label(m, "host", s->fleet.hosts[i].name);
			mb_metrics_put(m, *(const double *)((const char *)&figures[i] +
							    of_host[k].offset));
		}
	}
	mb_metrics_one(m, "memory_buddies_sharing_generation", MB_GAUGE,
		       "Generation of the fleet that the figures of sharing are of.",
		       (double)s->view->fleet.generation);
	return 0;
}

/* --- the server ------------------------------------------------------------------------------- */

static void put_memory(struct mb_metrics *m, struct mb_fleet *fleet)
{
	struct mb_fleet_memory memory;

	mb_fleet_memory(fleet, &memory);
	mb_metrics_one(m, "memory_buddies_fingerprint_bytes", MB_GAUGE,
		       "Memory that fingerprints take.", (double)memory.held_bytes);
	mb_metrics_one(m, "memory_buddies_fingerprint_budget_bytes", MB_GAUGE,
		       "What they may take (--memory-budget); 0: no limit.",
		       (double)memory.budget_bytes);
	mb_metrics_one(m, "memory_buddies_paged_out_vms", MB_GAUGE,
		       "VMs of whose fingerprints only a sample is in memory.", memory.n_paged_out);
	mb_metrics_one(m, "memory_buddies_page_outs_total", MB_COUNTER,
		       "Fingerprints that were paged out.", (double)memory.page_outs);
	mb_metrics_one(m, "memory_buddies_page_ins_total", MB_COUNTER,
		       "Fingerprints that were read from the database for a delta.",
		       (double)memory.page_ins);
}

static void put_server(struct mb_metrics *m, const struct mb_api *api,
		       const struct mb_fleet_snapshot *fleet)
{
	mb_metrics_family(m, "memory_buddies_build_info", MB_GAUGE, "1; the server's build.");
	mb_metrics_label(m, "version", mb_version);
	mb_metrics_put(m, 1);
	mb_metrics_one(m, "memory_buddies_vms", MB_GAUGE, "VMs that the server knows.", fleet->n);
	mb_metrics_one(m, "memory_buddies_fleet_generation", MB_GAUGE,
		       "Grows with every fingerprint that changes.", (double)fleet->generation);
	mb_metrics_one(m, "memory_buddies_failed_epochs_total", MB_COUNTER,
		       "Epochs that could not be kept (disk full, ...) and were not acked.",
		       (double)atomic_load(&api->health->failures));
	if (!api->refusals)
		return;
	mb_metrics_family(m, "memory_buddies_refused_connections_total", MB_COUNTER,
			  "Agents that were refused for what their certificates say.");
	for (int i = 0; i < MB_FOR_END; i++) {
		mb_metrics_label(m, "reason", mb_refused_for_name((enum mb_refused_for)i));
		mb_metrics_put(m, (double)mb_refusals_get(api->refusals, (enum mb_refused_for)i));
	}
}

int mb_api_metrics(struct mb_api *api, struct mb_buf *ret, struct mb_err *err)
{
	mb_cleanup(mb_fleet_snapshot_deinit) struct mb_fleet_snapshot fleet = { 0 };
	mb_cleanup(mb_scene_close) struct mb_scene scene = { 0 };
	struct mb_metrics m = { .out = ret };
	struct mb_process_info info;
	int r = mb_fleet_snapshot(api->fleet, &fleet, err);

	if (r < 0)
		return r;
	put_server(&m, api, &fleet);
	put_memory(&m, api->fleet);
	put_vms(&m, &fleet);
	r = mb_scene_peek(api, &scene, err);
	if (r == 0) {
		put_inter(&m, scene.view);
		r = put_hosts(&m, &scene, err);
	}
	/* A server that has just started has none, and is fine. */
	if (r < 0 && r != -EAGAIN)
		return r;
	if (mb_process_info_get(&info, NULL) == 0)
		mb_metrics_process(&m, &info);
	return mb_buf_check(ret, "metrics", err);
}
