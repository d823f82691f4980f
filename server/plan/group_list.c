// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/group_list.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

void mb_group_list_deinit(struct mb_group_list *l)
{
	mb_groups_deinit(&l->groups);
	*l = (struct mb_group_list){ 0 };
}

int mb_group_list_vm(struct mb_group_list *l, uint32_t vm, struct mb_err *err)
{
	struct mb_groups *g = &l->groups;

	if (g->n_vms == UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "sharing groups of 2^32 VMs in all");
	if (g->n_vms == l->cap_vms) {
		size_t cap = l->cap_vms ? 2 * l->cap_vms : 256;
		uint32_t *p = realloc(g->vms, cap * sizeof(*p));

		if (!p)
			return mb_fail_mem(err, "the VM sets of sharing groups");
		g->vms = p;
		l->cap_vms = cap;
	}
	g->vms[g->n_vms++] = vm;
	return 0;
}

int mb_group_list_end(struct mb_group_list *l, uint64_t weight_pages, struct mb_err *err)
{
	struct mb_groups *g = &l->groups;
	uint32_t n = (uint32_t)(g->n_vms - l->first_vm);

	if (n < 2 || !weight_pages) {
		g->n_vms = l->first_vm;
		return 0;
	}
	if (g->n_groups == l->cap_groups) {
		size_t cap = l->cap_groups ? 2 * l->cap_groups : 64;
		struct mb_group *p = realloc(g->groups, cap * sizeof(*p));

		if (!p)
			return mb_fail_mem(err, "sharing groups");
		g->groups = p;
		l->cap_groups = cap;
	}
	g->groups[g->n_groups++] = (struct mb_group){ weight_pages, (uint32_t)l->first_vm, n };
	l->first_vm = g->n_vms;
	return 0;
}

static int compare_sets(const void *a, const void *b, void *vms)
{
	const struct mb_group *ga = a, *gb = b;
	const uint32_t *set = vms;

	return mb_group_set_compare(set + ga->first_vm, ga->n_vms, set + gb->first_vm, gb->n_vms);
}

int mb_group_list_finish(struct mb_group_list *l, struct mb_groups *ret, struct mb_err *err)
{
	struct mb_groups from = l->groups, to = { 0 };

	*l = (struct mb_group_list){ 0 };
	*ret = (struct mb_groups){ 0 };
	to.groups = malloc((from.n_groups + 1) * sizeof(*to.groups));
	to.vms = malloc((from.n_vms + 1) * sizeof(*to.vms));
	if (!to.groups || !to.vms) {
		mb_groups_deinit(&from);
		mb_groups_deinit(&to);
		return mb_fail_mem(err, "sharing groups");
	}
	if (from.n_groups)
		qsort_r(from.groups, from.n_groups, sizeof(*from.groups), compare_sets, from.vms);
	for (size_t i = 0; i < from.n_groups; i++) {
		const struct mb_group *g = &from.groups[i];

		if (i && compare_sets(g, g - 1, from.vms) == 0) {
			to.groups[to.n_groups - 1].weight_pages += g->weight_pages;
			continue;
		}
		memcpy(to.vms + to.n_vms, from.vms + g->first_vm, g->n_vms * sizeof(*to.vms));
		to.groups[to.n_groups++] =
			(struct mb_group){ g->weight_pages, (uint32_t)to.n_vms, g->n_vms };
		to.n_vms += g->n_vms;
	}
	mb_groups_deinit(&from);
	*ret = to;
	return 0;
}

int mb_group_list_restrict(const struct mb_groups *from, const uint32_t *renamed,
			   struct mb_groups *ret, struct mb_err *err)
{
	mb_cleanup(mb_group_list_deinit) struct mb_group_list l = { 0 };
	int r = 0;

	for (size_t i = 0; i < from->n_groups && r == 0; i++) {
		const struct mb_group *g = &from->groups[i];

		for (uint32_t k = 0; k < g->n_vms && r == 0; k++)
			if (renamed[from->vms[g->first_vm + k]] != UINT32_MAX)
				r = mb_group_list_vm(&l, renamed[from->vms[g->first_vm + k]], err);
		if (r == 0)
			r = mb_group_list_end(&l, g->weight_pages, err);
	}
	return r < 0 ? r : mb_group_list_finish(&l, ret, err);
}
