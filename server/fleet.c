// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/estimate.h"
#include "server/fleet_inside.h"
#include "server/fleet_options.h"

int mb_fleet_create(struct mb_fleet **ret, struct mb_err *err)
{
	struct mb_fleet *f = calloc(1, sizeof(*f));

	if (!f)
		return mb_fail_mem(err, "the fleet");
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->settle_lock, NULL);
	f->unsettled_end = &f->unsettled;
	f->shift = MB_PAGED_SHIFT_MIN;
	f->durable_ns = mb_option_infos[MB_OPTION_DURABLE].initial * 1000000000;
	*ret = f;
	return 0;
}

void mb_vm_deinit(struct mb_vm *vm)
{
	mb_fpref_put(vm->fp);
	*vm = (struct mb_vm){ 0 };
}

void mb_fleet_destroy(struct mb_fleet *f)
{
	if (!f)
		return;
	mb_fleet_settle(f);
	for (uint32_t i = 0; i < f->n; i++) {
		mb_vm_deinit(&f->slots[i]->vm);
		mb_change_deinit(&f->slots[i]->changed);
		mb_change_deinit(&f->slots[i]->lasting_changed);
		free(f->slots[i]);
	}
	mb_names_deinit(&f->names);
	free(f->slots);
	free(f->stamps);
	mb_key_rotations_deinit(&f->rotations);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->settle_lock);
	free(f);
}

void mb_fleet_account(struct mb_fleet *f, struct mb_fleet_slot *slot)
{
	uint64_t bytes = mb_fpref_bytes(slot->vm.fp) + mb_change_bytes(&slot->changed) +
			 mb_change_bytes(&slot->lasting_changed);

	f->held_bytes += bytes - slot->bytes;
	slot->bytes = bytes;
}

/* Under the lock. */
static int grow(struct mb_fleet *f, struct mb_err *err)
{
	uint32_t cap = f->cap ? 2 * f->cap : 64;
	void *slots = reallocarray(f->slots, cap, sizeof(struct mb_fleet_slot *));
	void *stamps = reallocarray(f->stamps, cap, sizeof(*f->stamps));

	struct mb_names names = { 0 };

	f->slots = slots ? slots : f->slots;
	f->stamps = stamps ? stamps : f->stamps;
	if (!slots || !stamps)
		return mb_fail_mem(err, "the fleet");
	if (mb_names_init(&names, cap, err) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n; i++)
		mb_names_put(&names, f->slots[i]->vm.name, i);
	mb_names_deinit(&f->names);
	f->names = names;
	f->cap = cap;
	return 0;
}

/* Under the lock. */
static int add(struct mb_fleet *f, const struct mb_vm *vm, struct mb_err *err)
{
	struct mb_fleet_slot *slot;
	int r;

	if (f->n == MB_SERVED_VMS_MAX)
		return mb_fail(err, ENOSPC, "the fleet has %d VMs, and takes no more",
			       MB_SERVED_VMS_MAX);
	if (f->n == f->cap && (r = grow(f, err)) < 0)
		return r;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return mb_fail_mem(err, "a VM");
	slot->vm = *vm;
	slot->changed.all = slot->lasting_changed.all = true;
	if (slot->vm.fp)
		slot->vm.fp->seen_ns = mb_now_ns();
	mb_names_put(&f->names, slot->vm.name, f->n);
	f->stamps[f->n] = ++f->generation;
	f->slots[f->n++] = slot;
	mb_fleet_account(f, slot);
	return 0;
}

int mb_fleet_add(struct mb_fleet *f, const struct mb_vm *vm, struct mb_err *err)
{
	int r;

	pthread_mutex_lock(&f->lock);
	r = add(f, vm, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

/*
 * Agents of one trust domain that hash alike must have the same key: otherwise nothing would ever
 * be found shared, and nobody would know why. The VM itself may change its key when it is alone.
 */
static int check_key(const struct mb_fleet *f, const struct mb_identity *identity,
		     const struct mb_vm *self, struct mb_err *err)
{
	const struct mb_key_rotation *r = mb_key_rotations_find(&f->rotations, identity->domain);

	if (r)
		return mb_key_rotation_check(r, identity, err);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct mb_vm *other = &f->slots[i]->vm;

		if (other != self && other->epoch &&
		    mb_identity_same_space(&other->identity, identity))
			return mb_identity_compare(identity, &other->identity, err);
	}
	return 0;
}

int mb_fleet_check_key(struct mb_fleet *f, uint32_t vm, const struct mb_identity *identity,
		       struct mb_err *err)
{
	int r;

	pthread_mutex_lock(&f->lock);
	r = check_key(f, identity, &f->slots[vm]->vm, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

bool mb_fleet_may_coexist(struct mb_fleet *f, const struct mb_identity *a,
			  const struct mb_identity *b)
{
	const struct mb_key_rotation *r;
	bool may;

	if (mb_identity_compare(a, b, NULL) == 0)
		return true;
	pthread_mutex_lock(&f->lock);
	r = mb_key_rotations_find(&f->rotations, a->domain);
	may = r && mb_key_rotation_check(r, a, NULL) == 0 && mb_key_rotation_check(r, b, NULL) == 0;
	pthread_mutex_unlock(&f->lock);
	return may;
}

static void copy_hello(struct mb_vm *vm, const struct mb_hello *h)
{
	snprintf(vm->name, sizeof(vm->name), "%s", h->vm);
	if (*h->host && *vm->host && strcmp(h->host, vm->host) != 0) {
		memcpy(vm->moved_from, vm->host, sizeof(vm->moved_from));
		vm->moved_ns = mb_now_ns();
	}
	if (*h->host)
		snprintf(vm->host, sizeof(vm->host), "%s", h->host);
	snprintf(vm->source, sizeof(vm->source), "%s", h->source);
	vm->memory_bytes = h->memory_bytes;
}

static int greet(struct mb_fleet *f, const struct mb_hello *h, uint64_t session,
		 struct mb_welcome *ret, uint32_t *ret_vm, struct mb_err *err)
{
	struct mb_vm *vm = NULL;
	struct mb_err no;
	uint32_t i = f->n ? mb_names_find(&f->names, h->vm) : MB_NO_NAME;
	int r;

	if (i != MB_NO_NAME)
		vm = &f->slots[i]->vm;
	if (vm && vm->session)
		return mb_fail(err, EBUSY, "VM \"%s\" has a connected agent", h->vm);
	r = check_key(f, &h->identity, vm, err);
	if (r < 0)
		return r;
	if (!vm) {
		struct mb_vm new = { .identity = h->identity };

		copy_hello(&new, h);
		i = f->n;
		r = add(f, &new, err);
		if (r < 0)
			return r;
		vm = &f->slots[i]->vm;
	}
	copy_hello(vm, h);
	vm->session = session;
	*ret_vm = i;
	if (vm->epoch && memcmp(&vm->boot, &h->boot, sizeof(vm->boot)) == 0 &&
	    mb_identity_compare(&vm->identity, &h->identity, &no) == 0 &&
	    vm->sample.shift == ret->sample_shift && vm->sample.cut_bits == ret->cut_bits) {
		ret->boot = vm->boot;
		ret->epoch = vm->epoch;
		ret->fingerprint = mb_fpref_id(vm->fp);
	}
	return 0;
}

int mb_fleet_greet(struct mb_fleet *f, const struct mb_hello *hello, uint64_t session,
		   struct mb_welcome *ret, uint32_t *ret_vm, struct mb_err *err)
{
	int r;

	pthread_mutex_lock(&f->lock);
	r = greet(f, hello, session, ret, ret_vm, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

void mb_fleet_leave(struct mb_fleet *f, uint32_t vm, uint64_t session)
{
	pthread_mutex_lock(&f->lock);
	if (f->slots[vm]->vm.session == session)
		f->slots[vm]->vm.session = 0;
	pthread_mutex_unlock(&f->lock);
}

static void copy_vm(struct mb_vm *to, const struct mb_vm *from)
{
	*to = *from;
	to->pass.tracker = NULL;
	mb_fpref_get(to->fp);
}

void mb_fleet_get(struct mb_fleet *f, uint32_t index, struct mb_vm *ret)
{
	pthread_mutex_lock(&f->lock);
	copy_vm(ret, &f->slots[index]->vm);
	pthread_mutex_unlock(&f->lock);
}

/* Under the lock. */
static void count_key(struct mb_fleet *f, const struct mb_vm *vm, int by)
{
	struct mb_key_rotation *r = mb_key_rotations_find(&f->rotations, vm->identity.domain);

	if (r && vm->epoch)
		mb_key_rotation_count(r, &vm->identity, by);
}

/* Contents of two hash identities, or made smaller in two ways, cannot be compared. */
static bool comes_after(const struct mb_vm *vm, const struct mb_vm *old)
{
	return old->fp && old->epoch && mb_small_alike(&vm->sample, &old->sample) &&
	       mb_identity_compare(&vm->identity, &old->identity, NULL) == 0;
}

static void add_up(struct mb_vm_totals *to, const struct mb_vm *vm)
{
	to->deltas++;
	to->epochs += vm->pass.epochs;
	to->wire_bytes += vm->wire_bytes;
	to->changed_pages += vm->pass.pages_changed;
	mb_audit_add(&to->audit, &vm->pass.audit);
}

void mb_fleet_publish(struct mb_fleet *f, uint32_t index, const struct mb_vm *vm)
{
	struct mb_fleet_slot *slot;
	struct mb_fpref *fp = vm->fp;
	struct mb_vm *own, old;

	pthread_mutex_lock(&f->lock);
	slot = f->slots[index];
	own = &slot->vm;
	old = *own;
	*own = *vm;
	/* What an agent says of itself may have changed since `vm` was copied. */
	memcpy(own->host, old.host, sizeof(own->host));
	memcpy(own->source, old.source, sizeof(own->source));
	memcpy(own->moved_from, old.moved_from, sizeof(own->moved_from));
	own->moved_ns = old.moved_ns;
	own->memory_bytes = old.memory_bytes;
	own->session = old.session;
	own->pass.tracker = NULL;
	own->totals = old.totals;
	add_up(&own->totals, own);
	count_key(f, &old, -1);
	count_key(f, own, 1);
	f->stamps[index] = ++f->generation;
	if (fp && fp != old.fp) {
		fp->seen_ns = mb_now_ns();
		fp->vm = index;
		if (comes_after(vm, &old))
			fp->before = mb_fpref_get(old.fp);
		*f->unsettled_end = mb_fpref_get(fp);
		f->unsettled_end = &fp->next;
	}
	f->n_paged_out -= mb_fpref_is_paged_out(old.fp) && !mb_fpref_is_paged_out(fp);
	mb_fleet_account(f, slot);
	pthread_mutex_unlock(&f->lock);
	mb_fpref_put(old.fp);
}

/* --- keys that are changed (key_rotation.h) --------------------------------------------------- */

/* Under the lock. r->from: of some VM, unless it is known. */
static void count_keys(const struct mb_fleet *f, struct mb_key_rotation *r, bool is_known)
{
	r->n_from = r->n_to = r->n_other = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct mb_vm *vm = &f->slots[i]->vm;

		if (!vm->epoch || strcmp(vm->identity.domain, r->domain) != 0)
			continue;
		if (!is_known)
			r->from = r->to = mb_identity_key_id(&vm->identity);
		is_known = true;
		mb_key_rotation_count(r, &vm->identity, 1);
	}
}

int mb_fleet_plan_rotation(struct mb_fleet *f, const char *domain, uint32_t to,
			   struct mb_key_rotation *ret, struct mb_err *err)
{
	int r;

	*ret = (struct mb_key_rotation){ 0 };
	snprintf(ret->domain, sizeof(ret->domain), "%s", domain);
	pthread_mutex_lock(&f->lock);
	count_keys(f, ret, false);
	r = mb_key_rotation_plan(ret, mb_key_rotations_find(&f->rotations, domain), to, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

int mb_fleet_begin_rotation(struct mb_fleet *f, const struct mb_key_rotation *r, struct mb_err *err)
{
	struct mb_key_rotation own = *r, *last;
	int e = 1;

	pthread_mutex_lock(&f->lock);
	count_keys(f, &own, true);
	last = mb_key_rotations_find(&f->rotations, r->domain);
	if (own.n_from)
		e = mb_key_rotations_put(&f->rotations, &own, err);
	else if (last)
		mb_key_rotations_remove(&f->rotations, last);
	pthread_mutex_unlock(&f->lock);
	return e;
}

bool mb_fleet_rotation(struct mb_fleet *f, uint32_t i, struct mb_key_rotation *ret)
{
	bool there;

	pthread_mutex_lock(&f->lock);
	there = i < f->rotations.n;
	if (there)
		*ret = f->rotations.list[i];
	pthread_mutex_unlock(&f->lock);
	return there;
}

bool mb_fleet_end_rotation(struct mb_fleet *f, struct mb_key_rotation *ret)
{
	bool found = false;

	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < f->rotations.n && !found; i++) {
		struct mb_key_rotation *r = &f->rotations.list[i];

		found = !r->n_from;
		if (!found)
			continue;
		*ret = *r;
		mb_key_rotations_remove(&f->rotations, r);
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}
