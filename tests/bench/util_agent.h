/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMs that are made up, as their agents would see them: memory that changes from epoch to epoch,
 * and the frames that tell a server so. The same id and seed give the same memory.
 *
 *	of a VM's pages		10 % zero, 25 % of one of 4 OSes, 25 % of one of 20 applications,
 *				the others its own
 *	of those that change	a third becomes a page of its application, else its own, new
 */
#ifndef MB_UTIL_AGENT_H
#define MB_UTIL_AGENT_H

#include "proto/fingerprint.h"
#include "proto/msg.h"

struct bench_vm {
	uint64_t *pages; /* the digest of each; owned */
	uint32_t id, n_pages;
	uint64_t state; /* of the generator */
};

void bench_vm_init(struct bench_vm *vm, uint32_t id, uint32_t n_pages);
void bench_vm_deinit(struct bench_vm *vm);
/* Changes so many pages, some of them perhaps twice. */
void bench_vm_change(struct bench_vm *vm, uint32_t pages);
void bench_vm_fingerprint(const struct bench_vm *vm, struct mb_fingerprint *ret);

/* An identity that all of them have, and a Hello of VM `name`, boot `boot`; strings borrowed. */
void bench_hello(const char *name, uint64_t boot, uint32_t n_pages, struct mb_hello *ret);
/*
 * The Delta frame from one epoch to another; `from` NULL: a snapshot. `audit`: made with it; NULL:
 * none was. `ret` is cleared first.
 */
void bench_delta_frame(const struct mb_fingerprint *from, uint64_t from_epoch,
		       const struct mb_fingerprint *to, uint64_t to_epoch, uint32_t changed,
		       const struct mb_audit *audit, struct mb_buf *ret);

#endif
