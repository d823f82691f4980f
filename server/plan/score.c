// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/plan.h"

#include <string.h>

/* Hosts counted at a time: the counters live on the stack, so that a score cannot fail. */
#define BLOCK_HOSTS 1024

/*
 * Pages that each host of a block saves: sum over groups of weight * (VMs on it - 1, if > 0). Every
 * VM on a host but the first of its group saves the group's weight.
 */
static void save_block(const struct mb_fleet_view *fleet, const uint32_t *host, uint32_t first,
		       uint64_t *ret_saved)
{
	const struct mb_groups *g = fleet->groups;
	uint32_t on[BLOCK_HOSTS] = { 0 };

	memset(ret_saved, 0, BLOCK_HOSTS * sizeof(*ret_saved));
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		uint32_t n = g->groups[i].n_vms;

		/* MB_NOWHERE - first is past the block, too. */
		for (uint32_t k = 0; k < n; k++) {
			uint32_t h = host[vms[k]] - first;

			if (h < BLOCK_HOSTS && on[h]++)
				ret_saved[h] += g->groups[i].weight_pages;
		}
		for (uint32_t k = 0; k < n; k++)
			if (host[vms[k]] - first < BLOCK_HOSTS)
				on[host[vms[k]] - first] = 0;
	}
}

uint64_t mb_score_inter_pages(const struct mb_fleet_view *fleet, const uint32_t *host)
{
	uint64_t saved[BLOCK_HOSTS], sum = 0;

	for (uint32_t first = 0; first < fleet->n_hosts; first += BLOCK_HOSTS) {
		save_block(fleet, host, first, saved);
		for (uint32_t h = 0; h < BLOCK_HOSTS; h++)
			sum += saved[h];
	}
	return sum;
}

void mb_score_unions(const struct mb_fleet_view *fleet, const uint32_t *host, uint64_t *ret_union)
{
	uint64_t saved[BLOCK_HOSTS];

	memset(ret_union, 0, fleet->n_hosts * sizeof(*ret_union));
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (host[v] != MB_NOWHERE)
			ret_union[host[v]] += fleet->vms[v].distinct;
	for (uint32_t first = 0; first < fleet->n_hosts; first += BLOCK_HOSTS) {
		save_block(fleet, host, first, saved);
		for (uint32_t h = 0; h < BLOCK_HOSTS && first + h < fleet->n_hosts; h++)
			ret_union[first + h] -= saved[h];
	}
}

uint64_t mb_score_union_pages(const struct mb_fleet_view *fleet, const uint32_t *host, uint32_t on)
{
	const struct mb_groups *g = fleet->groups;
	uint64_t pages = 0;

	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (host[v] == on)
			pages += fleet->vms[v].distinct;
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		uint32_t n = 0;

		for (uint32_t k = 0; k < g->groups[i].n_vms; k++)
			n += host[vms[k]] == on;
		if (n > 1)
			pages -= g->groups[i].weight_pages * (n - 1);
	}
	return pages;
}

void mb_score_here(const struct mb_fleet_view *fleet, const uint32_t *host, uint64_t *ret_here)
{
	const struct mb_groups *g = fleet->groups;
	uint32_t on[BLOCK_HOSTS] = { 0 };

	memset(ret_here, 0, fleet->n_vms * sizeof(*ret_here));
	for (uint32_t first = 0; first < fleet->n_hosts; first += BLOCK_HOSTS)
		for (size_t i = 0; i < g->n_groups; i++) {
			const uint32_t *vms = g->vms + g->groups[i].first_vm;
			uint32_t n = g->groups[i].n_vms;

			for (uint32_t k = 0; k < n; k++)
				if (host[vms[k]] - first < BLOCK_HOSTS)
					on[host[vms[k]] - first]++;
			for (uint32_t k = 0; k < n; k++)
				if (host[vms[k]] - first < BLOCK_HOSTS &&
				    on[host[vms[k]] - first] > 1)
					ret_here[vms[k]] += g->groups[i].weight_pages;
			for (uint32_t k = 0; k < n; k++)
				if (host[vms[k]] - first < BLOCK_HOSTS)
					on[host[vms[k]] - first] = 0;
		}
}
