// SPDX-License-Identifier: GPL-2.0-or-later
/* Copies of the fleet for readers, made in pieces: whoever acks must not wait for all of it. */
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/fleet_inside.h"

enum { PIECE_VMS = 64 }; /* some 100 KB */

static void copy_vm(struct mb_vm *to, const struct mb_vm *from, uint32_t index)
{
	mb_fpref_put(to->fp);
	*to = *from;
	to->pass.tracker = NULL;
	to->index = index;
	to->paged_out = mb_fpref_is_paged_out(from->fp);
	mb_fpref_get(to->fp);
}

/* Room for so many; what is there stays. */
static int make_room(struct mb_fleet_snapshot *s, uint32_t *cap, uint32_t n, struct mb_err *err)
{
	void *p;

	if (n <= *cap)
		return 0;
	p = reallocarray(s->vms, n, sizeof(*s->vms));
	if (!p)
		return mb_fail_mem(err, "a view of the fleet");
	s->vms = p;
	*cap = n;
	return 0;
}

/* The VMs from s->n on, piece by piece; until the last one. *ret_generation: all since then is new.
 */
static int copy_pieces(struct mb_fleet *f, struct mb_fleet_snapshot *s, uint32_t *cap,
		       uint64_t *ret_generation, struct mb_err *err)
{
	uint32_t left;
	int r;

	pthread_mutex_lock(&f->lock);
	*ret_generation = f->generation;
	left = f->n;
	pthread_mutex_unlock(&f->lock);
	r = make_room(s, cap, left + PIECE_VMS, err);
	while (r == 0 && s->n < left) {
		pthread_mutex_lock(&f->lock);
		for (uint32_t i = 0; i < PIECE_VMS && s->n < left; i++, s->n++) {
			s->vms[s->n].fp = NULL;
			copy_vm(&s->vms[s->n], &f->slots[s->n]->vm, s->n);
		}
		pthread_mutex_unlock(&f->lock);
	}
	return r;
}

/* Under the lock: what changed while pieces were copied. */
static void copy_changed(struct mb_fleet *f, struct mb_fleet_snapshot *s, uint64_t since)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (f->stamps[i] > since)
			copy_vm(&s->vms[i], &f->slots[i]->vm, i);
	for (; s->n < f->n; s->n++) {
		s->vms[s->n].fp = NULL;
		copy_vm(&s->vms[s->n], &f->slots[s->n]->vm, s->n);
	}
	s->generation = f->generation;
	s->n_paged_out = f->n_paged_out;
	s->sample_shift = f->shift;
}

/* In the fleet's order. `ret_unsettled`: what of it is not settled, taken off the fleet; or NULL.
 */
static int copy_fleet(struct mb_fleet *f, struct mb_fleet_snapshot *s,
		      struct mb_fpref **ret_unsettled, struct mb_err *err)
{
	uint32_t cap = 0;
	uint64_t since;
	bool done;
	int r;

	*s = (struct mb_fleet_snapshot){ 0 };
	do {
		r = copy_pieces(f, s, &cap, &since, err);
		if (r < 0) {
			mb_fleet_snapshot_deinit(s);
			return r;
		}
		pthread_mutex_lock(&f->lock);
		/* More VMs came than there is room for. */
		done = f->n <= cap;
		if (done)
			copy_changed(f, s, since);
		if (done && ret_unsettled) {
			*ret_unsettled = f->unsettled;
			f->unsettled = NULL;
			f->unsettled_end = &f->unsettled;
		}
		pthread_mutex_unlock(&f->lock);
	} while (!done);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mb_vm *)a)->name, ((const struct mb_vm *)b)->name);
}

static void sort(struct mb_fleet_snapshot *s)
{
	if (s->n)
		qsort(s->vms, s->n, sizeof(*s->vms), by_name);
}

int mb_fleet_snapshot(struct mb_fleet *f, struct mb_fleet_snapshot *ret, struct mb_err *err)
{
	int r = copy_fleet(f, ret, NULL, err);

	if (r == 0)
		sort(ret);
	return r;
}

/* Under settle_lock. */
static void take_changes(struct mb_fleet *f, const struct mb_fleet_snapshot *s,
			 struct mb_fleet_changes *ret)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct mb_fleet_slot *slot;

		pthread_mutex_lock(&f->lock);
		slot = f->slots[s->vms[i].index];
		ret->changed[i] = slot->changed;
		ret->lasting[i] = slot->lasting_changed;
		slot->changed = slot->lasting_changed = (struct mb_change){ 0 };
		mb_fleet_account(f, slot);
		pthread_mutex_unlock(&f->lock);
		ret->n++;
	}
}

int mb_fleet_take(struct mb_fleet *f, struct mb_fleet_snapshot *ret,
		  struct mb_fleet_changes *ret_changes, struct mb_err *err)
{
	struct mb_fpref *unsettled = NULL;
	int r;

	*ret_changes = (struct mb_fleet_changes){ 0 };
	pthread_mutex_lock(&f->settle_lock);
	r = copy_fleet(f, ret, &unsettled, err);
	if (r == 0) {
		sort(ret);
		/* All that the copies have, and nothing newer. */
		mb_fleet_settle_list(f, unsettled);
		ret_changes->changed = calloc((size_t)ret->n + 1, sizeof(struct mb_change));
		ret_changes->lasting = calloc((size_t)ret->n + 1, sizeof(struct mb_change));
		if (ret_changes->changed && ret_changes->lasting)
			take_changes(f, ret, ret_changes);
		else
			r = mb_fail_mem(err, "what changed of the fleet");
	}
	pthread_mutex_unlock(&f->settle_lock);
	if (r < 0) {
		mb_fleet_changes_deinit(ret_changes);
		mb_fleet_snapshot_deinit(ret);
	}
	return r;
}

void mb_fleet_changes_deinit(struct mb_fleet_changes *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		mb_change_deinit(&c->changed[i]);
		mb_change_deinit(&c->lasting[i]);
	}
	free(c->changed);
	free(c->lasting);
	*c = (struct mb_fleet_changes){ 0 };
}

void mb_fleet_refresh(struct mb_fleet *f, struct mb_fleet_snapshot *s)
{
	for (uint32_t i = 0; i < s->n;) {
		pthread_mutex_lock(&f->lock);
		for (uint32_t k = 0; k < PIECE_VMS && i < s->n; k++, i++) {
			const struct mb_vm *now = &f->slots[s->vms[i].index]->vm;

			memcpy(s->vms[i].host, now->host, sizeof(now->host));
			memcpy(s->vms[i].source, now->source, sizeof(now->source));
			memcpy(s->vms[i].moved_from, now->moved_from, sizeof(now->moved_from));
			s->vms[i].moved_ns = now->moved_ns;
			s->vms[i].memory_bytes = now->memory_bytes;
			s->vms[i].session = now->session;
			s->vms[i].paged_out = mb_fpref_is_paged_out(now->fp);
		}
		pthread_mutex_unlock(&f->lock);
	}
}

void mb_fleet_snapshot_deinit(struct mb_fleet_snapshot *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		mb_vm_deinit(&s->vms[i]);
	free(s->vms);
	*s = (struct mb_fleet_snapshot){ 0 };
}

uint64_t mb_fleet_generation(struct mb_fleet *f)
{
	uint64_t g;

	pthread_mutex_lock(&f->lock);
	g = f->generation;
	pthread_mutex_unlock(&f->lock);
	return g;
}

struct mb_fleet_count mb_fleet_count(struct mb_fleet *f)
{
	struct mb_fleet_count n = { 0 };

	pthread_mutex_lock(&f->lock);
	n.vms = f->n;
	for (uint32_t i = 0; i < f->n; i++)
		n.online += f->slots[i]->vm.session != 0;
	pthread_mutex_unlock(&f->lock);
	return n;
}
