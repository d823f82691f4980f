// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sharing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

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

static int compute_set(struct mb_sharing_view *v, struct mb_comparable *set, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc(set->n, sizeof(*lists));
	mb_cleanup(mb_groups_deinit) struct mb_groups g = { 0 };
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
	r = mb_groups_compute(&g, lists, set->n, 0, UINT64_MAX, err);
	if (r < 0)
		return r;
	mb_groups_matrix(&g, set->n, set->inter);
	mb_groups_any(&g, set->n, set->any);
	return append_groups(&v->groups, &g, set, err);
}

static int compute(struct mb_sharing *s, struct mb_err *err)
{
	struct mb_sharing_view *v = &s->view;
	int r;

	view_deinit(v);
	r = mb_fleet_snapshot(s->fleet, &v->fleet, err);
	if (r == 0)
		r = make_sets(v, err);
	for (uint32_t i = 0; r == 0 && i < v->n_sets; i++)
		r = compute_set(v, &v->sets[i], err);
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
