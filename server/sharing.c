// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sharing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/blend.h"
#include "server/cut_pairs.h"
#include "server/scale.h"

struct mb_sharing {
	pthread_mutex_t lock;
	struct mb_fleet *fleet;
	struct mb_sharing_view view;
	bool valid;
};

static void view_deinit(struct mb_sharing_view *v)
{
	for (uint32_t i = 0; i < v->n_sets; i++) {
		free(v->sets[i].vms);
		free(v->sets[i].inter);
		free(v->sets[i].any);
		free(v->sets[i].inter_error);
		free(v->sets[i].any_error);
	}
	free(v->sets);
	mb_groups_deinit(&v->groups);
	mb_groups_deinit(&v->durable_groups);
	mb_fleet_snapshot_deinit(&v->fleet);
	*v = (struct mb_sharing_view){ 0 };
}

/* Sorts the VMs that have a fingerprint into sets of one identity. */
static int make_sets(struct mb_sharing_view *v, struct mb_err *err)
{
	v->sets = calloc(v->fleet.n + 1, sizeof(*v->sets));
	if (!v->sets)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < v->fleet.n; i++) {
		const struct mb_vm *vm = &v->fleet.vms[i];
		struct mb_comparable *set = v->sets;
		struct mb_err no;

		if (!vm->epoch)
			continue;
		while (set < v->sets + v->n_sets &&
		       mb_identity_compare(&set->identity, &vm->identity, &no) != 0)
			set++;
		if (set == v->sets + v->n_sets) {
			set->identity = vm->identity;
			set->vms = calloc(v->fleet.n, sizeof(*set->vms));
			v->n_sets++;
		}
		if (!set->vms)
			return mb_fail_mem(err, "the sharing matrix");
		set->vms[set->n++] = i;
	}
	return 0;
}

/* `from` counts VMs by their position in the set; the view counts them in the snapshot. */
static int append_groups(struct mb_groups *to, const struct mb_groups *from,
			 const struct mb_comparable *set, struct mb_err *err)
{
	void *groups =
		reallocarray(to->groups, to->n_groups + from->n_groups + 1, sizeof(*to->groups));
	void *vms = reallocarray(to->vms, to->n_vms + from->n_vms + 1, sizeof(*to->vms));

	to->groups = groups ? groups : to->groups;
	to->vms = vms ? vms : to->vms;
	if (!groups || !vms)
		return mb_fail_mem(err, "sharing groups");
	for (size_t i = 0; i < from->n_groups; i++) {
		struct mb_group g = from->groups[i];

		g.first_vm += (uint32_t)to->n_vms;
		to->groups[to->n_groups++] = g;
	}
	for (size_t i = 0; i < from->n_vms; i++)
		to->vms[to->n_vms++] = set->vms[from->vms[i]];
	return 0;
}

/*
 * Slices of the digest space in which durable digests are copied: memory for one at a time. Each
 * costs a merge of all groups.
 */
#define SLICES 4

/* The durable digests of [first, last], of every VM; `room` is [0, digests of all lists in it). */
static void filter_slice(const struct mb_sharing_view *v, const struct mb_comparable *set,
			 const struct mb_digest_list *lists, uint32_t *from, uint64_t last,
			 uint64_t *room, struct mb_digest_list *ret)
{
	static const struct mb_durable all = { .whole = true };

	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_durable *d = mb_fpref_durable(v->fleet.vms[set->vms[i]].fp);
		uint32_t end = from[i];

		while (end < lists[i].n && lists[i].digests[end] <= last)
			end++;
		ret[i].digests = room;
		ret[i].n = mb_durable_filter(d ? d : &all, &lists[i], from[i], end, room);
		room += ret[i].n;
		from[i] = end;
	}
}

static int durable_of_set(struct mb_sharing_view *v, const struct mb_comparable *set,
			  const struct mb_digest_list *lists, struct mb_groups *ret,
			  struct mb_err *err)
{
	mb_autofree struct mb_digest_list *slice = calloc(set->n, sizeof(*slice));
	mb_autofree uint32_t *from = calloc(set->n, sizeof(*from));
	int r = slice && from ? 0 : mb_fail_mem(err, "durable sharing");

	for (uint64_t s = 0; s < SLICES && r == 0; s++) {
		uint64_t last = s + 1 < SLICES ? (s + 1) * (UINT64_MAX / SLICES) : UINT64_MAX;
		mb_cleanup(mb_groups_deinit) struct mb_groups part = { 0 }, sum = *ret;
		mb_autofree uint64_t *room = NULL;
		size_t n = 1;

		*ret = (struct mb_groups){ 0 };
		for (uint32_t i = 0; i < set->n; i++)
			n += lists[i].n - from[i];
		/* Untouched room costs nothing. */
		room = malloc(n * sizeof(*room));
		if (!room)
			return mb_fail_mem(err, "durable sharing");
		filter_slice(v, set, lists, from, last, room, slice);
		r = mb_groups_compute(&part, slice, set->n, 0, UINT64_MAX, err);
		if (r == 0)
			r = mb_groups_blend(ret, &sum, 100, &part, 100, err);
	}
	return r;
}

static bool all_durable(const struct mb_sharing_view *v, const struct mb_comparable *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_vm *vm = &v->fleet.vms[set->vms[i]];
		const struct mb_durable *d = mb_fpref_durable(vm->fp);

		if (d && !d->whole && !vm->sample.cut_bits)
			return false;
	}
	return true;
}

/* --- samples ---------------------------------------------------------------------------------- */

/* What a set is computed with: by position in set->vms[]. */
struct work {
	const struct mb_sharing_view *view;
	struct mb_comparable *set;
	struct mb_digest_list *lists; /* the digests that are looked at; owned, as all below */
	struct mb_sample_size *sizes; /* their number, and the VM's */
	uint64_t *counts;	      /* n x n, of them; only where there are samples */
	struct mb_cut_vm *cut;	      /* only where there are cut digests */
};

static void work_deinit(struct work *w)
{
	free(w->lists);
	free(w->sizes);
	free(w->counts);
	free(w->cut);
}

static const struct mb_vm *vm_at(const struct work *w, uint32_t i)
{
	return &w->view->fleet.vms[w->set->vms[i]];
}

/* What the digests of VM i are compared with, if they are cut or the other one's are. */
static struct mb_cut_vm cut_vm(const struct work *w, uint32_t i)
{
	const struct mb_vm *vm = vm_at(w, i);

	return (struct mb_cut_vm){ .side = { .fp = mb_fpref_fingerprint(vm->fp),
					     .bits = mb_small_bits(&vm->sample,
								   w->set->identity.bits),
					     .shift = vm->sample.shift,
					     .distinct = vm->sharing.distinct },
				   .is_cut = vm->sample.cut_bits };
}

static int work_init(struct work *w, struct mb_err *err)
{
	struct mb_comparable *set = w->set;
	size_t n = set->n;
	bool failed;

	for (uint32_t i = 0; i < set->n; i++) {
		set->shift = MB_MAX(set->shift, vm_at(w, i)->sample.shift);
		set->n_cut += vm_at(w, i)->sample.cut_bits != 0;
	}
	w->lists = calloc(n, sizeof(*w->lists));
	w->sizes = calloc(n, sizeof(*w->sizes));
	set->inter = calloc(n * n, sizeof(*set->inter));
	set->any = calloc(n, sizeof(*set->any));
	failed = !w->lists || !w->sizes || !set->inter || !set->any;
	if (set->shift || set->n_cut) {
		set->inter_error = calloc(n * n, sizeof(*set->inter_error));
		set->any_error = calloc(n, sizeof(*set->any_error));
		failed |= !set->inter_error || !set->any_error;
	}
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
		w->cut[i] = cut_vm(w, i);
	return 0;
}

/* The digests up to the threshold, of those VMs that have sent them all. */
static void look_at(struct work *w, uint32_t shift)
{
	uint64_t last = mb_sample_last(w->set->identity.bits, shift);

	for (uint32_t i = 0; i < w->set->n; i++) {
		const struct mb_vm *vm = vm_at(w, i);
		const struct mb_fingerprint *fp = mb_fpref_fingerprint(vm->fp);
		uint32_t n =
			shift ? mb_sample_light(fp->digests, fp->n_distinct, last) : fp->n_distinct;

		if (vm->sample.shift > shift || vm->sample.cut_bits)
			n = 0;
		w->lists[i] = (struct mb_digest_list){ fp->digests, n };
		w->sizes[i] = (struct mb_sample_size){ n, vm->sharing.distinct };
	}
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
			const struct mb_sample_of *a = &vm_at(w, i)->sample;
			const struct mb_sample_of *b = &vm_at(w, j)->sample;
			size_t at = (size_t)i * n + j;
			struct mb_estimate e;

			if (i == j || a->cut_bits || b->cut_bits ||
			    MB_MAX(a->shift, b->shift) != shift)
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
		if (vm_at(w, i)->sample.shift == shift && !vm_at(w, i)->sample.cut_bits)
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
static int compute_groups(struct work *w, struct mb_groups *ret, struct mb_err *err)
{
	struct mb_comparable *set = w->set;
	int r = 0;

	for (uint32_t shift = 0; shift <= set->shift && r == 0; shift++) {
		if (!has_rate(w, shift))
			continue;
		look_at(w, shift);
		mb_groups_deinit(ret);
		r = mb_groups_compute(ret, w->lists, set->n, 0, UINT64_MAX, err);
		if (r < 0)
			return r;
		mb_groups_matrix(ret, set->n, set->shift ? w->counts : set->inter);
		if (set->shift)
			estimate_pairs(w, shift);
	}
	mb_groups_any(ret, set->n, set->any);
	if (set->shift)
		estimate_any(w);
	if (w->cut) {
		r = mb_cut_pairs(w->cut, set->n, set->inter, set->inter_error, err);
		if (r < 0)
			return r;
		estimate_any_of_cut(w);
	}
	return set->shift ? mb_groups_scale(ret, w->sizes, set->n, err) : 0;
}

static int compute_set(struct mb_sharing_view *v, struct mb_comparable *set, struct mb_err *err)
{
	mb_cleanup(mb_groups_deinit) struct mb_groups g = { 0 }, durable = { 0 };
	mb_cleanup(work_deinit) struct work w = { .view = v, .set = set };
	bool all = all_durable(v, set);
	int r;

	if ((r = work_init(&w, err)) < 0 || (r = compute_groups(&w, &g, err)) < 0)
		return r;
	if (!all)
		r = durable_of_set(v, set, w.lists, &durable, err);
	if (r == 0 && !all && set->shift)
		r = mb_groups_scale(&durable, w.sizes, set->n, err);
	if (r < 0)
		return r;
	v->has_durable |= !all;
	r = append_groups(&v->groups, &g, set, err);
	if (r == 0)
		r = append_groups(&v->durable_groups, all ? &g : &durable, set, err);
	return r;
}

static int compute(struct mb_sharing *s, struct mb_err *err)
{
	struct mb_sharing_view *v = &s->view;
	int r;

	view_deinit(v);
	r = mb_fleet_snapshot(s->fleet, &v->fleet, err);
	/* What was published while we looked must be settled, too: hence after the snapshot. */
	mb_fleet_settle(s->fleet);
	if (r == 0)
		r = make_sets(v, err);
	for (uint32_t i = 0; r == 0 && i < v->n_sets; i++)
		r = compute_set(v, &v->sets[i], err);
	if (!v->has_durable)
		mb_groups_deinit(&v->durable_groups);
	/*
	 * The groups say it all; holding on to old fingerprints would double the server's memory.
	 */
	for (uint32_t i = 0; i < v->fleet.n; i++) {
		mb_fpref_put(v->fleet.vms[i].fp);
		v->fleet.vms[i].fp = NULL;
	}
	return r;
}

int mb_sharing_create(struct mb_fleet *fleet, struct mb_sharing **ret, struct mb_err *err)
{
	struct mb_sharing *s = calloc(1, sizeof(*s));

	if (!s)
		return mb_fail_mem(err, "sharing");
	pthread_mutex_init(&s->lock, NULL);
	s->fleet = fleet;
	*ret = s;
	return 0;
}

void mb_sharing_destroy(struct mb_sharing *s)
{
	if (!s)
		return;
	view_deinit(&s->view);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void mb_sharing_set_durable(struct mb_sharing *s, uint64_t time_ns)
{
	mb_fleet_set_durable(s->fleet, time_ns);
}

int mb_sharing_lock(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->valid || s->view.fleet.generation != mb_fleet_generation(s->fleet)) {
		s->valid = false;
		r = compute(s, err);
		s->valid = r == 0;
	}
	if (r < 0) {
		pthread_mutex_unlock(&s->lock);
		return r;
	}
	mb_fleet_refresh(s->fleet, &s->view.fleet);
	*ret = &s->view;
	return 0;
}

void mb_sharing_unlock(struct mb_sharing *s)
{
	pthread_mutex_unlock(&s->lock);
}
