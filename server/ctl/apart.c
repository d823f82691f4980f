// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/apart.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

/* Order of groups: by VM set, lexicographic; `vms` is the array that both point into. */
static int group_compare(const void *a, const void *b, void *vms)
{
	const struct mb_group *x = a, *y = b;
	const uint32_t *vx = (const uint32_t *)vms + x->first_vm;
	const uint32_t *vy = (const uint32_t *)vms + y->first_vm;

	for (uint32_t i = 0; i < x->n_vms && i < y->n_vms; i++)
		if (vx[i] != vy[i])
			return vx[i] < vy[i] ? -1 : 1;
	return (x->n_vms > y->n_vms) - (x->n_vms < y->n_vms);
}

/* Appends `part`, whose VM k is VM index[k] of the whole. */
static int append(struct mb_groups *to, const struct mb_groups *part, const uint32_t *index,
		  struct mb_err *err)
{
	void *p;

	if (to->n_vms + part->n_vms > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "more sharing groups than can be numbered");
	p = realloc(to->groups, (to->n_groups + part->n_groups + 1) * sizeof(*to->groups));
	if (!p)
		return mb_fail_mem(err, "sharing groups");
	to->groups = p;
	p = realloc(to->vms, (to->n_vms + part->n_vms + 1) * sizeof(*to->vms));
	if (!p)
		return mb_fail_mem(err, "sharing groups");
	to->vms = p;
	for (size_t i = 0; i < part->n_groups; i++) {
		struct mb_group *g = &to->groups[to->n_groups++];

		*g = part->groups[i];
		g->first_vm += (uint32_t)to->n_vms;
	}
	/* Indices of a part ascend with those of the whole, so that sets stay in order. */
	for (size_t i = 0; i < part->n_vms; i++)
		to->vms[to->n_vms + i] = index[part->vms[i]];
	to->n_vms += part->n_vms;
	return 0;
}

static int compute(struct mb_groups *ret, const struct mb_identity *const *identities,
		   const struct mb_digest_list *lists, uint32_t n, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *of_one = calloc((size_t)n + 1, sizeof(*of_one));
	mb_autofree uint32_t *index = calloc((size_t)n + 1, sizeof(*index));
	mb_autofree bool *done = calloc((size_t)n + 1, sizeof(*done));

	if (!of_one || !index || !done)
		return mb_fail_mem(err, "the VMs of an identity");
	for (uint32_t first = 0; first < n; first++) {
		mb_cleanup(mb_groups_deinit) struct mb_groups part = { 0 };
		uint32_t n_of_one = 0;
		int r;

		if (done[first])
			continue;
		for (uint32_t v = first; v < n; v++) {
			if (done[v] ||
			    mb_identity_compare(identities[first], identities[v], NULL) < 0)
				continue;
			done[v] = true;
			index[n_of_one] = v;
			of_one[n_of_one++] = lists[v];
		}
		r = mb_groups_compute(&part, of_one, n_of_one, 0, UINT64_MAX, err);
		if (r == 0)
			r = append(ret, &part, index, err);
		if (r < 0)
			return r;
	}
	if (ret->n_groups)
		qsort_r(ret->groups, ret->n_groups, sizeof(*ret->groups), group_compare, ret->vms);
	return 0;
}

int mb_groups_apart(struct mb_groups *ret, const struct mb_identity *const *identities,
		    const struct mb_digest_list *lists, uint32_t n, struct mb_err *err)
{
	int r;

	*ret = (struct mb_groups){ 0 };
	r = compute(ret, identities, lists, n, err);
	if (r < 0)
		mb_groups_deinit(ret);
	return r;
}
