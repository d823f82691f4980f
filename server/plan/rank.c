// SPDX-License-Identifier: GPL-2.0-or-later
/* Initial placement (paper 4.1): which host is best for one VM, and why. */
#include "server/plan/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/error.h"
#include "server/plan/stage.h"
#include "server/plan/tally.h"

struct ranking {
	const struct mb_planner *planner;
	const struct mb_fleet_view *fleet;
	struct mb_stage stage;
	struct mb_tally tally;	    /* over the stage's units, the one in question nowhere */
	struct mb_fleet_view asked; /* the units, the one in question nowhere as ever */
	struct mb_plan_vm *asked_vms;
	uint32_t unit;
	uint64_t *gain;	  /* [0, n_hosts): distinct pages of the VM that others there have */
	uint64_t *after;  /* [0, n_hosts): pages after sharing, with the unit */
	uint64_t *shared; /* [0, n_vms): with the VM */
	uint32_t vm;
};

static void deinit(struct ranking *r)
{
	mb_tally_deinit(&r->tally);
	mb_stage_deinit(&r->stage);
	free(r->gain);
	free(r->after);
	free(r->asked_vms);
	free(r->shared);
}

/*
 * Exact, whatever the score goes by. `at` says where the others are: what they have of the VM, and
 * what the hosts save of the whole unit.
 */
static int count_shared(struct ranking *r, const uint32_t *at, struct mb_err *err)
{
	const struct mb_groups *g = r->fleet->groups;
	mb_autofree size_t *seen = calloc((size_t)r->fleet->n_hosts + 1, sizeof(*seen));

	if (!seen)
		return mb_fail_mem(err, "ranking the hosts");
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		uint64_t weight = g->groups[i].weight_pages;
		bool of_vm = false, of_unit = false;

		for (uint32_t k = 0; k < g->groups[i].n_vms; k++) {
			of_vm |= vms[k] == r->vm;
			of_unit |= r->stage.units.unit_of[vms[k]] == r->unit;
		}
		for (uint32_t k = 0; k < g->groups[i].n_vms && of_unit; k++) {
			uint32_t host = at[vms[k]];

			if (host == MB_NOWHERE)
				continue;
			r->shared[vms[k]] += of_vm ? weight : 0;
			/* Once a host, however many there have it. */
			if (seen[host] == i + 1)
				continue;
			r->gain[host] += of_vm ? weight : 0;
			r->after[host] -= weight;
			seen[host] = i + 1;
		}
	}
	return 0;
}

static void explain(const struct ranking *r, const uint32_t *at, struct mb_rank *rank)
{
	uint32_t with = MB_NOWHERE, on = 0, shift = r->fleet->vms[r->vm].sample_shift;
	char all[MB_PLAN_MB_BYTES], most[MB_PLAN_MB_BYTES];

	for (uint32_t v = 0; v < r->fleet->n_vms; v++) {
		if (at[v] != rank->host)
			continue;
		on++;
		if (r->shared[v] && (with == MB_NOWHERE || r->shared[v] > r->shared[with]))
			with = v;
	}
	if (with == MB_NOWHERE) {
		snprintf(rank->reason, sizeof(rank->reason), "%s",
			 on ? "it has room, but no VM there shares a page with it" :
			      "it has room, and is empty");
		return;
	}
	mb_plan_mb(rank->gain_pages, mb_plan_count_error(rank->gain_pages, shift), all);
	mb_plan_mb(r->shared[with], mb_plan_count_error(r->shared[with], shift), most);
	snprintf(rank->reason, sizeof(rank->reason),
		 "%s of its pages are there already, most of them, %s, in \"%.60s\"", all, most,
		 r->fleet->vms[with].name);
}

/* One of the VM's affinity group that cannot come to a host; MB_NOWHERE: all can. */
static uint32_t pinned_elsewhere(const struct ranking *r, uint32_t host)
{
	const struct mb_units *u = &r->stage.units;

	for (uint32_t i = u->first_of[r->unit]; i < u->first_of[r->unit + 1]; i++) {
		const struct mb_plan_vm *vm = &r->fleet->vms[u->members[i]];

		if (u->members[i] != r->vm && vm->pinned && vm->host != host)
			return u->members[i];
	}
	return MB_NOWHERE;
}

/* With what an empty host may come to be worth. */
static double value_of(const struct ranking *r, uint32_t host)
{
	const struct mb_tally *t = &r->tally;
	double value = r->planner->value(t, r->unit, host);

	if (t->rules.n_vms[host])
		return value;
	for (size_t i = t->first_of[r->unit]; i < t->first_of[r->unit + 1]; i++)
		value += (double)t->groups->groups[t->groups_of[i]].weight_pages *
			 r->planner->open_percent / 100;
	return value;
}

static void look_at(const struct ranking *r, const uint32_t *at, uint32_t host, struct mb_rank *ret)
{
	const struct mb_tally *t = &r->tally;
	uint32_t pinned = pinned_elsewhere(r, host);

	*ret = (struct mb_rank){ .host = host,
				 .wakes = r->fleet->hosts[host].state == MB_HOST_POOL,
				 .gain_pages = r->gain[host],
				 .used_after_mb = r->after[host] / MB_PLAN_PAGES_PER_MB,
				 .value = value_of(r, host) };
	if (pinned != MB_NOWHERE) {
		snprintf(ret->reason, sizeof(ret->reason),
			 "\"%.60s\", which it must be with, is pinned to \"%.60s\"",
			 r->fleet->vms[pinned].name,
			 r->fleet->hosts[r->fleet->vms[pinned].host].name);
		return;
	}
	if (!mb_room_allows(&t->rules, r->unit, host, MB_NOWHERE, ret->reason, sizeof(ret->reason)))
		return;
	if (t->full[r->unit] > t->room[host] || !mb_tally_fits(t, r->unit, host)) {
		snprintf(ret->reason, sizeof(ret->reason),
			 "no room: it needs %lld MB on arrival, %lld MB are left",
			 (long long)(t->full[r->unit] / MB_TALLY_MB),
			 (long long)(t->room[host] / MB_TALLY_MB));
		return;
	}
	ret->fits = true;
	explain(r, at, ret);
}

static int compare(const void *a, const void *b)
{
	const struct mb_rank *x = a, *y = b;

	if (x->fits != y->fits)
		return x->fits ? -1 : 1;
	if (x->wakes != y->wakes)
		return x->wakes ? 1 : -1;
	if (x->value < y->value || x->value > y->value)
		return x->value > y->value ? -1 : 1;
	return (x->host > y->host) - (x->host < y->host);
}

/* Opens the pool, and takes the unit off its host as if it had never been there. */
static int ask(struct ranking *r, const struct mb_plan_options *options, struct mb_err *err)
{
	const struct mb_fleet_view *f = r->fleet;
	uint32_t n_units;
	int e = mb_stage_init(&r->stage, f, options, false, err);

	if (e < 0)
		return e;
	for (uint32_t h = 0; h < f->n_hosts; h++)
		if (r->stage.hosts[h].state == MB_HOST_POOL)
			r->stage.hosts[h].state = MB_HOST_ACTIVE;
	r->unit = r->stage.units.unit_of[r->vm];
	r->asked = r->stage.units.view;
	n_units = r->asked.n_vms;
	r->asked_vms = malloc(n_units * sizeof(*r->asked_vms));
	if (!r->asked_vms)
		return mb_fail_mem(err, "ranking the hosts");
	memcpy(r->asked_vms, r->asked.vms, n_units * sizeof(*r->asked_vms));
	r->asked_vms[r->unit].host = MB_NOWHERE;
	r->asked_vms[r->unit].pinned = false;
	r->asked.vms = r->asked_vms;
	return mb_tally_init(&r->tally, &r->asked, options, err);
}

static int rank(struct ranking *r, const struct mb_plan_options *options, struct mb_rank *ret,
		struct mb_err *err)
{
	const struct mb_fleet_view *f = r->fleet;
	size_t n = (size_t)f->n_vms + 1, n_hosts = (size_t)f->n_hosts + 1;
	mb_autofree uint32_t *at = malloc(n * sizeof(*at));
	mb_autofree uint32_t *unit_host = malloc(n * sizeof(*unit_host));
	int e;

	r->gain = calloc(n_hosts, sizeof(*r->gain));
	r->after = calloc(n_hosts, sizeof(*r->after));
	r->shared = calloc(n, sizeof(*r->shared));
	if (!at || !unit_host || !r->gain || !r->after || !r->shared)
		return mb_fail_mem(err, "ranking the hosts");
	e = ask(r, options, err);
	if (e < 0)
		return e;
	for (uint32_t u = 0; u < r->asked.n_vms; u++)
		unit_host[u] = r->asked_vms[u].host;
	mb_tally_load(&r->tally, unit_host);
	/* Exact figures go by where the others are, spread groups included. */
	for (uint32_t v = 0; v < f->n_vms; v++)
		at[v] = r->stage.units.unit_of[v] == r->unit ? MB_NOWHERE : f->vms[v].host;
	mb_score_unions(f, at, r->after);
	for (uint32_t h = 0; h < f->n_hosts; h++)
		r->after[h] += r->asked_vms[r->unit].distinct;
	e = count_shared(r, at, err);
	for (uint32_t h = 0; h < f->n_hosts && e == 0; h++)
		look_at(r, at, h, &ret[h]);
	if (e == 0)
		qsort(ret, f->n_hosts, sizeof(*ret), compare);
	return e;
}

int mb_plan_rank(struct mb_rank **ret, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t vm, struct mb_err *err)
{
	mb_cleanup(deinit) struct ranking r = { .planner = planner, .fleet = fleet, .vm = vm };
	mb_autofree struct mb_rank *ranks = NULL;
	int e = mb_plan_check(fleet, options, err);

	if (e < 0)
		return e;
	if (vm >= fleet->n_vms)
		return mb_fail(err, EINVAL, "VM %u of %u", vm, fleet->n_vms);
	ranks = calloc((size_t)fleet->n_hosts + 1, sizeof(*ranks));
	if (!ranks)
		return mb_fail_mem(err, "ranking the hosts");
	e = rank(&r, options, ranks, err);
	if (e == 0)
		*ret = mb_take_ptr(ranks);
	return e;
}
