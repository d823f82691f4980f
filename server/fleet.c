// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

struct mb_fpref {
	atomic_uint refs;
	struct mb_fingerprint fp;
};

struct mb_fpref *mb_fpref_new(struct mb_fingerprint *fp)
{
	struct mb_fpref *ref = malloc(sizeof(*ref));

	if (!ref)
		return NULL;
	atomic_init(&ref->refs, 1);
	ref->fp = *fp;
	*fp = (struct mb_fingerprint){ 0 };
	return ref;
}

struct mb_fpref *mb_fpref_get(struct mb_fpref *ref)
{
	if (ref)
		atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
	return ref;
}

void mb_fpref_put(struct mb_fpref *ref)
{
	if (!ref || atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) != 1)
		return;
	mb_fingerprint_deinit(&ref->fp);
	free(ref);
}

const struct mb_fingerprint *mb_fpref_fingerprint(const struct mb_fpref *ref)
{
	static const struct mb_fingerprint empty;

	return ref ? &ref->fp : &empty;
}

struct mb_fleet {
	pthread_mutex_t lock;
	struct mb_vm **vms; /* each on its own, so that the array may move */
	uint32_t n, cap;
	uint64_t generation;
};

int mb_fleet_create(struct mb_fleet **ret, struct mb_err *err)
{
	struct mb_fleet *f = calloc(1, sizeof(*f));

	if (!f)
		return mb_fail_mem(err, "the fleet");
	pthread_mutex_init(&f->lock, NULL);
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
	for (uint32_t i = 0; i < f->n; i++) {
		mb_vm_deinit(f->vms[i]);
		free(f->vms[i]);
	}
	free(f->vms);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* Under the lock. */
static int add(struct mb_fleet *f, const struct mb_vm *vm, struct mb_err *err)
{
	struct mb_vm *own;

	if (f->n == MB_SERVED_VMS_MAX)
		return mb_fail(err, ENOSPC, "the fleet has %d VMs, and takes no more",
			       MB_SERVED_VMS_MAX);
	if (f->n == f->cap) {
		uint32_t cap = f->cap ? 2 * f->cap : 64;
		void *p = reallocarray(f->vms, cap, sizeof(struct mb_vm *));

		if (!p)
			return mb_fail_mem(err, "the fleet");
		f->vms = p;
		f->cap = cap;
	}
	own = malloc(sizeof(*own));
	if (!own)
		return mb_fail_mem(err, "a VM");
	*own = *vm;
	f->vms[f->n++] = own;
	f->generation++;
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
	for (uint32_t i = 0; i < f->n; i++) {
		const struct mb_vm *other = f->vms[i];

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
	r = check_key(f, identity, f->vms[vm], err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void copy_hello(struct mb_vm *vm, const struct mb_hello *h)
{
	snprintf(vm->name, sizeof(vm->name), "%s", h->vm);
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
	uint32_t i;
	int r;

	for (i = 0; i < f->n && strcmp(f->vms[i]->name, h->vm) != 0;)
		i++;
	if (i < f->n)
		vm = f->vms[i];
	if (vm && vm->session)
		return mb_fail(err, EBUSY, "VM \"%s\" has a connected agent", h->vm);
	r = check_key(f, &h->identity, vm, err);
	if (r < 0)
		return r;
	if (!vm) {
		struct mb_vm new = { .identity = h->identity };

		copy_hello(&new, h);
		r = add(f, &new, err);
		if (r < 0)
			return r;
		vm = f->vms[i];
	}
	copy_hello(vm, h);
	vm->session = session;
	*ret_vm = i;
	if (vm->epoch && memcmp(&vm->boot, &h->boot, sizeof(vm->boot)) == 0 &&
	    mb_identity_compare(&vm->identity, &h->identity, &no) == 0) {
		ret->boot = vm->boot;
		ret->epoch = vm->epoch;
		ret->fingerprint = mb_fingerprint_id(mb_fpref_fingerprint(vm->fp));
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
	if (f->vms[vm]->session == session)
		f->vms[vm]->session = 0;
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
	copy_vm(ret, f->vms[index]);
	pthread_mutex_unlock(&f->lock);
}

void mb_fleet_publish(struct mb_fleet *f, uint32_t index, const struct mb_vm *vm)
{
	struct mb_vm *own, old;

	pthread_mutex_lock(&f->lock);
	own = f->vms[index];
	old = *own;
	*own = *vm;
	/* What an agent says of itself may have changed since `vm` was copied. */
	memcpy(own->host, old.host, sizeof(own->host));
	memcpy(own->source, old.source, sizeof(own->source));
	own->memory_bytes = old.memory_bytes;
	own->session = old.session;
	own->pass.tracker = NULL;
	f->generation++;
	pthread_mutex_unlock(&f->lock);
	mb_fpref_put(old.fp);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct mb_vm *)a)->name, ((const struct mb_vm *)b)->name);
}

int mb_fleet_snapshot(struct mb_fleet *f, struct mb_fleet_snapshot *ret, struct mb_err *err)
{
	*ret = (struct mb_fleet_snapshot){ 0 };
	pthread_mutex_lock(&f->lock);
	ret->vms = calloc(f->n + 1, sizeof(*ret->vms));
	for (uint32_t i = 0; ret->vms && i < f->n; i++) {
		copy_vm(&ret->vms[i], f->vms[i]);
		ret->vms[i].index = i;
		ret->n++;
	}
	ret->generation = f->generation;
	pthread_mutex_unlock(&f->lock);
	if (!ret->vms)
		return mb_fail_mem(err, "a view of the fleet");
	qsort(ret->vms, ret->n, sizeof(*ret->vms), by_name);
	return 0;
}

void mb_fleet_refresh(struct mb_fleet *f, struct mb_fleet_snapshot *s)
{
	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct mb_vm *now = f->vms[s->vms[i].index];

		memcpy(s->vms[i].host, now->host, sizeof(now->host));
		memcpy(s->vms[i].source, now->source, sizeof(now->source));
		s->vms[i].memory_bytes = now->memory_bytes;
		s->vms[i].session = now->session;
	}
	pthread_mutex_unlock(&f->lock);
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
