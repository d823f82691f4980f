// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups and pairs of VMs of which some have sent less than all (proto/small.h): estimates. One
 * that is paged out counts as a sample of the rate that it has left.
 */
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/cut_pairs.h"
#include "server/scale.h"
#include "server/sharing_inside.h"

/* What a set is computed with: by position in set->vms[]. */
struct work {
	const struct mb_counting *c;
	struct mb_comparable *set;
	struct mb_counted *ret;
	struct mb_digest_list *lists; /* the digests that are looked at; owned, as all below */
	const uint64_t **keep;	      /* which of them last */
	struct mb_sample_size *sizes; /* their number, and the VM's */
	uint64_t *counts;	      /* n x n, of them; only where there are samples */
	struct mb_cut_vm *cut;	      /* only where there are cut digests */
};

static void work_deinit(struct work *w)
{
	free(w->lists);
	free(w->keep);
	free(w->sizes);
	free(w->counts);
	free(w->cut);
}

static const struct mb_vm *vm_at(const struct work *w, uint32_t i)
{
	return &w->c->fleet->vms[w->set->vms[i]];
}

/* The rate of what is in memory of VM i. */
static uint32_t shift_at(const struct work *w, uint32_t i)
{
	const struct mb_vm *vm = vm_at(w, i);
	uint32_t left = mb_fpref_is_paged_out(vm->fp) ? w->c->fleet->sample_shift : 0;

	return MB_MAX(vm->sample.shift, left);
}

static bool is_cut(const struct work *w, uint32_t i)
{
	return vm_at(w, i)->sample.cut_bits != 0;
}

/*
 * What the digests of VM i are compared with, if they are cut or the other one's are. Of one that
 * is paged out, cut or not, the first part of the space is left, as of a sample.
 */
static void fill_cut(struct work *w, uint32_t i)
{
	const struct mb_vm *vm = vm_at(w, i);
	uint32_t bits = mb_small_bits(&vm->sample, w->set->identity.bits);
	uint32_t shift = shift_at(w, i);
	struct mb_kept_list l = mb_fpref_list(vm->fp, mb_sample_last(bits, shift), false);

	w->cut[i] = (struct mb_cut_vm){
		.side = { .bits = bits, .shift = shift, .distinct = vm->sharing.distinct },
		.list = l.list,
		.is_cut = is_cut(w, i)
	};
}

static int work_init(struct work *w, struct mb_err *err)
{
	struct mb_comparable *set = w->set;
	size_t n = set->n;
	bool failed;

	for (uint32_t i = 0; i < set->n; i++) {
		if (is_cut(w, i))
			set->n_cut++;
		else
			set->shift = MB_MAX(set->shift, shift_at(w, i));
	}
	w->lists = calloc(n, sizeof(*w->lists));
	w->keep = calloc(n, sizeof(*w->keep));
	w->sizes = calloc(n, sizeof(*w->sizes));
	set->inter_error = calloc(n * n, sizeof(*set->inter_error));
	set->any_error = calloc(n, sizeof(*set->any_error));
	failed = !w->lists || !w->keep || !w->sizes || !set->inter_error || !set->any_error;
	if (set->shift) {
		w->counts = calloc(n * n, sizeof(*w->counts));
		failed |= !w->counts;
	}
	if (set->n_cut) {
		w->cut = calloc(n, sizeof(*w->cut));
		failed |= !w->cut;
	}
	if (failed)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n && w->cut; i++)
		fill_cut(w, i);
	return 0;
}

/* The digests up to the threshold, of those VMs that have sent them all. */
static int compute_at(struct work *w, uint32_t shift, bool lasting, struct mb_groups *ret,
		      struct mb_err *err)
{
	uint64_t last = mb_sample_last(w->set->identity.bits, shift);

	for (uint32_t i = 0; i < w->set->n; i++) {
		const struct mb_vm *vm = vm_at(w, i);
		struct mb_kept_list l = mb_fpref_list(vm->fp, last, lasting);

		if (shift_at(w, i) > shift || is_cut(w, i))
			l = (struct mb_kept_list){ 0 };
		w->lists[i] = l.list;
		w->keep[i] = l.keep;
		w->sizes[i] = (struct mb_sample_size){ l.list.n, vm->sharing.distinct };
	}
	return mb_groups_compute_kept(ret, w->lists, w->keep, w->set->n, 0, UINT64_MAX, err);
}

static uint64_t whole(double pages)
{
	return (uint64_t)(pages + 0.5);
}

/* The pairs of which the coarser one has this rate. */
static void estimate_pairs(struct work *w, uint32_t shift)
{
	struct mb_comparable *set = w->set;
	uint32_t n = set->n;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < n; j++) {
			size_t at = (size_t)i * n + j;
			struct mb_estimate e;

			if (i == j || is_cut(w, i) || is_cut(w, j) ||
			    MB_MAX(shift_at(w, i), shift_at(w, j)) != shift)
				continue;
			e = mb_sample_pair(w->sizes[i], w->sizes[j], w->counts[at], shift);
			set->inter[at] = whole(e.pages);
			set->inter_error[at] = whole(e.error_pages);
		}
	}
}

static void estimate_any(struct work *w)
{
	struct mb_comparable *set = w->set;

	for (uint32_t i = 0; i < set->n; i++) {
		struct mb_estimate e = mb_sample_part(set->any[i], w->sizes[i].light,
						      w->sizes[i].distinct, set->shift);

		set->any[i] = whole(e.pages);
		set->any_error[i] = whole(e.error_pages);
	}
}

static bool has_rate(const struct work *w, uint32_t shift)
{
	for (uint32_t i = 0; i < w->set->n; i++)
		if (shift_at(w, i) == shift && !is_cut(w, i))
			return true;
	return false;
}

/* Whom a VM of cut digests shares most with is all that can be said of all others. */
static void estimate_any_of_cut(struct work *w)
{
	struct mb_comparable *set = w->set;

	for (uint32_t i = 0; i < set->n; i++) {
		for (uint32_t j = 0; j < set->n && w->cut[i].is_cut; j++) {
			size_t at = (size_t)i * set->n + j;

			if (set->inter[at] < set->any[i] || i == j)
				continue;
			set->any[i] = set->inter[at];
			set->any_error[i] = set->inter_error[at];
		}
	}
}

/* Pairs at each rate that there is; the groups at the coarsest, which is the last. */
static int compute_groups(struct work *w, struct mb_err *err)
{
	struct mb_comparable *set = w->set;
	int r;

	for (uint32_t shift = 0; shift <= set->shift; shift++) {
		if (!has_rate(w, shift))
			continue;
		mb_groups_deinit(&w->ret->groups);
		r = compute_at(w, shift, false, &w->ret->groups, err);
		if (r < 0)
			return r;
		mb_groups_matrix(&w->ret->groups, set->n, set->shift ? w->counts : set->inter);
		if (set->shift)
			estimate_pairs(w, shift);
	}
	mb_groups_any(&w->ret->groups, set->n, set->any);
	if (set->shift)
		estimate_any(w);
	if (w->cut) {
		r = mb_cut_pairs(w->cut, set->n, set->inter, set->inter_error, err);
		if (r < 0)
			return r;
		estimate_any_of_cut(w);
	}
	return set->shift ? mb_groups_scale(&w->ret->groups, w->sizes, set->n, err) : 0;
}

bool mb_sharing_is_small(const struct mb_counting *c, const struct mb_comparable *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (!mb_small_is_all(&c->fleet->vms[set->vms[i]].sample))
			return true;
	return false;
}

int mb_sharing_estimate_small(const struct mb_counting *c, struct mb_comparable *set,
			      struct mb_counted *ret, struct mb_err *err)
{
	mb_cleanup(work_deinit) struct work w = { .c = c, .set = set, .ret = ret };
	int r;

	if ((r = work_init(&w, err)) < 0 || (r = compute_groups(&w, err)) < 0)
		return r;
	c->stats->estimated++;
	set->all_last = mb_sharing_all_last(c, set);
	if (set->all_last)
		return 0;
	r = compute_at(&w, set->shift, true, &ret->durable_groups, err);
	return r == 0 && set->shift ? mb_groups_scale(&ret->durable_groups, w.sizes, set->n, err) :
				      r;
}
