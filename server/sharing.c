// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sharing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/blend.h"
#include "server/groups_parallel.h"

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
		r = mb_groups_compute_parallel(&part, slice, set->n, 0, UINT64_MAX, 0, err);
		if (r == 0)
			r = mb_groups_blend(ret, &sum, 100, &part, 100, err);
	}
	return r;
}

static bool all_durable(const struct mb_sharing_view *v, const struct mb_comparable *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_durable *d = mb_fpref_durable(v->fleet.vms[set->vms[i]].fp);

		if (d && !d->whole)
			return false;
	}
	return true;
}

static int compute_set(struct mb_sharing_view *v, struct mb_comparable *set, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc(set->n, sizeof(*lists));
	mb_cleanup(mb_groups_deinit) struct mb_groups g = { 0 }, durable = { 0 };
	bool all = all_durable(v, set);
	int r;

	set->inter = calloc((size_t)set->n * set->n, sizeof(*set->inter));
	set->any = calloc(set->n, sizeof(*set->any));
	if (!lists || !set->inter || !set->any)
		return mb_fail_mem(err, "the sharing matrix");
	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_fingerprint *fp =
			mb_fpref_fingerprint(v->fleet.vms[set->vms[i]].fp);

		lists[i] = (struct mb_digest_list){ fp->digests, fp->n_distinct };
	}
	r = mb_groups_compute_parallel(&g, lists, set->n, 0, UINT64_MAX, 0, err);
	if (r == 0 && !all)
		r = durable_of_set(v, set, lists, &durable, err);
	if (r < 0)
		return r;
	mb_groups_matrix(&g, set->n, set->inter);
	mb_groups_any(&g, set->n, set->any);
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
