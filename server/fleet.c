// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/fleet_options.h"

/* All but `refs` and `fp` are changed under the fleet's settle_lock only. */
struct mb_fpref {
	atomic_uint refs;
	struct mb_fingerprint fp;
	uint64_t seen_ns;	 /* when it was published */
	struct mb_fpref *before; /* the VM's last one, until it is settled; a reference */
	struct mb_fpref *next;	 /* in the list of those to be settled; that has a reference */
	bool has_durable;
	struct mb_durable durable;
};

struct mb_fpref *mb_fpref_new(struct mb_fingerprint *fp)
{
	struct mb_fpref *ref = calloc(1, sizeof(*ref));

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
	mb_fpref_put(ref->before);
	mb_durable_deinit(&ref->durable);
	mb_fingerprint_deinit(&ref->fp);
	free(ref);
}

const struct mb_fingerprint *mb_fpref_fingerprint(const struct mb_fpref *ref)
{
	static const struct mb_fingerprint empty;

	return ref ? &ref->fp : &empty;
}

const struct mb_durable *mb_fpref_durable(const struct mb_fpref *ref)
{
	return ref && ref->has_durable ? &ref->durable : NULL;
}

struct mb_fleet {
	pthread_mutex_t settle_lock; /* taken before `lock` */
	struct mb_fpref *unsettled;  /* published since the last time */
	pthread_mutex_t lock;
	uint64_t durable_ns;
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
	pthread_mutex_init(&f->settle_lock, NULL);
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
		mb_vm_deinit(f->vms[i]);
		free(f->vms[i]);
	}
	free(f->vms);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->settle_lock);
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
	if (own->fp)
		own->fp->seen_ns = mb_now_ns();
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
	    mb_identity_compare(&vm->identity, &h->identity, &no) == 0 &&
	    vm->sample.shift == ret->sample_shift && vm->sample.cut_bits == ret->cut_bits) {
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

/* --- what lasts ------------------------------------------------------------------------------- */

/* Under settle_lock. Short of memory, the VM begins anew: that is a guess, but a mild one. */
static void settle(struct mb_fleet *f, struct mb_fpref *ref)
{
	const struct mb_fpref *before = ref->before;
	struct mb_durable first;
	uint64_t time;

	if (!before)
		return;
	pthread_mutex_lock(&f->lock);
	time = f->durable_ns;
	pthread_mutex_unlock(&f->lock);
	mb_durable_start(&first, before->fp.n_distinct, before->seen_ns);
	ref->has_durable =
		mb_durable_carry(
			&ref->durable, before->has_durable ? &before->durable : &first,
			&(struct mb_digest_list){ before->fp.digests, before->fp.n_distinct },
			&(struct mb_digest_list){ ref->fp.digests, ref->fp.n_distinct },
			ref->seen_ns, time, NULL) == 0;
	mb_fpref_put(ref->before);
	ref->before = NULL;
}

/* Under settle_lock: `ref` comes after `before`. */
static void put_behind(struct mb_fleet *f, struct mb_fpref *ref, struct mb_fpref *before)
{
	settle(f, before);
	ref->before = mb_fpref_get(before);
	ref->next = f->unsettled;
	f->unsettled = mb_fpref_get(ref);
}

void mb_fleet_set_durable(struct mb_fleet *f, uint64_t time_ns)
{
	pthread_mutex_lock(&f->lock);
	f->durable_ns = time_ns;
	pthread_mutex_unlock(&f->lock);
}

void mb_fleet_settle(struct mb_fleet *f)
{
	struct mb_fpref *ref;

	/* One at a time, so that a publish has not to wait for all. */
	do {
		pthread_mutex_lock(&f->settle_lock);
		ref = f->unsettled;
		if (ref) {
			f->unsettled = ref->next;
			ref->next = NULL;
			settle(f, ref);
		}
		pthread_mutex_unlock(&f->settle_lock);
		mb_fpref_put(ref);
	} while (ref);
}

/* Contents of two hash identities, or made smaller in two ways, cannot be compared. */
static bool comes_after(const struct mb_vm *vm, const struct mb_vm *old)
{
	return vm->fp && old->fp && old->epoch && mb_small_alike(&vm->sample, &old->sample) &&
	       mb_identity_compare(&vm->identity, &old->identity, NULL) == 0;
}

void mb_fleet_publish(struct mb_fleet *f, uint32_t index, const struct mb_vm *vm)
{
	struct mb_vm *own, old;

	pthread_mutex_lock(&f->settle_lock);
	pthread_mutex_lock(&f->lock);
	own = f->vms[index];
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
	if (own->fp && own->fp != old.fp)
		own->fp->seen_ns = mb_now_ns();
	f->generation++;
	pthread_mutex_unlock(&f->lock);
	if (vm->fp != old.fp && comes_after(vm, &old))
		put_behind(f, vm->fp, old.fp);
	pthread_mutex_unlock(&f->settle_lock);
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
		memcpy(s->vms[i].moved_from, now->moved_from, sizeof(now->moved_from));
		s->vms[i].moved_ns = now->moved_ns;
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
