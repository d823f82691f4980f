// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/scale.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"

static double scaled(const struct mb_groups *g, const struct mb_group *group,
		     const struct mb_sample_size *sizes)
{
	double light = 0, distinct = 0;

	for (uint32_t k = 0; k < group->n_vms; k++) {
		const struct mb_sample_size *s = &sizes[g->vms[group->first_vm + k]];

		light += (double)s->light;
		distinct += (double)s->distinct;
	}
	return light > 0 ? (double)group->weight_pages * distinct / light : 0;
}

/* The part of it that each of its VMs has room for. */
static double allowed(const struct mb_groups *g, const struct mb_group *group,
		      const struct mb_sample_size *sizes, const double *shared)
{
	double part = 1;

	for (uint32_t k = 0; k < group->n_vms; k++) {
		uint32_t v = g->vms[group->first_vm + k];

		if (shared[v] > (double)sizes[v].distinct)
			part = MB_MIN(part, (double)sizes[v].distinct / shared[v]);
	}
	return part;
}

int mb_groups_scale(struct mb_groups *g, const struct mb_sample_size *sizes, uint32_t n_vms,
		    struct mb_err *err)
{
	mb_autofree double *shared = calloc((size_t)n_vms + 1, sizeof(*shared));
	mb_autofree double *weight = calloc(g->n_groups + 1, sizeof(*weight));
	size_t kept = 0;

	if (!shared || !weight)
		return mb_fail_mem(err, "sharing groups of samples");
	for (size_t i = 0; i < g->n_groups; i++) {
		const struct mb_group *group = &g->groups[i];

		weight[i] = scaled(g, group, sizes);
		for (uint32_t k = 0; k < group->n_vms; k++)
			shared[g->vms[group->first_vm + k]] += weight[i];
	}
	for (size_t i = 0; i < g->n_groups; i++) {
		struct mb_group group = g->groups[i];

		/* A hair more, so that rounding does not cost a page of what is exact. */
		group.weight_pages =
			(uint64_t)(weight[i] * allowed(g, &group, sizes, shared) * (1 + 1e-12));
		if (group.weight_pages)
			g->groups[kept++] = group;
	}
	g->n_groups = kept;
	return 0;
}
