// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/sample.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"

/* What a group can save at most. */
static double worth(const struct mb_group *g)
{
	return (double)g->weight_pages * (double)(g->n_vms - 1);
}

static double chance_of(const struct mb_group *g, double threshold)
{
	return MB_MIN(worth(g) / threshold, 1.0);
}

/* Entries that are drawn on average. */
static double expected(const struct mb_groups *g, double threshold)
{
	double sum = 0;

	for (size_t i = 0; i < g->n_groups; i++)
		sum += g->groups[i].n_vms * chance_of(&g->groups[i], threshold);
	return sum;
}

static double find_threshold(const struct mb_groups *g, size_t members)
{
	double low = 0, high = 1;

	while (expected(g, high) > (double)members)
		high *= 2;
	for (unsigned int i = 0; i < 40; i++) {
		double mid = (low + high) / 2;

		*(expected(g, mid) > (double)members ? &low : &high) = mid;
	}
	return high;
}

int mb_groups_sample(struct mb_groups *ret, const struct mb_groups *g, size_t members,
		     uint64_t seed, struct mb_err *err)
{
	size_t cap = MB_MIN(2 * members, g->n_vms);
	double threshold = find_threshold(g, members);

	*ret = (struct mb_groups){ 0 };
	ret->groups = malloc((g->n_groups + 1) * sizeof(*ret->groups));
	ret->vms = malloc((cap + 1) * sizeof(*ret->vms));
	if (!ret->groups || !ret->vms) {
		mb_groups_deinit(ret);
		return mb_fail_mem(err, "a sample of the sharing groups");
	}
	for (size_t i = 0; i < g->n_groups; i++) {
		struct mb_group to = g->groups[i];
		double chance = chance_of(&to, threshold);
		double drawn = (double)(mb_mix64(seed ^ mb_mix64(i + 1)) >> 11) / (1ull << 53);

		if (drawn >= chance || ret->n_vms + to.n_vms > cap)
			continue;
		to.weight_pages = (uint64_t)((double)to.weight_pages / chance + 0.5);
		memcpy(ret->vms + ret->n_vms, g->vms + to.first_vm, to.n_vms * sizeof(*ret->vms));
		to.first_vm = (uint32_t)ret->n_vms;
		ret->n_vms += to.n_vms;
		ret->groups[ret->n_groups++] = to;
	}
	return 0;
}
