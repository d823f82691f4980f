// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/group_table.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"

void mb_group_table_deinit(struct mb_group_table *t)
{
	free(t->slots);
	free(t->signatures);
	free(t->groups);
	free(t->vms);
	*t = (struct mb_group_table){ 0 };
}

static uint64_t signature_of(const uint32_t *vms, uint32_t n)
{
	uint64_t h = n;

	for (uint32_t i = 0; i < n; i++)
		h = (h ^ vms[i]) * 0x9e3779b97f4a7c15u;
	return mb_mix64(h);
}

static int grow(struct mb_group_table *t, struct mb_err *err)
{
	unsigned int bits = t->bits ? t->bits + 1 : 12;
	size_t mask = ((size_t)1 << bits) - 1;
	uint32_t *slots = calloc(mask + 1, sizeof(*slots));

	if (!slots)
		return mb_fail_mem(err, "the table of sharing groups");
	for (size_t g = 0; g < t->n_groups; g++) {
		size_t s = t->signatures[g] & mask;

		while (slots[s])
			s = (s + 1) & mask;
		slots[s] = (uint32_t)(g + 1);
	}
	free(t->slots);
	t->slots = slots;
	t->bits = bits;
	return 0;
}

static int push(struct mb_group_table *t, const uint32_t *vms, uint32_t n, uint64_t signature,
		uint64_t weight_pages, struct mb_err *err)
{
	if (t->n_groups == UINT32_MAX - 1)
		return mb_fail(err, EOVERFLOW, "more than 2^32 sharing groups");
	if (t->n_groups == t->cap_groups) {
		size_t cap = t->cap_groups ? 2 * t->cap_groups : 1024;
		void *p = realloc(t->groups, cap * sizeof(*t->groups));

		if (!p)
			return mb_fail_mem(err, "the sharing groups");
		t->groups = p;
		p = realloc(t->signatures, cap * sizeof(*t->signatures));
		if (!p)
			return mb_fail_mem(err, "the sharing groups");
		t->signatures = p;
		t->cap_groups = cap;
	}
	if (t->cap_vms - t->n_vms < n) {
		size_t cap = MB_MAX(2 * t->cap_vms, t->n_vms + n + 4096);
		void *p = realloc(t->vms, cap * sizeof(*t->vms));

		if (!p)
			return mb_fail_mem(err, "the VM sets of the sharing groups");
		t->vms = p;
		t->cap_vms = cap;
	}
	if (t->n_vms + n > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "the VM sets of all sharing groups exceed 2^32");
	memcpy(t->vms + t->n_vms, vms, n * sizeof(*vms));
	t->groups[t->n_groups] = (struct mb_group){ weight_pages, (uint32_t)t->n_vms, n };
	t->signatures[t->n_groups] = signature;
	t->n_groups++;
	t->n_vms += n;
	return 0;
}

int mb_group_table_add(struct mb_group_table *t, const uint32_t *vms, uint32_t n,
		       uint64_t weight_pages, struct mb_err *err)
{
	uint64_t signature = signature_of(vms, n);
	size_t mask, s;
	int r;

	if (2 * (t->n_groups + 1) > ((size_t)1 << t->bits) || !t->slots) {
		r = grow(t, err);
		if (r < 0)
			return r;
	}
	mask = ((size_t)1 << t->bits) - 1;
	for (s = signature & mask; t->slots[s]; s = (s + 1) & mask) {
		size_t g = t->slots[s] - 1;

		if (t->signatures[g] == signature && t->groups[g].n_vms == n &&
		    memcmp(t->vms + t->groups[g].first_vm, vms, n * sizeof(*vms)) == 0) {
			t->groups[g].weight_pages += weight_pages;
			return 0;
		}
	}
	r = push(t, vms, n, signature, weight_pages, err);
	if (r < 0)
		return r;
	t->slots[s] = (uint32_t)t->n_groups;
	return 0;
}

static int compare_sets(const void *a, const void *b, void *vms)
{
	const struct mb_group *ga = a, *gb = b;
	const uint32_t *set = vms;

	return mb_group_set_compare(set + ga->first_vm, ga->n_vms, set + gb->first_vm, gb->n_vms);
}

static void drop_weightless(struct mb_group_table *t)
{
	size_t n = 0;

	t->n_vms = 0;
	for (size_t g = 0; g < t->n_groups; g++) {
		if (!t->groups[g].weight_pages)
			continue;
		t->n_vms += t->groups[g].n_vms;
		t->groups[n++] = t->groups[g];
	}
	t->n_groups = n;
}

int mb_group_table_finish(struct mb_group_table *t, struct mb_groups *ret, struct mb_err *err)
{
	uint32_t *vms;
	size_t at = 0;
	void *p;

	drop_weightless(t);
	vms = malloc((t->n_vms + 1) * sizeof(*vms));
	if (!vms)
		return mb_fail_mem(err, "the VM sets of the sharing groups");
	if (t->n_groups)
		qsort_r(t->groups, t->n_groups, sizeof(*t->groups), compare_sets, t->vms);
	for (size_t g = 0; g < t->n_groups; g++) {
		memcpy(vms + at, t->vms + t->groups[g].first_vm, t->groups[g].n_vms * sizeof(*vms));
		t->groups[g].first_vm = (uint32_t)at;
		at += t->groups[g].n_vms;
	}
	/* Shrinking may fail; then the larger block stays. */
	p = realloc(t->groups, (t->n_groups + 1) * sizeof(*t->groups));
	if (!p && !t->groups) {
		free(vms);
		return mb_fail_mem(err, "the sharing groups");
	}
	t->groups = p ? p : t->groups;
	*ret = (struct mb_groups){
		.groups = mb_take_ptr(t->groups),
		.n_groups = t->n_groups,
		.vms = vms,
		.n_vms = t->n_vms,
	};
	mb_group_table_deinit(t);
	return 0;
}
