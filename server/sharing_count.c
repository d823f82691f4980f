// SPDX-License-Identifier: GPL-2.0-or-later
/* Exact groups of VMs whose fingerprints are in memory: what changed again, or all anew. */
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/groups_parallel.h"
#include "server/recount.h"
#include "server/sharing_inside.h"

bool mb_sharing_all_last(const struct mb_counting *c, const struct mb_comparable *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_vm *vm = &c->fleet->vms[set->vms[i]];
		const struct mb_durable *d = mb_fpref_durable(vm->fp);

		if (d && !d->whole && !vm->sample.cut_bits)
			return false;
	}
	return true;
}

static const struct mb_comparable *find_before(const struct mb_counting *c,
					       const struct mb_comparable *set)
{
	struct mb_err no;

	for (uint32_t i = 0; c->before && i < c->before->n_sets; i++) {
		const struct mb_comparable *old = &c->before->sets[i];

		if (mb_identity_compare(&old->identity, &set->identity, &no) == 0)
			return mb_comparable_is_estimate(old) ? NULL : old;
	}
	return NULL;
}

/*
 * Where the VMs of the set before, as the snapshot before counts them, are in this one: names are
 * in the same order in both.
 */
static int rename_vms(const struct mb_counting *c, const struct mb_comparable *before,
		      const struct mb_comparable *set, uint32_t *renamed, struct mb_err *err)
{
	mb_autofree uint32_t *at = malloc(((size_t)c->fleet->n + 1) * sizeof(*at));

	if (!at)
		return mb_fail_mem(err, "the sharing matrix");
	memset(at, 0xff, ((size_t)c->fleet->n + 1) * sizeof(*at));
	for (uint32_t i = 0; i < set->n; i++)
		at[c->fleet->vms[set->vms[i]].index] = i;
	for (uint32_t i = 0; i < c->before->fleet.n; i++)
		renamed[i] = MB_RECOUNT_GONE;
	for (uint32_t i = 0; i < before->n; i++)
		renamed[before->vms[i]] = at[c->before->fleet.vms[before->vms[i]].index];
	return 0;
}

struct family {
	struct mb_groups before;	 /* borrowed */
	const struct mb_change *changes; /* by the snapshot */
	bool lasting;
	uint64_t *inter; /* or NULL */
	struct mb_groups *ret;
};

static int recount(const struct mb_counting *c, const struct mb_comparable *set,
		   const struct family *f, const uint32_t *renamed, struct mb_err *err)
{
	mb_autofree struct mb_recount_vm *vms = calloc((size_t)set->n + 1, sizeof(*vms));

	if (!vms)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++)
		vms[i].is_new = true;
	for (uint32_t i = 0; i < c->before->fleet.n; i++)
		if (renamed[i] != MB_RECOUNT_GONE)
			vms[renamed[i]].is_new = false;
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_change *change = &f->changes[set->vms[i]];
		struct mb_kept_list l =
			mb_fpref_list(c->fleet->vms[set->vms[i]].fp, UINT64_MAX, f->lasting);

		vms[i].list = l.list;
		vms[i].keep = l.keep;
		vms[i].changed = (struct mb_digest_list){ change->digests, change->n };
		vms[i].is_new |= change->all;
	}
	return mb_groups_recount(f->ret, &f->before, renamed, vms, set->n, f->inter, err);
}

static int count_anew(const struct mb_counting *c, const struct mb_comparable *set,
		      const struct family *f, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc((size_t)set->n + 1, sizeof(*lists));
	mb_autofree const uint64_t **keep = calloc((size_t)set->n + 1, sizeof(*keep));
	int r;

	if (!lists || !keep)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++) {
		struct mb_kept_list l =
			mb_fpref_list(c->fleet->vms[set->vms[i]].fp, UINT64_MAX, f->lasting);

		lists[i] = l.list;
		keep[i] = l.keep;
	}
	r = mb_groups_compute_parallel(f->ret, lists, keep, set->n, 0, UINT64_MAX, 0, err);
	if (r == 0 && f->inter)
		mb_groups_matrix(f->ret, set->n, f->inter);
	return r;
}

/* The matrix before, as VMs are numbered now; 0 where one is new. */
static void rename_inter(const struct mb_counting *c, const struct mb_comparable *before,
			 const struct mb_comparable *set, const uint32_t *renamed)
{
	for (uint32_t i = 0; i < before->n; i++) {
		uint32_t a = renamed[before->vms[i]];

		if (a == MB_RECOUNT_GONE || c->changes->changed[set->vms[a]].all)
			continue;
		for (uint32_t k = 0; k < before->n; k++) {
			uint32_t b = renamed[before->vms[k]];

			if (b != MB_RECOUNT_GONE && !c->changes->changed[set->vms[b]].all)
				set->inter[(size_t)a * set->n + b] =
					before->inter[(size_t)i * before->n + k];
		}
	}
}

int mb_sharing_count(const struct mb_counting *c, struct mb_comparable *set, struct mb_counted *ret,
		     struct mb_err *err)
{
	const struct mb_comparable *before = find_before(c, set);
	size_t n_before = before ? c->before->fleet.n : 0;
	mb_autofree uint32_t *renamed = calloc(n_before + 1, sizeof(*renamed));
	struct family plain = { .changes = c->changes->changed,
				.inter = set->inter,
				.ret = &ret->groups };
	struct family lasting = { .changes = c->changes->lasting,
				  .lasting = true,
				  .ret = &ret->durable_groups };
	int r = renamed ? 0 : mb_fail_mem(err, "the sharing matrix");
	bool again = before;

	if (r == 0 && before)
		r = rename_vms(c, before, set, renamed, err);
	if (r < 0)
		return r;
	set->all_last = mb_sharing_all_last(c, set);
	if (before) {
		plain.before = mb_comparable_groups(c->before, before, false);
		lasting.before = mb_comparable_groups(c->before, before, true);
		rename_inter(c, before, set, renamed);
		r = recount(c, set, &plain, renamed, err);
		again = r == 0;
	}
	/* Whatever went wrong with the groups before, there is another way than they. */
	if (!again)
		r = count_anew(c, set, &plain, err);
	*(again ? &c->stats->recounted : &c->stats->anew) += 1;
	if (r < 0 || set->all_last)
		return r;
	again = before && recount(c, set, &lasting, renamed, err) == 0;
	return again ? 0 : count_anew(c, set, &lasting, err);
}
