// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sharing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/estimate.h"
#include "server/sharing_inside.h"

/* A snapshot and the store may be a publish apart: then both are looked at again. */
enum { EXACT_TRIES = 5 };
/* For what is read of the store, where a quarter of the budget is less. */
#define ROOM_BYTES_MIN ((uint64_t)1 << 20)

uint64_t mb_comparable_inter_error(const struct mb_comparable *set, uint32_t i, uint32_t j)
{
	size_t at = (size_t)i * set->n + j;

	return set->inter_error ? set->inter_error[at] :
				  mb_estimate_error((double)set->inter[at], i != j, set->shift);
}

uint64_t mb_comparable_any_error(const struct mb_comparable *set, uint32_t i)
{
	return set->any_error ? set->any_error[i] :
				mb_estimate_error((double)set->any[i], 1, set->shift);
}

struct mb_sharing {
	pthread_mutex_t lock;
	struct mb_fleet *fleet;
	struct mb_sharing_view view;
	bool valid;
	bool paged; /* the view is an estimate, because fingerprints are paged out */
	struct mb_sharing_stats stats;
	void (*on_compute)(void *ctx);
	void *on_compute_ctx;
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

struct mb_groups mb_comparable_groups(const struct mb_sharing_view *view,
				      const struct mb_comparable *set, bool lasting)
{
	bool apart = lasting && view->has_durable;
	const struct mb_groups *all = apart ? &view->durable_groups : &view->groups;
	const struct mb_group_range *own = apart ? &set->durable_groups : &set->groups;

	return (struct mb_groups){ .groups = all->groups ? all->groups + own->first : NULL,
				   .n_groups = own->n,
				   .vms = all->vms,
				   .n_vms = own->n_vms };
}

static int append_copy(struct mb_groups *to, const struct mb_groups *from,
		       struct mb_group_range *ret, struct mb_err *err)
{
	void *groups, *vms;

	if (to->n_vms + from->n_vms > UINT32_MAX)
		return mb_fail(err, EOVERFLOW, "the VM sets of all sharing groups exceed 2^32");
	groups = reallocarray(to->groups, to->n_groups + from->n_groups + 1, sizeof(*to->groups));
	vms = reallocarray(to->vms, to->n_vms + from->n_vms + 1, sizeof(*to->vms));
	to->groups = groups ? groups : to->groups;
	to->vms = vms ? vms : to->vms;
	if (!groups || !vms)
		return mb_fail_mem(err, "sharing groups");
	*ret = (struct mb_group_range){ to->n_groups, from->n_groups, from->n_vms };
	for (size_t i = 0; i < from->n_groups; i++) {
		struct mb_group g = from->groups[i];

		memcpy(to->vms + to->n_vms, from->vms + g.first_vm, g.n_vms * sizeof(*to->vms));
		g.first_vm = (uint32_t)to->n_vms;
		to->n_vms += g.n_vms;
		to->groups[to->n_groups++] = g;
	}
	return 0;
}

/*
 * Takes `from` over, which counts VMs by their position in the set; the view counts them in the
 * snapshot. Of large fleets these sets of VMs are what takes most after the fingerprints: the
 * first ones, in most fleets all, are not copied.
 */
static int append_groups(struct mb_groups *to, struct mb_groups *from,
			 const struct mb_comparable *set, struct mb_group_range *ret,
			 struct mb_err *err)
{
	int r;

	for (size_t i = 0; i < from->n_vms; i++)
		from->vms[i] = set->vms[from->vms[i]];
	if (!to->n_groups) {
		*ret = (struct mb_group_range){ 0, from->n_groups, from->n_vms };
		mb_groups_deinit(to);
		*to = *from;
		*from = (struct mb_groups){ 0 };
		return 0;
	}
	r = append_copy(to, from, ret, err);
	mb_groups_deinit(from);
	return r;
}

/* How this computation comes to its groups. */
struct how {
	const struct mb_page_source *from; /* NULL: estimate where something is paged out */
	uint64_t room_bytes;
	bool estimate;
};

/* Groups, durable groups, matrix and `any` of the set. */
static int count_set(const struct mb_counting *c, struct mb_comparable *set, const struct how *how,
		     struct mb_counted *ret, struct mb_err *err)
{
	int r;

	if (mb_sharing_is_small(c, set))
		return mb_sharing_estimate_small(c, set, ret, err);
	r = how->estimate ? mb_sharing_estimate(c, set, ret, err) :
	    c->fleet->n_paged_out ?
			    mb_sharing_count_paged(c, set, how->from, how->room_bytes, ret, err) :
			    mb_sharing_count(c, set, ret, err);
	if (r == 0)
		mb_groups_any(&ret->groups, set->n, set->any);
	return r;
}

static int compute_set(struct mb_sharing_view *v, struct mb_comparable *set,
		       const struct mb_counting *c, const struct how *how, struct mb_counted *ret,
		       struct mb_err *err)
{
	int r;

	set->inter = calloc((size_t)set->n * set->n, sizeof(*set->inter));
	set->any = calloc(set->n, sizeof(*set->any));
	if (!set->inter || !set->any)
		return mb_fail_mem(err, "the sharing matrix");
	r = count_set(c, set, how, ret, err);
	v->sample_shift = MB_MAX(v->sample_shift, set->shift);
	v->has_durable |= !set->all_last;
	return r;
}

static int append_durable(struct mb_sharing_view *v, struct mb_comparable *set,
			  struct mb_counted *counted, struct mb_err *err)
{
	struct mb_groups all = mb_comparable_groups(v, set, false);

	if (set->all_last)
		return append_copy(&v->durable_groups, &all, &set->durable_groups, err);
	return append_groups(&v->durable_groups, &counted->durable_groups, set,
			     &set->durable_groups, err);
}

/* Takes over what was counted of each set. */
static int join_groups(struct mb_sharing_view *v, struct mb_counted *counted, struct mb_err *err)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < v->n_sets; i++)
		r = append_groups(&v->groups, &counted[i].groups, &v->sets[i], &v->sets[i].groups,
				  err);
	for (uint32_t i = 0; r == 0 && v->has_durable && i < v->n_sets; i++)
		r = append_durable(v, &v->sets[i], &counted[i], err);
	return r;
}

static int compute_sets(struct mb_sharing *s, const struct mb_fleet_changes *changes,
			const struct mb_sharing_view *before, const struct how *how,
			struct mb_err *err)
{
	struct mb_sharing_view *v = &s->view;
	const struct mb_counting c = {
		.fleet = &v->fleet, .changes = changes, .before = before, .stats = &s->stats
	};
	struct mb_counted *counted = NULL;
	int r = make_sets(v, err);

	if (s->on_compute)
		s->on_compute(s->on_compute_ctx);
	if (r == 0) {
		counted = calloc((size_t)v->n_sets + 1, sizeof(*counted));
		r = counted ? 0 : mb_fail_mem(err, "sharing groups");
	}
	for (uint32_t i = 0; r == 0 && i < v->n_sets; i++)
		r = compute_set(v, &v->sets[i], &c, how, &counted[i], err);
	if (r == 0)
		r = join_groups(v, counted, err);
	for (uint32_t i = 0; counted && i < v->n_sets; i++) {
		mb_groups_deinit(&counted[i].groups);
		mb_groups_deinit(&counted[i].durable_groups);
	}
	free(counted);
	return r;
}

/* Groups, and what changed since, say it all: old fingerprints would double the server's memory. */
static void let_go(struct mb_sharing_view *v)
{
	for (uint32_t i = 0; i < v->fleet.n; i++) {
		mb_fpref_put(v->fleet.vms[i].fp);
		v->fleet.vms[i].fp = NULL;
	}
}

static int compute(struct mb_sharing *s, const struct mb_page_source *from, struct mb_err *err)
{
	mb_cleanup(mb_fleet_changes_deinit) struct mb_fleet_changes changes = { 0 };
	mb_cleanup(view_deinit) struct mb_sharing_view before = s->view;
	bool go_on = s->valid;
	struct how how = { .from = from };
	struct mb_fleet_memory m;
	int r;

	s->view = (struct mb_sharing_view){ 0 };
	s->valid = false;
	r = mb_fleet_take(s->fleet, &s->view.fleet, &changes, err);
	if (r < 0)
		return r;
	mb_fleet_memory(s->fleet, &m);
	how.room_bytes = MB_MAX(m.budget_bytes / 4, ROOM_BYTES_MIN);
	how.estimate = s->view.fleet.n_paged_out && !from;
	s->paged = how.estimate;
	r = compute_sets(s, &changes, go_on ? &before : NULL, &how, err);
	let_go(&s->view);
	s->valid = r == 0;
	return r;
}

/* The source is looked at before the fleet: what it has newer was published meanwhile. */
static int compute_exact(struct mb_sharing *s, const struct mb_page_source *from,
			 struct mb_err *err)
{
	int r = -ESTALE;

	for (int i = 0; i < EXACT_TRIES && r == -ESTALE; i++) {
		r = from->begin(from->ctx, err);
		if (r < 0)
			return r;
		r = compute(s, from, err);
		from->end(from->ctx);
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

void mb_sharing_stats(struct mb_sharing *s, struct mb_sharing_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	pthread_mutex_unlock(&s->lock);
}

void mb_sharing_memory(struct mb_sharing *s, struct mb_fleet_memory *ret)
{
	mb_fleet_memory(s->fleet, ret);
}

void mb_sharing_on_compute(struct mb_sharing *s, void (*fn)(void *ctx), void *ctx)
{
	s->on_compute = fn;
	s->on_compute_ctx = ctx;
}

static int lock_view(struct mb_sharing *s, const struct mb_page_source *from,
		     const struct mb_sharing_view **ret, struct mb_err *err)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (!s->valid || s->view.fleet.generation != mb_fleet_generation(s->fleet) ||
	    (from && s->paged))
		r = from ? compute_exact(s, from, err) : compute(s, NULL, err);
	if (r < 0) {
		pthread_mutex_unlock(&s->lock);
		return r;
	}
	mb_fleet_refresh(s->fleet, &s->view.fleet);
	*ret = &s->view;
	return 0;
}

int mb_sharing_peek(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err)
{
	pthread_mutex_lock(&s->lock);
	if (!s->valid) {
		pthread_mutex_unlock(&s->lock);
		return mb_fail(err, EAGAIN, "sharing has not been computed yet");
	}
	mb_fleet_refresh(s->fleet, &s->view.fleet);
	*ret = &s->view;
	return 0;
}

int mb_sharing_lock(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err)
{
	return lock_view(s, NULL, ret, err);
}

int mb_sharing_lock_exact(struct mb_sharing *s, const struct mb_page_source *from,
			  const struct mb_sharing_view **ret, struct mb_err *err)
{
	return lock_view(s, from, ret, err);
}

void mb_sharing_unlock(struct mb_sharing *s)
{
	pthread_mutex_unlock(&s->lock);
}
