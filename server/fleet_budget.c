// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/small.h"
#include "server/estimate.h"
#include "server/fleet_inside.h"

void mb_fleet_set_budget(struct mb_fleet *f, uint64_t bytes)
{
	pthread_mutex_lock(&f->lock);
	f->budget_bytes = bytes;
	pthread_mutex_unlock(&f->lock);
}

void mb_fleet_memory(struct mb_fleet *f, struct mb_fleet_memory *ret)
{
	pthread_mutex_lock(&f->lock);
	*ret = (struct mb_fleet_memory){ .held_bytes = f->held_bytes,
					 .budget_bytes = f->budget_bytes,
					 .n_paged_out = f->n_paged_out,
					 .sample_shift = f->shift,
					 .page_outs = f->page_outs,
					 .page_ins = f->page_ins };
	pthread_mutex_unlock(&f->lock);
}

static bool is_whole(const struct mb_fleet_slot *slot)
{
	return slot->vm.fp && !slot->vm.fp->paged_out;
}

static int compare_victims(const void *a, const void *b)
{
	const struct mb_fleet_slot *x = *(struct mb_fleet_slot *const *)a;
	const struct mb_fleet_slot *y = *(struct mb_fleet_slot *const *)b;
	const struct mb_vm *vx = &x->vm, *vy = &y->vm;

	if (!vx->session != !vy->session)
		return vx->session ? 1 : -1;
	if (!vx->session && vx->acked_unix_ns != vy->acked_unix_ns)
		return vx->acked_unix_ns < vy->acked_unix_ns ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(vx->name, vy->name);
}

/* Under both locks. What is let go of is freed later, without them. */
static bool replace(struct mb_fleet *f, struct mb_fleet_slot *slot, struct mb_fpref **ret_old)
{
	uint32_t bits = mb_small_bits(&slot->vm.sample, slot->vm.identity.bits);
	struct mb_fpref *out = mb_fpref_page_out(slot->vm.fp, mb_sample_last(bits, f->shift));

	if (!out)
		return false;
	f->n_paged_out += !slot->vm.fp->paged_out;
	f->page_outs += !slot->vm.fp->paged_out;
	*ret_old = slot->vm.fp;
	slot->vm.fp = out;
	mb_fleet_account(f, slot);
	return true;
}

/* Of all VMs, were they paged out. */
static uint64_t sample_bytes(const struct mb_fleet *f)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < f->n; i++)
		bytes += mb_fpref_id(f->slots[i]->vm.fp).distinct * sizeof(uint64_t) >> f->shift;
	return bytes;
}

/* Changes are for who counts all; with something paged out that is seldom done. */
static void forget_changes(struct mb_fleet *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		mb_change_set_all(&f->slots[i]->changed);
		mb_change_set_all(&f->slots[i]->lasting_changed);
		mb_fleet_account(f, f->slots[i]);
	}
}

/* Under both locks: VMs to be paged out, in this order, to victims[0, n]. */
static uint32_t find_victims(struct mb_fleet *f, struct mb_fleet_slot **victims)
{
	unsigned int shift = f->shift;
	uint32_t n = 0;

	if (f->held_bytes <= f->budget_bytes)
		return 0;
	forget_changes(f);
	while (f->shift < MB_PAGED_SHIFT_MAX && sample_bytes(f) > f->budget_bytes / 4)
		f->shift += 2;
	for (uint32_t i = 0; i < f->n; i++)
		if (f->slots[i]->vm.fp && (is_whole(f->slots[i]) || f->shift != shift))
			victims[n++] = f->slots[i];
	if (n)
		qsort(victims, n, sizeof(struct mb_fleet_slot *), compare_victims);
	return n;
}

static void trim(struct mb_fleet *f, struct mb_fleet_slot **victims, struct mb_fpref **gone)
{
	/* A little more than need be, so that not every epoch has somebody's turn come. */
	uint64_t target = f->budget_bytes - f->budget_bytes / 16;
	uint32_t n = find_victims(f, victims);

	for (uint32_t i = 0; i < n; i++)
		/* Samples that are larger than they need be shrink in any case. */
		if (victims[i]->vm.fp->paged_out || f->held_bytes > target)
			replace(f, victims[i], &gone[i]);
}

void mb_fleet_trim(struct mb_fleet *f)
{
	mb_autofree struct mb_fleet_slot **victims = NULL;
	mb_autofree struct mb_fpref **gone = NULL;
	struct mb_fleet_memory m;
	uint32_t n;

	mb_fleet_memory(f, &m);
	if (!m.budget_bytes || m.held_bytes <= m.budget_bytes)
		return;
	mb_fleet_settle(f);
	pthread_mutex_lock(&f->settle_lock);
	pthread_mutex_lock(&f->lock);
	n = f->n;
	victims = calloc((size_t)n + 1, sizeof(struct mb_fleet_slot *));
	gone = calloc((size_t)n + 1, sizeof(struct mb_fpref *));
	if (victims && gone && !f->unsettled)
		trim(f, victims, gone);
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->settle_lock);
	for (uint32_t i = 0; gone && i < n; i++)
		mb_fpref_put(gone[i]);
}

int mb_fleet_page_in(struct mb_fleet *f, uint32_t index, struct mb_fingerprint *fp,
		     struct mb_err *err)
{
	struct mb_fpref *in = NULL, *out;
	struct mb_fleet_slot *slot;
	int r = 0;

	pthread_mutex_lock(&f->settle_lock);
	pthread_mutex_lock(&f->lock);
	slot = f->slots[index];
	out = mb_fpref_get(slot->vm.fp);
	pthread_mutex_unlock(&f->lock);
	if (mb_fpref_is_paged_out(out))
		r = mb_fpref_page_in(out, fp, &in, err);
	else
		mb_fingerprint_deinit(fp);
	pthread_mutex_lock(&f->lock);
	/* Only who pages in or publishes could have changed it. */
	if (in) {
		mb_fpref_put(slot->vm.fp);
		slot->vm.fp = in;
		f->n_paged_out--;
		f->page_ins++;
		mb_fleet_account(f, slot);
	}
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->settle_lock);
	mb_fpref_put(out);
	return r;
}
