// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/live_fleet.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/blend.h"
#include "server/names.h"

/* Names to indices, and to the planners' numbers of tenants and trust domains (0: none). */
struct joiner {
	struct mb_live_fleet *fleet;
	struct mb_names hosts, vms, tenants, domains;
	uint32_t n_tenants, n_domains;
};

static void joiner_deinit(struct joiner *j)
{
	mb_names_deinit(&j->hosts);
	mb_names_deinit(&j->vms);
	mb_names_deinit(&j->tenants);
	mb_names_deinit(&j->domains);
}

static uint32_t number_of(struct mb_names *names, uint32_t *n, const char *name)
{
	uint32_t number;

	if (!name || !*name)
		return 0;
	number = mb_names_put(names, name, *n + 1);
	*n = MB_MAX(*n, number);
	return number;
}

static uint32_t find_host(struct joiner *j, const char *name)
{
	struct mb_live_fleet *f = j->fleet;
	uint32_t i = mb_names_put(&j->hosts, name, f->view.n_hosts);

	if (i == f->view.n_hosts)
		f->hosts[f->view.n_hosts++] = (struct mb_plan_host){ .name = name,
								     .free_mb = UINT64_MAX,
								     .cooled_s = UINT64_MAX };
	return i;
}

static void add_host(struct joiner *j, const struct mb_fleet_file_host *h)
{
	struct mb_plan_host *to = &j->fleet->hosts[find_host(j, h->name)];

	to->memory_mb = h->memory_mb;
	to->reserve_mb = h->reserve_mb;
	memcpy(to->capacity, h->capacity, sizeof(to->capacity));
	to->state = h->state;
	to->trust = number_of(&j->domains, &j->n_domains, h->trust_domain);
	to->free_mb = h->free_mb;
}

static void cool(struct mb_plan_host *host, uint64_t since_s)
{
	host->cooled_s = MB_MIN(host->cooled_s, since_s);
}

static void add_seen(struct joiner *j, const struct mb_seen_vm *vm)
{
	struct mb_live_fleet *f = j->fleet;
	uint32_t i = f->view.n_vms++;

	f->vms[i] = (struct mb_plan_vm){
		.name = vm->name,
		.memory_mb = vm->memory_mb,
		.pages = vm->pages,
		.distinct = vm->distinct,
		.host = *vm->host ? find_host(j, vm->host) : MB_NOWHERE,
		.trust = number_of(&j->domains, &j->n_domains, vm->domain),
		.settled_s = vm->settled_s,
		.swap_pages_s = vm->swap_pages_s,
		.stall_percent = vm->stall_percent,
		.sample_shift = vm->sample_shift,
	};
	f->zero_pages[i] = vm->zero_pages;
	f->n_no_groups += vm->no_groups;
	mb_names_put(&j->vms, vm->name, i);
}

/* A migration has two ends. One that nobody names any more is no host. */
static void cool_both(struct joiner *j, const struct mb_seen_vm *vm)
{
	uint32_t to = mb_names_find(&j->hosts, vm->host);
	uint32_t from = mb_names_find(&j->hosts, vm->moved_from);

	if (to != MB_NO_NAME)
		cool(&j->fleet->hosts[to], vm->settled_s);
	if (from != MB_NO_NAME)
		cool(&j->fleet->hosts[from], vm->settled_s);
}

static void add_from_file(struct joiner *j, const struct mb_fleet_file_vm *vm)
{
	struct mb_live_fleet *f = j->fleet;
	uint32_t i = mb_names_put(&j->vms, vm->name, f->view.n_vms);
	struct mb_plan_vm *to = &f->vms[i];

	if (i == f->view.n_vms) {
		f->view.n_vms++;
		*to = (struct mb_plan_vm){ .name = vm->name,
					   .host = MB_NOWHERE,
					   .settled_s = UINT64_MAX };
	}
	to->memory_mb = vm->memory_mb;
	if (vm->host != MB_NOWHERE)
		to->host = vm->host;
	to->pinned = vm->pinned;
	to->tenant = number_of(&j->tenants, &j->n_tenants, vm->tenant);
	if (vm->trust_domain)
		to->trust = number_of(&j->domains, &j->n_domains, vm->trust_domain);
	for (int r = 0; r < MB_RESOURCES; r++) {
		to->mean[r] = vm->load[r].mean;
		to->peak[r] = vm->load[r].peak;
	}
	to->dirty_kb_s = vm->dirty_kb_s;
	if (vm->swap_pages_s)
		to->swap_pages_s = vm->swap_pages_s;
	if (vm->stall_percent)
		to->stall_percent = vm->stall_percent;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The file counts VMs its own way. */
static void add_rules(struct joiner *j, const struct mb_fleet_file *file)
{
	struct mb_live_fleet *f = j->fleet;
	uint32_t *vms = f->rule_vms;

	for (uint32_t i = 0; i < file->n_rules; i++) {
		const struct mb_fleet_file_rule *rule = &file->rules[i];

		for (uint32_t k = 0; k < rule->n_vms; k++)
			vms[k] = mb_names_find(&j->vms, file->vms[rule->vms[k]].name);
		qsort(vms, rule->n_vms, sizeof(*vms), compare_u32);
		f->rules[i] = (struct mb_plan_rule){ rule->kind, rule->name, vms, rule->n_vms };
		vms += rule->n_vms;
	}
}

static int make_room(struct joiner *j, uint32_t n_seen, const struct mb_fleet_file *file,
		     struct mb_err *err)
{
	struct mb_live_fleet *f = j->fleet;
	size_t n_hosts = (size_t)file->n_hosts + n_seen;
	size_t n_vms = (size_t)file->n_vms + n_seen, n_rule_vms = 0;
	int r;

	for (uint32_t i = 0; i < file->n_rules; i++)
		n_rule_vms += file->rules[i].n_vms;
	f->hosts = calloc(n_hosts + 1, sizeof(*f->hosts));
	f->vms = calloc(n_vms + 1, sizeof(*f->vms));
	f->zero_pages = calloc(n_vms + 1, sizeof(*f->zero_pages));
	f->rules = calloc((size_t)file->n_rules + 1, sizeof(*f->rules));
	f->rule_vms = calloc(n_rule_vms + 1, sizeof(*f->rule_vms));
	if (!f->hosts || !f->vms || !f->zero_pages || !f->rules || !f->rule_vms)
		return mb_fail_mem(err, "the fleet");
	if ((r = mb_names_init(&j->hosts, n_hosts, err)) < 0 ||
	    (r = mb_names_init(&j->vms, n_vms, err)) < 0 ||
	    (r = mb_names_init(&j->tenants, file->n_vms, err)) < 0)
		return r;
	return mb_names_init(&j->domains, file->n_hosts + n_vms, err);
}

int mb_live_fleet_join(struct mb_live_fleet *ret, const struct mb_seen_vm *seen, uint32_t n_seen,
		       const struct mb_groups *groups, const struct mb_fleet_file *file,
		       struct mb_err *err)
{
	mb_cleanup(joiner_deinit) struct joiner j = { .fleet = ret };
	int r;

	*ret = (struct mb_live_fleet){ .n_file_hosts = file->n_hosts };
	r = make_room(&j, n_seen, file, err);
	if (r < 0) {
		mb_live_fleet_deinit(ret);
		return r;
	}
	for (uint32_t i = 0; i < file->n_hosts; i++)
		add_host(&j, &file->hosts[i]);
	for (uint32_t i = 0; i < n_seen; i++)
		add_seen(&j, &seen[i]);
	for (uint32_t i = 0; i < n_seen; i++)
		cool_both(&j, &seen[i]);
	for (uint32_t i = 0; i < file->n_vms; i++)
		add_from_file(&j, &file->vms[i]);
	add_rules(&j, file);
	ret->view.hosts = ret->hosts;
	ret->view.vms = ret->vms;
	ret->view.groups = groups;
	ret->view.rules = ret->rules;
	ret->view.n_rules = file->n_rules;
	return 0;
}

static uint64_t size_mb(const struct mb_vm *vm)
{
	uint64_t bytes = vm->memory_bytes;

	/* An agent that cannot tell: the memory in use is what we know. */
	if (!bytes)
		bytes = vm->sharing.pages * vm->identity.page_bytes;
	return MB_MAX((bytes + 1048575) / 1048576, 1u);
}

/* Of the last pass; of one whose agent is away nobody knows. */
static uint64_t swap_pages_s(const struct mb_vm *vm)
{
	const struct mb_guest *g = &vm->pass.guest;

	if (!vm->session || !g->known || !g->swapped_ns)
		return 0;
	return (uint64_t)((double)g->swapped_bytes / MB_PAGE_BYTES * 1e9 / (double)g->swapped_ns);
}

static uint64_t stall_percent(const struct mb_vm *vm)
{
	const struct mb_guest *g = &vm->pass.guest;

	return vm->session && g->known && g->has_stalls ? g->some_per_myriad / 100 : 0;
}

int mb_live_fleet_init(struct mb_live_fleet *ret, const struct mb_sharing_view *sharing,
		       const struct mb_fleet_file *file, struct mb_err *err)
{
	uint32_t n = sharing->fleet.n;
	mb_autofree struct mb_seen_vm *seen = calloc((size_t)n + 1, sizeof(*seen));
	uint64_t now = mb_now_ns();
	int r;

	*ret = (struct mb_live_fleet){ 0 };
	if (!seen)
		return mb_fail_mem(err, "the fleet");
	for (uint32_t i = 0; i < n; i++) {
		const struct mb_vm *vm = &sharing->fleet.vms[i];

		seen[i] = (struct mb_seen_vm){
			.name = vm->name,
			.host = vm->host,
			.domain = vm->identity.domain,
			.memory_mb = size_mb(vm),
			.pages = vm->sharing.pages,
			.distinct = vm->sharing.distinct,
			.zero_pages = vm->sharing.zero,
			.settled_s = vm->moved_ns ? (now - vm->moved_ns) / 1000000000 : UINT64_MAX,
			.moved_from = vm->moved_from,
			.swap_pages_s = swap_pages_s(vm),
			.stall_percent = stall_percent(vm),
			.no_groups = vm->sample.cut_bits,
		};
	}
	for (uint32_t k = 0; k < sharing->n_sets; k++)
		for (uint32_t i = 0; i < sharing->sets[k].n; i++)
			seen[sharing->sets[k].vms[i]].sample_shift = sharing->sets[k].shift;
	r = mb_live_fleet_join(ret, seen, n, &sharing->groups, file, err);
	ret->sample_shift = sharing->sample_shift;
	ret->n_paged_out = sharing->fleet.n_paged_out;
	return r;
}

int mb_live_fleet_weigh(struct mb_live_fleet *f, const struct mb_groups *durable,
			uint32_t volatile_percent, struct mb_err *err)
{
	int r;

	if (!durable || volatile_percent >= 100)
		return 0;
	mb_groups_deinit(&f->blend);
	r = mb_groups_blend(&f->blend, f->view.groups, volatile_percent, durable,
			    100 - volatile_percent, err);
	if (r == 0)
		f->view.score_groups = &f->blend;
	return r;
}

void mb_live_fleet_deinit(struct mb_live_fleet *f)
{
	free(f->hosts);
	free(f->vms);
	free(f->zero_pages);
	free(f->rules);
	free(f->rule_vms);
	mb_groups_deinit(&f->blend);
	*f = (struct mb_live_fleet){ 0 };
}
