// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups of VMs some of which are paged out: estimated from what all have in memory, or exact, a
 * slice of the digest space at a time, with what is missing read from the store.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/blend.h"
#include "server/estimate.h"
#include "server/sharing_inside.h"

/* --- estimates -------------------------------------------------------------------------------- */

/* The zero page, which nearly all have, is known without any sample: a group of its own. */
static int count_zero_page(const struct mb_counting *c, const struct mb_comparable *set,
			   struct mb_groups *g, struct mb_err *err)
{
	mb_autofree uint32_t *vms = calloc((size_t)set->n + 1, sizeof(*vms));
	struct mb_group group = { .weight_pages = 1 };
	const struct mb_groups zero = { .groups = &group, .n_groups = 1, .vms = vms };
	struct mb_groups with = zero, both;
	int r;

	if (!vms)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++)
		if (c->fleet->vms[set->vms[i]].sharing.zero)
			vms[group.n_vms++] = i;
	if (group.n_vms < 2)
		return 0;
	with.n_vms = group.n_vms;
	r = mb_groups_blend(&both, g, 100, &with, 100, err);
	if (r < 0)
		return r;
	mb_groups_deinit(g);
	*g = both;
	return 0;
}

/* Two runs of digests instead of one that has the zero page in it. */
static int estimate(const struct mb_counting *c, const struct mb_comparable *set, bool lasting,
		    const uint64_t *distinct, struct mb_groups *ret, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc((size_t)set->n + 1, sizeof(*lists));
	mb_autofree const uint64_t **keep = calloc((size_t)set->n + 1, sizeof(*keep));
	uint64_t max = mb_sample_last(set->identity.bits, c->fleet->sample_shift);
	uint64_t zero = set->identity.zero_digest;
	mb_cleanup(mb_groups_deinit) struct mb_groups below = { 0 }, above = { 0 };
	int r = 0;

	if (!lists || !keep)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++) {
		struct mb_kept_list l = mb_fpref_list(c->fleet->vms[set->vms[i]].fp, max, lasting);

		lists[i] = l.list;
		keep[i] = l.keep;
	}
	if (zero)
		r = mb_groups_compute_kept(&below, lists, keep, set->n, 0, MB_MIN(zero - 1, max),
					   err);
	if (r == 0 && zero < max)
		r = mb_groups_compute_kept(&above, lists, keep, set->n, zero + 1, max, err);
	if (r == 0)
		r = mb_groups_blend(ret, &below, 100, &above, 100, err);
	if (r == 0)
		r = mb_estimate_groups(ret, c->fleet->sample_shift, distinct, set->n, err);
	return r < 0 ? r : count_zero_page(c, set, ret, err);
}

/*
 * No VM shares more of what lasts than of all (server/plan/plan.h): what was cut off there is cut
 * off here. The zero page has a group of its own in both.
 */
static void cap_lasting(const struct mb_counting *c, const struct mb_comparable *set,
			const struct mb_groups *groups, uint64_t *caps)
{
	uint32_t n_zero = 0;

	for (uint32_t i = 0; i < set->n; i++)
		n_zero += c->fleet->vms[set->vms[i]].sharing.zero != 0;
	mb_groups_any(groups, set->n, caps);
	for (uint32_t i = 0; i < set->n; i++)
		caps[i] -= n_zero > 1 && c->fleet->vms[set->vms[i]].sharing.zero;
}

int mb_sharing_estimate(const struct mb_counting *c, struct mb_comparable *set,
			struct mb_counted *ret, struct mb_err *err)
{
	mb_autofree uint64_t *distinct = calloc((size_t)set->n + 1, sizeof(*distinct));
	int r;

	if (!distinct)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_self_sharing *s = &c->fleet->vms[set->vms[i]].sharing;

		distinct[i] = s->distinct - (s->zero && s->distinct);
	}
	set->shift = c->fleet->sample_shift;
	set->all_last = mb_sharing_all_last(c, set);
	r = estimate(c, set, false, distinct, &ret->groups, err);
	if (r == 0 && !set->all_last) {
		cap_lasting(c, set, &ret->groups, distinct);
		r = estimate(c, set, true, distinct, &ret->durable_groups, err);
	}
	if (r < 0)
		return r;
	mb_groups_matrix(&ret->groups, set->n, set->inter);
	c->stats->estimated++;
	return 0;
}

/* --- exact, in slices ------------------------------------------------------------------------- */

struct slice {
	uint64_t first, last;
	struct mb_digest_list *lists;
	const uint64_t **keep;
	void **owned; /* two per VM */
};

static void slice_clear(struct slice *s, uint32_t n)
{
	for (uint32_t i = 0; s->owned && i < 2 * n; i++) {
		free(s->owned[i]);
		s->owned[i] = NULL;
	}
}

static uint32_t rank_of(const struct mb_digest_list *l, uint64_t digest)
{
	uint32_t lo = 0, hi = l->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (l->digests[mid] < digest)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* What a fingerprint has in the slice, and the bits of those that last. */
static int copy_part(struct slice *s, uint32_t i, const struct mb_fingerprint *fp,
		     const uint64_t *keep, struct mb_err *err)
{
	const struct mb_digest_list all = { fp->digests, fp->n_distinct };
	uint32_t from = rank_of(&all, s->first);
	uint32_t to = s->last == UINT64_MAX ? all.n : rank_of(&all, s->last + 1);
	uint64_t *digests = malloc(((size_t)(to - from) + 1) * sizeof(*digests));
	uint64_t *bits = keep ? calloc((size_t)(to - from) / 64 + 1, sizeof(*bits)) : NULL;

	s->owned[2 * (size_t)i] = digests;
	s->owned[2 * (size_t)i + 1] = bits;
	if (!digests || (keep && !bits))
		return mb_fail_mem(err, "fingerprints that were paged out");
	if (to > from)
		memcpy(digests, fp->digests + from, (to - from) * sizeof(*digests));
	for (uint32_t k = from; keep && k < to; k++)
		bits[(k - from) / 64] |= (keep[k / 64] >> k % 64 & 1) << (k - from) % 64;
	s->lists[i] = (struct mb_digest_list){ digests, to - from };
	s->keep[i] = bits;
	return 0;
}

static int fill_slice(const struct mb_counting *c, const struct mb_comparable *set,
		      const struct mb_page_source *from, struct slice *s, struct mb_err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < set->n && r == 0; i++) {
		const struct mb_vm *vm = &c->fleet->vms[set->vms[i]];
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
		struct mb_kept_list l = mb_fpref_list(vm->fp, UINT64_MAX, true);

		s->lists[i] = l.list;
		s->keep[i] = l.keep;
		if (!mb_fpref_is_paged_out(vm->fp))
			continue;
		r = from->load(from->ctx, vm, &fp, err);
		if (r == 0)
			r = copy_part(s, i, &fp, l.keep, err);
		else
			r = mb_fail_in(err, r, "VM %s", vm->name);
	}
	return r;
}

/* sum += the groups of the slice; slices are disjoint. */
static int add_slice(const struct slice *s, const uint64_t *const *keep, uint32_t n,
		     struct mb_groups *sum, struct mb_err *err)
{
	mb_cleanup(mb_groups_deinit) struct mb_groups part = { 0 };
	struct mb_groups both;
	int r = mb_groups_compute_kept(&part, s->lists, keep, n, s->first, s->last, err);

	if (r == 0)
		r = mb_groups_blend(&both, sum, 100, &part, 100, err);
	if (r < 0)
		return r;
	mb_groups_deinit(sum);
	*sum = both;
	return 0;
}

static uint64_t paged_bytes(const struct mb_counting *c, const struct mb_comparable *set)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_fpref *fp = c->fleet->vms[set->vms[i]].fp;

		if (mb_fpref_is_paged_out(fp))
			bytes += mb_fpref_id(fp).distinct * sizeof(uint64_t);
	}
	return bytes;
}

static int count_slices(const struct mb_counting *c, struct mb_comparable *set,
			const struct mb_page_source *from, struct slice *s, uint64_t n_slices,
			struct mb_counted *ret, struct mb_err *err)
{
	uint64_t max = mb_sample_last(set->identity.bits, 0), step = max / n_slices;
	int r = 0;

	for (uint64_t i = 0; i < n_slices && r == 0; i++) {
		s->first = i ? s->last + 1 : 0;
		s->last = i + 1 < n_slices ? (i + 1) * step : max;
		r = fill_slice(c, set, from, s, err);
		if (r == 0)
			r = add_slice(s, NULL, set->n, &ret->groups, err);
		if (r == 0 && !set->all_last)
			r = add_slice(s, s->keep, set->n, &ret->durable_groups, err);
		slice_clear(s, set->n);
	}
	return r;
}

int mb_sharing_count_paged(const struct mb_counting *c, struct mb_comparable *set,
			   const struct mb_page_source *from, uint64_t room_bytes,
			   struct mb_counted *ret, struct mb_err *err)
{
	uint64_t n_slices = paged_bytes(c, set) / MB_MAX(room_bytes, 1u) + 1;
	size_t n = (size_t)set->n + 1;
	mb_autofree struct mb_digest_list *lists = calloc(n, sizeof(*lists));
	mb_autofree const uint64_t **keep = calloc(n, sizeof(*keep));
	mb_autofree void **owned = calloc(2 * n, sizeof(*owned));
	struct slice s = { .lists = lists, .keep = keep, .owned = owned };
	int r;

	if (!lists || !keep || !owned)
		return mb_fail_mem(err, "the sharing matrix");
	set->all_last = mb_sharing_all_last(c, set);
	r = count_slices(c, set, from, &s, n_slices, ret, err);
	if (r < 0)
		return r;
	mb_groups_matrix(&ret->groups, set->n, set->inter);
	c->stats->anew++;
	return 0;
}
