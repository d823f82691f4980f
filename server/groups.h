/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing groups: the one index from which matrix, host unions and plans follow.
 *
 * All distinct digests that exactly the same set of VMs (two or more) has form one group: {VM set,
 * weight in pages}. It loses nothing that placement needs:
 *
 *	inter(i, j)  = sum of the weights of the groups that have both i and j
 *	union(host)  = sum of its VMs' distinct - sum over groups of weight * max(0, VMs on it - 1)
 *
 * and real fleets have far fewer groups than shared digests. Groups are additive over disjoint
 * digest ranges: computing [0, x) and [x, end) apart and merging equal sets gives the same.
 */
#ifndef MB_SERVER_GROUPS_H
#define MB_SERVER_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

/* One VM's distinct digests, strictly ascending; borrowed. Ranks are as in a fingerprint. */
struct mb_digest_list {
	const uint64_t *digests;
	uint32_t n;
};

struct mb_group {
	uint64_t weight_pages; /* distinct digests that just this set of VMs has */
	uint32_t first_vm;     /* its VMs are vms[first_vm, first_vm + n_vms), ascending */
	uint32_t n_vms;	       /* >= 2 */
};

struct mb_groups {
	struct mb_group *groups; /* sorted by VM set (lexicographic): same input, same bytes */
	size_t n_groups;
	uint32_t *vms; /* owned */
	size_t n_vms;  /* in vms[] */
};

/*
 * Exact groups of the digests in [first, last] (both inclusive: the space ends at UINT64_MAX).
 * `lists` must be comparable (one hash identity). Memory beyond the result: a bucket of the digest
 * space that fits in L2 at a time. -ENOMEM; -EINVAL for more than 2^31 VMs; -EOVERFLOW when the VM
 * sets of all groups exceed 2^32 entries (16 GiB of vms[]).
 */
int mb_groups_compute(struct mb_groups *ret, const struct mb_digest_list *lists, uint32_t n_lists,
		      uint64_t first, uint64_t last, struct mb_err *err);
/* The same of those digests only whose bit, by rank, is set in keep[i]; NULL: all of list i. */
int mb_groups_compute_kept(struct mb_groups *ret, const struct mb_digest_list *lists,
			   const uint64_t *const *keep, uint32_t n_lists, uint64_t first,
			   uint64_t last, struct mb_err *err);
void mb_groups_deinit(struct mb_groups *g);

/* The order of groups[]: lexicographic, a set before those that go on from it. */
int mb_group_set_compare(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b);

/* ret_inter[i * n + j] = |Vi n Vj| for i != j, 0 on the diagonal; n x n, n = number of VMs. */
void mb_groups_matrix(const struct mb_groups *g, uint32_t n, uint64_t *ret_inter);
/* ret_any[i] = distinct digests of VM i that at least one other VM has. */
void mb_groups_any(const struct mb_groups *g, uint32_t n, uint64_t *ret_any);
/* Sum over groups of weight * max(0, members on the host - 1); on_host[i] says whether VM i is. */
uint64_t mb_groups_inter_saving(const struct mb_groups *g, const uint8_t *on_host);

#endif
