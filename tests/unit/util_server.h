/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the server's tests have in common: Hellos, Delta frames, VMs, folders that go away. */
#ifndef MB_UTIL_SERVER_H
#define MB_UTIL_SERVER_H

#include "proto/base/buf.h"
#include "server/fleet.h"
#include "server/store.h"
#include "tests/unit/util_test.h"

/* A path in a folder of this program's own, which goes away with it. `path` has 128 bytes. */
void scratch_path(const char *name, char *path);

/* XXH64, 64 bits, keyed with a key made of `key`, trust domain `domain`. */
void make_identity(const char *domain, uint8_t key, struct mb_identity *ret);
/* An agent of VM `vm` at its boot `boot`, domain "d", key 1, no host. */
void make_hello(const char *vm, uint8_t boot, struct mb_hello *ret);

/* Digests first, first + step, ... */
void make_fingerprint_of(uint64_t first, uint64_t step, size_t n, struct mb_fingerprint *ret);
/* The Delta as an agent would send it; `base` NULL: a snapshot. */
void make_frame(const struct mb_fingerprint *base, uint64_t base_epoch,
		const struct mb_fingerprint *result, uint64_t epoch, uint32_t bits,
		struct mb_buf *ret);

/* The same made smaller, by how->shift or cut_bits; so is `base`. *ret_small is the caller's. */
void make_small_frame(const struct mb_fingerprint *base, uint64_t base_epoch,
		      const struct mb_fingerprint *whole, uint64_t epoch,
		      const struct mb_sample_of *how, const struct mb_identity *identity,
		      struct mb_fingerprint *ret_small, struct mb_buf *ret);

/*
 * A VM at `epoch` with a fingerprint of its own (a copy); put it to a store or a fleet. The
 * caller's: mb_vm_deinit().
 */
void make_vm(const char *name, uint64_t epoch, const struct mb_fingerprint *fp, struct mb_vm *ret);
/* Makes the VM's fingerprint smaller, by how->shift or cut_bits. */
void small_vm(struct mb_vm *vm, const struct mb_sample_of *how);
/* Stores that VM with a snapshot, in a transaction of its own. */
void store_vm(struct mb_store *s, struct mb_vm *vm);
/* And who dirtied memory, as in a Delta. */
void store_vm_with(struct mb_store *s, struct mb_vm *vm, struct mb_slice who);

#endif
