/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who shares what with whom: sharing groups and matrix of the whole fleet, computed when asked and
 * kept until the fleet changes; then only what changed is counted again (recount.h), unless that
 * is so much that counting all anew is cheaper. Thread-safe; who asks while somebody computes waits
 * and finds it done. Nothing that the way in needs is held meanwhile.
 *
 * Where fingerprints are paged out, the figures are estimates from samples (estimate.h), unless
 * exact ones are asked for: then the store is read. Where agents send less than all, they are
 * estimates in any case.
 */
#ifndef MB_SERVER_SHARING_H
#define MB_SERVER_SHARING_H

#include "server/fleet.h"
#include "server/groups.h"

/* Some of a view's groups, one after the other. */
struct mb_group_range {
	size_t first, n; /* groups */
	size_t n_vms;	 /* in their sets, all together */
};

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
	/* Which of the view's groups are its own: what is counted from when it changes. */
	struct mb_group_range groups, durable_groups;
	bool all_last;	/* then its groups and its durable ones are the same */
	uint32_t shift; /* of the coarsest sample, sent or left in memory; 0: there is none */
	uint32_t n_cut; /* VMs that have sent cut digests (proto/cut.h) */
	/* How far those may be off; NULL: as mb_estimate_error() says at that shift. */
	uint64_t *inter_error, *any_error;
};

/* Half the width of the 95 % interval; 0: it is exact. */
uint64_t mb_comparable_inter_error(const struct mb_comparable *set, uint32_t i, uint32_t j);
uint64_t mb_comparable_any_error(const struct mb_comparable *set, uint32_t i);
static inline bool mb_comparable_is_estimate(const struct mb_comparable *set)
{
	return set->shift || set->n_cut;
}

struct mb_sharing_view {
	struct mb_fleet_snapshot fleet; /* without the fingerprints */
	/* Over the snapshot's indices, set by set; estimated ones are scaled. */
	struct mb_groups groups;
	/* The same of the contents that last (server/durable.h); not there where all do. */
	struct mb_groups durable_groups;
	bool has_durable;
	struct mb_comparable *sets;
	uint32_t n_sets;
	/* Figures of groups are estimates, from one digest in 2^shift at least; 0: they are exact.
	 */
	unsigned int sample_shift;
};

/* The set's groups, borrowed: over the snapshot's indices, too. */
struct mb_groups mb_comparable_groups(const struct mb_sharing_view *view,
				      const struct mb_comparable *set, bool lasting);

struct mb_sharing;
int mb_sharing_create(struct mb_fleet *fleet, struct mb_sharing **ret, struct mb_err *err);
void mb_sharing_destroy(struct mb_sharing *s);

/* As mb_fleet_set_durable(). */
void mb_sharing_set_durable(struct mb_sharing *s, uint64_t time_ns);

/* Locks the up-to-date view until mb_sharing_unlock(). On error it is not locked. */
int mb_sharing_lock(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err);
/* Locks the view as it was computed last, however old. -EAGAIN: it never was. */
int mb_sharing_peek(struct mb_sharing *s, const struct mb_sharing_view **ret, struct mb_err *err);
void mb_sharing_unlock(struct mb_sharing *s);

/*
 * Where fingerprints are that were paged out: server/store_page.c. Between begin (that
 * succeeded) and end, all is as it was at the begin.
 */
struct mb_page_source {
	int (*begin)(void *ctx, struct mb_err *err);
	/* -ESTALE: it has another fingerprint of that VM by now. */
	int (*load)(void *ctx, const struct mb_vm *vm, struct mb_fingerprint *ret,
		    struct mb_err *err);
	void (*end)(void *ctx);
	void *ctx;
};
/*
 * The same, exact but for what agents have not sent. In so many passes over the store that what is
 * held of it at a time is a quarter of the memory budget, and one fingerprint.
 */
int mb_sharing_lock_exact(struct mb_sharing *s, const struct mb_page_source *from,
			  const struct mb_sharing_view **ret, struct mb_err *err);

struct mb_sharing_stats {
	uint64_t anew, recounted, estimated; /* how often the groups of an identity were made how */
};
void mb_sharing_stats(struct mb_sharing *s, struct mb_sharing_stats *ret);

void mb_sharing_memory(struct mb_sharing *s, struct mb_fleet_memory *ret);

/* For tests: called whenever a computation has its snapshot and begins to count. */
void mb_sharing_on_compute(struct mb_sharing *s, void (*fn)(void *ctx), void *ctx);

#endif
