// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/blend.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* A group of either list, with its VMs and its part of the weight. */
struct part {
	const uint32_t *vms;
	uint32_t n_vms;
	uint64_t weight; /* in hundredths of a page */
};

static int compare(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return mb_group_set_compare(x->vms, x->n_vms, y->vms, y->n_vms);
}

static size_t take(const struct mb_groups *g, uint32_t percent, struct part *to)
{
	for (size_t i = 0; i < g->n_groups; i++)
		to[i] = (struct part){ g->vms + g->groups[i].first_vm, g->groups[i].n_vms,
				       g->groups[i].weight_pages * percent };
	return g->n_groups;
}

int mb_groups_blend(struct mb_groups *ret, const struct mb_groups *a, uint32_t percent_a,
		    const struct mb_groups *b, uint32_t percent_b, struct mb_err *err)
{
	size_t n = a->n_groups + b->n_groups, n_vms = a->n_vms + b->n_vms;
	mb_autofree struct part *parts = malloc((n + 1) * sizeof(*parts));

	*ret = (struct mb_groups){ .groups = malloc((n + 1) * sizeof(*ret->groups)),
				   .vms = malloc((n_vms + 1) * sizeof(*ret->vms)) };
	if (!parts || !ret->groups || !ret->vms) {
		mb_groups_deinit(ret);
		return mb_fail_mem(err, "blended sharing groups");
	}
	n = take(a, percent_a, parts);
	n += take(b, percent_b, parts + n);
	if (n)
		qsort(parts, n, sizeof(*parts), compare);
	for (size_t i = 0, end; i < n; i = end) {
		uint64_t weight = 0;

		for (end = i; end < n && compare(&parts[i], &parts[end]) == 0; end++)
			weight += parts[end].weight;
		if (weight < 100)
			continue;
		/* A list of its own has fewer than 2^32 of them. */
		if (ret->n_vms + parts[i].n_vms > UINT32_MAX) {
			mb_groups_deinit(ret);
			return mb_fail(err, EOVERFLOW,
				       "the VM sets of blended sharing groups exceed 2^32");
		}
		ret->groups[ret->n_groups++] =
			(struct mb_group){ weight / 100, (uint32_t)ret->n_vms, parts[i].n_vms };
		memcpy(ret->vms + ret->n_vms, parts[i].vms, parts[i].n_vms * sizeof(*ret->vms));
		ret->n_vms += parts[i].n_vms;
	}
	return 0;
}
