// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/sample.h"

/* Copies that a page of the group saves: its VMs, but for one on each host. */
static int64_t saved(const struct mb_groups *g, const struct mb_group *group, const uint32_t *host,
		     uint32_t n_hosts, bool *seen)
{
	const uint32_t *vms = g->vms + group->first_vm;
	int64_t n = 0;

	for (uint32_t k = 0; k < group->n_vms; k++) {
		uint32_t h = host[vms[k]];

		if (h >= n_hosts)
			continue;
		n += seen[h];
		seen[h] = true;
	}
	for (uint32_t k = 0; k < group->n_vms; k++)
		if (host[vms[k]] < n_hosts)
			seen[host[vms[k]]] = false;
	return n;
}

int mb_plan_error_pages(const struct mb_fleet_view *fleet, const uint32_t *before,
			const uint32_t *host, uint64_t *ret, struct mb_err *err)
{
	const struct mb_groups *g = fleet->groups;
	double squares[MB_SAMPLE_SHIFT_MAX + 1] = { 0 }, largest[MB_SAMPLE_SHIFT_MAX + 1] = { 0 };
	mb_autofree bool *seen = calloc((size_t)fleet->n_hosts + 1, sizeof(*seen));
	double sum = 0;

	*ret = 0;
	if (!fleet->n_hosts)
		return 0;
	if (!seen)
		return mb_fail_mem(err, "the error of a plan");
	for (size_t i = 0; i < g->n_groups; i++) {
		const struct mb_group *group = &g->groups[i];
		uint32_t shift = fleet->vms[g->vms[group->first_vm]].sample_shift;
		double change;

		if (!shift)
			continue;
		change = (double)saved(g, group, host, fleet->n_hosts, seen);
		if (before)
			change -= (double)saved(g, group, before, fleet->n_hosts, seen);
		squares[shift] += ldexp((double)group->weight_pages, -(int)shift) * change * change;
		largest[shift] = MB_MAX(largest[shift], fabs(change));
	}
	/* Samples of different VMs err each in its own way. */
	for (uint32_t shift = 1; shift <= MB_SAMPLE_SHIFT_MAX; shift++)
		sum += pow(mb_sample_error(squares[shift], largest[shift], shift), 2);
	*ret = (uint64_t)ceil(sqrt(sum));
	return 0;
}

uint64_t mb_plan_count_error(uint64_t pages, uint32_t sample_shift)
{
	double counted = ldexp((double)pages, -(int)sample_shift);

	return sample_shift ? (uint64_t)ceil(mb_sample_error(counted, 1, sample_shift)) : 0;
}

void mb_plan_mb(uint64_t pages, uint64_t error_pages, char ret[MB_PLAN_MB_BYTES])
{
	double mb = (double)pages / MB_PLAN_PAGES_PER_MB;
	double error_mb = ceil((double)error_pages * 10 / MB_PLAN_PAGES_PER_MB) / 10;

	if (error_pages)
		snprintf(ret, MB_PLAN_MB_BYTES, "%.1f +-%.1f MB", mb, error_mb);
	else
		snprintf(ret, MB_PLAN_MB_BYTES, "%.1f MB", mb);
}
