// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

uint64_t mb_estimate_error(double squares, uint64_t largest, unsigned int shift)
{
	const double z = 1.96, p = ldexp(1, -(int)shift), m = (double)largest;

	if (!shift || !largest)
		return 0;
	return (uint64_t)ceil(
		(z * sqrt((1 - p) * squares * p + m * m * z * z / 4) + m * z * z / 2) / p);
}

/* --- groups ----------------------------------------------------------------------------------- */

static void drop_weightless(struct mb_groups *g)
{
	size_t n = 0;

	g->n_vms = 0;
	for (size_t i = 0; i < g->n_groups; i++) {
		struct mb_group group = g->groups[i];

		if (!group.weight_pages)
			continue;
		memmove(g->vms + g->n_vms, g->vms + group.first_vm, group.n_vms * sizeof(*g->vms));
		group.first_vm = (uint32_t)g->n_vms;
		g->n_vms += group.n_vms;
		g->groups[n++] = group;
	}
	g->n_groups = n;
}

int mb_estimate_groups(struct mb_groups *g, unsigned int shift, const uint64_t *distinct,
		       uint32_t n_vms, struct mb_err *err)
{
	mb_autofree uint64_t *any = calloc((size_t)n_vms + 1, sizeof(*any));

	if (!any)
		return mb_fail_mem(err, "estimated sharing groups");
	for (size_t i = 0; i < g->n_groups; i++)
		g->groups[i].weight_pages <<= shift;
	mb_groups_any(g, n_vms, any);
	for (size_t i = 0; i < g->n_groups; i++) {
		struct mb_group *group = &g->groups[i];
		double part = 1;

		for (uint32_t k = 0; k < group->n_vms; k++) {
			uint32_t v = g->vms[group->first_vm + k];

			if (any[v] > distinct[v])
				part = MB_MIN(part, (double)distinct[v] / (double)any[v]);
		}
		if (part < 1)
			group->weight_pages = (uint64_t)((double)group->weight_pages * part);
	}
	drop_weightless(g);
	return 0;
}

/* --- what a placement saves ------------------------------------------------------------------- */

/* How many VMs of a set each host has; `touched` are the hosts that have any. */
struct tally {
	uint32_t *now, *before;
	uint32_t *touched;
	uint32_t n_touched;
};

static void tally_deinit(struct tally *t)
{
	free(t->now);
	free(t->before);
	free(t->touched);
}

static int tally_init(struct tally *t, uint32_t n_hosts, struct mb_err *err)
{
	t->now = calloc((size_t)n_hosts + 1, sizeof(*t->now));
	t->before = calloc((size_t)n_hosts + 1, sizeof(*t->before));
	t->touched = calloc((size_t)n_hosts + 1, sizeof(*t->touched));
	return t->now && t->before && t->touched ? 0 : mb_fail_mem(err, "errors of estimates");
}

static void touch(struct tally *t, uint32_t host, uint32_t n_hosts, uint32_t *counts)
{
	if (host >= n_hosts)
		return;
	if (!t->now[host] && !t->before[host])
		t->touched[t->n_touched++] = host;
	counts[host]++;
}

static int64_t saved(uint32_t members)
{
	return members > 1 ? (int64_t)members - 1 : 0;
}

/* What one digest changes on this host; then the host is clean again. */
static int64_t take_off(struct tally *t, uint32_t host)
{
	int64_t x = saved(t->now[host]) - saved(t->before[host]);

	t->now[host] = t->before[host] = 0;
	return x;
}

int mb_estimate_saving_errors(const struct mb_groups *g, unsigned int shift, const uint32_t *host,
			      const uint32_t *before, uint32_t n_vms, uint32_t n_hosts,
			      uint64_t *ret, uint64_t *ret_sum, struct mb_err *err)
{
	mb_cleanup(tally_deinit) struct tally t = { 0 };
	mb_autofree double *squares = calloc((size_t)n_hosts + 1, sizeof(*squares));
	uint64_t largest_sum = 0;
	double squares_sum = 0;
	int r = tally_init(&t, n_hosts, err);

	if (r == 0 && !squares)
		r = mb_fail_mem(err, "errors of estimates");
	if (r < 0)
		return r;
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		double weight = (double)g->groups[i].weight_pages;
		int64_t sum = 0;

		t.n_touched = 0;
		for (uint32_t k = 0; k < g->groups[i].n_vms; k++) {
			touch(&t, host[vms[k]], n_hosts, t.now);
			if (before)
				touch(&t, before[vms[k]], n_hosts, t.before);
		}
		for (uint32_t k = 0; k < t.n_touched; k++) {
			int64_t x = take_off(&t, t.touched[k]);

			squares[t.touched[k]] += weight * (double)(x * x);
			sum += x;
		}
		squares_sum += weight * (double)(sum * sum);
	}
	/* A digest that all VMs have. */
	t.n_touched = 0;
	for (uint32_t v = 0; v < n_vms; v++) {
		touch(&t, host[v], n_hosts, t.now);
		if (before)
			touch(&t, before[v], n_hosts, t.before);
	}
	for (uint32_t h = 0; h < n_hosts; h++) {
		uint64_t largest = (uint64_t)MB_MAX(saved(t.now[h]), saved(t.before[h]));

		ret[h] = mb_estimate_error(squares[h], largest, shift);
		largest_sum += largest;
	}
	*ret_sum = mb_estimate_error(squares_sum, largest_sum, shift);
	return 0;
}
