// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hotspot mitigation (paper 4.4). What makes a host hot is measured by others: guests that swap or
 * wait for memory, little free memory, sharing that was lost. A VM that leaves takes its part of
 * that with it.
 */
#include "server/plan/question.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/error.h"
#include "server/plan/finish.h"
#include "server/plan/search.h"
#include "server/plan/stage.h"

struct mitigation {
	struct mb_plan *plan;
	const struct mb_planner *planner;
	const struct mb_plan_options *options;
	const struct mb_hotspot_limits *limits;
	struct mb_stage stage;
	struct mb_tally tally; /* over the stage's units */
	struct heat {
		uint64_t swap_pages_s, stall_percent, free_mb, lost_pages, lost_error_pages;
	} * heat; /* [0, n_hosts) */
	uint32_t *unit_host;
	bool *moved; /* units */
};

static void deinit(struct mitigation *m)
{
	mb_tally_deinit(&m->tally);
	mb_stage_deinit(&m->stage);
	free(m->heat);
	free(m->unit_host);
	free(m->moved);
}

static void measure(struct mitigation *m)
{
	const struct mb_fleet_view *f = &m->stage.view;

	for (uint32_t h = 0; h < f->n_hosts; h++)
		/* Nobody measures a host that is off: all of it is free. */
		m->heat[h].free_mb = f->hosts[h].state == MB_HOST_POOL ?
					     f->hosts[h].memory_mb - f->hosts[h].reserve_mb :
					     f->hosts[h].free_mb;
	for (uint32_t v = 0; v < f->n_vms; v++) {
		if (f->vms[v].host == MB_NOWHERE)
			continue;
		m->heat[f->vms[v].host].swap_pages_s += f->vms[v].swap_pages_s;
		m->heat[f->vms[v].host].stall_percent += f->vms[v].stall_percent;
		m->heat[f->vms[v].host].lost_pages += f->vms[v].lost_pages;
		m->heat[f->vms[v].host].lost_error_pages += f->vms[v].lost_error_pages;
	}
}

/*
 * By more than it may be off. Errors of VMs add up: what VMs share is in the samples of all of them
 * or of none, so they err together.
 */
static bool lost_more(const struct heat *heat, uint64_t than_pages)
{
	return heat->lost_pages > than_pages &&
	       heat->lost_pages - than_pages > heat->lost_error_pages;
}

/* "123", "123 +-45" */
static void say_pages(uint64_t pages, uint64_t error_pages, char ret[48])
{
	int n = snprintf(ret, 48, "%" PRIu64, pages);

	if (error_pages)
		snprintf(ret + n, (size_t)(48 - n), " +-%" PRIu64, error_pages);
}

/* The first cause in words, or false if there is none. */
static bool is_hot(const struct heat *heat, const struct mb_hotspot_limits *l, char *reason)
{
	char lost[MB_MAX(48, MB_PLAN_MB_BYTES)];
	int n;

	if (l->free_mb && heat->free_mb < l->free_mb) {
		n = snprintf(reason, MB_REASON_BYTES,
			     "%llu MB of its memory are free, less than %llu",
			     (unsigned long long)heat->free_mb, (unsigned long long)l->free_mb);
	} else if (l->swap_pages_s && heat->swap_pages_s > l->swap_pages_s) {
		n = snprintf(reason, MB_REASON_BYTES,
			     "its guests swap %llu pages a second, more than %llu",
			     (unsigned long long)heat->swap_pages_s,
			     (unsigned long long)l->swap_pages_s);
	} else if (l->stall_percent && heat->stall_percent > l->stall_percent) {
		n = snprintf(reason, MB_REASON_BYTES,
			     "its guests wait for memory, in all %llu %% of the time, more "
			     "than %llu",
			     (unsigned long long)heat->stall_percent,
			     (unsigned long long)l->stall_percent);
	} else if (l->lost_pages && lost_more(heat, l->lost_pages)) {
		say_pages(heat->lost_pages, heat->lost_error_pages, lost);
		snprintf(reason, MB_REASON_BYTES,
			 "its guests lost %s shared pages, more than %" PRIu64, lost,
			 l->lost_pages);
		return true;
	} else {
		return false;
	}
	/* Has somebody grown, or is it sharing that is no more? */
	if (heat->lost_pages) {
		mb_plan_mb(heat->lost_pages, heat->lost_error_pages, lost);
		snprintf(reason + n, (size_t)(MB_REASON_BYTES - n),
			 "; its guests lost %s of sharing of late", lost);
	}
	return true;
}

/* What a unit's VMs bring along. */
static struct heat heat_of(const struct mitigation *m, uint32_t unit)
{
	struct heat heat = { .free_mb = (uint64_t)(m->tally.full[unit] / MB_TALLY_MB) };

	for (uint32_t i = m->stage.units.first_of[unit]; i < m->stage.units.first_of[unit + 1];
	     i++) {
		heat.swap_pages_s += m->stage.vms[m->stage.units.members[i]].swap_pages_s;
		heat.stall_percent += m->stage.vms[m->stage.units.members[i]].stall_percent;
		heat.lost_pages += m->stage.vms[m->stage.units.members[i]].lost_pages;
		heat.lost_error_pages += m->stage.vms[m->stage.units.members[i]].lost_error_pages;
	}
	return heat;
}

/* Would it help if this unit left? Only if it has a part in the cause. */
static bool helps(struct mitigation *m, uint32_t host, uint32_t unit)
{
	const struct heat *heat = &m->heat[host], own = heat_of(m, unit);
	const struct mb_hotspot_limits *l = m->limits;

	return (l->free_mb && heat->free_mb < l->free_mb &&
		m->tally.fleet->vms[unit].distinct > mb_tally_own(&m->tally, unit)) ||
	       (l->swap_pages_s && heat->swap_pages_s > l->swap_pages_s && own.swap_pages_s) ||
	       (l->stall_percent && heat->stall_percent > l->stall_percent && own.stall_percent) ||
	       (l->lost_pages && lost_more(heat, l->lost_pages) && lost_more(&own, 0));
}

/* Memory is cooler by what the unit does not share there, and warmer where it comes at full size.
 */
static void carry_heat(struct mitigation *m, uint32_t unit, uint32_t from, uint32_t to,
		       uint64_t freed_mb)
{
	struct heat *a = &m->heat[from], *b = &m->heat[to], own = heat_of(m, unit);

	a->swap_pages_s -= own.swap_pages_s;
	b->swap_pages_s += own.swap_pages_s;
	a->stall_percent -= own.stall_percent;
	b->stall_percent += own.stall_percent;
	a->lost_pages -= own.lost_pages;
	b->lost_pages += own.lost_pages;
	a->lost_error_pages -= own.lost_error_pages;
	b->lost_error_pages += own.lost_error_pages;
	if (a->free_mb != UINT64_MAX)
		a->free_mb += freed_mb;
	if (b->free_mb != UINT64_MAX)
		b->free_mb -= MB_MIN(b->free_mb, own.free_mb);
}

/* A destination must not become hot by taking the unit in. */
static bool stays_cool(const struct mitigation *m, uint32_t unit, uint32_t host)
{
	char reason[MB_REASON_BYTES];
	struct heat heat = m->heat[host], own = heat_of(m, unit);

	if (is_hot(&heat, m->limits, reason))
		return false;
	if (heat.free_mb != UINT64_MAX) {
		if (heat.free_mb < own.free_mb)
			return false;
		heat.free_mb -= own.free_mb;
	}
	heat.swap_pages_s += own.swap_pages_s;
	heat.stall_percent += own.stall_percent;
	heat.lost_pages += own.lost_pages;
	heat.lost_error_pages += own.lost_error_pages;
	return !is_hot(&heat, m->limits, reason);
}

struct choice {
	uint32_t unit, to;
	double gain;
};

/* The unit of a host whose best feasible destination gains most (paper 4.4). */
static struct choice choose(struct mitigation *m, uint32_t host)
{
	struct mb_tally *t = &m->tally;
	struct choice best = { MB_NOWHERE, MB_NOWHERE, 0 };

	for (uint32_t u = 0; u < t->fleet->n_vms; u++) {
		double own;

		if (t->host[u] != host || m->moved[u] || mb_tally_pinned(t, u) ||
		    !helps(m, host, u))
			continue;
		mb_tally_take(t, u);
		own = m->planner->value(t, u, host);
		for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
			double gain;

			if (h == host || t->full[u] > t->room[h] || !mb_tally_fits(t, u, h) ||
			    !stays_cool(m, u, h))
				continue;
			gain = m->planner->value(t, u, h) - own;
			if (best.unit == MB_NOWHERE || gain > best.gain)
				best = (struct choice){ u, h, gain };
		}
		mb_tally_put(t, u, host);
	}
	return best;
}

/* The pooled host after `last`, smallest first. */
static uint32_t next_pooled(const struct mitigation *m, uint32_t last)
{
	const struct mb_plan_host *hosts = m->stage.hosts;
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < m->stage.view.n_hosts; h++) {
		if (hosts[h].state != MB_HOST_POOL ||
		    (last != MB_NOWHERE &&
		     (hosts[h].memory_mb < hosts[last].memory_mb ||
		      (hosts[h].memory_mb == hosts[last].memory_mb && h <= last))))
			continue;
		if (best == MB_NOWHERE || hosts[h].memory_mb < hosts[best].memory_mb)
			best = h;
	}
	return best;
}

/* Wakes the smallest pooled host that helps; the others sleep on. */
static uint32_t wake(struct mitigation *m, uint32_t hot)
{
	uint32_t h = MB_NOWHERE;

	while ((h = next_pooled(m, h)) != MB_NOWHERE) {
		m->stage.hosts[h].state = MB_HOST_ACTIVE;
		if (choose(m, hot).unit != MB_NOWHERE)
			return h;
		m->stage.hosts[h].state = MB_HOST_POOL;
	}
	return MB_NOWHERE;
}

/* Exact: pages after sharing. */
static uint64_t used_pages(const struct mitigation *m, uint32_t host, uint32_t *at)
{
	for (uint32_t v = 0; v < m->stage.view.n_vms; v++)
		at[v] = m->stage.vms[v].host;
	return mb_score_union_pages(&m->stage.view, at, host);
}

static int move_off(struct mitigation *m, uint32_t host, struct choice c, struct mb_err *err)
{
	struct mb_tally *t = &m->tally;
	mb_autofree uint32_t *at = malloc(((size_t)m->stage.view.n_vms + 1) * sizeof(*at));
	uint64_t before;
	bool went;
	int r;

	if (!at)
		return mb_fail_mem(err, "the hotspots");
	before = used_pages(m, host, at);
	memcpy(m->unit_host, t->host, t->fleet->n_vms * sizeof(*m->unit_host));
	m->unit_host[c.unit] = c.to;
	r = mb_stage_go(&m->stage, m->options, m->unit_host, m->plan, &went, err);
	if (r < 0)
		return r;
	m->moved[c.unit] = true;
	if (!went)
		return 0;
	mb_search_move(t, c.unit, c.to);
	carry_heat(m, c.unit, host, c.to,
		   (before - used_pages(m, host, at)) / MB_PLAN_PAGES_PER_MB);
	return 0;
}

static int relieve(struct mitigation *m, struct mb_hotspot *spot, struct mb_err *err)
{
	char reason[MB_REASON_BYTES];

	while (is_hot(&m->heat[spot->host], m->limits, reason)) {
		struct choice c = choose(m, spot->host);
		int r;

		if (c.unit == MB_NOWHERE && spot->woken == MB_NOWHERE) {
			spot->woken = wake(m, spot->host);
			c = choose(m, spot->host);
		}
		if (c.unit == MB_NOWHERE)
			break;
		r = move_off(m, spot->host, c, err);
		if (r < 0)
			return r;
	}
	spot->relieved = !is_hot(&m->heat[spot->host], m->limits, reason);
	/* Nobody got there in the end: let it sleep. */
	if (spot->woken != MB_NOWHERE && !m->tally.rules.n_vms[spot->woken]) {
		m->stage.hosts[spot->woken].state = MB_HOST_POOL;
		spot->woken = MB_NOWHERE;
	}
	return 0;
}

static int find(const struct mitigation *m, struct mb_hotspot **ret, size_t *ret_n,
		struct mb_err *err)
{
	uint32_t n_hosts = m->stage.view.n_hosts;
	char reason[MB_REASON_BYTES];

	*ret_n = 0;
	*ret = calloc((size_t)n_hosts + 1, sizeof(**ret));
	if (!*ret)
		return mb_fail_mem(err, "the hotspots");
	for (uint32_t h = 0; h < n_hosts; h++) {
		struct mb_hotspot *spot = &(*ret)[*ret_n];

		if (m->stage.hosts[h].state == MB_HOST_POOL ||
		    !is_hot(&m->heat[h], m->limits, reason))
			continue;
		*spot = (struct mb_hotspot){ .host = h,
					     .lost_pages = m->heat[h].lost_pages,
					     .lost_error_pages = m->heat[h].lost_error_pages,
					     .woken = MB_NOWHERE };
		memcpy(spot->reason, reason, sizeof(reason));
		++*ret_n;
	}
	return 0;
}

static int mitigate(struct mitigation *m, struct mb_hotspot **ret_spots, size_t *ret_n_spots,
		    const struct mb_fleet_view *fleet, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	mb_autofree enum mb_move_why *why = malloc(n * sizeof(*why));
	int r = mb_plan_check(fleet, m->options, err);

	if (r < 0)
		return r;
	m->plan->host = malloc(n * sizeof(*m->plan->host));
	m->heat = calloc((size_t)fleet->n_hosts + 1, sizeof(*m->heat));
	m->unit_host = calloc(n, sizeof(*m->unit_host));
	m->moved = calloc(n, sizeof(*m->moved));
	if (!why || !m->plan->host || !m->heat || !m->unit_host || !m->moved)
		return mb_fail_mem(err, "the hotspots");
	/* Who swaps cannot wait for hold times. */
	if ((r = mb_stage_init(&m->stage, fleet, m->options, false, err)) < 0 ||
	    (r = mb_tally_init(&m->tally, &m->stage.units.view, m->options, err)) < 0)
		return r;
	for (uint32_t u = 0; u < m->tally.fleet->n_vms; u++)
		m->unit_host[u] = m->tally.fleet->vms[u].host;
	mb_tally_load(&m->tally, m->unit_host);
	measure(m);
	r = find(m, ret_spots, ret_n_spots, err);
	for (size_t i = 0; i < *ret_n_spots && r == 0; i++)
		r = relieve(m, &(*ret_spots)[i], err);
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		why[v] = MB_WHY_RELIEVE;
	mb_stage_rewind(&m->stage, fleet, m->plan->host);
	/* The woken ones are awake when the plan is carried out. */
	for (size_t i = 0; i < *ret_n_spots; i++)
		if ((*ret_spots)[i].woken != MB_NOWHERE)
			m->stage.hosts[(*ret_spots)[i].woken].state = MB_HOST_ACTIVE;
	return mb_plan_finish(m->plan, &m->stage.view, &m->stage.units, m->options, why, err);
}

int mb_plan_hotspot(struct mb_plan *ret, struct mb_hotspot **ret_spots, size_t *ret_n_spots,
		    const struct mb_planner *planner, const struct mb_fleet_view *fleet,
		    const struct mb_plan_options *options, const struct mb_hotspot_limits *limits,
		    struct mb_err *err)
{
	mb_cleanup(deinit) struct mitigation m = {
		.plan = ret, .planner = planner, .options = options, .limits = limits
	};
	int r;

	*ret = (struct mb_plan){ 0 };
	*ret_spots = NULL;
	*ret_n_spots = 0;
	r = mitigate(&m, ret_spots, ret_n_spots, fleet, err);
	if (r < 0) {
		mb_plan_deinit(ret);
		free(mb_take_ptr(*ret_spots));
	}
	return r;
}
