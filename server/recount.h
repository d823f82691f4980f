/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing groups brought up to date: only the digests that changed are counted again.
 *
 *	D           all digests that came to a VM or left one since the old groups
 *	now(d)      the VMs that have d: found in their lists, of all VMs
 *	before(d)   the same, but for those that got or lost d
 *	groups   =  old groups, and for each d in D one page less of before(d), one more of now(d)
 *
 * Invariants:
 * - What comes out is what mb_groups_compute() gives for the lists as they are now, byte for byte.
 * - D may be taken too large: where before(d) = now(d), nothing changes. So a digest is told to be
 *   in D by one bit of a small filter, the same for all VMs.
 * - A VM that is gone, or whose changes are too many to be listed, needs no old digests: it is
 *   struck out of every group that it is in. The latter comes back as one that is new: all its
 *   digests are in D.
 *
 * The work is a look at every list, by galloping where D is small and by reading it where it is
 * not, and a sort of the entries of D; the more VMs have a changed digest, the more of these. When
 * that comes to cost more than counting all anew, it is given up.
 */
#ifndef MB_SERVER_RECOUNT_H
#define MB_SERVER_RECOUNT_H

#include <stdbool.h>

#include "server/groups.h"

/* One VM as it is now, and what has changed; borrowed. */
struct mb_recount_vm {
	struct mb_digest_list list;
	const uint64_t *keep; /* by rank: the digests that count; NULL: all */
	/* Of those that count: which came, and which left. Not looked at with `is_new`. */
	struct mb_digest_list changed;
	bool is_new; /* the old groups do not have it */
};

#define MB_RECOUNT_GONE UINT32_MAX

/*
 * `inter`, n_vms x n_vms or NULL: the matrix of the old groups (mb_groups_matrix()) as VMs are
 * numbered now, 0 where one is new; becomes that of the new groups. On error it is spoilt.
 *
 * renamed[i]: the index in vms[] of VM i of the old groups, in the same order, or MB_RECOUNT_GONE;
 * one that is `is_new` may have an old index, too, and is then struck out first. -E2BIG: counting
 * all anew is cheaper. -EINVAL: the old groups are not those of these VMs.
 */
int mb_groups_recount(struct mb_groups *ret, const struct mb_groups *old, const uint32_t *renamed,
		      const struct mb_recount_vm *vms, uint32_t n_vms, uint64_t *inter,
		      struct mb_err *err);

#endif
