/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who shares what with whom: sharing groups and matrix of the whole fleet, computed when asked and
 * kept until the fleet changes. Thread-safe.
 */
#ifndef MB_SERVER_SHARING_H
#define MB_SERVER_SHARING_H

#include "server/fleet.h"
#include "server/groups.h"

/*
 * VMs that may be compared: one hash identity. Of two of which one has sent a sample
 * (proto/sample.h) the figure is an estimate, at the coarser one's rate; what is of all, `any` and
 * the groups, at the coarsest of the set. Cut digests give pairs only: such VMs are in no group,
 * and count for `any` of no other; their own is what they share with the one that they share most
 * with.
 */
struct mb_comparable {
	struct mb_identity identity;
	uint32_t *vms; /* [0, n): indices into the snapshot, ascending; owned */
	uint32_t n;
	uint64_t *inter; /* n x n, by position in vms[] */
	uint64_t *any;	 /* [0, n): digests that at least one other has */
	uint32_t shift;	 /* of the coarsest sample; 0: there is none */
	uint32_t n_cut;	 /* VMs that have sent cut digests (proto/cut.h) */
	/* By how much those may be off, 95 %; NULL where all is exact. */
	uint64_t *inter_error, *any_error;
};

struct mb_sharing_view {
	struct mb_fleet_snapshot fleet; /* without the fingerprints */
	struct mb_groups groups;	/* over the snapshot's indices, all identities together */
	/* The same of the contents that last (server/durable.h); not there where all do. */
	struct mb_groups durable_groups;
	bool has_durable;
	struct mb_comparable *sets;
	uint32_t n_sets;
};

struct mb_sharing;
int mb_sharing_create(struct mb_fleet *fleet, struct mb_sharing **ret, struct mb_err *err);
void mb_sharing_destroy(struct mb_sharing *s);

/* As mb_fleet_set_durable(). */
void mb_sharing_set_durable(struct mb_sharing *s, uint64_t time_ns);

/* Locks the up-to-date view until mb_sharing_unlock(). On error it is not locked. */
int mb_sharing_lock(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err);
void mb_sharing_unlock(struct mb_sharing *s);

#endif
