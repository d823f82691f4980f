// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/stage.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/finish.h"
#include "server/plan/moves.h"

void mb_stage_deinit(struct mb_stage *s)
{
	mb_units_deinit(&s->units);
	free(s->vms);
	free(s->hosts);
	free(s->vms_at_first);
	free(s->unit_host);
	*s = (struct mb_stage){ 0 };
}

static bool held(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 const struct mb_plan_vm *vm)
{
	const struct mb_plan_host *host = &fleet->hosts[vm->host];

	/* Who wants a host in maintenance empty asks for that: mb_plan_drain(). */
	return vm->settled_s < options->hold_s || host->cooled_s < options->cooldown_s ||
	       host->state == MB_HOST_MAINTENANCE;
}

/* Does a rule want them together, and they are not? */
static bool is_split(const struct mb_fleet_view *fleet, const struct mb_plan_rule *rule)
{
	for (uint32_t k = 1; k < rule->n_vms && rule->kind == MB_RULE_TOGETHER; k++)
		if (fleet->vms[rule->vms[k]].host != fleet->vms[rule->vms[0]].host)
			return true;
	return false;
}

int mb_stage_wrongs(const struct mb_stage *s, const struct mb_plan_options *options, uint32_t *ret,
		    struct mb_err *err)
{
	mb_autofree bool *obeys = calloc((size_t)s->view.n_vms + 1, sizeof(*obeys));
	int r;

	if (!obeys)
		return mb_fail_mem(err, "a plan");
	r = mb_plan_obeys(&s->view, options, obeys, err);
	*ret = 0;
	for (uint32_t v = 0; v < s->view.n_vms; v++)
		*ret += !obeys[v];
	for (uint32_t i = 0; i < s->view.n_rules; i++)
		*ret += is_split(&s->view, &s->view.rules[i]);
	return r;
}

/*
 * Units keep the VMs of the beginning: how many came to a host is counted from there, however far
 * the stage has gone.
 */
static int init_units(struct mb_stage *s, struct mb_err *err)
{
	struct mb_fleet_view at_first = s->view;
	size_t n = (size_t)s->view.n_vms + 1;
	int r;

	s->vms_at_first = malloc(n * sizeof(*s->vms_at_first));
	s->unit_host = malloc(n * sizeof(*s->unit_host));
	if (!s->vms_at_first || !s->unit_host)
		return mb_fail_mem(err, "a plan");
	memcpy(s->vms_at_first, s->vms, s->view.n_vms * sizeof(*s->vms));
	at_first.vms = s->vms_at_first;
	r = mb_units_init(&s->units, &at_first, err);
	for (uint32_t u = 0; u < s->units.view.n_vms && r == 0; u++)
		s->unit_host[u] = s->units.view.vms[u].host;
	return r;
}

/*
 * Those that are to come together are not held: two of them might be on two hosts. Rules that have
 * a VM in common make one unit, so that one that is split releases all of them.
 */
static int release_spread(struct mb_stage *s, const struct mb_fleet_view *fleet, struct mb_err *err)
{
	mb_autofree bool *released = calloc((size_t)fleet->n_vms + 1, sizeof(*released));
	bool again = true;

	if (!released)
		return mb_fail_mem(err, "a plan");
	while (again) {
		again = false;
		for (uint32_t i = 0; i < fleet->n_rules; i++) {
			const struct mb_plan_rule *rule = &fleet->rules[i];
			bool spread = is_split(fleet, rule), all = true;

			for (uint32_t k = 0; k < rule->n_vms; k++) {
				spread |= released[rule->vms[k]];
				all &= released[rule->vms[k]];
			}
			if (rule->kind != MB_RULE_TOGETHER || !spread || all)
				continue;
			for (uint32_t k = 0; k < rule->n_vms; k++)
				released[rule->vms[k]] = true;
			again = true;
		}
	}
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (released[v])
			s->vms[v].pinned = fleet->vms[v].pinned;
	return 0;
}

int mb_stage_init(struct mb_stage *s, const struct mb_fleet_view *fleet,
		  const struct mb_plan_options *options, bool hold, struct mb_err *err)
{
	mb_autofree bool *obeys = calloc((size_t)fleet->n_vms + 1, sizeof(*obeys));
	int r;

	*s = (struct mb_stage){ .view = *fleet };
	s->vms = calloc((size_t)fleet->n_vms + 1, sizeof(*s->vms));
	s->hosts = calloc((size_t)fleet->n_hosts + 1, sizeof(*s->hosts));
	if (!s->vms || !s->hosts || !obeys)
		return mb_fail_mem(err, "a plan");
	if (fleet->n_vms)
		memcpy(s->vms, fleet->vms, fleet->n_vms * sizeof(*s->vms));
	if (fleet->n_hosts)
		memcpy(s->hosts, fleet->hosts, fleet->n_hosts * sizeof(*s->hosts));
	s->view.vms = s->vms;
	s->view.hosts = s->hosts;
	r = mb_plan_obeys(fleet, options, obeys, err);
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		s->vms[v].pinned |= hold && s->vms[v].host != MB_NOWHERE && obeys[v] &&
				    held(fleet, options, &s->vms[v]);
	}
	r = release_spread(s, fleet, err);
	return r < 0 ? r : init_units(s, err);
}

/* Does one of a unit's VMs have to leave where it is? */
static bool must_leave(const struct mb_stage *s, uint32_t u)
{
	for (uint32_t i = s->units.first_of[u]; i < s->units.first_of[u + 1]; i++) {
		uint32_t host = s->vms[s->units.members[i]].host;

		if (host != MB_NOWHERE && s->hosts[host].state == MB_HOST_EMPTYING)
			return true;
	}
	return false;
}

void mb_stage_target(const struct mb_stage *s, const uint32_t *unit_host, uint32_t *ret_host)
{
	for (uint32_t u = 0; u < s->units.view.n_vms; u++) {
		bool goes = unit_host[u] != MB_NOWHERE &&
			    (unit_host[u] != s->unit_host[u] || must_leave(s, u));

		for (uint32_t i = s->units.first_of[u]; i < s->units.first_of[u + 1]; i++) {
			uint32_t v = s->units.members[i];

			ret_host[v] = goes ? unit_host[u] : s->vms[v].host;
		}
	}
}

/* The limit is one plan's, not one step's. */
static bool too_much_inflow(const struct mb_stage *s, const struct mb_plan_options *options,
			    const struct mb_plan *plan, const struct mb_move *moves, size_t n,
			    uint32_t *inflow)
{
	bool too_much = false;

	for (size_t i = 0; i < plan->n_moves; i++)
		inflow[plan->moves[i].to] += plan->moves[i].from != MB_NOWHERE;
	for (size_t i = 0; i < n; i++)
		inflow[moves[i].to] += moves[i].from != MB_NOWHERE;
	for (uint32_t h = 0; h < s->view.n_hosts; h++)
		too_much |= options->inflow_max && inflow[h] > options->inflow_max;
	return too_much;
}

int mb_stage_go(struct mb_stage *s, const struct mb_plan_options *options,
		const uint32_t *unit_host, struct mb_plan *plan, bool *ret, struct mb_err *err)
{
	uint32_t n_vms = s->view.n_vms;
	mb_autofree uint32_t *target = malloc(((size_t)n_vms + 1) * sizeof(*target));
	mb_autofree uint32_t *inflow = calloc((size_t)s->view.n_hosts + 1, sizeof(*inflow));
	mb_autofree struct mb_move *moves = NULL;
	size_t n = 0;
	void *p;
	int r;

	if (!target || !inflow)
		return mb_fail_mem(err, "a plan");
	mb_stage_target(s, unit_host, target);
	r = mb_moves_order(&s->view, &s->units, options, target, &moves, &n, err);
	if (r < 0)
		return r;
	/* The infeasible ones stand at the end. */
	*ret = !n ||
	       (moves[n - 1].feasible && !too_much_inflow(s, options, plan, moves, n, inflow));
	if (!n || !*ret)
		return 0;
	p = reallocarray(plan->moves, plan->n_moves + n, sizeof(*plan->moves));
	if (!p)
		return mb_fail_mem(err, "a plan");
	plan->moves = p;
	memcpy(plan->moves + plan->n_moves, moves, n * sizeof(*moves));
	plan->n_moves += n;
	for (uint32_t v = 0; v < n_vms; v++)
		s->vms[v].host = target[v];
	memcpy(s->unit_host, unit_host, s->units.view.n_vms * sizeof(*unit_host));
	return 0;
}

void mb_stage_rewind(struct mb_stage *s, const struct mb_fleet_view *fleet, uint32_t *ret_host)
{
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		ret_host[v] = s->vms[v].host;
		s->vms[v] = s->vms_at_first[v];
	}
	for (uint32_t h = 0; h < fleet->n_hosts; h++)
		s->hosts[h].state = fleet->hosts[h].state;
}
