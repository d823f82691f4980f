// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/room.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

static const char *const resource_names[MB_RESOURCES] = {
	[MB_CPU_MILLICORES] = "CPU",
	[MB_NETWORK_KBIT_S] = "network",
	[MB_DISK_KB_S] = "disk",
};

static const char *const resource_units[MB_RESOURCES] = {
	[MB_CPU_MILLICORES] = "millicores",
	[MB_NETWORK_KBIT_S] = "kbit/s",
	[MB_DISK_KB_S] = "kB/s",
};

void mb_room_deinit(struct mb_room *r)
{
	free(r->n_vms);
	free(r->inflow);
	free(r->load);
	free(r->limit);
	free(r->tenants);
	free(r->tenant_squares);
	free(r->trusts);
	free(r->trust_squares);
	free(r->apart);
	free(r->first_of);
	free(r->rules_of);
	*r = (struct mb_room){ 0 };
}

static int64_t load_of(const struct mb_plan_vm *vm, unsigned int l)
{
	return (int64_t)(l % 2 ? vm->peak[l / 2] : vm->mean[l / 2]);
}

static void set_limits(struct mb_room *r)
{
	uint32_t mean = r->options->mean_percent ? r->options->mean_percent : 100;
	uint32_t peak = r->options->peak_percent ? r->options->peak_percent : 100;

	for (size_t h = 0; h < r->fleet->n_hosts; h++)
		for (unsigned int l = 0; l < MB_LOADS; l++) {
			uint64_t capacity = r->fleet->hosts[h].capacity[l / 2];

			r->limit[h * MB_LOADS + l] =
				capacity ? (int64_t)(capacity * (l % 2 ? peak : mean) / 100) :
					   INT64_MAX;
			r->any_loads |= capacity != 0;
		}
}

static void index_rules(struct mb_room *r)
{
	const struct mb_fleet_view *f = r->fleet;

	for (uint32_t i = 0; i < f->n_rules; i++)
		for (uint32_t k = 0; k < f->rules[i].n_vms; k++)
			if (f->rules[i].kind == MB_RULE_APART)
				r->first_of[f->rules[i].vms[k] + 1]++;
	for (uint32_t v = 0; v < f->n_vms; v++)
		r->first_of[v + 1] += r->first_of[v];
	/* Filling moves first_of[v] to the end of v's part, which is where v + 1 begins. */
	for (uint32_t i = 0; i < f->n_rules; i++)
		for (uint32_t k = 0; k < f->rules[i].n_vms; k++)
			if (f->rules[i].kind == MB_RULE_APART)
				r->rules_of[r->first_of[f->rules[i].vms[k]]++] = i;
	memmove(r->first_of + 1, r->first_of, f->n_vms * sizeof(*r->first_of));
	r->first_of[0] = 0;
}

int mb_room_init(struct mb_room *r, const struct mb_fleet_view *fleet,
		 const struct mb_plan_options *options, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_hosts + 1, members = 1;

	*r = (struct mb_room){ .fleet = fleet, .options = options };
	for (uint32_t i = 0; i < fleet->n_rules; i++)
		members += fleet->rules[i].n_vms;
	r->n_vms = calloc(n, sizeof(*r->n_vms));
	r->inflow = calloc(n, sizeof(*r->inflow));
	r->load = calloc(n * MB_LOADS, sizeof(*r->load));
	r->limit = calloc(n * MB_LOADS, sizeof(*r->limit));
	r->tenants = calloc(n, sizeof(*r->tenants));
	r->tenant_squares = calloc(n, sizeof(*r->tenant_squares));
	r->trusts = calloc(n, sizeof(*r->trusts));
	r->trust_squares = calloc(n, sizeof(*r->trust_squares));
	r->apart = calloc(n * ((size_t)fleet->n_rules + 1), sizeof(*r->apart));
	r->first_of = calloc((size_t)fleet->n_vms + 2, sizeof(*r->first_of));
	r->rules_of = calloc(members, sizeof(*r->rules_of));
	if (!r->n_vms || !r->inflow || !r->load || !r->limit || !r->tenants || !r->tenant_squares ||
	    !r->trusts || !r->trust_squares || !r->apart || !r->first_of || !r->rules_of) {
		mb_room_deinit(r);
		return mb_fail_mem(err, "the rules of a fleet");
	}
	set_limits(r);
	index_rules(r);
	return 0;
}

void mb_room_clear(struct mb_room *r)
{
	size_t n = r->fleet->n_hosts;

	memset(r->n_vms, 0, n * sizeof(*r->n_vms));
	memset(r->inflow, 0, n * sizeof(*r->inflow));
	memset(r->load, 0, n * MB_LOADS * sizeof(*r->load));
	memset(r->tenants, 0, n * sizeof(*r->tenants));
	memset(r->tenant_squares, 0, n * sizeof(*r->tenant_squares));
	memset(r->trusts, 0, n * sizeof(*r->trusts));
	memset(r->trust_squares, 0, n * sizeof(*r->trust_squares));
	memset(r->apart, 0, n * r->fleet->n_rules * sizeof(*r->apart));
}

/* `times` is 1, or -1 as the unsigned that undoes it. */
static void count(struct mb_room *r, uint32_t vm, uint32_t host, uint32_t times)
{
	const struct mb_plan_vm *v = &r->fleet->vms[vm];
	uint64_t times64 = (uint64_t)(int64_t)(int32_t)times;

	r->n_vms[host] += times;
	r->inflow[host] += times * mb_room_migrations(r, vm, host);
	for (unsigned int l = 0; l < MB_LOADS && r->any_loads; l++)
		r->load[(size_t)host * MB_LOADS + l] += (int32_t)times * load_of(v, l);
	r->tenants[host] += times64 * v->tenant;
	r->tenant_squares[host] += times64 * v->tenant * v->tenant;
	r->trusts[host] += times64 * v->trust;
	r->trust_squares[host] += times64 * v->trust * v->trust;
	for (uint32_t i = r->first_of[vm]; i < r->first_of[vm + 1]; i++)
		r->apart[(size_t)r->rules_of[i] * r->fleet->n_hosts + host] += times;
}

void mb_room_put(struct mb_room *r, uint32_t vm, uint32_t host)
{
	count(r, vm, host, 1);
}

void mb_room_take(struct mb_room *r, uint32_t vm, uint32_t host)
{
	count(r, vm, host, UINT32_MAX);
}

static bool __attribute__((format(printf, 3, 4)))
forbid(char *reason, size_t bytes, const char *fmt, ...)
{
	va_list ap;

	if (reason) {
		va_start(ap, fmt);
		vsnprintf(reason, bytes, fmt, ap);
		va_end(ap);
	}
	return false;
}

/* Are all labels on a host, less one VM's, the same as `label`? */
static bool all_same(uint64_t n, uint64_t sum, uint64_t squares, uint64_t less, bool without,
		     uint64_t label)
{
	if (without) {
		n--;
		sum -= less;
		squares -= less * less;
	}
	return sum == n * label && squares == n * label * label;
}

static bool in_rule(const struct mb_room *r, uint32_t vm, uint32_t rule)
{
	for (uint32_t i = r->first_of[vm]; i < r->first_of[vm + 1]; i++)
		if (r->rules_of[i] == rule)
			return true;
	return false;
}

static bool allows_labels(const struct mb_room *r, uint32_t vm, uint32_t host, uint32_t without,
			  char *reason, size_t bytes)
{
	const struct mb_plan_vm *v = &r->fleet->vms[vm];
	const struct mb_plan_vm *w = without == MB_NOWHERE ? NULL : &r->fleet->vms[without];
	const struct mb_plan_host *h = &r->fleet->hosts[host];

	if (h->trust && h->trust != v->trust)
		return forbid(reason, bytes, "the host takes VMs of another trust domain only");
	if (r->options->one_trust_domain_per_host &&
	    !all_same(r->n_vms[host], r->trusts[host], r->trust_squares[host], w ? w->trust : 0, w,
		      v->trust))
		return forbid(reason, bytes, "VMs of another trust domain are there");
	if (r->options->one_tenant_per_host &&
	    !all_same(r->n_vms[host], r->tenants[host], r->tenant_squares[host], w ? w->tenant : 0,
		      w, v->tenant))
		return forbid(reason, bytes, "VMs of another tenant are there");
	return true;
}

static bool allows_loads(const struct mb_room *r, uint32_t vm, uint32_t host, uint32_t without,
			 char *reason, size_t bytes)
{
	for (unsigned int l = 0; l < MB_LOADS && r->any_loads; l++) {
		int64_t limit = r->limit[(size_t)host * MB_LOADS + l];
		int64_t used = r->load[(size_t)host * MB_LOADS + l];
		int64_t need = load_of(&r->fleet->vms[vm], l);

		if (without != MB_NOWHERE)
			used -= load_of(&r->fleet->vms[without], l);
		if (need && used + need > limit)
			return forbid(
				reason, bytes, "%s %s: %lld of %lld %s are taken, it needs %lld",
				l % 2 ? "peak" : "mean", resource_names[l / 2], (long long)used,
				(long long)limit, resource_units[l / 2], (long long)need);
	}
	return true;
}

bool mb_room_allows(const struct mb_room *r, uint32_t vm, uint32_t host, uint32_t without,
		    char *reason, size_t bytes)
{
	const struct mb_plan_host *h = &r->fleet->hosts[host];
	uint32_t cap = r->options->inflow_max, come, less;

	if (h->state == MB_HOST_MAINTENANCE && r->fleet->vms[vm].host != host)
		return forbid(reason, bytes, "the host is in maintenance");
	if (h->state == MB_HOST_POOL && r->fleet->vms[vm].host != host)
		return forbid(reason, bytes, "the host is switched off, in the pool");
	if (h->state == MB_HOST_EMPTYING)
		return forbid(reason, bytes, "the host is being drained");
	if (!allows_labels(r, vm, host, without, reason, bytes))
		return false;
	for (uint32_t i = r->first_of[vm]; i < r->first_of[vm + 1]; i++) {
		uint32_t rule = r->rules_of[i];
		uint32_t there = r->apart[(size_t)rule * r->fleet->n_hosts + host];

		if (there > (without != MB_NOWHERE && in_rule(r, without, rule)))
			return forbid(reason, bytes,
				      "rule \"%.60s\" keeps it apart from a VM there",
				      r->fleet->rules[rule].name);
	}
	come = cap ? mb_room_migrations(r, vm, host) : 0;
	less = come && without != MB_NOWHERE ? mb_room_migrations(r, without, host) : 0;
	if (come && r->inflow[host] - less + come > cap)
		return forbid(reason, bytes,
			      "%u VMs come there already, %u more would: one plan's limit is %u",
			      r->inflow[host] - less, come, cap);
	return allows_loads(r, vm, host, without, reason, bytes);
}

bool mb_room_alike(const struct mb_room *r, uint32_t a, uint32_t b)
{
	const struct mb_plan_host *ha = &r->fleet->hosts[a], *hb = &r->fleet->hosts[b];

	return ha->state == MB_HOST_ACTIVE && hb->state == MB_HOST_ACTIVE &&
	       ha->trust == hb->trust &&
	       memcmp(ha->capacity, hb->capacity, sizeof(ha->capacity)) == 0;
}
